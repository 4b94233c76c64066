# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Each interlock answers with its own sentence, or not at all."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils.migration import interlocks
from ansible_collections.radiology.hardening.plugins.module_utils.migration.inspection import Block, Place
from ansible_collections.radiology.hardening.plugins.module_utils.migration.machine import Machine, Result

PLACE = Place("/srv/images", "/srv/images", "ext4", "/dev/sdb1", 10 << 30, 1 << 30, ())
BLOCK = Block(
    "/dev/sdb1", "/dev/disk/by-partuuid/1", "part", 20 << 30, "S1", "Disk", True, "ext4", "U1", (), ("disk",), ()
)


class Answers(Machine):
    """A machine whose commands answer from a table."""

    def __init__(self, **answers: bytes) -> None:
        self.answers = answers

    def run(self, command: Any, *, stdin: bytes = b"") -> Result:
        found = self.answers.get(command[0])
        return Result(127 if found is None else 0, found or b"", b"")


def change(of: Any, **values: Any) -> Any:
    return type(of)(**{**vars(of), **values})


@pytest.mark.parametrize(
    ("place", "block", "strategy", "said"),
    [
        (PLACE, BLOCK, "in_place", ""),
        (change(PLACE, also_mounted=("/mnt",)), BLOCK, "volume", "also mounted at /mnt"),
        (PLACE, change(BLOCK, holders=("dm-3",)), "volume", "held by dm-3"),
        (change(PLACE, file_system="btrfs"), BLOCK, "in_place", "is btrfs; accepted are ext4 and xfs"),
        (PLACE, change(BLOCK, kind="lvm", kinds_below=("part", "disk")), "in_place", "lies on lvm"),
        (PLACE, change(BLOCK, kinds_below=("raid1", "part", "disk")), "in_place", "lies on raid1"),
        (PLACE, change(BLOCK, kind="disk", kinds_below=()), "in_place", "whole disk without partitions"),
        (PLACE, change(BLOCK, kind="lvm", kinds_below=("part", "disk")), "volume", ""),
    ],
)
def test_source(place: Place, block: Block, strategy: str, said: str) -> None:
    found = " ".join(interlocks.source(place, block, strategy))
    assert (said in found) if said else not found


@pytest.mark.parametrize(("version", "taken"), [(b"2.6.1", True), (b"2.7.5", True), (b"2.8.0", False), (b"", False)])
def test_version(version: bytes, taken: bool) -> None:
    machine = Answers(cryptsetup=b"cryptsetup " + version + b" flags: UDEV")
    assert (not list(interlocks.version(machine))) is taken


def test_smart() -> None:
    bad = {"ata_smart_attributes": {"table": [{"id": 197, "name": "Current_Pending_Sector", "raw": {"value": 8}}]}}
    assert not list(interlocks.failing("/dev/sda", {"smart_status": {"passed": True}}))
    assert not list(interlocks.failing("/dev/vda", {}))
    assert "fails (SMART)" in next(interlocks.failing("/dev/sda", {"smart_status": {"passed": False}}))
    assert "8 bad sectors" in next(interlocks.failing("/dev/sda", bad))
    assert "3 media" in next(
        interlocks.failing("/dev/nvme0n1", {"nvme_smart_health_information_log": {"media_errors": 3}})
    )


def test_health_nobody_can_tell() -> None:
    clean = b"Filesystem state:         clean\n"
    assert "install smartmontools" in next(interlocks.healthy(Answers(dumpe2fs=clean), BLOCK, "ext4"))
    machine = Answers(dumpe2fs=clean + b"FS Error count:           2\n", smartctl=b"{}")
    assert "has errors" in next(interlocks.healthy(machine, BLOCK, "ext4"))
    assert not list(interlocks.healthy(Answers(dumpe2fs=clean, smartctl=b"{}"), BLOCK, "ext4"))


@pytest.mark.parametrize(
    ("supplies", "refused"),
    [({}, False), ({"AC": ("Mains", "1")}, False), ({"AC": ("Mains", "0")}, True), ({"BAT0": ("Battery", "")}, False)],
)
def test_battery(tmp_path: Path, supplies: dict[str, tuple[str, str]], refused: bool) -> None:
    for name, (kind, online) in supplies.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "type").write_text(kind)
        (tmp_path / name / "online").write_text(online)
    assert bool(list(interlocks.power(str(tmp_path)))) is refused


def test_backup(tmp_path: Path) -> None:
    stamp, now = tmp_path / "done", time.time()
    assert "No backup is declared" in next(interlocks.backup({}, now))
    assert "is not there" in next(interlocks.backup({"stamp": str(stamp)}, now))
    stamp.write_bytes(b"")
    assert not list(interlocks.backup({"stamp": str(stamp)}, now))
    os.utime(stamp, (now - 90000, now - 90000))
    assert "25 hours old" in next(interlocks.backup({"stamp": str(stamp)}, now))
    assert not list(interlocks.backup({"accepted_without_by": "Dr Anne Martin"}, now))


def test_a_program_that_writes_is_named(tmp_path: Path) -> None:
    place = change(PLACE, folder=str(tmp_path))
    assert not list(interlocks.writing(place, ("orthanc.service",)))
    with (tmp_path / "image").open("wb"):
        assert "writes below" in next(interlocks.writing(place, ("orthanc.service",)))
    with (tmp_path / "image").open("rb"):
        assert not list(interlocks.writing(place, ("orthanc.service",)))


def test_room() -> None:
    assert "needs 200 MiB free" in next(interlocks.room(PLACE, "container", 200 << 20, 100 << 20))
    assert not list(interlocks.room(PLACE, "container", 100 << 20, 100 << 20))
