# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the hosts of a clinic may be called for, and from where: all that their firewalls let in."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.plugin_utils import clinic_cleartext, clinic_remote
from ansible_collections.radiology.hardening.plugins.plugin_utils.clinic_model import INTERNET, Address, Clinic, Host

MOST_CONNECTIONS = {"https": 200}
"""Service -> connections that one address may have at once. A browser opens six; the web front has two thousand places,
and no address may ask for more than a hundred things at once (nginx counts those only after the handshake)."""
DICOM_TLS, HTTPS, SSH = 2762, 443, 22
"""TCP ports of a hardened server (2762 is IANA's dicom-tls), and of SSH where the clinic file names no other."""


def of_host(clinic: Clinic, host: Host) -> list[dict[str, Any]]:
    """Return what a hardened host may be called for: name, TCP port, sources; none of another host.

    SSH is declared on the port of the host's `ssh` block, so that the engineer who came by it stays in.
    """
    if host.kind == "orthanc_server":
        return [*_of_server(clinic, host), _ssh(clinic, host), *clinic_cleartext.services(clinic)]
    if host.kind == "workstation" and _managed(host):
        return [*_of_viewer(clinic, host), _ssh(clinic, host)]
    if host.kind == "gateway":
        spoken_for = [device for device in clinic.devices if clinic.box_of(device) == host]
        return [*(each for device in spoken_for for each in _of_viewer(clinic, device)), _ssh(clinic, host)]
    return []


def answering(clinic: Clinic, vantage: Host, host: Host) -> list[int]:
    """Return the ports of services whose sources hold an address of the vantage point; none for the internet."""
    if vantage.given["kind"] == INTERNET:
        return []
    standing = clinic.addresses(vantage)
    return sorted(
        service["port"]
        for service in of_host(clinic, host)
        if any(address in ipaddress.ip_network(source) for address in standing for source in service["sources"])
    )


def _of_server(clinic: Clinic, server: Host) -> list[dict[str, Any]]:
    devices = [
        address
        for host in clinic.devices
        if host.given["tls"] and not host.given.get("lost")
        for address in clinic.addresses(host, "lan")
    ]
    workstations = [
        address for host in clinic.hosts if host.kind == "workstation" for address in clinic.addresses(host, "lan")
    ]
    web = _service(
        "https", HTTPS, [*_texts(workstations), *clinic.cidrs("admin"), *clinic_remote.callers(clinic, server, "web")]
    )
    return [_service("dicom-tls", DICOM_TLS, _texts(devices)), web | {"most": MOST_CONNECTIONS["https"]}]


def _of_viewer(clinic: Clinic, host: Host) -> list[dict[str, Any]]:
    """Return the port on which a device waits for what it asked of the servers (C-MOVE): they alone call it there."""
    if not clinic_cleartext.is_called(clinic, host):
        return []
    servers = [address for server in clinic.servers for address in clinic.addresses(server, "lan")]
    name = "dicom-tls" if host.given["tls"] else "dicom-clear"
    listed = _service(name, int(host.given["port"]), _texts(servers))
    return [listed if host.given["tls"] else listed | {"until": str(host.given["cleartext"]["expires"])}]


def _ssh(clinic: Clinic, host: Host) -> dict[str, Any]:
    port = int(host.given.get("ssh", {}).get("port", SSH))
    return _service("ssh", port, [*clinic.cidrs("admin"), *clinic_remote.callers(clinic, host, "ssh")])


def _managed(host: Host) -> bool:
    return "ssh" in host.given and not host.given.get("lost")


def _service(name: str, port: int, sources: Sequence[str]) -> dict[str, Any]:
    return {"name": name, "port": port, "sources": list(sources)}


def _texts(addresses: Sequence[Address]) -> list[str]:
    return [str(address) for address in addresses]
