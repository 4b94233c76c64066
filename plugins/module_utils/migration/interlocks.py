# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What has to hold before a byte of a disk is touched. Each interlock answers with its own sentence, or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.migration import inspection, processes
from ansible_collections.radiology.hardening.plugins.module_utils.migration.inspection import Block, Place
from ansible_collections.radiology.hardening.plugins.module_utils.migration.machine import Machine
from ansible_collections.radiology.hardening.plugins.module_utils.migration.new_volume import IN_CLEAR

SEVERAL_NAMES = (
    "{path} has several names (hard links), which a move would part: make room for a second copy, or give each name a"
    " file of its own."
)
CRYPTSETUP = ("2.6.1", "2.7.5")
"""Versions whose every power cut was replayed (Debian 12, Debian 13)."""
FILE_SYSTEMS = ("ext4", "xfs")
SYSTEM_FILE_SYSTEMS = ("ext4", "xfs")
"""File systems that keep the job's folder synchronous."""
HOUR, DAY = 3600, 86400
"""In seconds."""
HEADERS = 64 << 20
"""Bytes that two headers and the records take on the system disk."""
ROW = 512
"""Bytes that the manifest takes for a file at most, with its index."""
INODE_EVERY = 16384
"""Bytes of a new ext4 file system for each file it has room for (mke2fs.conf); half of it below 512 MiB."""
POWER = "/sys/class/power_supply"
SMART_COUNTERS = (5, 197, 198)
"""Reallocated, pending and uncorrectable sectors (ATA SMART attributes)."""


def version(machine: Machine) -> Iterator[str]:
    """Yield a sentence unless this cryptsetup is one that was proven."""
    found = machine.run((*machine.cryptsetup, "--version")).output.decode("utf-8", "replace").split()
    number = found[1] if len(found) > 1 else "none"
    if number not in CRYPTSETUP:
        yield (
            f"cryptsetup {number} is installed; only {' and '.join(CRYPTSETUP)} were proven against power cuts: install"
            " the one of Debian 12 or 13."
        )


def source(found: Place, device: Block, strategy: str) -> Iterator[str]:
    """Yield what keeps a device in clear from being encrypted, or copied from."""
    if found.part:
        yield f"{found.mount_point} is a part of {device.path} ({found.part}, a bind mount): name the folder it shows."
    elif found.also_mounted:
        yield f"{device.path} is also mounted at {', '.join(found.also_mounted)}: unmount it there first."
    if device.holders:
        yield f"{device.path} is also held by {', '.join(device.holders)}: that has to let go of it first."
    if "crypt" in (device.kind, *device.kinds_below):
        yield f"{found.folder} is encrypted already, by a volume under {device.path}: there is nothing to do."
    if found.file_system not in FILE_SYSTEMS:
        yield (
            f"{found.mount_point} is {found.file_system}; accepted are {' and '.join(FILE_SYSTEMS)}: move the images to"
            " one of these first."
        )
    if strategy == "in_place":
        yield from _in_place(found, device)


def _in_place(found: Place, device: Block) -> Iterator[str]:
    """Yield what keeps a device from being encrypted where it is."""
    under = [each for each in (device.kind, *device.kinds_below) if each not in ("part", "disk", "loop", "crypt")]
    if under:
        yield (
            f"{device.path} lies on {', '.join(under)} (LVM or RAID): strategy in_place needs a partition or a disk;"
            " choose volume with a spare disk."
        )
    if device.kind in ("disk", "loop"):
        yield (
            f"{device.path} is a whole disk without partitions: once encrypted it looks empty to every installer, so"
            " strategy in_place needs a GPT partition; choose volume with a spare disk."
        )
    others = [each for each in device.signatures if each != found.file_system]
    if others:
        yield (
            f"{device.path} holds {', '.join(others)} beside {found.file_system}: find out which of them is stale, wipe"
            " that one alone (wipefs --offset), and run the playbook again."
        )


