# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A damaged header is replaced by its newest copy; a healthy one, a stale copy and another volume's are not touched."""

from __future__ import annotations

import gzip
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import disk_volumes
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.migration import keyslots, luks, records
from ansible_collections.radiology.hardening.plugins.plugin_utils import escrow_folders
from locked_volume import NAME, SERIAL, UUID, Lay, Volume, digest
from test_keys_rotation import assert_renewed, audited, cut_at

STRATEGIES = ("in_place", "volume", "container")
CONFIRM = {"in_place": "", "volume": SERIAL, "container": UUID}


def restore(volume: Volume, **given: Any) -> dict[str, Any]:
    given = {"confirm": CONFIRM[volume.strategy], **given}
    return volume.acts(**given).restore(check=bool(given.get("check")))


def magic(volume: Volume) -> None:
    """Overwrite the first copy's and the second copy's magic, as an installer's first megabytes do."""
    overwrite(volume, 0, b"\0" * (1 << 20))


def keyslots_area(volume: Volume) -> None:
    """Overwrite the keyslots, and leave what describes them."""
    overwrite(volume, 32768, os.urandom((16 << 20) - 32768))


def gone(volume: Volume) -> None:
    """Remove a header that is a file; of a device, its first 16 MiB."""
    if volume.strategy == "in_place":
        Path(volume.header).unlink()
    else:
        overwrite(volume, 0, b"\0" * (16 << 20))


def overwrite(volume: Volume, offset: int, content: bytes) -> None:
    with open(volume.header, "r+b") as file:
        file.seek(offset)
        file.write(content)


def rewrite_copies(volume: Volume, change: Callable[[bytes], bytes]) -> None:
    for place in volume.places:
        path = Path(place) / escrow_folders.HEADER
        path.write_bytes(gzip.compress(change(gzip.decompress(path.read_bytes()))))


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("damage", [magic, keyslots_area, gone])
def test_a_damaged_header_is_restored_and_the_volume_opens(
    lay: Lay, strategy: str, damage: Callable[[Volume], None]
) -> None:
    volume = lay(strategy)
    (key,) = set(volume.sealed())
    before = Path(volume.device).read_bytes()[16 << 20 :], digest(volume.header)
    damage(volume)
    damaged = Path(volume.header).read_bytes()[: 16 << 20] if os.path.exists(volume.header) else b""
    assert not volume.opens(key)
    restore(volume)
    assert volume.opens(key)
    assert volume.machine.opened == {NAME}
    assert (Path(volume.device).read_bytes()[16 << 20 :], digest(volume.header)) == before
    assert Path(volume.job.path("header.damaged-1")).read_bytes() == damaged
    assert disk_volumes.not_escrowed([audited(volume)]) == []
    assert "is again the one of epoch" in volume.shown[-1]


def test_the_newer_of_two_copies_is_taken(lay: Lay) -> None:
    volume = lay("volume")
    former = (Path(volume.places[0]) / escrow_folders.HEADER).read_bytes()
    volume.rotate()
    (Path(volume.places[0]) / escrow_folders.HEADER).write_bytes(former)
    magic(volume)
    restore(volume)
    assert all(volume.opens(key) for key in set(volume.sealed()))


@pytest.mark.parametrize("check", [True, False])
def test_a_healthy_header_is_left_alone(lay: Lay, check: bool) -> None:
    volume = lay("volume")
    before = digest(volume.header)
    if check:
        assert not restore(volume, check=True)["changed"]
    else:
        with pytest.raises(HardeningError, match="is healthy: it can be read, and a key opens it"):
            restore(volume)
    assert digest(volume.header) == before
    assert volume.machine.opened == set()


def forget_tpm(volume: Volume) -> None:
    volume.machine.tpm = "another TPM"


def make_stale(volume: Volume) -> None:
    """Put both copies back that were there before the recovery key was replaced, as a restored backup does."""
    former = [(Path(place) / escrow_folders.HEADER, Path(place) / escrow_folders.SEALED) for place in volume.places]
    kept = [(one.read_bytes(), other.read_bytes()) for one, other in former]
    volume.rotate()
    for (one, other), (header, sealed) in zip(former, kept, strict=True):
        one.write_bytes(header)
        other.write_bytes(sealed)
    magic(volume)


def alter_copies(volume: Volume) -> None:
    rewrite_copies(volume, lambda copy: copy[:-1] + bytes([copy[-1] ^ 1]))
    magic(volume)


