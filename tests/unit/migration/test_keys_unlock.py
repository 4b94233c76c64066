# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Unlocking with the key from the escrow, and binding the header to another TPM or Tang server."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import disk_volumes
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.migration import (
    cli,
    escrow,
    keys,
    keyslots,
    luks,
    rebinding,
    records,
)
from ansible_collections.radiology.hardening.plugins.plugin_utils import escrow_folders
from locked_volume import NAME, TPM, Lay, PowerCut, Volume, digest
from test_keys_rotation import audited, cut_at

STRATEGIES = ("in_place", "volume", "container")


def unlock(volume: Volume, **given: Any) -> dict[str, Any]:
    return volume.acts(**given).unlock(check=bool(given.get("check")))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_key_from_the_escrow_opens(lay: Lay, strategy: str) -> None:
    volume = lay(strategy)
    volume.machine.tpm = "another TPM"
    assert unlock(volume)["changed"]
    assert volume.machine.opened == {NAME}
    assert volume.machine.started == ["radiology-unlock@studies.service", "srv-images.mount", "orthanc.service"]
    assert volume.shown[-1] == "pacs: studies is open and mounted at /srv/images; orthanc.service started"
    assert os.listdir(luks.KEY_FOLDER) == []
    assert not unlock(volume)["changed"]


def test_a_check_opens_nothing(lay: Lay) -> None:
    volume = lay("volume")
    assert unlock(volume, check=True)["changed"]
    assert volume.machine.opened == set()


@pytest.mark.parametrize("act", ["unlock", "restore", "rotate"])
def test_a_system_that_is_encrypted_is_left_to_a_person(lay: Lay, act: str) -> None:
    volume = lay("in_place")
    os.rename(volume.folder, os.path.join(os.path.dirname(volume.folder), "system"))
    acts = volume.acts()
    with pytest.raises(HardeningError, match=r"strategy system.*docs/disk-runbook\.md") as refused:
        acts.rotate(volume.certificates, check=False) if act == "rotate" else getattr(acts, act)(check=False)
    assert "encrypt_storage" not in str(refused.value)
    shutil.rmtree(os.path.join(os.path.dirname(volume.folder), "system"))
    with pytest.raises(HardeningError, match=r"no storage that was encrypted .*: run that first"):
        acts.unlock(check=False)


def test_a_key_is_taken_once_and_nothing_is_left_of_it(lay: Lay) -> None:
    volume = lay("volume")
    volume.hand(json.dumps({"keys": ["one"], "header": ""}).encode())
    assert keys.take(NAME) == ([b"one"], b"")
    assert keys.take(NAME) == ([], b"")
    assert os.listdir(luks.KEY_FOLDER) == []


def test_the_second_folder_serves_when_the_first_is_damaged_or_away(lay: Lay) -> None:
    for damage in (lambda path: path.write_bytes(b"noise"), Path.unlink):
        volume = lay("volume")
        damage(Path(volume.places[0]) / escrow_folders.SEALED)
        unlock(volume)
        assert volume.machine.opened == {NAME}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"private_key": ""}, "run the playbook again with -e escrow_private_key="),
        ({"passphrase": "wrong"}, r"clinic\.key does not open .*recovery-key\.p7m"),
    ],
)
def test_without_the_key_nothing_is_opened(lay: Lay, given: dict[str, str], sentence: str) -> None:
    volume = lay("volume")
    volume.machine.tpm = "another TPM"
    with pytest.raises(HardeningError, match=sentence):
        unlock(volume, **given)
    assert volume.machine.opened == set()


def test_another_volume_s_key_is_refused_with_a_sentence(lay: Lay) -> None:
    volume = lay("volume")
    volume.machine.tpm = "another TPM"
    escrow_folders.keep(
        volume.places, escrow_folders.SEALED, escrow.seal(volume.machine, escrow.make_key(), volume.certificates)
    )
    with pytest.raises(HardeningError, match="studies stays locked: neither a key from the escrow"):
        unlock(volume)


@pytest.mark.parametrize("stage", ["planned", "prepared", "stopped"])
def test_a_volume_that_is_not_whole_is_never_opened(lay: Lay, stage: str) -> None:
    volume = lay("in_place")
    volume.job.record(stage)
    with pytest.raises(HardeningError, match=f"stands at {stage}, not yet encrypted"):
        unlock(volume)
    assert volume.machine.opened == set()


