# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reading from home: what the clinic file says of the tunnel and its devices, checked, and as roles take it.

A device calls servers by the addresses that they have in the clinic, through the tunnel: the same page, the same
certificate as in the reading room. The tunnel ends on one of the servers, or on a gateway that passes on to them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.plugin_utils import clinic_ipsec, clinic_laptop
from ansible_collections.radiology.hardening.plugins.plugin_utils.clinic_addresses import unusable
from ansible_collections.radiology.hardening.plugins.plugin_utils.clinic_model import (
    Address,
    Clinic,
    Host,
    Network,
    Placed,
    literal,
)
from ansible_collections.radiology.hardening.plugins.plugin_utils.clinic_schema import nearest
from ansible_collections.radiology.hardening.plugins.plugin_utils.clinic_text import Path, dotted, shown

Found = Iterator[tuple[Path, str]]

PORT = 51820
"""UDP; what WireGuard's own documentation takes."""
WEB = 443
"""TCP port of HTTPS on a hardened server."""
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


def tunnel(clinic: Clinic, host: Host) -> dict[str, Any]:
    """Return the tunnel that ends on this host, for the roles remote_access and firewall; {} where none does.

    `addresses` are the host's own in it, with prefix length; `reached` are its own in the clinic. Of each device,
    `services` are those of the host itself, `forwards` what a gateway passes on to servers, and `reached` are the
    addresses that the device calls by the tunnel.
    """
    given = clinic.given.get("remote_access")
    if given is None or given["gateway"] != host.name:
        return {}
    ranges = [ipaddress.ip_network(text) for text in given["network"]]
    return {
        "port": int(given.get("port", PORT)),
        **(clinic_ipsec.tunnel(clinic) if clinic_ipsec.is_chosen(clinic) else {}),
        "network": [str(each) for each in ranges],
        "addresses": [f"{each[1]}/{each.prefixlen}" for each in ranges],
        "reached": _own(clinic, host),
        "peers": [_device(clinic, host, name, peer) for name, peer in given["peers"].items()],
    }


def through(clinic: Clinic, server: Host) -> dict[str, Any]:
    """Return who administers a server through a gateway apart from it, as a tunnel whose addresses are the gateway's.

    {} where nobody does. So the role authentication asks for a second factor whoever comes by the gateway.
    """
    given = clinic.given.get("remote_access", {})
    gateway = next((each for each in clinic.gateways if each.name == given.get("gateway")), None)
    if gateway is None or "ssh" not in server.given:
        return {}
    peers = [
        {"name": name, "person": peer["person"], "addresses": as_whom, "services": {"ssh": _ssh(server)}}
        for name, peer in given["peers"].items()
        if (as_whom := [each["as"] for each in _forwards(clinic, gateway, peer) if each["to"] == (server.name, "ssh")])
    ]
    return (
        {"network": sorted({address for peer in peers for address in peer["addresses"]}), "peers": peers}
        if peers
        else {}
    )


def callers(clinic: Clinic, server: Host, grant: str) -> list[str]:
    """Return the addresses of a gateway by which devices at home call a server for what they are granted."""
    given = clinic.given.get("remote_access", {"peers": {}})
    return sorted(
        {
            str(each["as"])
            for gateway in clinic.gateways
            if gateway.name == given.get("gateway")
            for peer in given["peers"].values()
            for each in _forwards(clinic, gateway, peer)
            if each["to"] == (server.name, grant)
        }
    )


def laptop(clinic: Clinic, host: Host) -> dict[str, Any]:
    """Return what a workstation needs that reads by the tunnel, for the role reading_laptop; {} for any other.

    `closed` are the ranges that it reaches by the tunnel alone; the gateway's key is kept beside the clinic file.
    """
    given = clinic.given.get("remote_access", {"peers": {}})
    mine = [name for name, peer in given["peers"].items() if peer.get("workstation") == host.name]
    if not mine:
        return {}
    name, peer = mine[0], given["peers"][mine[0]]
    gateway = next(each for each in _ends(clinic) if each.name == given["gateway"])
    public = clinic_laptop.endpoint(clinic)
    ranges = [str(ipaddress.ip_network(text)) for text in given["network"]]
    return {
        "name": name,
        "gateway": gateway.name,
        "addresses": [str(ipaddress.ip_address(text)) for text in peer["addresses"]],
        "endpoint": f"{public}:{int(given.get('port', PORT))}",
        "reached": _device(clinic, gateway, name, peer)["reached"],
        "network": ranges,
        "closed": [*clinic.cidrs("lan"), *clinic.cidrs("admin"), *ranges],
    }


