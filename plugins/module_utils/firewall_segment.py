# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The networks that a host stands in, against those that the clinic file declares."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import deliberate
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step

FACTS: dict[str, str] = {
    "segment.undeclared": "list of str: interface and address/prefix of this host in no network of the clinic file",
    "segment.advice": "list of str: what a person does about it",
}
INNER = ("veth", "tun")
"""Kinds of links whose other end is a container or a virtual machine on this host."""


STACKED = ("vlan", "macvlan", "ipvlan")
"""Kinds of links that lie on another, which they share with others."""


class Standing(NamedTuple):
    """An address of an interface, with its network."""

    interface: str
    address: ipaddress.IPv4Interface | ipaddress.IPv6Interface
    cable: str
    """The interface that carries it: the one below it where several share one, as VLANs do."""

    def __str__(self) -> str:
        """Write it as `ip address` does."""
        return f"{self.interface} {self.address}"


def observe(standing: Sequence[Standing], networks: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return the facts below `segment`; a network that is wider than the declared one is undeclared too."""
    declared = [ipaddress.ip_network(str(cidr)) for network in networks for cidr in network["cidrs"]]
    undeclared = [str(each) for each in standing if not any(_lies_in(each.address.network, cidr) for cidr in declared)]
    advice = [
        f"Take the host out of the network of {each}, or declare that network in the clinic file: whoever is in it "
        "reaches the server without passing another door."
        for each in undeclared
    ]
    return {"undeclared": undeclared, "advice": advice}


def plan(segment: Mapping[str, Any]) -> list[Step]:
    """Return what is left to a person: which network a cable leads to no role can decide."""
    if not segment["undeclared"]:
        return []
    told = segment["advice"] or [f"Take the host out of the network of {each}" for each in segment["undeclared"]]
    return [deliberate(sentence) for sentence in told]


def standing(host: Host) -> list[Standing]:
    """Return the addresses by which other machines may reach this host.

    Those of its own containers and virtual machines are left out: a bridge that no link leads out of.
    """
    try:
        links = json.loads(host.run(["ip", "-j", "-d", "address"]).output or "[]")
    except ValueError:
        return []
    inner = {link["ifname"] for link in links if _kind(link) == "bridge"} - {
        link["master"] for link in links if "master" in link and _kind(link) not in INNER
    }
    return [
        Standing(link["ifname"], ipaddress.ip_interface(f"{told['local']}/{told['prefixlen']}"), _cable(link))
        for link in links
        if link.get("ifname") not in inner and "LOOPBACK" not in link.get("flags", [])
        for told in link.get("addr_info", [])
        if told.get("scope") == "global"
    ]


def _cable(link: Mapping[str, Any]) -> str:
    return str(link["link"] if _kind(link) in STACKED and "link" in link else link["ifname"])


def on_one_cable(standing: Sequence[Standing], room: Mapping[str, Any]) -> list[str]:
    """Return the addresses of other interfaces that share the cable of a modality's room, as VLANs of one do."""
    cables = {each.cable for each in standing if each.interface == room["interface"]}
    return [str(each) for each in standing if each.cable in cables and each.interface != room["interface"]]


def sharing(standing: Sequence[Standing], room: Mapping[str, Any]) -> list[str]:
    """Return the addresses on the interface of a modality's room that are none of the room's; none without a room."""
    if not room:
        return []
    network = ipaddress.ip_network(str(room["network"]))
    return [
        str(each)
        for each in standing
        if each.interface == room["interface"] and not _lies_in(each.address.network, network)
    ]


def demand_apart(host: Host, room: Mapping[str, Any]) -> None:
    """Refuse an interface of the clinic's as a modality's room: the rules of a room would shut out who comes by it."""
    if shared := sharing(standing(host), room):
        raise HardeningError(
            f"room.interface names an interface of the clinic's networks: {', '.join(shared)}. The rules would shut "
            "them out; name the interface of the cable to the modality."
        )


def _kind(link: Mapping[str, Any]) -> str:
    return str((link.get("linkinfo") or {}).get("info_kind", ""))


def _lies_in(network: Any, declared: Any) -> bool:
    return bool(network.version == declared.version and network.subnet_of(declared))