def copies_of_another(volume: Volume) -> None:
    other = b"5d0f4c6e-0000-4000-8000-00000000000f"
    rewrite_copies(volume, lambda copy: copy[:168] + other + copy[168 + len(other) :])
    magic(volume)


def cut_copies(volume: Volume) -> None:
    rewrite_copies(volume, lambda copy: copy[: 4 << 20])
    magic(volume)


def lose_record(volume: Volume) -> None:
    Path(volume.job.path("escrow.json")).unlink()
    magic(volume)


def lose_copies(volume: Volume) -> None:
    for place in volume.places:
        (Path(place) / escrow_folders.HEADER).write_bytes(b"noise")
    magic(volume)


def encrypting(volume: Volume) -> None:
    magic(volume)
    Path(volume.job.path("armed")).touch()


def other_volume(volume: Volume) -> None:
    done = (
        *volume.machine.cryptsetup,
        "luksUUID",
        "--uuid",
        "5d0f4c6e-0000-4000-8000-00000000000f",
        "--batch-mode",
        volume.header,
    )
    subprocess.run(done, check=True)


def other_disk(volume: Volume) -> None:
    """Another disk of the same size bears the name of the one that was confirmed."""
    magic(volume)
    volume.machine.disk = "DISK-9"


def other_file_system(volume: Volume) -> None:
    overwrite(volume, 0, b"\0" * (16 << 20))
    subprocess.run(("mkfs.ext4", "-q", "-F", volume.header), check=True)


@pytest.mark.parametrize(
    ("situation", "given", "sentence"),
    [
        (forget_tpm, {"private_key": ""}, "whether its keyslots are damaged only the recovery key tells"),
        (make_stale, {}, "a stale copy would bring back keys that were revoked"),
        (alter_copies, {}, "is not the one whose digest was recorded: it was altered"),
        (copies_of_another, {}, "The copy is of another volume"),
        (cut_copies, {}, "is no LUKS2 header of 16 MiB"),
        (lose_record, {}, r"escrow\.json is missing"),
        (lose_copies, {}, "No copy of a header that can be read lies in"),
        (encrypting, {}, "is still being encrypted"),
        (other_volume, {}, "holds the header of another volume"),
        (other_file_system, {}, "holds ext4 now"),
        (other_disk, {}, "lies on a disk with the serial number DISK-9"),
        (magic, {"confirm": ""}, "run the playbook again with -e confirm=DISK-1"),
        (magic, {"confirm": "DISK-2"}, "The answer DISK-2 names another device"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_refused_each_with_its_sentence_and_no_byte_changed(
    lay: Lay, situation: Callable[[Volume], None], given: dict[str, str], sentence: str
) -> None:
    volume = lay("volume")
    situation(volume)
    before = digest(volume.header)
    with pytest.raises(HardeningError, match=sentence):
        restore(volume, **given)
    assert digest(volume.header) == before
    assert not os.path.exists(volume.job.path("header.damaged-1"))


def test_a_header_of_an_encryption_under_way_is_never_replaced(lay: Lay) -> None:
    volume = lay("in_place")
    (key,) = set(volume.sealed())
    Path(volume.header).unlink()
    luks.initialise(volume.machine, volume.header, volume.device, volume.job.plan, key)
    records.write_json(
        volume.job.path("escrow.json"),
        {
            **volume.record("escrow.json"),
            "luks_uuid": volume.machine.must((*volume.machine.cryptsetup, "luksUUID", volume.header)).decode().strip(),
        },
    )
    before = digest(volume.header)
    with pytest.raises(HardeningError, match="the header of an encryption under way, which no copy can replace"):
        restore(volume)
    assert digest(volume.header) == before


def test_every_cut_is_healed_by_the_next_run(lay: Lay, monkeypatch: pytest.MonkeyPatch) -> None:
    number = 1
    while True:
        volume = lay("in_place")
        (key,) = set(volume.sealed())
        magic(volume)
        with cut_at(volume, number, monkeypatch) as told:
            restore(volume)
        if len(told) < number:
            break
        if not volume.opens(key):
            restore(volume)
        assert volume.opens(key)
        number += 1
    assert number > 3


def test_a_rotation_that_the_damage_met_begins_anew(lay: Lay) -> None:
    volume = lay("volume")
    (former,) = set(volume.sealed())
    with pytest.raises(HardeningError, match="Have somebody"):
        volume.rotate(private_key="")
    magic(volume)
    restore(volume)
    assert volume.opens(former)
    assert keyslots.used(volume.machine, volume.header) == ["0", "1"]
    volume.rotate()
    assert_renewed(volume, former)