def forward(clinic: Clinic) -> dict[str, Any]:
    """Return the one forward that the internet box needs: UDP ports, gateway, IPv4 address; {} without a tunnel."""
    for host in _ends(clinic):
        found = tunnel(clinic, host)
        if found:
            address = next(text for text in found["reached"] if ":" not in text)
            return {"ports": found.get("ports", [found["port"]]), "gateway": host.name, "address": address}
    return {}


def _ends(clinic: Clinic) -> list[Host]:
    """Return the hosts on which a tunnel may end."""
    return [*clinic.servers, *clinic.gateways]


def _own(clinic: Clinic, host: Host) -> list[str]:
    return [str(address) for address in clinic.addresses(host, "lan")]


def _ssh(host: Host) -> int:
    return int(host.given["ssh"].get("port", 22))


def _device(clinic: Clinic, host: Host, name: str, peer: Mapping[str, Any]) -> dict[str, Any]:
    """Return one device as the roles take it: what it is granted on the host itself, and what is passed on for it."""
    apart = host.kind == "gateway"
    services = {"ssh": _ssh(host)} if apart else {"web": WEB, "ssh": _ssh(host)}
    passed = _forwards(clinic, host, peer) if apart else []
    versions = {address.version for text in peer["addresses"] if (address := literal(text)) is not None}
    own = [text for text in _own(clinic, host) if ipaddress.ip_address(text).version in versions]
    own = own if not apart or "ssh" in peer["may"] else []
    return {
        "name": name,
        "person": peer["person"],
        "public_key": peer.get("public_key", ""),
        "workstation": peer.get("workstation", ""),
        "addresses": [str(ipaddress.ip_address(text)) for text in peer["addresses"]],
        "services": {grant: services[grant] for grant in sorted(peer["may"]) if grant in services},
        "forwards": [{**each, "to": " ".join(each["to"])} for each in passed],
        "reached": list(dict.fromkeys([*(each["address"] for each in passed), *own])),
    }


def _forwards(clinic: Clinic, gateway: Host, peer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what a gateway passes on for a device: to whom and for what, address, port, and as whom it calls there.

    In each version of IP that device, gateway and server have; the gateway's address is one of the server's network.
    """
    versions = {address.version for text in peer["addresses"] if (address := literal(text)) is not None}
    return [
        {"to": (server.name, grant), "address": str(placed.address), "port": port, "as": str(own)}
        for server in clinic.servers
        for grant, port in (("web", WEB), *((("ssh", _ssh(server)),) if "ssh" in server.given else ()))
        if grant in peer["may"]
        for placed in server.placed
        if clinic.kind_of(placed.network) == "lan" and placed.address.version in versions
        if (own := _nearest(clinic, gateway, placed)) is not None
    ]


def _nearest(clinic: Clinic, gateway: Host, placed: Placed) -> Address | None:
    """Return the gateway's address on the network of an address, or else another of that version on the LAN."""
    here = [
        each
        for each in gateway.placed
        if clinic.kind_of(each.network) == "lan" and each.address.version == placed.address.version
    ]
    return next((each.address for each in sorted(here, key=lambda each: each.network != placed.network)), None)


def _gateway(clinic: Clinic) -> Found:
    name, path = clinic.given["remote_access"]["gateway"], (*HERE, "gateway")
    known = {each.name: each for each in _ends(clinic)}
    host = known.get(name)
    if host is None:
        clause = "which is no Orthanc server or gateway here"
        yield path, f"{dotted(path)} is {shown(name)}, {clause}; {nearest(name, list(known))}"
    elif "ssh" not in host.given:
        yield path, f"{dotted(path)} is a host that is never logged in to; accepted: a server with ssh"
    elif not any(address.version == 4 for address in clinic.addresses(host, "lan")):
        clause = "which has no IPv4 address of kind lan to forward to; accepted: a host with one"
        yield path, f"{dotted(path)} is {shown(name)}, {clause}"
    elif host.kind == "gateway":
        yield from _unreached(clinic, host, path)


def _unreached(clinic: Clinic, gateway: Host, path: Path) -> Found:
    """Yield each server to which a gateway passes nothing on, having no version of IP in common with it."""
    versions = {each.version for each in _ranges(clinic.given["remote_access"]["network"])}
    own = versions & {address.version for address in clinic.addresses(gateway, "lan")}
    for server in clinic.servers:
        if not own & {address.version for address in clinic.addresses(server, "lan")}:
            clause = f"which reaches no address of {dotted(server.path)} for the tunnel"
            accepted = "accepted: addresses of kind lan of one version of IP, at the gateway, the server and in network"
            yield path, f"{dotted(path)} is {shown(gateway.name)}, {clause}; {accepted}"


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
