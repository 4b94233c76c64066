# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What programs put down for a moment: archives that Orthanc packs, caches of viewers, core dumps."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import orthanc_configuration, orthanc_service
from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import deliberate
from ansible_collections.radiology.hardening.plugins.module_utils.disk_places import PASSING, Place
from ansible_collections.radiology.hardening.plugins.module_utils.disk_stack import ENCRYPTED, SAFE, Stack
from ansible_collections.radiology.hardening.plugins.module_utils.disk_swap import TABLE, parse_table
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step

PATTERN = "/proc/sys/kernel/core_pattern"
CORE_FILE = "/etc/sysctl.d/zz-radiology-core-dumps.conf"
NO_CORE = "|/bin/false"
CORE_TEXT = f"""\
# Written by radiology.hardening: a core dump holds the images and passwords that a program had in memory.
kernel.core_pattern={NO_CORE}
fs.suid_dumpable=0
"""
DUMPS = "/var/lib/systemd/coredump"
"""Where systemd-coredump keeps what it catches."""

TEMPORARY_UNIT = "/etc/systemd/system/tmp.mount"
TEMPORARY_TEXT = """\
# Written by radiology.hardening: the temporary folder is in memory.
[Unit]
Description=Temporary folder in memory
ConditionPathIsSymbolicLink=!/tmp
DefaultDependencies=no
Conflicts=umount.target
Before=local-fs.target umount.target
After=swap.target

[Mount]
What=tmpfs
Where=/tmp
Type=tmpfs
Options=mode=1777,strictatime,nosuid,nodev,size=50%%,nr_inodes=1m

[Install]
WantedBy=local-fs.target
"""

SCRATCH = "/run/orthanc-scratch"
SCRATCH_DROP_IN = f"{orthanc_service.DROP_INS}/zz-radiology-scratch.conf"
SCRATCH_TEXT = """\
# Written by radiology.hardening: Orthanc packs its archives in memory.
[Service]
RuntimeDirectory=orthanc-scratch
RuntimeDirectoryMode=0700
"""


def observe(host: Host, stack: Stack, places: Iterable[Place]) -> dict[str, Any]:
    """Return the facts of temporary folders and core dumps; `places` are those of disk_places."""
    listed = [place for place in places if place["purpose"] in PASSING]
    return {
        "in_clear": [place["path"] for place in listed if place["protection"] not in SAFE],
        "scratch": next((place["path"] for place in listed if place["purpose"] == "scratch"), ""),
        "memory_at_next_start": host.text(TEMPORARY_UNIT) == TEMPORARY_TEXT,
        "in_table": any(words[1:2] == ["/tmp"] for words in parse_table(host.text(TABLE) or "")),  # noqa: S108
        "core_pattern": (host.text(PATTERN) or "").strip(),
        "core_dumps_in_clear": _dumped(host, stack),
    }


def steps(facts: Mapping[str, Any], mine: Mapping[str, Any], scope: Mapping[str, Any]) -> list[Step]:
    """Return what brings temporary folders off the disks in clear; `mine` are the facts of the surface."""
    found: list[Step] = []
    for path in mine["temporary"]["in_clear"]:
        if path == mine["temporary"]["scratch"]:
            found += _scratch(facts, mine["places"])
        elif path == "/tmp" and not mine["temporary"]["in_table"]:  # noqa: S108 # the folder itself is meant
            found += _temporary(mine["temporary"]["memory_at_next_start"])
        else:
            found.append(
                deliberate(
                    f"{path} lies in clear: move it into an encrypted home or volume, or encrypt the system by "
                    f"`ansible-playbook radiology.hardening.encrypt_storage -l {scope['name']}`"
                )
            )
    return found


def core_steps() -> list[Step]:
    """Return what ends core dumps."""

    def do(host: Host) -> None:
        host.write(CORE_FILE, CORE_TEXT)
        host.must(["/usr/lib/systemd/systemd-sysctl", CORE_FILE])

    return [Step("Have the kernel write no core dumps", do)]


def _scratch(facts: Mapping[str, Any], places: Iterable[Place]) -> list[Step]:
    """Have Orthanc pack in its encrypted volume, which is roomy, else in memory."""
    images = next((place for place in places if place["purpose"] == "images"), None)
    if images is not None and images["protection"] == ENCRYPTED:
        folder = posixpath.join(images["path"], "tmp")

        def make(host: Host) -> None:
            host.folder(folder, mode=0o700, owner="orthanc", group="orthanc")

        made = [Step(f"Make {folder}, where Orthanc packs its archives", make)]
        files: dict[str, orthanc_service.Content] = {}
    else:
        folder, made = SCRATCH, []
        files = {SCRATCH_DROP_IN: (SCRATCH_TEXT, 0o644, "root", "root")}
    because = "pack archives where they are not in clear"
    settings = {"TemporaryDirectory": folder}
    return made + orthanc_configuration.configure(facts, settings, because, files, anyway=True)


def _temporary(at_next_start: bool) -> list[Step]:
    restart = deliberate("Restart the host when nobody works on it: from then on /tmp is in memory")
    if at_next_start:
        return [restart]

    def do(host: Host) -> None:
        host.write(TEMPORARY_UNIT, TEMPORARY_TEXT)
        host.enable("tmp.mount")

    return [Step("Have /tmp in memory from the next start on", do), restart]


def _dumped(host: Host, stack: Stack) -> bool:
    """Tell whether a program that crashes leaves its memory on a disk in clear."""
    pattern = (host.text(PATTERN) or "").strip()
    if pattern.startswith("|"):
        program = pattern[1:].split()[:1]
        if program and posixpath.basename(program[0]) in ("false", "true"):
            return False
        if program and posixpath.basename(program[0]) == "systemd-coredump":
            settings = host.run(["systemd-analyze", "cat-config", "systemd/coredump.conf"]).output
            storage = re.findall(r"^[ \t]*Storage[ \t]*=[ \t]*(\w+)", settings, re.MULTILINE)
            return storage[-1:] != ["none"] and not _is_safe(stack, DUMPS)
        return not _is_safe(stack, "/")
    if not pattern:
        return False
    return not _is_safe(stack, posixpath.dirname(pattern) if pattern.startswith("/") else "/")


def _is_safe(stack: Stack, path: str) -> bool:
    return stack.protection(stack.mount_of(path)) in SAFE