def test_a_header_that_asks_to_go_on_is_never_opened(lay: Lay) -> None:
    """The stage may be right and the header not: opening would replay, or read plaintext as noise."""
    volume = lay("in_place")
    (key,) = set(volume.sealed())
    header, plan = volume.header, volume.job.plan
    Path(header).unlink()
    with open(volume.device, "r+b") as device:
        device.truncate(16 << 20)
    luks.initialise(volume.machine, header, volume.device, plan, key)
    with pytest.raises(HardeningError, match="reads as initialised: if it is damaged, use the playbook restore_header"):
        unlock(volume)
    assert volume.machine.opened == set()


@pytest.mark.parametrize(
    ("strategy", "stage"), [("in_place", "stopped"), ("volume", "formatted"), ("container", "copied")]
)
def test_a_job_that_waits_gets_the_key_and_the_volume_is_left_to_it(lay: Lay, strategy: str, stage: str) -> None:
    volume = lay(strategy)
    (key,) = set(volume.sealed())
    volume.job.record(stage)
    Path(volume.job.path("armed")).touch()
    records.write(volume.job.path(escrow.BOUND), volume.machine.tpm.encode() + b"\n" + key)
    volume.machine.tpm = "another TPM"
    assert escrow.bound_key(volume.machine, volume.folder) is None
    unlock(volume)
    assert volume.machine.opened == set()
    assert volume.machine.started == ["radiology-encrypt-storage@studies.service"]
    assert escrow.bound_key(volume.machine, volume.folder) == key
    assert "The encryption of studies has its key and goes on" in volume.shown[-1]
    unlock(volume, rebind=True)
    volume.reboot()
    assert escrow.bound_key(volume.machine, volume.folder) == key
    assert keyslots.used(volume.machine, volume.header) == ["0", "1"]


