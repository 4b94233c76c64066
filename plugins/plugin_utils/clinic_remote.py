# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reading from home: what the clinic file says of the tunnel and its devices, checked, and as roles take it.

A device calls the gateway by the address that the gateway has in the clinic, through the tunnel: the same page, the
same certificate as in the reading room.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

from ansible_collections.radiology.hardening.plugins.plugin_utils import clinic_ipsec, clinic_laptop
from ansible_collections.radiology.hardening.plugins.plugin_utils.clinic_addresses import unusable
from ansible_collections.radiology.hardening.plugins.plugin_utils.clinic_model import Clinic, Host, Network, literal
from ansible_collections.radiology.hardening.plugins.plugin_utils.clinic_schema import nearest
from ansible_collections.radiology.hardening.plugins.plugin_utils.clinic_text import Path, dotted, shown

Found = Iterator[tuple[Path, str]]

PORT = 51820
"""UDP; what WireGuard's own documentation takes."""
HERE: Path = ("remote_access",)


def problems(clinic: Clinic) -> Found:
    """Remote access: a gateway that is hardened, a network of its own, and devices that differ in key and address."""
    if "remote_access" not in clinic.given:
        return
    yield from _gateway(clinic)
    yield from _network(clinic)
    yield from _peers(clinic)
    if clinic_ipsec.is_chosen(clinic):
        yield from clinic_ipsec.problems(clinic)


def tunnel(clinic: Clinic, server: Host) -> dict[str, Any]:
    """Return the tunnel that ends on this server, for the roles remote_access and firewall; {} where none does.

    `addresses` are the gateway's own with prefix length; `reached` are those by which devices call it.
    """
    given = clinic.given.get("remote_access")
    if given is None or given["gateway"] != server.name:
        return {}
    ranges = [ipaddress.ip_network(text) for text in given["network"]]
    services = {"web": 443, "ssh": int(server.given["ssh"].get("port", 22))}
    return {
        "port": int(given.get("port", PORT)),
        **(clinic_ipsec.tunnel(clinic) if clinic_ipsec.is_chosen(clinic) else {}),
        "network": [str(each) for each in ranges],
        "addresses": [f"{each[1]}/{each.prefixlen}" for each in ranges],
        "reached": [str(address) for address in clinic.addresses(server, "lan")],
        "peers": [
            {
                "name": name,
                "person": peer["person"],
                "public_key": peer.get("public_key", ""),
                "workstation": peer.get("workstation", ""),
                "addresses": [str(ipaddress.ip_address(text)) for text in peer["addresses"]],
                "services": {grant: services[grant] for grant in sorted(peer["may"])},
            }
            for name, peer in given["peers"].items()
        ],
    }


def laptop(clinic: Clinic, host: Host) -> dict[str, Any]:
    """Return what a workstation needs that reads by the tunnel, for the role reading_laptop; {} for any other.

    `closed` are the ranges that it reaches by the tunnel alone; the gateway's key is kept beside the clinic file.
    """
    given = clinic.given.get("remote_access", {"peers": {}})
    mine = [name for name, peer in given["peers"].items() if peer.get("workstation") == host.name]
    if not mine:
        return {}
    name, peer = mine[0], given["peers"][mine[0]]
    server = next(each for each in clinic.servers if each.name == given["gateway"])
    public = clinic_laptop.endpoint(clinic)
    ranges = [str(ipaddress.ip_network(text)) for text in given["network"]]
    return {
        "name": name,
        "gateway": server.name,
        "addresses": [str(ipaddress.ip_address(text)) for text in peer["addresses"]],
        "endpoint": f"{public}:{int(given.get('port', PORT))}",
        "reached": [str(address) for address in clinic.addresses(server, "lan")],
        "network": ranges,
        "closed": [*clinic.cidrs("lan"), *clinic.cidrs("admin"), *ranges],
    }


def forward(clinic: Clinic) -> dict[str, Any]:
    """Return the one forward that the internet box needs: UDP ports, gateway, IPv4 address; {} without a tunnel."""
    for server in clinic.servers:
        found = tunnel(clinic, server)
        if found:
            address = next(text for text in found["reached"] if ":" not in text)
            return {"ports": found.get("ports", [found["port"]]), "gateway": server.name, "address": address}
    return {}


