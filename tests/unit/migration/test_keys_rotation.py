# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A new recovery key takes the former one's place; wherever that is cut, a proven key opens, and the next run ends it."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import disk_volumes
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.migration import (
    keyslots,
    luks,
    records,
    restoring,
)
from ansible_collections.radiology.hardening.plugins.plugin_utils import escrow_folders
from locked_volume import PASSPHRASE, Lay, PowerCut, Volume, certificate, digest

STRATEGIES = ("in_place", "volume", "container")


def audited(volume: Volume) -> dict[str, Any]:
    """Return the volume as the observer of the role disk_encryption reads it."""
    dumped = [
        volume.machine.must((*volume.machine.cryptsetup, "luksDump", *more, volume.header)).decode()
        for more in JSON_AND_TEXT
    ]
    found = disk_volumes.read_header(json.loads(dumped[0]), dumped[1])
    proof = disk_volumes.read_escrow(volume.record("escrow.json"))
    return {**found, "name": "studies", "kind": "LUKS2", "escrow": proof}


JSON_AND_TEXT = (["--dump-json-metadata"], [])


def assert_renewed(volume: Volume, former: bytes) -> None:
    """One new key, in both folders, and nothing of the former one on the host or in the escrow."""
    (key,) = set(volume.sealed())
    assert key != former
    assert volume.opens(key)
    assert not volume.opens(former)
    assert len(keyslots.named(volume.machine, volume.header, luks.RECOVERY_TOKEN)) == 1
    assert len(keyslots.tokens(volume.machine, volume.header, luks.RECOVERY_TOKEN)) == 1
    for place in volume.places:
        assert sorted(os.listdir(place)) == ["README", "about.json", "header.img.gz", "recovery-key.p7m"]
        path, copy = escrow_folders.newest_header([place])
        restoring.demand_copy(volume.job, copy)
        assert copy == Path(volume.header).read_bytes()[: luks.HEADER_SIZE], path
    assert not volume.record("rotation.json")
    assert not os.path.exists(volume.job.path("rotation.p7m"))
    assert disk_volumes.not_escrowed([audited(volume)]) == []
    assert disk_volumes.unknown_keyslots([audited(volume)], 0) == []


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_new_key_takes_the_former_one_s_place(lay: Lay, strategy: str) -> None:
    volume = lay(strategy)
    (former,) = set(volume.sealed())
    assert disk_volumes.not_escrowed([audited(volume)]) == []
    told = volume.rotate()
    assert told["changed"]
    assert "the recovery key was replaced" in volume.shown[-1]
    assert_renewed(volume, former)
    assert volume.machine.passed(volume.header, keyslots.named(volume.machine, volume.header, "clevis")[0]).status == 0


def test_a_check_shows_the_plan_and_changes_nothing(lay: Lay) -> None:
    volume = lay("volume")
    before = digest(volume.header)
    assert volume.rotate(check=True)["changed"]
    assert "would       make a new recovery key" in volume.shown[-1]
    assert digest(volume.header) == before
    assert not volume.record("rotation.json")


def test_the_former_key_stays_until_the_answer_is_right(lay: Lay) -> None:
    volume = lay("volume")
    (former,) = set(volume.sealed())
    with pytest.raises(HardeningError, match=r"Have somebody who can open it run: .*sha256sum"):
        volume.rotate(private_key="")
    with pytest.raises(HardeningError, match="was not shown to open"):
        volume.rotate(private_key="", answer="0" * 64)
    assert volume.opens(former)
    assert disk_volumes.unknown_keyslots([audited(volume)], 0) == []
    (new,) = {*volume.sealed()} - {former}
    assert volume.opens(new)
    nonce = volume.record("rotation.json")["nonce"]
    path = os.path.join(volume.places[1], escrow_folders.NEXT)
    answer = escrow_folders.answer(path, volume.private_key("provider"), PASSPHRASE, nonce)
    volume.rotate(private_key="", answer=answer + "  -")  # as sha256sum prints it
    assert_renewed(volume, former)


