# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A workstation of the clinic file that is carried home: what the file may say of it, and where it calls."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.plugin_utils.clinic_addresses import unusable
from ansible_collections.radiology.hardening.plugins.plugin_utils.clinic_model import Clinic, Host, literal
from ansible_collections.radiology.hardening.plugins.plugin_utils.clinic_schema import nearest
from ansible_collections.radiology.hardening.plugins.plugin_utils.clinic_text import Path, dotted, shown

Found = Iterator[tuple[Path, str]]

OF_HOMES = tuple(
    ipaddress.ip_network(text)
    for text in (
        *("192.168.0.0/22", "192.168.4.0/22", "192.168.8.0/24", "192.168.31.0/24", "192.168.43.0/24"),
        *("192.168.50.0/24", "192.168.68.0/22", "192.168.86.0/24", "192.168.88.0/24", "192.168.100.0/24"),
        *("192.168.137.0/24", "192.168.178.0/24", "172.20.10.0/28", "10.0.0.0/24", "10.0.1.0/24"),
    )
)
"""The usual ranges of homes: what boxes (Orange, Free, SFR, Telekom, AVM, Huawei, ASUS, TP-Link, eero...) and the
hotspots of telephones and of Windows give out as they are sold."""
UNROUTED = tuple(
    ipaddress.ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
)
"""Ranges that the internet has no way to: private ones (RFC 1918), and providers' shared ones (RFC 6598)."""


def endpoint(clinic: Clinic) -> str:
    """Return the clinic's public IPv4 address, which its box forwards from; empty where the file gives none."""
    given = clinic.given.get("internet", {}).get("addresses", [])
    found = (address for text in given if (address := literal(text)) is not None and address.version == 4)
    return str(next(found, ""))


def time_servers(clinic: Clinic) -> list[str]:
    """Return the time servers that a laptop reaches at home as well; without any, its time service has its own."""
    given = map(ipaddress.ip_address, clinic.given.get("outbound", {}).get("time_servers", []))
    inside = [ipaddress.ip_network(text) for network in clinic.given["networks"].values() for text in network["cidrs"]]
    return [
        str(address)
        for address in given
        if not any(address.version == cidr.version and address in cidr for cidr in (*inside, *UNROUTED))
    ]


def problems(clinic: Clinic, path: Path, peer: Mapping[str, Any]) -> Found:
    """Yield what is wrong: a device has a key, or is a workstation that makes it and that is fit to be at home."""
    if ("public_key" in peer) == ("workstation" in peer):
        has = "has both public_key and workstation" if "public_key" in peer else "lacks public_key or workstation"
        yield path, f"{dotted(path)} {has}; accepted: one of the two, the latter for a workstation that is hardened"
    elif "workstation" in peer:
        yield from _workstation(clinic, path, str(peer["workstation"]))


def _workstation(clinic: Clinic, path: Path, name: str) -> Found:
    here: Path = (*path, "workstation")
    key = dotted(here)
    known = {each.name: each for each in clinic.hosts if each.kind == "workstation"}
    first = next(
        (each for each, peer in clinic.given["remote_access"]["peers"].items() if peer.get("workstation") == name), ""
    )
    if name not in known:
        yield here, f"{key} is {shown(name)}, which is no workstation here; {nearest(name, list(known))}"
        return
    if first != path[-1]:
        yield here, f"{key} is that of {dotted((*path[:-1], first))}; accepted: a workstation for each device"
    yield from _unfit(here, known[name])
    public = endpoint(clinic)
    if not public:
        clause = "but internet.addresses has no IPv4 address at which it would call"
        yield here, f"{key} is {shown(name)}, {clause}; accepted: the public address of the internet box there"
    elif any(ipaddress.ip_address(public) in each for each in UNROUTED):
        clause = f"but internet.addresses has {public} first, to which the internet has no way"
        yield here, f"{key} is {shown(name)}, {clause}; accepted: the public address of the internet box there"
    yield from _at_home(clinic, here)


def _unfit(path: Path, host: Host) -> Found:
    """Yield why a workstation cannot be one that is carried home."""
    key, given = dotted(path), host.given
    if "ssh" not in given or given.get("lost"):
        yield path, f"{key} is {shown(host.name)}, which is never logged in to; accepted: a workstation with ssh"
    accepted = "accepted: a workstation without port, tunnel and cleartext"
    for listens in [each for each in ("port", "tunnel") if given.get(each)]:
        clause = f"which has {listens}, and so waits for DICOM wherever it is"
        yield path, f"{key} is {shown(host.name)}, {clause}; {accepted}"
    if "cleartext" in given:
        clause = "which has cleartext, a port in clear that its address opens to whoever takes it while it is away"
        yield path, f"{key} is {shown(host.name)}, {clause}; {accepted}"


def _at_home(clinic: Clinic, path: Path) -> Found:
    """Yield the networks of kind admin, from which its SSH is reached, that homes have as well."""
    for name, network in clinic.given["networks"].items():
        for text in network["cidrs"] if network["kind"] == "admin" else ():
            cidr = None if unusable(text) else ipaddress.ip_network(text)
            if cidr is not None and any(cidr.version == each.version and cidr.overlaps(each) for each in OF_HOMES):
                clause = f"but network {name} is {text}, which homes have too: its SSH would answer whoever is there"
                yield path, f"{dotted(path)} is carried home, {clause}; accepted: another range of kind admin"
