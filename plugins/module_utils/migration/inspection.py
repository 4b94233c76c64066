# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What lies under a storage, as the machine tells it before anything is decided. Nothing here writes."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.migration import tree
from ansible_collections.radiology.hardening.plugins.module_utils.migration.machine import Machine

BLOCK_SIZE = 4096
"""Bytes of a block of a new file system."""
COLUMNS = "NAME,PATH,TYPE,SIZE,MODEL,ROTA,MOUNTPOINTS"
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
    partition_uuid: str = ""
    """Of the entry in the partition table."""
    disks: tuple[str, ...] = ()
    """Paths of the disks that it lies on at last; its own for a disk."""
    signatures: tuple[str, ...] = ()
    """What wipefs(8) reads on it, each once: file systems, members of something, partition tables."""

    @property
    def names(self) -> tuple[str, ...]:
        """What an answer may name it by: serial number, UUID of its file system, UUID of its partition."""
        return tuple(each for each in (self.serial, self.uuid, self.partition_uuid) if each)

    @property
    def called(self) -> str:
        """One line for people: model, serial number, size, UUID."""
        what = " ".join(part for part in (self.model, self.serial and f"serial {self.serial}") if part)
        uuid = self.uuid or self.partition_uuid or "none"
        return f"{self.path} ({what or 'no serial number'}, {self.size / (1 << 30):.1f} GiB, UUID {uuid})"

    def is_called(self, answer: str) -> bool:
        """Whether an engineer's answer names this very device."""
        return answer in self.names


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
    mounted_below: tuple[str, ...] = ()
    """Mount points of other file systems below the mount point."""
    part: str = ""
    """The folder of the file system that is mounted there alone (a bind mount); empty for the whole."""


@dataclasses.dataclass(frozen=True)
class Content:
    """What lies below a folder, on its own file system."""

    files: int = 0
    size: int = 0
    """Bytes of the files."""
    largest: int = 0
    """Bytes of the largest file."""
    entries: int = 0
    """Files, folders, links."""
    blocks: int = 0
    """Bytes that the files take in blocks of 4096, no holes."""
    linked: str = ""
    """Path below the folder of a file with several names (hard links), if there is any."""


def block(machine: Machine, path: str) -> Block:
    """Return what the machine tells of a block device."""
    real = os.path.realpath(path)
    output = machine.must(("lsblk", "-J", "-b", "-s", "-o", COLUMNS, real))
    chain = _chain(json.loads(output)["blockdevices"][0])
    device = chain[0]
    probed = machine.probe(real)
    models = [each["model"] for each in chain if each.get("model")]
    return Block(
        path=real,
        stable_path=_stable_path(real),
        kind=device["type"],
        size=int(device["size"]),
        serial=next(iter(machine.serials(real)), ""),
        model=models[0].strip() if models else "",
        rotational=all(each["rota"] for each in chain if not each.get("children")),
        file_system=probed.get("TYPE", ""),
        uuid=probed.get("UUID", ""),
        mount_points=tuple(sorted(each for each in device["mountpoints"] if each)),
        kinds_below=tuple(each["type"] for each in chain[1:]),
        holders=_holders(real),
        partition_uuid=probed.get("PART_ENTRY_UUID", ""),
        disks=tuple(sorted({each["path"] for each in chain if not each.get("children")})),
        signatures=machine.signatures(real),
    )


def probe(machine: Machine, device: str) -> dict[str, str]:
    """Return what blkid(8) reads from a device itself."""
    return machine.probe(device)


def place(machine: Machine, folder: str) -> Place:
    """Return which file system holds a folder; HardeningError when the folder is not there."""
    if not os.path.isdir(folder):
        raise HardeningError(f"{folder} is no folder on this host: name the one that holds the images.")
    output = machine.must(("findmnt", "-J", "-v", "-o", "TARGET,SOURCE,FSTYPE,FSROOT", "-T", folder))
    found = json.loads(output)["filesystems"][-1]
    space = os.statvfs(folder)
    device = str(found["source"])
    listed = machine.run(("findmnt", "-J", "-l", "-v", "-o", "TARGET,SOURCE")).output
    mounts = json.loads(listed or b'{"filesystems": []}')["filesystems"]
    targets = [each["target"] for each in mounts if each["source"] == device]
    prefix = found["target"].rstrip("/") + "/"
    return Place(
        folder=folder,
        mount_point=found["target"],
        file_system=found["fstype"],
        device=device,
        used=(space.f_blocks - space.f_bfree) * space.f_frsize,
        free=space.f_bavail * space.f_frsize,
        also_mounted=tuple(each for each in targets if each != found["target"]),
        mounted_below=tuple(sorted({each["target"] for each in mounts if each["target"].startswith(prefix)})),
        part="" if found["fsroot"] == "/" else found["fsroot"],
    )


def loops() -> list[tuple[str, str]]:
    """Return the paths of the loop devices, and of the file or device that each lies on."""
    found = []
    for name in sorted(os.listdir("/sys/block")):
        try:
            with open(f"/sys/block/{name}/loop/backing_file", encoding="utf-8", errors="surrogateescape") as file:
                found.append((f"/dev/{name}", file.read().rstrip("\n")))
        except OSError:
            continue
    return found


def content(folder: str) -> Content:
    """Return what lies below a folder, on its own file system."""
    files = size = largest = entries = blocks = 0
    linked = ""
    for entry in tree.walk(folder):
        entries += 1
        if entry.is_file:
            found = entry.status.st_size
            files, size, largest = files + 1, size + found, max(largest, found)
            blocks += (found + BLOCK_SIZE - 1) // BLOCK_SIZE * BLOCK_SIZE
            linked = linked or (entry.path if entry.status.st_nlink > 1 else "")
    return Content(files, size, largest, entries, blocks, linked)


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