def test_the_host_keeps_neither_the_new_key_nor_its_answer(lay: Lay) -> None:
    volume = lay("in_place")
    with pytest.raises(HardeningError):
        volume.rotate(private_key="")
    nonce = volume.record("rotation.json")["nonce"]
    path = os.path.join(volume.places[0], escrow_folders.NEXT)
    new = escrow_folders.open_sealed(path, volume.private_key("clinic"), PASSPHRASE)
    answer = escrow_folders.answer(path, volume.private_key("clinic"), PASSPHRASE, nonce)
    for each in [*Path(volume.folder).iterdir(), *Path(luks.KEY_FOLDER).iterdir()]:
        content = each.read_bytes()
        assert new not in content, each
        assert answer.encode() not in content, each


def test_no_key_is_in_a_command(lay: Lay) -> None:
    volume = lay("volume")
    volume.machine.tpm = "another TPM"
    before = volume.sealed()
    volume.acts(rebind=True).unlock(check=False)
    volume.rotate()
    shown = "\n".join([*volume.machine.commands, *volume.shown])
    assert "luksAddKey" in shown
    assert not [key for key in {*before, *volume.sealed()} if key.decode() in shown]
    assert os.listdir(luks.KEY_FOLDER) == []


def test_with_another_tpm_the_former_key_from_the_escrow_adds_the_new_one(lay: Lay) -> None:
    volume = lay("volume")
    (former,) = set(volume.sealed())
    volume.machine.tpm = "the second TPM"
    with pytest.raises(HardeningError, match="give -e escrow_private_key"):
        volume.rotate(private_key="")
    volume.rotate()
    assert_renewed(volume, former)


def test_other_certificates_begin_it_anew(lay: Lay) -> None:
    volume = lay("volume")
    (former,) = set(volume.sealed())
    with pytest.raises(HardeningError, match="Have somebody"):
        volume.rotate(private_key="")
    slots = keyslots.used(volume.machine, volume.header)
    volume.certificates = volume.certificates[:1]
    with pytest.raises(HardeningError, match="Have somebody"):
        volume.rotate(private_key="")
    assert keyslots.used(volume.machine, volume.header) == slots
    volume.rotate(private_key=volume.private_key("provider"))
    assert_renewed(volume, former)
    assert volume.record("escrow.json")["recipients"] == [escrow_folders.fingerprint(volume.certificates[0])]


def test_new_people_take_over_with_their_own_private_key_alone(lay: Lay) -> None:
    """The former provider has left with its private key; TPM or Tang still open the volume."""
    volume = lay("volume")
    (former,) = set(volume.sealed())
    certificate(volume.root / "escrow", "successor")
    volume.certificates = [(volume.root / "escrow" / "successor.pem").read_text("ascii")]
    volume.rotate(private_key=volume.private_key("successor"))
    assert volume.sealed() == []  # `sealed` opens with the former provider's private key
    path = os.path.join(volume.places[0], escrow_folders.SEALED)
    assert volume.opens(escrow_folders.open_sealed(path, volume.private_key("successor"), PASSPHRASE))
    assert not volume.opens(former)


def test_one_person_brings_the_former_key_and_another_one_answers(lay: Lay) -> None:
    volume = lay("volume")
    (former,) = set(volume.sealed())
    volume.machine.tpm = "another TPM"
    certificate(volume.root / "escrow", "successor")
    volume.certificates = [(volume.root / "escrow" / "successor.pem").read_text("ascii")]
    with pytest.raises(HardeningError, match=r"clinic\.key does not open .*next"):
        volume.rotate()
    assert volume.opens(former)
    path, nonce = os.path.join(volume.places[0], escrow_folders.NEXT), volume.record("rotation.json")["nonce"]
    answer = escrow_folders.answer(path, volume.private_key("successor"), PASSPHRASE, nonce)
    volume.rotate(answer=answer)
    assert not volume.opens(former)


