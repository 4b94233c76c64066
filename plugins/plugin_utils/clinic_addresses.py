# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The addresses of a clinic file: literal, in their networks, each once, and told apart on loopback."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from ansible_collections.radiology.hardening.plugins.plugin_utils.clinic_model import (
    DEVICES,
    INTERNET,
    Address,
    Clinic,
    Host,
    Network,
    literal,
)
from ansible_collections.radiology.hardening.plugins.plugin_utils.clinic_schema import nearest
from ansible_collections.radiology.hardening.plugins.plugin_utils.clinic_text import Path, dotted, shown

Found = Iterator[tuple[Path, str]]

WIDEST = {4: 8, 6: 16}
"""IP version -> shortest prefix of a clinic's network; a wider one would declare half the internet."""

ONE = "accepted: one IPv4 and at most one IPv6 address, from which the device speaks DICOM"

RESERVED_LOOPBACKS = frozenset({"127.0.0.0", "127.0.0.1", "127.255.255.255"})
"""Loopback addresses that can stand for no device: the network, the server itself, broadcast."""


def loopback(address: ipaddress.IPv4Address) -> str:
    """Return the loopback address that stands for a device on the Orthanc server: 127 and the last three octets."""
    return f"127.{str(address).partition('.')[2]}"


def networks(clinic: Clinic) -> Found:
    """Networks: readable, not too wide, none over another, at least one to image in and one to administer from."""
    seen: list[tuple[Network, Path]] = []
    for name, network in clinic.given["networks"].items():
        if name == INTERNET:
            yield ("networks", name), "networks.internet is not the clinic's own; accepted: another name"
        for place, text in enumerate(network["cidrs"]):
            path: Path = ("networks", name, "cidrs", place)
            refusal = unusable(text)
            if refusal:
                yield path, f"{dotted(path)} is {shown(text)}, {refusal}"
                continue
            cidr = ipaddress.ip_network(text)
            for other, where in seen:
                if cidr.overlaps(other):
                    yield (
                        path,
                        f"{dotted(path)} is {shown(text)}, which overlaps {dotted(where)}; accepted: ranges apart",
                    )
            seen.append((cidr, path))
    kinds = [network["kind"] for network in clinic.given["networks"].values()]
    for kind, why in (("lan", "for images"), ("admin", "from which the servers are administered")):
        if kind not in kinds:
            yield ("networks",), f"networks has none of kind {kind}; accepted: at least one {why}"


def public(clinic: Clinic) -> Found:
    """Public addresses of the box: literal, and none of the clinic's own networks."""
    for place, text in enumerate(clinic.given.get("internet", {}).get("addresses", [])):
        path: Path = ("internet", "addresses", place)
        refusal = _no_literal(text)
        address = literal(text)
        if refusal:
            yield path, f"{dotted(path)} is {shown(text)}, {refusal}"
        elif address and any(
            address in cidr for network in clinic.given["networks"] for cidr in _ranges(clinic, network)
        ):
            yield (
                path,
                f"{dotted(path)} is {shown(text)}, inside the clinic; accepted: an address of the box on the internet",
            )


def hosts(clinic: Clinic) -> Found:
    """Hosts: literal addresses inside the networks they are given under, no address twice, one to image from.

    A modality alone has the addresses of another: of the box that stands beside it (see clinic_room).
    """
    seen: dict[Address, str] = {}
    for host in clinic.hosts:
        unreadable = list(_texts(clinic, host))
        yield from unreadable
        box = clinic.box_of(host)
        of_box = [dotted(placed.path) for placed in box.placed] if box else []
        for placed in host.placed:
            key = dotted(placed.path)
            first = seen.setdefault(placed.address, key)
            if first not in (key, *of_box):
                yield (
                    placed.path,
                    f"{key} is {shown(str(placed.address))}, as {first} is; accepted: an address of its own",
                )
        if host.kind != "vantage_point" and not unreadable:
            yield from _on_the_lan(clinic, host)


def loopbacks(clinic: Clinic) -> Found:
    """Devices: the last three octets of their IPv4 addresses name them on the server, so they must differ."""
    seen: dict[str, str] = {}
    for host in clinic.devices:
        for placed in host.placed:
            if not isinstance(placed.address, ipaddress.IPv4Address) or _kind(clinic, placed.network) != "lan":
                continue
            key = dotted(placed.path)
            stands_for = loopback(placed.address)
            first = seen.setdefault(stands_for, key)
            if stands_for in RESERVED_LOOPBACKS:
                clause = f"is {shown(str(placed.address))}, which would stand as {stands_for} on the server"
                yield placed.path, f"{key} {clause}; accepted: other last three octets"
            elif first != key:
                yield (
                    placed.path,
                    f"{key} is {shown(str(placed.address))}, which ends as {first} does; accepted: other octets",
                )


