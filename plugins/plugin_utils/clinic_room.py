# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The room of a modality that speaks no TLS, and the gateway that stands beside it as a small box.

For everybody else the box is the modality: it has the modality's addresses, its key and its certificate. In the room,
which is no network of the clinic, the two speak DICOM in clear.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

from ansible_collections.radiology.hardening.plugins.plugin_utils.clinic_addresses import unusable
from ansible_collections.radiology.hardening.plugins.plugin_utils.clinic_model import Clinic, Host, literal
from ansible_collections.radiology.hardening.plugins.plugin_utils.clinic_schema import nearest
from ansible_collections.radiology.hardening.plugins.plugin_utils.clinic_text import Path, dotted, shown

Found = Iterator[tuple[Path, str]]

NARROWEST = 30
"""The longest prefix of a network that has two addresses of hosts."""


def room(clinic: Clinic, host: Host) -> dict[str, Any]:
    """Return the room that a gateway stands in, for the roles firewall and modality_box; {} for any other host.

    `ports` are those at which the modality calls the servers, in the file's order; `called` is its own.
    """
    given = host.given.get("room")
    if given is None:
        return {}
    modality = next(each for each in clinic.devices if each.name == given["modality"])
    return {
        "modality": modality.name,
        "interface": given["interface"],
        "network": given["network"],
        "address": given["address"],
        "modality_address": given["modality_address"],
        "ports": [int(given["port"]) + place for place in range(len(clinic.servers))],
        "called": int(modality.given.get("port", 0)),
    }


def problems(clinic: Clinic) -> Found:
    """Rooms: one for each modality, which is said to speak TLS as its box does, on a network and ports of its own."""
    seen: dict[str, Path] = {}
    for host in clinic.gateways:
        given, path = host.given.get("room"), (*host.path, "room")
        if given is None:
            continue
        first = seen.setdefault(given["modality"], path)
        if first != path:
            clause = f"beside which {dotted(first[:-1])} stands; accepted: one box a modality"
            yield (*path, "modality"), f"{dotted(path)}.modality is {shown(given['modality'])}, {clause}"
        yield from _modality(clinic, host, path)
        yield from _network(clinic, path, given)
        yield from _ports(clinic, host, path)
    for host in clinic.hosts:
        box = clinic.box_of(clinic.source(host)) if host.kind == "vantage_point" else None
        if box:
            clause = f"whose place {dotted(box.path)} has; accepted: no vantage point there"
            yield (*host.path, "device"), f"{dotted(host.path)}.device is {shown(host.given['device'])}, {clause}"


def _modality(clinic: Clinic, host: Host, path: Path) -> Found:
    name, key = host.given["room"]["modality"], f"{dotted(path)}.modality"
    known = {each.name: each for each in clinic.devices if each.kind == "modality"}
    device = known.get(name)
    if device is None:
        yield (*path, "modality"), f"{key} is {shown(name)}, which is no modality here; {nearest(name, list(known))}"
        return
    if not device.given["tls"]:
        yield (
            (*device.path, "tls"),
            f"{dotted(device.path)}.tls is false, but {dotted(host.path)} speaks TLS for it; accepted: tls: true",
        )
    if device.given.get("lost"):
        clause = f"whose key is on {dotted(host.path)}; accepted: the box taken out of the file as well"
        yield (*device.path, "lost"), f"{dotted(device.path)} is lost, {clause}"
    here, there = (sorted(map(str, clinic.addresses(each, "lan"))) for each in (host, device))
    if here != there:
        clause = f"but those of {dotted(host.path)}, which speaks for it, are {', '.join(here)}"
        yield (
            (*device.path, "addresses"),
            f"{dotted(device.path)}.addresses are {', '.join(there)}, {clause}; accepted: the same of kind lan",
        )
    for placed in device.placed:
        if clinic.kind_of(placed.network) != "lan" and placed.address not in clinic.addresses(host):
            clause = f"which {dotted(host.path)}, that speaks for it, has not; accepted: the box's addresses alone"
            yield placed.path, f"{dotted(placed.path)} is {shown(str(placed.address))}, {clause}"
    if "ssh" in device.given:
        clause = f"but {dotted(host.path)} answers at its addresses; accepted: no ssh"
        yield (*device.path, "ssh"), f"{dotted(device.path)}.ssh is given, {clause}"
    for server in clinic.servers:
        ours, theirs = _versions(clinic, host), _versions(clinic, server)
        if ours and theirs and not ours & theirs:
            clause = f"has no address of kind lan of a version of IP that {dotted(server.path)} has there"
            yield host.path, f"{dotted(host.path)} {clause}; accepted: IPv4 or IPv6 at both"


def _versions(clinic: Clinic, host: Host) -> set[int]:
    return {address.version for address in clinic.addresses(host, "lan")}


def _network(clinic: Clinic, path: Path, given: dict[str, Any]) -> Found:
    key, text = f"{dotted(path)}.network", given["network"]
    refusal = unusable(text)
    network = None if refusal else ipaddress.ip_network(text)
    if network is None:
        yield (*path, "network"), f"{key} is {shown(text)}, {refusal}"
        return
    if network.version != 4 or network.prefixlen > NARROWEST:
        accepted = f'an IPv4 range of two hosts or more, such as "192.168.77.0/{NARROWEST}"'
        yield (*path, "network"), f"{key} is {shown(text)}; accepted: {accepted}"
        return
    for name, other in _taken(clinic):
        if network.version == other.version and network.overlaps(other):
            yield (*path, "network"), f"{key} is {shown(text)}, over {name}; accepted: a range that no network has"
    for name in ("address", "modality_address"):
        address = literal(given[name])
        ends = (network.network_address, network.broadcast_address)
        if address is None or address not in network or address in ends:
            clause = f"no address of a host in {network}; accepted: one of them"
            yield (*path, name), f"{dotted(path)}.{name} is {shown(given[name])}, {clause}"
    if given["address"] == given["modality_address"]:
        clause = "as the box's own address is; accepted: the modality's"
        yield (*path, "modality_address"), f"{dotted(path)}.modality_address is {shown(given['address'])}, {clause}"


def _taken(clinic: Clinic) -> Iterator[tuple[str, Any]]:
    """Yield the ranges of networks, and how the file calls them; two rooms may have the same."""
    listed = [(f"network {name}", text) for name, each in clinic.given["networks"].items() for text in each["cidrs"]]
    listed += [("remote_access.network", text) for text in clinic.given.get("remote_access", {}).get("network", [])]
    for name, text in listed:
        if not unusable(text):
            yield name, ipaddress.ip_network(text)


def _ports(clinic: Clinic, host: Host, path: Path) -> Found:
    """Yield ports that sshd has, or that there are not."""
    first, ssh = int(host.given["room"]["port"]), int(host.given["ssh"].get("port", 22))
    last = first + len(clinic.servers) - 1
    if first <= ssh <= last or last > 65535:
        clause = f"from which each server has one, up to {last}; accepted: others than {ssh}, which sshd has, to 65535"
        yield (*path, "port"), f"{dotted(path)}.port is {first}, {clause}"
    device = next((each for each in clinic.devices if each.name == host.given["room"]["modality"]), None)
    if device is not None and int(device.given.get("port", 0)) == ssh:
        clause = f"which sshd of {dotted(host.path)} has; accepted: another ssh port there"
        yield (*device.path, "port"), f"{dotted(device.path)}.port is {ssh}, {clause}"
