# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What runs on as it was before an update: services with a library that was replaced, a machine that has to restart."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import deliberate
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step

FACTS: dict[str, str] = {
    "running.outdated": "list of str: services that run with a library or a program that was replaced on the disk",
    "running.restart_due_days": "int: for how many days Debian has asked that the machine be restarted; 0: it does not",
    "running.advice": "list of str: what to do about both",
}
ASKED = "/run/reboot-required"
"""Made by the kernel's packages by way of unattended-upgrades (Debian 12 and 13)."""
REPLACED = re.compile(r"(?m)^\S+ \S*x\S* .* /(?:usr/)?(?:lib|lib64|s?bin)/\S+ \(deleted\)$")
"""proc_pid_maps(5): executable memory of a file of the system that lies there no more."""
SERVICE = re.compile(r"/([^/\s]+\.service)(?:/\S*)?$", re.M)
DAY = 86400


def observe(host: Host) -> dict[str, Any]:
    """Return the facts below `running`; a process that ends meanwhile is none."""
    asked = host.stat(ASKED)
    found = {
        "outdated": sorted({service for process in host.list("/proc") for service in _outdated(host, process)}),
        "restart_due_days": int(max(0.0, time.time() - asked.modified) // DAY) if asked else 0,
    }
    return {**found, "advice": list(_advice(found))}


def _outdated(host: Host, process: str) -> list[str]:
    """Return the service of a process that runs what was replaced, or nothing; a person's programs are none."""
    used = (host.text(f"/proc/{process}/maps") or "") if process.isdigit() else ""
    if " (deleted)" not in used or not REPLACED.search(used):
        return []
    service = SERVICE.search(host.text(f"/proc/{process}/cgroup") or "")
    return [service[1]] if service and not service[1].startswith("user@") else []


def steps(found: Mapping[str, Any], unmet: list[str]) -> list[Step]:
    """Return what a person does: a service that starts anew breaks off what it is doing."""
    return [deliberate(sentence) for sentence in _advice(found)] if unmet else []


def _advice(found: Mapping[str, Any]) -> Iterator[str]:
    if found["outdated"]:
        services = " ".join(found["outdated"])
        yield f"updates are not in use yet: run `systemctl restart {services}` when nobody works with them"
    if found["restart_due_days"]:
        yield f"an update has waited {found['restart_due_days']} days for a restart of this machine: restart it"