def layout(found: Place, strategy: str, mount_point: str) -> Iterator[str]:
    """Yield what keeps the storage, as it lies in the tree of folders, from being moved or mounted as a whole."""
    below = [each for each in found.mounted_below if each.startswith(mount_point.rstrip("/") + "/")]
    if below:
        yield (
            f"{', '.join(below)} is mounted below {mount_point} and would not be encrypted: unmount it, or give it a"
            " storage of its own."
        )
    if strategy == "in_place" and found.mount_point == "/":
        yield (
            f"{found.folder} lies on the root file system: strategy in_place needs a partition of its own; choose"
            " container."
        )
    if strategy == "container" and found.mount_point == found.folder:
        yield (
            f"{found.folder} is a file system of its own, and strategy container is for a folder: choose in_place, or"
            " volume."
        )


def one_name(mount_point: str, linked: str) -> Iterator[str]:
    """Yield a sentence when a file below the folder has several names, which file after file cannot be moved."""
    if linked:
        yield SEVERAL_NAMES.format(path=os.path.join(mount_point, linked))


def former_name(mount_point: str) -> Iterator[str]:
    """Yield a sentence when something bears the name already that the folder in clear gets after its copy."""
    if os.path.lexists(mount_point + IN_CLEAR):
        yield (
            f"{mount_point}{IN_CLEAR} is there already, and the files in clear get that name after they were copied:"
            " move it away."
        )


def nameable(device: Block) -> Iterator[str]:
    """Yield what keeps a device from being named by an answer today, and by its job after a reboot."""
    if not device.names:
        yield (
            f"{device.path} has neither a serial number nor a UUID, so no answer can name it: give it a GPT partition."
        )
    if not device.stable_path:
        yield (
            f"{device.path} has no name below /dev/disk that survives a reboot and the encryption: give it a GPT"
            " partition."
        )


def alone(device: Block) -> Iterator[str]:
    """Yield a sentence for what works on the device itself, or on its disk, past any file system."""
    others = processes.lasting(lambda: processes.writers_of_devices({device.path, *device.disks}))
    if others:
        yield f"{', '.join(others)} has {device.path}, or its disk, open for writing: end it first."
    loops = [name for name, below in inspection.loops() if below in (device.path, *device.disks)]
    if loops:
        yield f"{device.path}, or its disk, lies under a loop device, {', '.join(loops)}: detach it first (losetup -d)."


def healthy(machine: Machine, device: Block, file_system: str) -> Iterator[str]:
    """Yield a sentence when a file system is known to have errors, or its disk to fail."""
    if file_system == "ext4":
        told = machine.run(("dumpe2fs", "-h", device.path)).output.decode("utf-8", "replace")
        fields = dict(line.split(":", 1) for line in told.splitlines() if ":" in line)
        state = fields.get("Filesystem state", "unknown").strip()
        if state != "clean" or "FS Error count" in fields:
            yield f"The file system of {device.path} has errors (state: {state}): check it with e2fsck -f first."
    for disk in device.disks or (device.path,):
        smart = machine.run(("smartctl", "-j", "-H", "-A", disk))
        if smart.status == 127:
            yield "smartctl is not installed, so nobody can say whether the disk fails: install smartmontools."
            return
        try:
            yield from failing(disk, json.loads(smart.output or b"{}"))
        except ValueError:
            yield f"smartctl gives no answer in JSON for {disk}: install smartmontools of Debian 12 or 13."


