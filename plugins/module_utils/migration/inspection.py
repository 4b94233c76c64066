# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What lies under a storage, as the machine tells it before anything is decided. Nothing here writes."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.migration.machine import Machine

COLUMNS = "NAME,PATH,TYPE,SIZE,SERIAL,MODEL,ROTA,TRAN,FSTYPE,UUID,PARTUUID,MOUNTPOINTS"
STABLE_FOLDERS = ("/dev/disk/by-partuuid", "/dev/disk/by-id")
"""Where names that survive a reboot lie, the best first. Names by file-system UUID vanish with the file system."""


@dataclasses.dataclass(frozen=True)
class Block:
    """A block device. Sizes in bytes; texts are empty where the machine tells none."""

    path: str
    stable_path: str
    """A name that survives a reboot and the encryption; empty when there is none."""
    kind: str
    """`disk`, `part`, `lvm`, `crypt`, `loop`, `raid1`, ... as lsblk(8) names it."""
    size: int
    serial: str
    model: str
    rotational: bool
    file_system: str
    uuid: str
    mount_points: tuple[str, ...]
    kinds_below: tuple[str, ...]
    """Kinds of the devices that it lies on, down to the disk."""
    holders: tuple[str, ...]
    """Names of the devices that lie on it."""

    @property
    def called(self) -> str:
        """One line for people: model, serial number, size, UUID."""
        what = " ".join(part for part in (self.model, self.serial and f"serial {self.serial}") if part)
        return (
            f"{self.path} ({what or 'no serial number'}, {self.size / (1 << 30):.1f} GiB, UUID {self.uuid or 'none'})"
        )

    def is_called(self, answer: str) -> bool:
        """Whether an engineer's answer names this very device: by serial number, or by UUID."""
        return bool(answer) and answer in (self.serial, self.uuid)


@dataclasses.dataclass(frozen=True)
class Place:
    """A folder with images, and the file system that holds it."""

    folder: str
    mount_point: str
    file_system: str
    device: str
    used: int
    """Bytes of the file system in use."""
    free: int
    """Bytes free for root's programs."""
    also_mounted: tuple[str, ...]
    """Other mount points of the same device."""


def block(machine: Machine, path: str) -> Block:
    """Return what the machine tells of a block device."""
    real = os.path.realpath(path)
    output = machine.must(("lsblk", "-J", "-b", "-s", "-o", COLUMNS, real))
    chain = _chain(json.loads(output)["blockdevices"][0])
    device = chain[0]
    probed = probe(machine, real)
    serials = [each["serial"] for each in chain if each.get("serial")]
    models = [each["model"] for each in chain if each.get("model")]
    return Block(
        path=real,
        stable_path=_stable_path(real),
        kind=device["type"],
        size=int(device["size"]),
        serial=serials[0].strip() if serials else "",
        model=models[0].strip() if models else "",
        rotational=bool(chain[-1]["rota"]),
        file_system=probed.get("TYPE", ""),
        uuid=probed.get("UUID", ""),
        mount_points=tuple(sorted(each for each in device["mountpoints"] if each)),
        kinds_below=tuple(each["type"] for each in chain[1:]),
        holders=_holders(real),
    )


def probe(machine: Machine, device: str) -> dict[str, str]:
    """Return what blkid(8) reads from the device itself (TYPE, UUID, USAGE, PTTYPE, BLOCK_SIZE, ...)."""
    output = machine.run(("blkid", "-p", "-o", "export", device)).output.decode("utf-8", "replace")
    return dict(line.split("=", 1) for line in output.splitlines() if "=" in line)


def place(machine: Machine, folder: str) -> Place:
    """Return which file system holds a folder; HardeningError when the folder is not there."""
    if not os.path.isdir(folder):
        raise HardeningError(f"{folder} is no folder on this host: name the one that holds the images.")
    output = machine.must(("findmnt", "-J", "-o", "TARGET,SOURCE,FSTYPE", "-T", folder))
    found = json.loads(output)["filesystems"][0]
    space = os.statvfs(folder)
    device = str(found["source"])
    listed = machine.run(("findmnt", "-J", "-o", "TARGET", "-S", device)).output
    targets = [each["target"] for each in json.loads(listed or b'{"filesystems": []}')["filesystems"]]
    return Place(
        folder=folder,
        mount_point=found["target"],
        file_system=found["fstype"],
        device=device,
        used=(space.f_blocks - space.f_bfree) * space.f_frsize,
        free=space.f_bavail * space.f_frsize,
        also_mounted=tuple(each for each in targets if each != found["target"]),
    )


def folder_bytes(folder: str) -> tuple[int, int, int]:
    """Return files, bytes and the largest file's bytes below a folder, on its own file system."""
    count = total = largest = 0
    device = os.lstat(folder).st_dev
    for parent, folders, files in os.walk(folder):
        folders[:] = [each for each in folders if os.lstat(os.path.join(parent, each)).st_dev == device]
        for name in files:
            try:
                size = os.lstat(os.path.join(parent, name)).st_size
            except FileNotFoundError:
                continue
            count, total, largest = count + 1, total + size, max(largest, size)
    return count, total, largest


def _chain(device: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a device and, first branch first, what it lies on."""
    result = [device]
    for child in device.get("children", []):
        result.extend(_chain(child))
    return result


def _stable_path(device: str) -> str:
    for folder in STABLE_FOLDERS:
        try:
            names = sorted(os.listdir(folder))
        except FileNotFoundError:
            continue
        for name in names:
            if os.path.realpath(os.path.join(folder, name)) == device:
                return os.path.join(folder, name)
    return ""


def _holders(device: str) -> tuple[str, ...]:
    try:
        return tuple(sorted(os.listdir(f"/sys/class/block/{os.path.basename(device)}/holders")))
    except FileNotFoundError:
        return ()
