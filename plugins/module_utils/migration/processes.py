# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which programs hold files open for writing, as /proc tells it."""

from __future__ import annotations

import os


def writers(below: str) -> tuple[str, ...]:
    """Return the units (or command names) of the processes that hold a file below a folder open for writing."""
    found = set()
    prefix = below.rstrip("/") + "/"
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            handles = os.listdir(f"/proc/{process}/fd")
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            continue
        for handle in handles:
            if _writes(process, handle, prefix):
                found.add(_unit(process))
                break
    return tuple(sorted(found))


def _writes(process: str, handle: str, prefix: str) -> bool:
    try:
        if not os.readlink(f"/proc/{process}/fd/{handle}").startswith(prefix):
            return False
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
