# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reading from home by IPsec, where a clinic's policy names it: what the clinic file may then say, and what roles take.

Devices come by the IKEv2 client of their own system, which asks for certificates: a device hands in a request beside
the clinic file, and so has no public key in it. The tunnel ends on a server: kernel-libipsec of strongSwan 5.9 takes no
policy whose end here is no address of the host itself ("error installing route"), as of what a gateway passes on.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

from ansible_collections.radiology.hardening.plugins.plugin_utils import clinic_laptop
from ansible_collections.radiology.hardening.plugins.plugin_utils.clinic_model import Clinic
from ansible_collections.radiology.hardening.plugins.plugin_utils.clinic_text import Path, dotted

Found = Iterator[tuple[Path, str]]

IPSEC = "ipsec"
PORTS = (500, 4500)
"""UDP; those of IKEv2, and of IKEv2 and ESP behind address translation (RFC 7296, 2.23)."""
HERE: Path = ("remote_access",)


def is_chosen(clinic: Clinic) -> bool:
    """Tell whether the clinic's tunnel is one of IPsec."""
    return bool(clinic.given.get("remote_access", {}).get("protocol") == IPSEC)


def problems(clinic: Clinic) -> Found:
    """Yield what the clinic file says that IPsec has no use for, or lacks that it needs."""
    given = clinic.given["remote_access"]
    path: Path
    if "port" in given:
        path = (*HERE, "port")
        yield path, f"{dotted(path)} has no use with ipsec; accepted: no port, since IKEv2 has its own"
    path = (*HERE, "protocol")
    public = clinic_laptop.endpoint(clinic)
    if not public:
        clause = "but internet.addresses has no IPv4 address that the gateway's certificate could name"
        yield path, f"{dotted(path)} is ipsec, {clause}; accepted: the public address of the internet box there"
    elif any(ipaddress.ip_address(public) in each for each in clinic_laptop.UNROUTED):
        clause = f"but internet.addresses has {public} first, to which the internet has no way"
        yield path, f"{dotted(path)} is ipsec, {clause}; accepted: the public address of the internet box there"
    if given["gateway"] in {host.name for host in clinic.gateways}:
        clause = "but strongSwan of Debian 12 passes nothing on to servers"
        yield path, f"{dotted(path)} is ipsec, {clause}; accepted: an Orthanc server as gateway, or wireguard"
    for host in clinic.hosts:
        if host.kind != "vantage_point" and host.name == f"{given['gateway']}-tunnel":
            clause = f"has the name of the certificate of {dotted((*HERE, 'gateway'))}; accepted: a name of its own"
            yield host.path, f"{dotted(host.path)} {clause}"
    for name, peer in given["peers"].items():
        path = (*HERE, "peers", name)
        if "public_key" in peer:
            instead = f"no public_key, and the device's request in remote_access/{name}.csr"
            yield (*path, "public_key"), f"{dotted(path)}.public_key has no use with ipsec; accepted: {instead}"
        if "workstation" in peer:
            clause = "needs the protocol wireguard; accepted: a device that hands in a request, without workstation"
            yield (*path, "workstation"), f"{dotted(path)}.workstation {clause}"


def tunnel(clinic: Clinic) -> dict[str, Any]:
    """Return what a tunnel of IPsec has in the place of WireGuard's port, for the roles remote_access and firewall.

    `gateway` is the server's name, `endpoint` the public address that devices call.
    """
    about = {"gateway": clinic.given["remote_access"]["gateway"], "endpoint": clinic_laptop.endpoint(clinic)}
    return {"protocol": IPSEC, "port": PORTS[-1], "ports": [*PORTS], **about}
