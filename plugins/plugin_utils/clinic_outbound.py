# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where servers and gateways may call: what the clinic file says of it, checked, and as the firewall takes it."""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterator
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.dicom_tunnel import PORT as DICOM_TLS
from ansible_collections.radiology.hardening.plugins.plugin_utils import clinic_cleartext
from ansible_collections.radiology.hardening.plugins.plugin_utils.clinic_addresses import useless
from ansible_collections.radiology.hardening.plugins.plugin_utils.clinic_model import Clinic, Host, literal
from ansible_collections.radiology.hardening.plugins.plugin_utils.clinic_text import Path, dotted, shown

Found = Iterator[tuple[Path, str]]

PURPOSES: dict[str, tuple[tuple[str, str, tuple[int, ...]], ...]] = {
    "name_servers": (("DNS", "udp", (53,)), ("DNS over TCP", "tcp", (53,))),
    "time_servers": (("NTP", "udp", (123,)),),
    "package_mirrors": (("packages", "tcp", (80, 443)),),
    "log_hosts": (("log host", "tcp", (6514,)),),
}
"""Key of outbound -> what may be called there: name, protocol and ports (6514 is IANA's syslog-tls)."""

WEB_PORTS = {"http": 80, "https": 443}


def problems(clinic: Clinic) -> Found:
    """Outbound: literal addresses alone, and given where the profile asks for it."""
    strict = clinic.given.get("hardening_profile") == "strict"
    if strict and "outbound" not in clinic.given:
        yield (
            ("hardening_profile",),
            (
                "hardening_profile is strict, but outbound is not given; accepted: outbound with what the servers may "
                "call, or {} for nothing beside the clinic's devices"
            ),
        )
    for path, text in _texts(clinic.given.get("outbound", {})):
        refusal = _refusal(text)
        if refusal:
            yield path, f"{dotted(path)} is {shown(text)}, {refusal}"
    for server in (*clinic.servers, *clinic.gateways) if strict else ():
        url = _tang(server)
        if url and literal(urllib.parse.urlsplit(url).hostname or "") is None:
            path = (*server.path, "storage", "unlock", "tang", "url")
            clause = "a name, but profile strict lets the server call addresses alone; accepted: a literal address"
            yield path, f"{dotted(path)} is {shown(url)}, {clause}"


def destinations(clinic: Clinic, server: Host) -> list[dict[str, Any]]:
    """Return where a server or a gateway may call: as outbound says, and its Tang server.

    A server calls devices as well, and a box beside a modality the servers.
    """
    given = clinic.given.get("outbound", {})
    found = [
        _entry(name, protocol, ports, [str(literal(text)) for text in given[key]])
        for key, purposes in PURPOSES.items()
        if key in given
        for name, protocol, ports in purposes
    ]
    for name, other in given.get("others", {}).items():
        addresses = [str(literal(text)) for text in other["addresses"]]
        found.append(_entry(name, other.get("protocol", "tcp"), (other["port"],), addresses))
    for device in clinic.devices if server.kind == "orthanc_server" else ():
        if clinic_cleartext.is_called(clinic, device):
            addresses = [str(address) for address in clinic.addresses(device, "lan")]
            found.append(_entry(device.name, "tcp", (device.given["port"],), addresses))
    if "room" in server.given:
        for archive in clinic.servers:
            addresses = [str(address) for address in clinic.addresses(archive, "lan")]
            found.append(_entry(archive.name, "tcp", (DICOM_TLS,), addresses))
    url = urllib.parse.urlsplit(_tang(server))
    address = literal(url.hostname or "")
    if address is not None:
        found.append(_entry("tang", "tcp", (url.port or WEB_PORTS[url.scheme],), [str(address)]))
    return found


def _entry(name: str, protocol: str, ports: tuple[int, ...], addresses: list[str]) -> dict[str, Any]:
    return {"name": name, "protocol": protocol, "ports": list(ports), "addresses": addresses}


def _texts(outbound: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    """Yield each address of outbound as it is written, and where."""
    for key in PURPOSES:
        for place, text in enumerate(outbound.get(key, [])):
            yield ("outbound", key, place), text
    for name, other in outbound.get("others", {}).items():
        for place, text in enumerate(other["addresses"]):
            yield ("outbound", "others", name, "addresses", place), text


def _refusal(text: str) -> str:
    """Say why a text is no address to call; empty when it is one."""
    if "/" in text:
        return "a range; accepted: each address alone, since whoever else is in the range could be called too"
    address = literal(text)
    if address is None:
        return "no literal address; accepted: an IPv4 or IPv6 address, because those of a name change behind its back"
    return useless(address)


def _tang(server: Host) -> str:
    return str(server.given.get("storage", {}).get("unlock", {}).get("tang", {}).get("url", ""))
