# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Strategy system: every layout that does not allow it is refused with one sentence that names the way out."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils.migration import (
    inspection,
    interlocks,
    system_planning,
)
from ansible_collections.radiology.hardening.plugins.module_utils.migration.inspection import Block, Place
from ansible_collections.radiology.hardening.plugins.module_utils.migration.job import Plan
from ansible_collections.radiology.hardening.plugins.module_utils.migration.machine import Machine, Result

ROOT = Place("/", "/", "ext4", "/dev/sda2", 0, 10 << 30, ())
BOOT = Place("/boot", "/boot", "ext4", "/dev/sda1", 0, 400 << 20, ())
WHAT = {
    "path": "/dev/sda2",
    "stable_path": "/dev/disk/by-partuuid/2",
    "kind": "part",
    "size": 20 << 30,
    "serial": "S1",
    "model": "",
    "rotational": False,
    "file_system": "ext4",
    "uuid": "U-U",
    "mount_points": ("/",),
    "kinds_below": ("disk",),
    "holders": (),
}
PLAN = Plan("system", "system", "/", unlock={"pin": "tpm2", "config": {}})


def block(**other: Any) -> Block:
    """Return the root's device, with what is different of it."""
    known = {each.name for each in dataclasses.fields(Block)}
    rest = {"partition_uuid": "2", "disks": ("/dev/sda",), "signatures": ("ext4",)}
    return Block(**{key: value for key, value in {**WHAT, **rest, **other}.items() if key in known})


class Stub(Machine):
    """A machine with clean file systems and healthy disks."""

    def run(self, command: Any, *, stdin: bytes = b"") -> Result:
        return Result(0, {"dumpe2fs": b"Filesystem state: clean\n", "smartctl": b"{}"}.get(command[0], b""), b"")


@pytest.fixture(name="host")
def fixture_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A host on which strategy system is allowed; what a test changes in the returned mapping is found instead."""
    found: dict[str, Any] = {"boot": BOOT, "boot_device": block(path="/dev/sda1"), "cmdline": "root=UUID=U-U ro quiet"}
    found |= {"fstab": "UUID=U-U / ext4 errors=remount-ro 0 1\n", "initramfs": True, "dracut": False, "swaps": ""}

    def read(path: str) -> str:
        return {system_planning.CMDLINE: found["cmdline"], system_planning.FSTAB: found["fstab"]}.get(
            path, found["swaps"] if path == system_planning.SWAPS else ""
        )

    monkeypatch.setattr(inspection, "place", lambda _machine, _folder: found["boot"])
    monkeypatch.setattr(inspection, "block", lambda _machine, _path: found["boot_device"])
    monkeypatch.setattr(interlocks, "free_name", lambda _machine, _name: iter(()))
    monkeypatch.setattr(system_planning, "_read", read)
    tools = {system_planning.INITRAMFS_TOOLS: "initramfs", system_planning.DRACUT: "dracut"}
    monkeypatch.setattr(system_planning.os.path, "exists", lambda path: bool(found.get(tools.get(path, ""), False)))
    return found


def refusals(place: Place = ROOT, source: Block | None = None, plan: Plan = PLAN, **other: Any) -> list[str]:
    """Return the sentences against a root."""
    return list(system_planning.refusals(Stub(), plan, place, source or block(**other)))


def test_an_ordinary_installation_is_allowed(host: dict[str, Any]) -> None:
    assert host["boot"] is BOOT
    assert refusals() == []


@pytest.mark.parametrize(
    ("changed", "what", "way_out"),
    [
        ({"boot": dataclasses.replace(ROOT, folder="/boot")}, "no partition of its own", "install the system anew"),
        ({"boot": dataclasses.replace(BOOT, file_system="vfat")}, "/boot is vfat", "make it ext4"),
        ({"boot": dataclasses.replace(BOOT, free=150 << 20)}, "150 MiB free", "remove old kernels"),
        ({"boot_device": block(kind="lvm", kinds_below=("part", "disk"))}, "/boot lies on lvm", "install the system"),
        ({"initramfs": False}, "not made by initramfs-tools", "install initramfs-tools"),
        ({"dracut": True}, "not made by initramfs-tools", "install initramfs-tools"),
        ({"cmdline": "root=/dev/sda2 ro"}, "root=/dev/sda2", "root=UUID=U-U"),
        ({"cmdline": "root=PARTUUID=2 ro"}, "root=PARTUUID=2", "update-grub"),
        ({"fstab": "/dev/sda2 / ext4 defaults 0 1\n"}, "names / as /dev/sda2", "write UUID=U-U"),
    ],
)
def test_a_host_that_could_not_start_again_is_refused(
    host: dict[str, Any], changed: dict[str, Any], what: str, way_out: str
) -> None:
    host.update(changed)
    (sentence,) = refusals()
    assert what in sentence
    assert way_out in sentence


@pytest.mark.parametrize(
    ("other", "what", "way_out"),
    [
        ({"kind": "lvm", "kinds_below": ("part", "disk")}, "lies on lvm", "strategy volume or container"),
        ({"kind": "raid1", "kinds_below": ("part", "disk")}, "lies on raid1", "install the system anew"),
        ({"kind": "crypt", "kinds_below": ("part", "disk")}, "encrypted already", "nothing to do"),
        ({"kind": "lvm", "kinds_below": ("crypt", "part", "disk")}, "encrypted already", "nothing to do"),
        ({"kind": "disk", "kinds_below": ()}, "whole disk", "install the system anew"),
    ],
)
def test_a_root_on_something_else_is_refused(
    host: dict[str, Any], other: dict[str, Any], what: str, way_out: str
) -> None:
    assert host["initramfs"]
    (sentence,) = refusals(**other)
    assert what in sentence
    assert way_out in sentence


def test_another_file_system_is_refused(host: dict[str, Any]) -> None:
    assert host["initramfs"]
    (sentence,) = refusals(dataclasses.replace(ROOT, file_system="btrfs"))
    assert "proven for ext4 alone" in sentence
    assert "strategy volume or container" in sentence


def test_a_folder_that_lies_elsewhere_is_refused(host: dict[str, Any]) -> None:
    assert host["initramfs"]
    (sentence,) = refusals(dataclasses.replace(ROOT, folder="/srv/images", mount_point="/srv"))
    assert "lies on /srv" in sentence
    assert "in_place" in sentence or "folder /" in sentence


def test_tang_is_refused(host: dict[str, Any]) -> None:
    assert host["initramfs"]
    (sentence,) = refusals(plan=dataclasses.replace(PLAN, unlock={"pin": "tang", "config": {}}))
    assert "name tpm2" in sentence


def test_swap_in_clear_is_said(host: dict[str, Any]) -> None:
    host["swaps"] = "Filename Type Size Used Priority\n/dev/sda3 partition 1 0 -2\n/dev/zram0 partition 1 0 5\n"
    said = " ".join(system_planning.notes(PLAN, block(), 7))
    assert "swap on /dev/sda3 stays in clear" in said
    assert "zram" not in said
    assert "about 7 min" in said


def test_hibernation_is_said(host: dict[str, Any]) -> None:
    host["cmdline"] += " resume=UUID=S"
    assert any("hibernation" in note for note in system_planning.notes(PLAN, block(), 7))