def failing(path: str, smart: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a disk's SMART answer says against it. A disk that has no SMART says nothing."""
    if smart.get("smart_status", {}).get("passed") is False:
        yield f"The disk of {path} says of itself that it fails (SMART): replace it, and copy with strategy volume."
    for each in smart.get("ata_smart_attributes", {}).get("table", []):
        count = each.get("raw", {}).get("value", 0)
        if each.get("id") in SMART_COUNTERS and count:
            yield f"The disk of {path} has {count} bad sectors ({each.get('name')}, SMART): replace it first."
    media = smart.get("nvme_smart_health_information_log", {}).get("media_errors", 0)
    if media:
        yield f"The disk of {path} has {media} media errors (NVMe SMART): replace it first."


def power() -> Iterator[str]:
    """Yield a sentence for a machine on battery: its mains are off, or, where it tells of none, a battery empties."""
    names = os.listdir(POWER) if os.path.isdir(POWER) else []
    told = {
        name: {each: _read(os.path.join(POWER, name, each)) for each in ("type", "online", "status", "scope")}
        for name in names
    }
    mains = [each["online"] == "1" for each in told.values() if each["type"] == "Mains"]
    own = [each for each in told.values() if each["type"] == "Battery" and each["scope"] != "Device"]
    empties = any(each["status"] == "Discharging" for each in own)
    if (mains and not any(mains)) or (not mains and empties):
        yield "The machine runs on its battery: connect it to the mains."


def backup(declared: Mapping[str, Any], now: float) -> Iterator[str]:
    """Yield a sentence unless a backup is younger than a day, or somebody accepted by name that there is none.

    `declared` is the clinic file's `backup`: `stamp` (a file that the backup touches) or `accepted_without_by`.
    """
    if declared.get("accepted_without_by"):
        return
    stamp = str(declared.get("stamp") or "")
    if not stamp:
        yield (
            "No backup is declared: name in the clinic file, under backup, the file that the backup touches (stamp), or"
            " who accepts that there is none (accepted_without_by)."
        )
        return
    try:
        age = now - os.stat(stamp).st_mtime
    except FileNotFoundError:
        yield f"{stamp}, which the backup touches, is not there: make the first backup."
        return
    if age < -HOUR:
        yield f"{stamp}, which the backup touches, bears a time to come: set the clocks right, and make a backup."
    if age > DAY:
        yield f"The last backup ({stamp}) is {age / HOUR:.0f} hours old; accepted are 24: make one first."


def writing(found: Place, services: tuple[str, ...], mount_point: str) -> Iterator[str]:
    """Yield a sentence for a program at work there that would not be stopped.

    A file system of its own has to be unmounted, which readers hold up as well; from a folder they may read.
    """
    whole = mount_point == found.mount_point
    others = [each for each in processes.writers(mount_point) if each not in services]
    if others:
        yield (
            f"{', '.join(others)} writes below {mount_point} and is none of the services that would be stopped: name"
            " its unit under services, or end it."
        )
    readers = [name for name, below in inspection.loops() if below.startswith(mount_point.rstrip("/") + "/")]
    readers += [each for each in processes.users(mount_point) if each not in (*services, *others)]
    if whole and readers:
        yield (
            f"{', '.join(readers)} has files or folders below {mount_point} open, so that it could not be unmounted:"
            " end it, or name its unit under services."
        )


def room(found: Place, strategy: str, needed: int, available: int) -> Iterator[str]:
    """Yield a sentence when there is less free space than needed; both in bytes."""
    if available < needed:
        yield (
            f"Strategy {strategy} needs {needed >> 20} MiB free for {found.folder}; there are {available >> 20} MiB:"
            " make room, or choose another strategy."
        )


def room_for_files(found: Place, entries: int, size: int) -> Iterator[str]:
    """Yield a sentence when a new file system of `size` bytes has no inodes for so many files and folders."""
    most = size // INODE_EVERY
    if entries > most:
        yield f"{found.folder} holds {entries} files and folders; the new volume has room for {most}: make it larger."


def system_disk(machine: Machine, folder: str, storage: Place, strategy: str, entries: int) -> Iterator[str]:
    """Yield what keeps the job's records from lying safely on the system disk."""
    existing = folder
    while not os.path.isdir(existing):
        existing = os.path.dirname(existing)
    found = inspection.place(machine, existing)
    if found.file_system not in SYSTEM_FILE_SYSTEMS:
        yield (
            f"{folder} lies on {found.file_system}; accepted are {' and '.join(SYSTEM_FILE_SYSTEMS)}: mount one of"
            " these there."
        )
    if strategy != "container" and storage.mount_point != "/" and found.mount_point == storage.mount_point:
        yield (
            f"{folder} lies on the storage itself, and header and journal have to lie on another file system: mount"
            " one there."
        )
    needed = HEADERS + ROW * entries
    if found.free < needed:
        yield (
            f"{folder} has {found.free >> 20} MiB free; headers, journal and checksums need {needed >> 20}: make room"
            " there."
        )


def free_name(machine: Machine, name: str) -> Iterator[str]:
    """Yield a sentence when another opened volume bears the job's name."""
    if machine.is_open(name):
        yield f"/dev/mapper/{name} is open already: close it, or give the storage another name."


def demand(sentences: Iterator[str] | list[str]) -> None:
    """HardeningError with all sentences when there are any."""
    held = list(sentences)
    if held:
        raise HardeningError("Nothing was changed. " + " ".join(held))


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""
