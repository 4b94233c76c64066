# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The machine on which images are read: who calls it and works at it, what it leaves behind, how images travel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import (
    dicom_tunnel,
    dicom_tunnel_state,
    expectation,
    workstation_automount,
    workstation_core_dumps,
    workstation_listeners,
    workstation_login,
    workstation_people,
    workstation_session,
)
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step

NAME = "workstation"
OWN = (
    workstation_automount.RULE,
    workstation_core_dumps.MANAGER,
    workstation_core_dumps.CATCHER,
    workstation_core_dumps.SESSIONS,
    workstation_session.KEYS,
    workstation_session.LOCKS,
    workstation_session.RULES,
    workstation_login.NO_GUESTS,
    dicom_tunnel.UNIT_FILE,
)
"""Files that this surface alone writes: where they are and nothing is kept, an earlier release hardened the host."""
LISTENERS = ("listeners.", "remote_desktop.", "viewers.")
FACTS: dict[str, str] = {
    **workstation_listeners.FACTS,
    **workstation_automount.FACTS,
    **workstation_core_dumps.FACTS,
    **workstation_session.FACTS,
    **workstation_login.FACTS,
    **workstation_people.FACTS,
    **dicom_tunnel_state.FACTS,
}


def observe(host: Host, scope: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts."""
    session, by_desktops = workstation_session.observe(host)
    return {
        **workstation_listeners.observe(host, scope),
        "automount": {**workstation_automount.observe(host), "by_desktops": by_desktops},
        "core_dumps": workstation_core_dumps.observe(host),
        "session": session,
        "login": workstation_login.observe(host),
        "people": workstation_people.observe(host, scope),
        "tunnel": dicom_tunnel_state.observe(host, scope),
    }


def plan(facts: Mapping[str, Any], wanted: Mapping[str, Mapping[str, Any]], scope: Mapping[str, Any]) -> list[Step]:
    """Return the steps for what is not as wanted; what somebody set up himself is left to a person."""
    mine = facts[NAME]
    unmet = [name.removeprefix(f"{NAME}.") for name in expectation.unmet(facts, wanted)]
    steps: list[Step] = []
    if any(name.startswith(LISTENERS) for name in unmet):
        steps += workstation_listeners.steps(mine)
    if any(name.startswith("automount.") for name in unmet):
        steps += workstation_automount.steps(mine["automount"])
    if any(name.startswith("core_dumps.") for name in unmet):
        steps += workstation_core_dumps.steps(mine["core_dumps"])
    steps += workstation_people.steps(mine["people"], [name for name in unmet if name.startswith("people.")], scope)
    steps += workstation_session.steps(mine["session"], _of_session(mine, unmet, wanted, scope), scope["lock_seconds"])
    if any(name.startswith("login.") for name in unmet):
        steps += workstation_login.steps(mine["login"])
    return steps + dicom_tunnel_state.steps(mine["tunnel"], [one for one in unmet if one.startswith("tunnel.")], scope)


def _of_session(
    mine: Mapping[str, Any], unmet: list[str], wanted: Mapping[str, Mapping[str, Any]], scope: Mapping[str, Any]
) -> list[str]:
    """Return what is not as wanted of the session, or will not be: another time than the site chose, a new account."""
    named = {name for name in unmet if name.startswith("session.") or name == "automount.by_desktops"}
    if mine["session"]["idle_seconds"] != scope["lock_seconds"]:
        named.add("session.idle_seconds")
    if "people.missing" in unmet:
        named.add("session.unheld_users")
    return [name for name in sorted(named) if f"{NAME}.{name}" in wanted]
