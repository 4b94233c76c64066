# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Each interlock answers with its own sentence, or not at all."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils.migration import inspection, interlocks
from ansible_collections.radiology.hardening.plugins.module_utils.migration.inspection import Block, Place
from ansible_collections.radiology.hardening.plugins.module_utils.migration.machine import Machine, Result

PLACE = Place("/srv/images", "/srv/images", "ext4", "/dev/sdb1", 10 << 30, 1 << 30, ())
BLOCK = Block(
    "/dev/sdb1", "/dev/disk/by-partuuid/1", "part", 20 << 30, "S1", "Disk", True, "ext4", "U1", (), ("disk",), (),
    "P1", ("/dev/sdb",), ("ext4",),
)  # fmt: skip


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
        (PLACE, change(BLOCK, signatures=("ext4", "zfs_member")), "in_place", "holds zfs_member beside ext4"),
        (PLACE, change(BLOCK, signatures=("ext4", "zfs_member")), "volume", ""),
        (PLACE, change(BLOCK, kind="crypt", kinds_below=("part",)), "volume", "is encrypted already"),
        (change(PLACE, part="/images", also_mounted=("/mnt",)), BLOCK, "volume", "a bind mount"),
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


@pytest.mark.parametrize(
    ("place", "strategy", "said"),
    [
        (PLACE, "in_place", ""),
        (change(PLACE, mounted_below=("/srv/images/cache",)), "in_place", "/srv/images/cache is mounted below"),
        (change(PLACE, mounted_below=("/srv/images2",)), "in_place", ""),
        (change(PLACE, mount_point="/"), "in_place", "choose container"),
        (PLACE, "container", "is a file system of its own"),
        (change(PLACE, mount_point="/"), "container", ""),
    ],
)
def test_layout(place: Place, strategy: str, said: str) -> None:
    found = " ".join(interlocks.layout(place, strategy, "/srv/images"))
    assert (said in found) if said else not found


def test_a_device_has_to_be_nameable() -> None:
    assert not list(interlocks.nameable(BLOCK))
    assert BLOCK.is_called("P1")
    assert BLOCK.is_called("U1")
    assert not BLOCK.is_called("")
    nameless = change(BLOCK, serial="", uuid="", partition_uuid="", stable_path="")
    assert not nameless.is_called("")
    assert [each.split()[2] for each in interlocks.nameable(nameless)] == ["neither", "no"]


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
    assert "no answer in JSON" in next(interlocks.healthy(Answers(smartctl=b"smartctl: unknown option"), BLOCK, ""))
    machine = Answers(dumpe2fs=clean + b"FS Error count:           2\n", smartctl=b"{}")
    assert "has errors" in next(interlocks.healthy(machine, BLOCK, "ext4"))
    assert not list(interlocks.healthy(Answers(dumpe2fs=clean, smartctl=b"{}"), BLOCK, "ext4"))


ON, OFF = {"type": "Mains", "online": "1"}, {"type": "Mains", "online": "0"}
EMPTIES = {"type": "Battery", "status": "Discharging", "scope": "System"}


@pytest.mark.parametrize(
    ("supplies", "refused"),
    [
        ({}, False),
        ({"AC": ON, "BAT0": EMPTIES}, False),
        ({"AC": OFF}, True),
        ({"AC": OFF, "ACAD": ON}, False),
        ({"BAT0": EMPTIES}, True),
        ({"BAT0": {**EMPTIES, "status": "Charging"}}, False),
        ({"hidpp_battery_0": {**EMPTIES, "scope": "Device"}}, False),
    ],
)
def test_battery(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, supplies: dict[str, dict[str, str]], refused: bool
) -> None:
    monkeypatch.setattr(interlocks, "POWER", str(tmp_path))
    for name, told in supplies.items():
        (tmp_path / name).mkdir()
        for what, value in told.items():
            (tmp_path / name / what).write_text(f"{value}\n")
    assert bool(list(interlocks.power())) is refused


def test_backup(tmp_path: Path) -> None:
    stamp, now = tmp_path / "done", time.time()
    assert "No backup is declared" in next(interlocks.backup({}, now))
    assert "is not there" in next(interlocks.backup({"stamp": str(stamp)}, now))
    stamp.write_bytes(b"")
    assert not list(interlocks.backup({"stamp": str(stamp)}, now))
    os.utime(stamp, (now - 90000, now - 90000))
    assert "25 hours old" in next(interlocks.backup({"stamp": str(stamp)}, now))
    os.utime(stamp, (now + 90000, now + 90000))
    assert "a time to come" in next(interlocks.backup({"stamp": str(stamp)}, now))
    assert not list(interlocks.backup({"accepted_without_by": "Dr Anne Martin"}, now))


def test_a_program_at_work_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    services, folder = ("orthanc.service",), str(tmp_path)
    own, shared = change(PLACE, folder=folder, mount_point=folder), change(PLACE, folder=folder, mount_point="/")
    assert not list(interlocks.writing(own, services, folder))
    with (tmp_path / "image").open("wb"):
        for place in (own, shared):
            assert "writes below" in next(interlocks.writing(place, services, folder))
    with (tmp_path / "image").open("rb"):
        assert not list(interlocks.writing(shared, services, folder))
        assert "could not be unmounted" in next(interlocks.writing(own, services, folder))
    monkeypatch.chdir(tmp_path)
    assert "could not be unmounted" in next(interlocks.writing(own, services, folder))


def test_room() -> None:
    assert "needs 200 MiB free" in next(interlocks.room(PLACE, "container", 200 << 20, 100 << 20))
    assert not list(interlocks.room(PLACE, "container", 100 << 20, 100 << 20))


def test_room_for_files() -> None:
    assert "has room for 65536" in next(interlocks.room_for_files(PLACE, 70000, 1 << 30))
    assert not list(interlocks.room_for_files(PLACE, 60000, 1 << 30))


def test_what_bears_the_name_of_the_former_copy_is_in_the_way(tmp_path: Path) -> None:
    folder = str(tmp_path / "images")
    assert not list(interlocks.former_name(folder))
    os.mkdir(f"{folder}.in-clear")
    assert "is there already" in next(interlocks.former_name(folder))


def test_a_file_with_two_names_is_told_before_anything_changes(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(b"1")
    assert inspection.content(str(tmp_path)).linked == ""
    os.link(tmp_path / "image", tmp_path / "other")
    linked = inspection.content(str(tmp_path)).linked
    (said,) = interlocks.one_name("/srv/images", linked)
    assert said.startswith("/srv/images/image has several names (hard links)")
    assert list(interlocks.one_name("/srv/images", "")) == []