def test_a_damaged_header_that_was_kept_goes_with_the_key_that_opens_it(lay: Lay) -> None:
    volume = lay("volume")
    Path(volume.job.path("header.damaged-1")).write_bytes(Path(volume.header).read_bytes())
    volume.rotate()
    assert not os.path.exists(volume.job.path("header.damaged-1"))


def test_refused_while_the_storage_is_being_encrypted(lay: Lay) -> None:
    volume = lay("in_place")
    before = digest(volume.header)
    Path(volume.job.path("armed")).touch()
    with pytest.raises(HardeningError, match="Its encryption goes on"):
        volume.rotate()
    with pytest.raises(HardeningError, match="still being encrypted"):
        volume.call("renew", certificates=volume.certificates)
    Path(volume.job.path("armed")).unlink()
    volume.job.record("stopped")
    with pytest.raises(HardeningError, match="still being encrypted"):
        volume.call("renew", certificates=volume.certificates)
    assert digest(volume.header) == before


def test_a_slot_that_a_cut_wiped_but_left_listed_is_destroyed(lay: Lay) -> None:
    volume = lay("volume")
    (former,) = set(volume.sealed())
    with pytest.raises(HardeningError):
        volume.rotate(private_key="")
    area = (luks.dump(volume.machine, volume.header) or {})["keyslots"]["0"]["area"]
    with open(volume.header, "r+b") as file:
        file.seek(int(area["offset"]))
        file.write(os.urandom(int(area["size"])))
    records.write_json(volume.job.path("rotation.json"), {**volume.record("rotation.json"), "stage": "proven"})
    assert not volume.opens(former)
    volume.rotate()
    assert_renewed(volume, former)


@contextlib.contextmanager
def cut_at(volume: Volume, number: int, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Cut the power at the event of that number: a step of host or controller that leaves something on a disk."""
    told: list[str] = []

    def event(what: str) -> None:
        told.append(what)
        if len(told) == number:
            raise PowerCut(what)

    with monkeypatch.context() as patch:
        for module, name in ((os, "rename"), (os, "replace"), (os, "link"), (os, "unlink")):
            plain = getattr(module, name)
            patch.setattr(
                module, name, lambda *given, _plain=plain, **more: (event(str(given[-1])), _plain(*given, **more))
            )
        volume.machine.event = event
        with contextlib.suppress(PowerCut):
            yield told
    volume.reboot()


def assert_safe(volume: Volume, former: bytes) -> None:
    """A key that was proven opens the volume, and the newest copy of its header."""
    new_is_proven = volume.record("rotation.json").get("stage", "proven") in ("proven", "revoked")
    proven = [key for key in volume.sealed() if key == former or new_is_proven]
    assert any(volume.opens(key) for key in proven), volume.record("rotation.json")
    path, copy = escrow_folders.newest_header(volume.places)
    restoring.demand_copy(volume.job, copy)
    restored = Path(volume.root / "restored")
    restored.write_bytes(copy)
    assert any(volume.opens(key, str(restored)) for key in proven), path


@pytest.mark.parametrize("first", [1, 2])  # two halves, for two cores
def test_every_cut_leaves_a_proven_key_and_the_next_run_ends_it(
    lay: Lay, monkeypatch: pytest.MonkeyPatch, first: int
) -> None:
    number, met = first, set()
    while True:
        volume = lay("volume")
        (former,) = set(volume.sealed())
        with cut_at(volume, number, monkeypatch) as told:
            volume.rotate()
        if len(told) < number:
            break
        met.add(volume.record("rotation.json").get("stage", "none"))
        assert_safe(volume, former)
        volume.rotate()
        assert_renewed(volume, former)
        number += 2
    assert met == {"none", "making", "added", "proven", "revoked"}
    assert number > 30
