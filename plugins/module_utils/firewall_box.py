# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The internet box, as this host sees it: what it leads inside, and what it lets any machine have it lead inside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import firewall_segment, internet_box
from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import deliberate
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step

FACTS: dict[str, str] = {
    "box.mappings": "list of str: ports of the internet box that lead to this host or to a declared device",
    "box.opens_ports": "list of str: ways by which any machine inside may have the internet box open a port",
    "box.unread": "list of str: why a box that opens ports could not be asked which it has opened",
    "box.advice": "list of str: what a person does about it in the pages of the box",
}


def observe(host: Host, devices: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return the facts below `box`; a box that is silent has told nothing and opens nothing when it is asked."""
    addresses = _ours(host, devices)
    box = internet_box.ask(host)
    pages = " or ".join(internet_box.gateways(host))
    advice = []
    if box.opens:
        advice.append(
            f"Switch UPnP, NAT-PMP and PCP off in the pages of the internet box ({pages}): "
            "any machine inside may have it open a port to the server now."
        )
    if internet_box.leading_to(box, addresses):
        advice.append(f"If a mapping comes back or stays, delete it in the pages of the internet box ({pages}).")
    if box.unread:
        advice.append(f"Look at the list of port mappings in the pages of the internet box ({pages}) yourself.")
    return {**internet_box.facts(box, addresses), "advice": advice}


def plan(box: Mapping[str, Any], devices: Iterable[Mapping[str, Any]], *, opens_rules: bool) -> list[Step]:
    """Return the steps: mappings to our hosts are given back, as whoever asked for them would; the box is not ours.

    `opens_rules` says that our rules are loaded anew, which let the question out.
    """
    known = list(devices)
    unread = [said for said in box["unread"] if not (opens_rules and internet_box.BLOCKED in said)]
    steps = []
    if box["mappings"]:
        told = "; ".join(box["mappings"])
        steps.append(Step(f"Ask the internet box to close, for good: {told}", lambda host: _close(host, known)))
    sentences = box["advice"] or ["Look at the pages of the internet box."]
    if box["opens_ports"] or unread:
        steps += [deliberate(sentence) for sentence in sentences]
    return steps


def _close(host: Host, devices: Iterable[Mapping[str, Any]]) -> None:
    box = internet_box.ask(host)
    internet_box.drop(box, internet_box.leading_to(box, _ours(host, devices)))


def _ours(host: Host, devices: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the addresses to which no port may lead: those of this host, and of the declared devices."""
    here = [str(each.address.ip) for each in firewall_segment.standing(host)]
    return [*here, *(str(device["address"]) for device in devices)]
