# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The file-system table (fstab(5)): the line of one mount point, replaced by a rename."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ansible_collections.radiology.hardening.plugins.module_utils.migration import records
from ansible_collections.radiology.hardening.plugins.module_utils.migration.job import Plan

FORMER = "# before radiology.hardening encrypted it: "
"""Begins the comment that keeps the line in clear."""


KEPT = frozenset(
    ("nosuid", "nodev", "noexec", "noatime", "nodiratime", "relatime", "strictatime", "lazytime", "sync", "dirsync")
)
"""Options of a former line that hold for any file system, so that they go on to the volume."""


def line(plan: Plan, kept: Sequence[str] = ()) -> str:
    """Return the encrypted volume's line: it never holds up a boot, and its unit is opened first."""
    options = [
        *kept,
        "nofail",
        f"x-systemd.requires=radiology-unlock@{plan.name}.service",
        "x-systemd.device-timeout=90",
    ]
    if plan.unlock.get("pin") == "tang":
        options.append("_netdev")
    return f"/dev/mapper/{plan.name} {plan.mount_point} {plan.file_system} {','.join(options)} 0 2"


def with_line(text: str, plan: Plan) -> str:
    """Return the table with the volume's line, the former line of the mount point kept as a comment."""
    wanted = line(plan, kept_options(text, plan.mount_point))
    result: list[str] = []
    for each in text.splitlines():
        fields = each.split()
        if fields[:2] == [f"/dev/mapper/{plan.name}", plan.mount_point]:
            continue
        if len(fields) > 1 and not each.lstrip().startswith("#") and fields[1].rstrip("/") == plan.mount_point:
            result.append(FORMER + each)
        else:
            result.append(each)
    return "\n".join([*result, wanted]) + "\n"


def kept_options(text: str, mount_point: str) -> tuple[str, ...]:
    """Return the options of a mount point's line that any file system takes, in their order."""
    found: dict[str, None] = {}
    for each in text.splitlines():
        fields = each.split()
        if len(fields) > 3 and not each.lstrip().startswith("#") and fields[1].rstrip("/") == mount_point:
            found.update(dict.fromkeys(option for option in fields[3].split(",") if option in KEPT))
    return tuple(found)


def options(path: str, mount_point: str) -> tuple[str, ...]:
    """Return the options that the table at `path` gives a mount point, of those that any file system takes."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return kept_options(file.read(), mount_point)
    except FileNotFoundError:
        return ()


def put(path: str, plan: Plan) -> bool:
    """Write the volume's line into the table at `path`; return whether anything changed."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            before = file.read()
    except FileNotFoundError:
        before = ""
    after = with_line(before, plan)
    if after == before:
        return False
    records.write(path, after.encode("utf-8", "surrogateescape"))
    os.chmod(path, 0o644)
    return True