def test_a_job_that_is_bound_to_nothing_takes_the_key_while_it_asks(
    lay: Lay, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    volume = lay("in_place")
    asking = tmp_path / "systemd-ask-password"
    asking.write_text("#!/bin/sh\nexec sleep 600\n")
    asking.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    process = subprocess.Popen
    begun: list[Any] = []

    def begin(*given: Any, **more: Any) -> Any:
        begun.append(process(*given, **more))
        records.write(escrow.in_memory(volume.folder), b"the key")
        return begun[-1]

    monkeypatch.setattr(subprocess, "Popen", begin)
    monkeypatch.setattr(cli, "progress_path", lambda name: str(tmp_path / name))
    assert cli._asked(volume.machine, volume.folder) == b"the key"
    assert begun[0].poll() is not None


# Another TPM or Tang


def assert_rebound(volume: Volume, former: bytes) -> None:
    """One binding that works, the recovery key as it was, and copies of the header that are the present one."""
    (bound,) = keyslots.named(volume.machine, volume.header, keyslots.BOUND)
    assert len(keyslots.tokens(volume.machine, volume.header, keyslots.BOUND)) == 1
    assert volume.machine.passed(volume.header, bound).status == 0
    assert volume.opens(former)
    assert disk_volumes.not_escrowed([audited(volume)]) == []
    assert disk_volumes.unknown_keyslots([audited(volume)], 0) == []
    for place in volume.places:
        assert escrow_folders.newest_header([place])[1] == Path(volume.header).read_bytes()[: luks.HEADER_SIZE]
    assert not os.path.exists(volume.job.path(rebinding.RECORD))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_another_tpm_is_bound_and_the_dead_binding_goes(lay: Lay, strategy: str) -> None:
    volume = lay(strategy)
    (former,) = set(volume.sealed())
    proven = volume.record("escrow.json")["proven_at"]
    epoch = volume.record("escrow.json")["header_epoch"]
    volume.machine.tpm = "another TPM"
    unlock(volume, rebind=True)
    assert_rebound(volume, former)
    assert volume.record("escrow.json")["proven_at"] == proven
    assert len(volume.record("escrow.json")["recipients"]) == 2
    assert volume.record("escrow.json")["header_epoch"] > epoch
    volume.reboot()
    assert keys.any_key(volume.machine, volume.header, []) is not None


def test_binding_twice_makes_one_binding(lay: Lay) -> None:
    volume = lay("volume")
    volume.machine.tpm = "another TPM"
    unlock(volume, rebind=True)
    before = digest(volume.header)
    unlock(volume, rebind=True)
    assert digest(volume.header) == before


def test_the_former_binding_stays_when_the_new_one_gives_no_key(lay: Lay) -> None:
    volume = lay("volume")
    bind = volume.machine.bind

    def bind_elsewhere(header: str, unlock: Any, key: bytes) -> None:
        volume.machine.tpm = "a TPM that forgets"
        bind(header, unlock, key)
        volume.machine.tpm = "another TPM"

    volume.machine.tpm, volume.machine.bind = "another TPM", bind_elsewhere  # type: ignore[method-assign]
    with pytest.raises(HardeningError, match="gave no key and was removed; the former ones stay"):
        unlock(volume, rebind=True)
    assert keyslots.used(volume.machine, volume.header) == ["0", "1"]
    volume.machine.tpm = "the first TPM"
    assert volume.machine.passed(volume.header, "1").status == 0


def test_tang_takes_the_tpm_s_place_where_the_clinic_file_says_so(lay: Lay) -> None:
    volume = lay("volume")
    (former,) = set(volume.sealed())
    tang = {"pin": "tang", "config": {"url": "http://tang"}}
    unlock(volume, rebind=True, storage={"folder": "/srv/images", "unlock": tang})
    assert_rebound(volume, former)
    assert volume.job.plan.unlock == tang
    assert volume.machine.started[-1] == "table tang"
    assert audited(volume)["bindings"] == ["tang"]


def test_a_token_is_known_by_its_pin_and_what_it_was_bound_to() -> None:
    key = {"alg": "ES512", "crv": "P-521", "kty": "EC", "x": "eA", "y": "eQ", "key_ops": ["verify"]}
    members = b'{"crv":"P-521","kty":"EC","x":"eA","y":"eQ"}'
    thumbprints = [
        base64.urlsafe_b64encode(digest(members).digest()).decode().rstrip("=")
        for digest in (hashlib.sha256, hashlib.sha1)
    ]
    tang = token({"pin": "tang", "tang": {"url": "http://tang", "adv": {"keys": [key]}}})
    for thumbprint in thumbprints:
        assert rebinding.is_bound_to(tang, {"pin": "tang", "config": {"url": "http://tang", "thp": thumbprint}})
    assert not rebinding.is_bound_to(tang, {"pin": "tang", "config": {"url": "http://tang", "thp": "another"}})
    assert not rebinding.is_bound_to(tang, {"pin": "tang", "config": {"url": "http://other", "thp": thumbprints[0]}})
    assert not rebinding.is_bound_to(tang, TPM)
    tpm = token({"pin": "tpm2", "tpm2": {"pcr_ids": "7"}})
    assert rebinding.is_bound_to(tpm, TPM)
    assert not rebinding.is_bound_to(token({"pin": "tpm2", "tpm2": {}}), TPM)
    for damaged in ({}, {"jwe": {"protected": "%"}}, {"jwe": {"protected": "e30"}}):
        assert not rebinding.is_bound_to(damaged, TPM)


def token(clevis: dict[str, Any]) -> dict[str, Any]:
    protected = base64.urlsafe_b64encode(json.dumps({"clevis": clevis}).encode()).decode().rstrip("=")
    return {"jwe": {"protected": protected}}


def test_every_cut_leaves_a_key_and_the_next_run_binds(lay: Lay, monkeypatch: pytest.MonkeyPatch) -> None:
    number = 1
    while True:
        volume = lay("volume")
        (former,) = set(volume.sealed())
        volume.machine.tpm = "another TPM"
        with cut_at(volume, number, monkeypatch) as told:
            unlock(volume, rebind=True)
        if len(told) < number:
            break
        assert volume.opens(former), told[-1]
        unlock(volume, rebind=True)
        assert_rebound(volume, former)
        number += 1
    assert number > 15


def test_a_passphrase_that_was_added_since_a_cut_is_left_alone(lay: Lay, monkeypatch: pytest.MonkeyPatch) -> None:
    volume = lay("volume")
    (former,) = set(volume.sealed())
    volume.machine.tpm = "another TPM"

    def cut(header: str, unlock: Any, key: bytes) -> None:
        raise PowerCut

    with monkeypatch.context() as patch, pytest.raises(PowerCut):
        patch.setattr(volume.machine, "bind", cut)
        unlock(volume, rebind=True)
    for slot, passphrase in (("2", b"a doctor's"), ("3", b"another doctor's")):
        keyslots.add(volume.machine, volume.header, slot, volume.job.plan, opener=former, key=passphrase)
    unlock(volume, rebind=True)
    assert volume.opens(b"a doctor's")
    assert volume.opens(b"another doctor's")
