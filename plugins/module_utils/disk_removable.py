# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Drives that people plug into a workstation: what is not encrypted can be read, not written.

The rule makes the block device of a file system in clear read-only before udev tells anybody of it. A LUKS container on
the same drive is no file system, so it stays writable, and what is opened from it is no removable device.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import deliberate
from ansible_collections.radiology.hardening.plugins.module_utils.disk_stack import SAFE, Mount, Stack
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step

RULE = "/etc/udev/rules.d/70-radiology-removable.rules"
HEAD = """\
# Written by radiology.hardening: file systems in clear on removable drives are read-only.
ACTION=="remove", GOTO="radiology_removable_end"
SUBSYSTEM!="block", GOTO="radiology_removable_end"
ENV{ID_FS_USAGE}!="filesystem", GOTO="radiology_removable_end"
"""
BODY = """\
ENV{ID_BUS}=="usb", GOTO="radiology_removable_lock"
ATTRS{removable}=="1", GOTO="radiology_removable_lock"
GOTO="radiology_removable_end"
LABEL="radiology_removable_lock"
RUN+="/sbin/blockdev --setro $devnode"
LABEL="radiology_removable_end"
"""
TRANSIENT = ("/media/", "/run/media/", "/mnt/")
"""Below these, people mount what they plugged in; elsewhere a removable drive is a part of the system."""
MISSING = "udev leaves file systems in clear on removable drives writable"


def observe(host: Host, stack: Stack, workstation: bool) -> dict[str, Any]:
    """Return the facts; nothing is asked of a host that is no workstation."""
    mounts = [mount for mount in stack.mounts if stack.is_removable(mount) and stack.protection(mount) not in SAFE]
    exempt = sorted({uuid for mount in mounts if is_fixed(mount) for uuid in _uuids(stack, mount)})
    writable = [mount.target for mount in mounts if not is_fixed(mount) and "rw" in mount.options]
    in_force = host.text(RULE) == rule(exempt)
    unprotected = [] if in_force else [MISSING]
    unprotected += [f"a removable drive in clear is writable at {target}" for target in sorted(set(writable))]
    return {"unprotected": unprotected if workstation else [], "exempt": exempt, "rule_in_force": in_force}


def rule(exempt: Iterable[str]) -> str:
    """Return udev's rules; the file systems of `exempt` (UUIDs), which the system itself runs from, stay writable."""
    kept = [uuid for uuid in exempt if re.fullmatch(r"[0-9A-Za-z-]+", uuid)]
    lines = [f'ENV{{ID_FS_UUID}}=="{uuid}", GOTO="radiology_removable_end"\n' for uuid in kept]
    return HEAD + "".join(lines) + BODY


def steps(removable: Mapping[str, Any]) -> list[Step]:
    """Return what protects removable drives; a mounted one is left to whoever uses it."""
    found: list[Step] = []
    if not removable["rule_in_force"] or MISSING in removable["unprotected"]:
        text = rule(removable["exempt"])

        def do(host: Host) -> None:
            host.write(RULE, text)
            host.must(["udevadm", "control", "--reload"])

        found.append(Step("Have udev make file systems in clear on removable drives read-only", do))
    others = [said for said in removable["unprotected"] if said != MISSING]
    return found + [deliberate(f"{said}: unmount it, and encrypt it if patient data are kept on it") for said in others]


def is_fixed(mount: Mount) -> bool:
    """Tell whether a mounted file system belongs to the system, wherever its drive is plugged in."""
    return not (mount.target + "/").startswith(TRANSIENT)


def _uuids(stack: Stack, mount: Mount) -> list[str]:
    return [node.uuid for node in stack.nodes_of(mount) if node.uuid]
