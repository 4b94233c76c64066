# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What systemd says of a unit, and whether its process read its files before they last changed."""

from __future__ import annotations

import time
from collections.abc import Iterable

from ansible_collections.radiology.hardening.plugins.module_utils.host import Host

PROPERTIES = (
    *("LoadState", "ActiveState", "UnitFileState", "MainPID", "StateChangeTimestampMonotonic"),
    *("FragmentPath", "DropInPaths"),
)


def properties(host: Host, unit: str) -> dict[str, str]:
    """Return what `systemctl show` says of a unit; empty where there is no systemd."""
    answer = host.run(["systemctl", "show", unit, f"--property={','.join(PROPERTIES)}"])
    pairs = (line.partition("=") for line in answer.output.splitlines()) if answer.ok else ()
    return {name: value for name, _equals, value in pairs}


def is_active(found: dict[str, str]) -> bool:
    """Tell whether the unit runs."""
    return found.get("ActiveState") == "active"


def is_enabled(found: dict[str, str]) -> bool:
    """Tell whether the unit starts with the machine."""
    return found.get("UnitFileState") == "enabled"


def is_older(host: Host, found: dict[str, str], files: Iterable[str]) -> bool:
    """Tell whether the running unit was last started or reloaded before one of its files changed.

    systemd's StateChangeTimestamp moves at a start and at a reload (measured on systemd 252 and 257),
    while the process's own start does not move at a reload.
    """
    changed = [entry.modified for entry in map(host.stat, files) if entry is not None]
    since = found.get("StateChangeTimestampMonotonic", "")
    if not is_active(found) or not changed or not since.isdigit():
        return False
    booted = time.time() - time.clock_gettime(time.CLOCK_MONOTONIC)
    return max(changed) > booted + int(since) / 1_000_000
