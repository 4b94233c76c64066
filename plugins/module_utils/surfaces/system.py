# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The operating system below the images: its updates, clock, journal and shares, and who it says that it is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import (
    expectation,
    imaging_software,
    journal,
    open_shares,
    release_support,
    replaced_libraries,
    security_updates,
    time_sync,
)
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step, write

NAME = "system"
OWN = (security_updates.FILE, journal.FILE, *time_sync.OWN)
"""Files that this surface alone writes: where they are and nothing is kept, an earlier release hardened the host."""
RECORD = "/etc/ansible/facts.d/radiology.fact"
"""Where Ansible looks for what a host says of itself: `ansible_local.radiology` (ansible.builtin.setup)."""
FACTS: dict[str, str] = {
    **release_support.FACTS,
    **security_updates.FACTS,
    **replaced_libraries.FACTS,
    **journal.FACTS,
    **time_sync.FACTS,
    **open_shares.FACTS,
    **imaging_software.FACTS,
    "recorded": "bool: the host's own record says what the clinic file says of it",
}


def observe(host: Host, scope: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts."""
    release = release_support.observe(host)
    return {
        "release": release,
        "updates": security_updates.observe(host, release["codename"]),
        "running": replaced_libraries.observe(host),
        "journal": journal.observe(host),
        "time": time_sync.observe(host, scope.get("time_servers") or []),
        "shares": open_shares.observe(host),
        "imaging": imaging_software.observe(host, release["codename"]),
        "recorded": host.text(RECORD) == record(scope),
    }


def plan(facts: Mapping[str, Any], wanted: Mapping[str, Mapping[str, Any]], scope: Mapping[str, Any]) -> list[Step]:
    """Return the steps; what may break off somebody's work, or undoes what somebody decided, is left to a person."""
    mine = facts[NAME]
    unmet = expectation.unmet(facts, wanted)
    steps = [
        *security_updates.steps(mine["updates"], _below(unmet, "updates")),
        *journal.steps(_below(unmet, "journal"), int(scope["journal_days"])),
        *time_sync.steps(mine["time"], _below(unmet, "time"), scope.get("time_servers") or []),
        *open_shares.steps(mine["shares"], _below(unmet, "shares")),
        *imaging_software.steps(mine["imaging"], _below(unmet, "imaging")),
        *release_support.steps(mine["release"], _below(unmet, "release")),
        *replaced_libraries.steps(mine["running"], _below(unmet, "running")),
    ]
    return [*steps, write(RECORD, record(scope))] if f"{NAME}.recorded" in unmet else steps


def record(scope: Mapping[str, Any]) -> str:
    """Return what the clinic file says of the host, as a fact file of Ansible; nothing in it is secret."""
    return json.dumps(scope.get("record") or {}, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _below(unmet: Sequence[str], part: str) -> list[str]:
    return [name for name in unmet if name.startswith(f"{NAME}.{part}.")]