def _texts(clinic: Clinic, host: Host) -> Found:
    """Yield what is wrong with each address as it is written."""
    known = list(clinic.given["networks"])
    outside = host.given.get("kind") == INTERNET
    for network, listed in host.given.get("addresses", {}).items():
        path: Path = (*host.path, "addresses", network)
        if outside and network != INTERNET:
            yield path, f"{dotted(path)} is inside the clinic; accepted: internet, for a vantage point of kind internet"
            continue
        if not outside and network not in known:
            yield path, f"{dotted(path)} is no network of this file; {nearest(network, known)}"
            continue
        for place, text in enumerate(listed):
            refusal = _no_literal(text) or _misplaced(clinic, network, literal(text))
            if refusal:
                yield (*path, place), f"{dotted((*path, place))} is {shown(text)}, {refusal}"


def _on_the_lan(clinic: Clinic, host: Host) -> Found:
    """Yield what a host lacks, or has too much of, on the networks where images travel."""
    path: Path = (*host.path, "addresses")
    here = [placed.address for placed in host.placed if _kind(clinic, placed.network) == "lan"]
    versions = [address.version for address in here]
    if host.kind in DEVICES and (versions.count(4) != 1 or versions.count(6) > 1):
        yield (
            path,
            f"{dotted(path)} has {versions.count(4)} IPv4 and {versions.count(6)} IPv6 addresses of kind lan; {ONE}",
        )
    elif not here:
        yield path, f"{dotted(path)} has none on a network of kind lan; accepted: at least one"


def _misplaced(clinic: Clinic, network: str, address: Address | None) -> str:
    """Say why an address cannot be one of a host on this network; empty when it can."""
    if address is None:
        return ""
    if network == INTERNET:
        inside = [name for name in clinic.given["networks"] if any(address in cidr for cidr in _ranges(clinic, name))]
        return f"inside network {inside[0]}; accepted: an address outside the clinic" if inside else ""
    ranges = _ranges(clinic, network)
    around = [cidr for cidr in ranges if address in cidr]
    if len(ranges) < len(clinic.given["networks"][network]["cidrs"]) and not around:
        return ""  # a range of the network is refused already; what it would have held cannot be told
    if not around:
        return f"outside network {network}; accepted: an address in {', '.join(map(str, ranges))}"
    cidr = around[0]
    if cidr.prefixlen < cidr.max_prefixlen - 1:
        if address == cidr.network_address:
            return f"the address of network {cidr} itself; accepted: an address of a host"
        if address.version == 4 and address == cidr.broadcast_address:
            return f"the broadcast address of network {cidr}; accepted: an address of a host"
    return ""


def _no_literal(text: str) -> str:
    """Say why a text is no literal address of a host; empty when it is one."""
    if "%" in text:
        return "with a zone id; accepted: a literal address without %"
    if "/" in text:
        return "with a prefix length; accepted: the address alone"
    address = literal(text)
    if address is None:
        return "no literal address; accepted: an IPv4 or IPv6 address, because Orthanc compares addresses and not names"
    return useless(address)


def useless(address: Address) -> str:
    """Say why an address is none that hosts reach each other by; empty when it is one."""
    if address.is_loopback or address.is_multicast or address.is_unspecified or address.is_link_local:
        return "of no use between hosts; accepted: an address that is not loopback, link-local or multicast"
    return ""


def unusable(text: str) -> str:
    """Say why a text is no range of a clinic's network; empty when it is one."""
    if "/" not in text or "%" in text:
        return 'no address range; accepted: a range such as "192.168.10.0/24"'
    try:
        cidr = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return 'no address range; accepted: a range such as "192.168.10.0/24"'
    if not text.lower().startswith(f"{text.lower().partition('/')[0]}/{cidr.prefixlen}"):
        return f'with a mask; accepted: a prefix length, "{cidr}"'
    if ipaddress.ip_address(text.partition("/")[0]) != cidr.network_address:
        return f'the address of a host; accepted: that of its network, "{cidr}"'
    if cidr.prefixlen < WIDEST[cidr.version]:
        return f"too wide for a clinic; accepted: /{WIDEST[cidr.version]} or narrower"
    if cidr.is_loopback or cidr.is_multicast or cidr.is_link_local or cidr.is_unspecified:
        return "of no use between hosts; accepted: a range that is not loopback, link-local or multicast"
    return ""


def _ranges(clinic: Clinic, network: str) -> list[Network]:
    """Return the readable ranges of a network."""
    return [ipaddress.ip_network(text) for text in clinic.given["networks"][network]["cidrs"] if not unusable(text)]


def _kind(clinic: Clinic, network: str) -> str:
    """Return a network's kind; empty where the file has no such network."""
    return str(clinic.given["networks"].get(network, {}).get("kind", ""))
