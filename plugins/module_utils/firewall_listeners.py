# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who on a server or gateway waits for callers: what the firewall lets in is known, anything else is named.

A program that nobody declared is somebody's work: it is told with its port and unit, and left to a person.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import (
    dicom_front,
    dicom_tunnel,
    firewall_tunnel,
    listeners,
    orthanc_service,
    web_front,
)
from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import deliberate
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step

FACTS: dict[str, str] = {
    "listeners.undeclared": "list of str: listeners beyond loopback that nobody declared, each with its program; "
    "null: the kernel was not asked, for want of ss",
    "listeners.advice": "list of str: what a person does about them",
}
OURS = (orthanc_service.UNIT, web_front.UNIT, dicom_front.UNIT, dicom_tunnel.UNIT)
"""Units that other roles keep, and that hold where each of them listens.

Orthanc takes no address to listen on: its two ports are open on all of the host's, and shut by the firewall alone.
"""
TIME = ("chronyd", "ntpd")
"""Programs that set the clock, and hold NTP's port to ask by."""
NTP = ("udp", 123)


def observe(
    host: Host, scope: Mapping[str, Any], services: Sequence[Mapping[str, Any]], others: Collection[str]
) -> dict[str, Any]:
    """Return the facts below `listeners`; `services` are those that the firewall lets in, through a tunnel as well.

    `others` are units of which other facts tell.
    """
    answer = host.run(listeners.ASKED)
    if not answer.ok:
        return {"undeclared": None, "advice": []}
    known = listeners.declared(scope.get("listeners") or [], "firewall_listeners")
    known |= {("tcp", port) for port in _ports(scope, services)}
    tunnel = scope.get("tunnel") or {}
    known |= {("udp", port) for port in (firewall_tunnel.ports(tunnel) if tunnel else ())}
    found = [
        str(each)
        for each in listeners.undeclared(host, listeners.read(host, answer.output), known, (*OURS, *others))
        if not ((each.protocol, each.port) == NTP and each.program in TIME)
    ]
    return {"undeclared": found, "advice": [*map(_advice, found)]}


def plan(found: Mapping[str, Any]) -> list[Step]:
    """Return what is left to a person."""
    return [deliberate(_advice(each)) for each in found["undeclared"] or []]


def _ports(scope: Mapping[str, Any], services: Sequence[Mapping[str, Any]]) -> set[int]:
    """Return the TCP ports that the firewall lets in; SSH's own where no service of that name gives another."""
    ports = {int(service["port"]) for service in services}
    ports |= {int(port) for port in (scope.get("room") or {}).get("ports") or []}
    return ports if any(service["name"] == "ssh" for service in services) else {*ports, 22}


def _advice(listener: str) -> str:
    return (
        f"{listener} waits for callers, and nobody declared it: stop what nobody needs, have the rest listen on "
        "127.0.0.1 alone, or declare it by firewall_listeners, and by firewall_services where others have to reach it"
    )