def _gateway(clinic: Clinic) -> Found:
    name, path = clinic.given["remote_access"]["gateway"], (*HERE, "gateway")
    server = next((each for each in clinic.servers if each.name == name), None)
    if server is None:
        known = [each.name for each in clinic.servers]
        yield path, f"{dotted(path)} is {shown(name)}, which is no Orthanc server here; {nearest(name, known)}"
    elif "ssh" not in server.given:
        yield path, f"{dotted(path)} is a host that is never logged in to; accepted: a server with ssh"
    elif not any(address.version == 4 for address in clinic.addresses(server, "lan")):
        clause = "which has no IPv4 address of kind lan to forward to; accepted: a server with one"
        yield path, f"{dotted(path)} is {shown(name)}, {clause}"


def _network(clinic: Clinic) -> Found:
    path: Path = (*HERE, "network")
    texts = clinic.given["remote_access"]["network"]
    for place, text in enumerate(texts):
        key, refusal = dotted((*path, place)), unusable(text)
        if refusal:
            yield (*path, place), f"{key} is {shown(text)}, {refusal}"
            continue
        cidr = ipaddress.ip_network(text)
        if cidr.prefixlen > cidr.max_prefixlen - 2:
            clause = "too narrow for a gateway and a device; accepted: a wider range"
            yield (*path, place), f"{key} is {shown(text)}, {clause}"
        for other, mine in clinic.given["networks"].items():
            if any(cidr.version == each.version and cidr.overlaps(each) for each in _ranges(mine["cidrs"])):
                clause = f"over network {other}; accepted: a range that no network of the clinic has"
                yield (*path, place), f"{key} is {shown(text)}, {clause}"
    versions = [each.version for each in _ranges(texts)]
    if len(versions) == len(texts) and (versions.count(4) != 1 or versions.count(6) > 1):
        counted = f"{versions.count(4)} IPv4 and {versions.count(6)} IPv6 ranges"
        yield path, f"{dotted(path)} has {counted}; accepted: one IPv4 range and at most one IPv6 range"


def _peers(clinic: Clinic) -> Found:
    given = clinic.given["remote_access"]
    people = clinic.given.get("people", {})
    keys: dict[str, Path] = {}
    taken: dict[Any, str] = {each[1]: "the gateway's" for each in _ranges(given["network"])}
    for name, peer in given["peers"].items():
        path: Path = (*HERE, "peers", name)
        person = peer["person"]
        if person not in people:
            clause = f"which is nobody here; {nearest(person, list(people))}"
            yield (*path, "person"), f"{dotted(path)}.person is {shown(person)}, {clause}"
        elif "ssh" in peer["may"] and people[person]["role"] != "administrator":
            clause = f"holds ssh, but {person} is a {people[person]['role']}; accepted: ssh for administrators alone"
            yield (*path, "may"), f"{dotted(path)}.may {clause}"
        if not clinic_ipsec.is_chosen(clinic):
            yield from clinic_laptop.problems(clinic, path, peer)
        first = keys.setdefault(peer["public_key"], path) if "public_key" in peer else path
        if first != path:
            clause = f"is that of {dotted(first)}; accepted: a key pair made on each device"
            yield (*path, "public_key"), f"{dotted(path)}.public_key {clause}"
        yield from _addresses((*path, "addresses"), peer["addresses"], _ranges(given["network"]), taken)


def _addresses(path: Path, texts: list[str], ranges: list[Network], taken: dict[Any, str]) -> Found:
    """Yield what is wrong with a device's addresses; `taken` are those given so far, with the words for whose."""
    found = []
    for place, text in enumerate(texts):
        key, address = dotted((*path, place)), literal(text)
        around = [each for each in ranges if address is not None and address in each]
        if address is None:
            yield (*path, place), f"{key} is {shown(text)}, no literal address; accepted: an address of the tunnel"
        elif not around:
            accepted = ", ".join(map(str, ranges)) or "one of remote_access.network"
            yield (*path, place), f"{key} is {shown(text)}, outside the tunnel; accepted: an address in {accepted}"
        elif address in (around[0].network_address, around[0].broadcast_address):
            yield (*path, place), f"{key} is {shown(text)}, which no device can have; accepted: another of {around[0]}"
        elif address in taken:
            yield (*path, place), f"{key} is {shown(text)}, which is {taken[address]}; accepted: an address of its own"
        else:
            taken[address] = f"that of {key}"
        found += [address.version] if address is not None else []
    if len(found) == len(texts) and sorted(found) != sorted(each.version for each in ranges):
        yield path, f"{dotted(path)} has not one address of each range; accepted: one of {', '.join(map(str, ranges))}"


def _ranges(texts: list[str]) -> list[Network]:
    """Return the readable ranges."""
    return [ipaddress.ip_network(text) for text in texts if not unusable(text)]
