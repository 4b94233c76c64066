# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The small box beside a modality that speaks no TLS: what crosses the clinic's network is TLS, both ways.

The modality's DICOM in clear stays on the cable between the two. The box's firewall is the role firewall's; here it is
seen whether the room's part of it is in force, and loaded anew where it is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import (
    dicom_tunnel,
    dicom_tunnel_state,
    expectation,
    firewall_room,
    firewall_rules,
    firewall_segment,
)
from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import deliberate
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step
from ansible_collections.radiology.hardening.plugins.module_utils.surfaces import firewall

NAME = "modality_box"
OWN = (dicom_tunnel.UNIT_FILE,)
"""Files that this surface alone writes: where they are and nothing is kept, an earlier release hardened the host."""
FACTS: dict[str, str] = {
    "room.missing": "list of str: the room's interface and address, where that interface does not have it",
    "room.shared": "list of str: addresses on the room's interface, or of the room elsewhere, by which the two mix",
    "room.advice": "list of str: what a person does about it",
    "door.undeclared_rules": "list of str: rules of our table on the room's packets, or before them, that are not ours",
    "door.missing_rules": "list of str: rules on the room's packets that our table lacks",
    **dicom_tunnel_state.FACTS,
}
RELOADED = "Load the firewall anew, which lets nothing but the modality's DICOM out of the room and into it"


def observe(host: Host, scope: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts; of a host that stands beside no modality, that nothing is wrong with its room."""
    room = scope.get("room") or {}
    return {
        "room": _room(host, room),
        "door": _door(host, room),
        "tunnel": dicom_tunnel_state.observe(host, {**scope, "tunnel": bool(room)}),
    }


def plan(facts: Mapping[str, Any], wanted: Mapping[str, Mapping[str, Any]], scope: Mapping[str, Any]) -> list[Step]:
    """Return the steps; which cable leads where is left to a person, and without it nothing can listen."""
    mine, room = facts[NAME], scope.get("room") or {}
    unmet = [name.removeprefix(f"{NAME}.") for name in expectation.unmet(facts, wanted)]
    steps: list[Step] = [deliberate(sentence) for sentence in _advice(mine["room"])]
    if any(name.startswith("door.") for name in unmet):
        steps.append(Step(RELOADED, lambda host: _reload(host, room)))
    of_tunnel = [name for name in unmet if name.startswith("tunnel.")]
    tunnel = dicom_tunnel_state.steps(mine["tunnel"], of_tunnel, {**scope, "tunnel": bool(room)})
    standing = not mine["room"]["missing"]
    return steps + [step for step in tunnel if standing or step.does == dicom_tunnel_state.REQUESTED]


def _room(host: Host, room: Mapping[str, Any]) -> dict[str, list[str]]:
    if not room:
        return {"missing": [], "shared": [], "advice": []}
    standing = firewall_segment.standing(host)
    here = [each for each in standing if str(each.address.ip) == room["address"]]
    elsewhere = [str(each) for each in here if each.interface != room["interface"]]
    found = {
        "missing": [] if len(here) > len(elsewhere) else [f"{room['interface']} {room['address']}"],
        "shared": list(
            dict.fromkeys(
                [
                    *firewall_segment.sharing(standing, room),
                    *firewall_segment.on_one_cable(standing, room),
                    *elsewhere,
                ]
            )
        ),
    }
    return {**found, "advice": _advice(found)}


def _advice(room: Mapping[str, list[str]]) -> list[str]:
    return [
        *(
            f"Give the interface of the cable to the modality its address ({each}), as in /etc/network/interfaces, "
            "then run this again"
            for each in room["missing"]
        ),
        *(
            f"Have the cable to the modality on an interface of its own: {each} mixes the room with another network"
            for each in room["shared"]
        ),
    ]


def _door(host: Host, room: Mapping[str, Any]) -> dict[str, list[str]]:
    """Compare what is in force for the room's packets, and before them, with the rules of a host that has no others."""
    if not room:
        return {"undeclared_rules": [], "missing_rules": []}
    live = firewall_rules.read(host.run(["nft", "-j", "list", "table", "inet", firewall_rules.TABLE]).output)[1]
    shown = host.must(firewall.SHOWN, stdin=firewall_rules.render([], room=room))
    declared = firewall_rules.read(shown)[1]
    found: dict[str, list[str]] = {"undeclared_rules": [], "missing_rules": []}
    for hook, chain in firewall_room.LINKS.items():
        before, due = firewall_room.beginning(live, hook), firewall_room.beginning(declared, hook)
        for extra, lacking in (
            firewall_rules.differing(before, due, hook),
            firewall_rules.differing(live, declared, chain),
        ):
            found["undeclared_rules"] += extra
            found["missing_rules"] += lacking
    return found


def _reload(host: Host, room: Mapping[str, Any]) -> None:
    if firewall_room.chains(room) not in (host.text(firewall_rules.FILE) or ""):
        raise HardeningError(
            "The firewall of this host does not know the modality's room yet: harden by the role firewall first."
        )
    host.must(["nft", "--file", firewall_rules.FILE])
