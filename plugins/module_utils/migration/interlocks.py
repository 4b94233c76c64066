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

CRYPTSETUP = ("2.6.1", "2.7.5")
"""Versions whose every power cut was replayed (Debian 12, Debian 13)."""
FILE_SYSTEMS = ("ext4", "xfs")
SYSTEM_FILE_SYSTEMS = ("ext4", "xfs")
"""File systems that keep the job's folder synchronous."""
DAY = 86400
HEADERS = 64 << 20
"""Bytes that two headers and the records take on the system disk."""
SMART_COUNTERS = (5, 197, 198)
"""Reallocated, pending and uncorrectable sectors (ATA SMART attributes)."""


def version(machine: Machine) -> Iterator[str]:
    """Yield a sentence unless this cryptsetup is one that was proven."""
    found = machine.run((*machine.cryptsetup, "--version")).output.decode("utf-8", "replace").split()
    number = found[1] if len(found) > 1 else "none"
    if number not in CRYPTSETUP:
        yield (
            f"cryptsetup {number} is installed; only {' and '.join(CRYPTSETUP)} (Debian 12 and 13) were proven"
            " against power cuts."
        )


def source(found: Place, device: Block, strategy: str) -> Iterator[str]:
    """Yield what keeps a device in clear from being encrypted, or copied from."""
    if found.also_mounted:
        yield f"{device.path} is also mounted at {', '.join(found.also_mounted)}: unmount it there first."
    if device.holders:
        yield f"{device.path} is also held by {', '.join(device.holders)}: that has to let go of it first."
    if found.file_system not in FILE_SYSTEMS:
        yield f"{found.mount_point} is {found.file_system}; accepted are {' and '.join(FILE_SYSTEMS)}."
    if strategy != "in_place":
        return
    under = [each for each in (device.kind, *device.kinds_below) if each not in ("part", "disk", "loop")]
    if under:
        yield (
            f"{device.path} lies on {', '.join(under)} (LVM or RAID): strategy in_place needs a partition or a disk;"
            " choose volume with a spare disk."
        )
    if device.kind == "disk":
        yield (
            f"{device.path} is a whole disk without partitions: once encrypted it looks empty to every installer, so"
            " strategy in_place needs a GPT partition; choose volume with a spare disk."
        )


def healthy(machine: Machine, device: Block, file_system: str) -> Iterator[str]:
    """Yield a sentence when a file system is known to have errors, or its disk to fail."""
    if file_system == "ext4":
        told = machine.run(("dumpe2fs", "-h", device.path)).output.decode("utf-8", "replace")
        fields = dict(line.split(":", 1) for line in told.splitlines() if ":" in line)
        state = fields.get("Filesystem state", "unknown").strip()
        if state != "clean" or "FS Error count" in fields:
            yield f"The file system of {device.path} has errors (state: {state}): check it with e2fsck -f first."
    smart = machine.run(("smartctl", "-j", "-H", "-A", device.path))
    if smart.status == 127:
        yield "smartctl is not installed, so nobody can say whether the disk fails: install smartmontools."
        return
    yield from failing(device.path, json.loads(smart.output or b"{}"))


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


def power(folder: str = "/sys/class/power_supply") -> Iterator[str]:
    """Yield a sentence for a machine on battery."""
    names = os.listdir(folder) if os.path.isdir(folder) else []
    mains = [
        _read(os.path.join(folder, name, "online")) == "1"
        for name in names
        if _read(os.path.join(folder, name, "type")) == "Mains"
    ]
    if mains and not any(mains):
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
        yield f"{stamp}, which the backup touches, is not there: no backup was ever made."
        return
    if age > DAY:
        yield f"The last backup ({stamp}) is {age / 3600:.0f} hours old; accepted are 24."


def writing(found: Place, services: tuple[str, ...]) -> Iterator[str]:
    """Yield a sentence for a program that writes there and would not be stopped."""
    others = [each for each in processes.writers(found.folder) if each not in services]
    if others:
        yield f"{', '.join(others)} writes below {found.folder} and is none of the services that would be stopped."


def room(found: Place, strategy: str, needed: int, available: int) -> Iterator[str]:
    """Yield a sentence when there is less free space than needed; both in bytes."""
    if available < needed:
        yield (
            f"Strategy {strategy} needs {needed >> 20} MiB free for {found.folder}; there are {available >> 20} MiB."
        )


def system_disk(machine: Machine, folder: str, storage: Place) -> Iterator[str]:
    """Yield what keeps the job's records from lying safely on the system disk."""
    existing = folder
    while not os.path.isdir(existing):
        existing = os.path.dirname(existing)
    found = inspection.place(machine, existing)
    if found.file_system not in SYSTEM_FILE_SYSTEMS:
        yield f"{folder} lies on {found.file_system}; accepted are {' and '.join(SYSTEM_FILE_SYSTEMS)}."
    if found.mount_point == storage.mount_point and storage.mount_point == storage.folder:
        yield f"{folder} lies on the storage itself: header and journal have to lie on another file system."
    if found.free < HEADERS:
        yield f"{folder} has {found.free >> 20} MiB free; header and records need {HEADERS >> 20}."


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
