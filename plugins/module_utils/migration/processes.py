# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which programs hold files, folders or devices open, as /proc tells it."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Collection

GLANCE = 5
"""Seconds within which a program that only looks has closed what it opened (losetup opens the device it tries)."""


def writers(below: str) -> tuple[str, ...]:
    """Return the units (or command names) of the processes that hold a file below a folder open for writing."""
    prefix = below.rstrip("/") + "/"
    return _units(lambda process, handle: _writes(process, handle, prefix))


def users(below: str) -> tuple[str, ...]:
    """Return the units (or command names) of the processes that keep a file system from being unmounted.

    They hold a file of it open, run a program from it, or stand in one of its folders.
    """
    prefix = below.rstrip("/") + "/"
    standing = {
        process
        for process in filter(str.isdigit, os.listdir("/proc"))
        if any(f"{_link(f'/proc/{process}/{what}')}/".startswith(prefix) for what in ("cwd", "exe"))
    }
    opened = _units(lambda process, handle: f"{_link(f'/proc/{process}/fd/{handle}')}/".startswith(prefix))
    return tuple(sorted({*opened, *map(_unit, standing)}))


def writers_of_devices(devices: Collection[str]) -> tuple[str, ...]:
    """Return the units (or command names) of the processes that hold one of the block devices open for writing."""
    numbers = {os.stat(device).st_rdev for device in devices}

    def writes(process: str, handle: str) -> bool:
        try:
            found = os.stat(f"/proc/{process}/fd/{handle}")
        except OSError:
            return False
        return stat.S_ISBLK(found.st_mode) and found.st_rdev in numbers and _for_writing(process, handle)

    return _units(writes)


def lasting(look: Callable[[], tuple[str, ...]]) -> tuple[str, ...]:
    """Return those that every look of the next seconds sees; at once when the first sees nobody."""
    seen, until = look(), time.monotonic() + GLANCE
    while seen and time.monotonic() < until:
        time.sleep(0.5)
        again = look()
        seen = tuple(each for each in seen if each in again)
    return seen


def _units(matches: Callable[[str, str], bool]) -> tuple[str, ...]:
    """Return the units of the processes of which a handle matches."""
    found = set()
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            handles = os.listdir(f"/proc/{process}/fd")
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            continue
        if any(matches(process, handle) for handle in handles):
            found.add(_unit(process))
    return tuple(sorted(found))


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _writes(process: str, handle: str, prefix: str) -> bool:
    return _link(f"/proc/{process}/fd/{handle}").startswith(prefix) and _for_writing(process, handle)


def _for_writing(process: str, handle: str) -> bool:
    try:
        with open(f"/proc/{process}/fdinfo/{handle}", encoding="ascii") as file:
            flags = next(line for line in file if line.startswith("flags:"))
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False
    return int(flags.split()[1], 8) & os.O_ACCMODE != os.O_RDONLY


def _unit(process: str) -> str:
    try:
        with open(f"/proc/{process}/cgroup", encoding="utf-8") as file:
            parts = file.read().strip().rsplit("/", 1)[-1]
        with open(f"/proc/{process}/comm", encoding="utf-8") as file:
            command = file.read().strip()
    except (FileNotFoundError, ProcessLookupError):
        return "a process that has just ended"
    return parts if parts.endswith(".service") else command
