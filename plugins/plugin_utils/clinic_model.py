# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a clinic file says, as objects: networks, hosts and their literal addresses.

Built from data that its JSON Schema accepts; addresses that cannot be read are left to `clinic_checks`.
"""

from __future__ import annotations

import dataclasses
import datetime
import ipaddress
from typing import Any

from ansible_collections.radiology.hardening.plugins.plugin_utils.clinic_text import Path

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

INTERNET = "internet"
"""The word under which a vantage point on the internet gives its addresses; no network is called so."""

KINDS = {
    "orthanc_servers": "orthanc_server",
    "gateways": "gateway",
    "workstations": "workstation",
    "modalities": "modality",
    "vantage_points": "vantage_point",
}
"""Key of the clinic file -> kind of its hosts; the keys are the names of the inventory's groups as well."""

DEVICES = ("workstation", "modality")
"""The kinds of host that are declared DICOM peers of the Orthanc servers."""


@dataclasses.dataclass(frozen=True)
class Placed:
    """A literal address, the network that it is given under, and where the file says so."""

    address: Address
    network: str
    path: Path


@dataclasses.dataclass(frozen=True)
class Host:
    """One host of the clinic file, with what the file says of it."""

    name: str
    kind: str
    path: Path
    given: dict[str, Any]
    placed: tuple[Placed, ...]

    @property
    def ae_title(self) -> str:
        """AE title without its padding, which is not significant (PS3.5 section 6.2); empty where there is none."""
        return str(self.given.get("ae_title", "")).strip(" ")


@dataclasses.dataclass(frozen=True)
class Clinic:
    """A clinic file as objects."""

    given: dict[str, Any]
    hosts: tuple[Host, ...]
    today: datetime.date

    @property
    def name(self) -> str:
        """Short name of the clinic."""
        return str(self.given["name"])

    def kind_of(self, network: str) -> str:
        """Return the kind of a network: lan, admin, guest, or internet; empty for one that the file does not have."""
        return INTERNET if network == INTERNET else str(self.given["networks"].get(network, {}).get("kind", ""))

    def cidrs(self, kind: str) -> list[str]:
        """Return the ranges of all networks of a kind, in the file's order."""
        return [
            str(ipaddress.ip_network(cidr))
            for network in self.given["networks"].values()
            if network["kind"] == kind
            for cidr in network["cidrs"]
        ]

    def addresses(self, host: Host, *kinds: str) -> list[Address]:
        """Return a host's addresses on networks of these kinds (all when none is named), in the file's order."""
        return [
            placed.address for placed in self.source(host).placed if not kinds or self.kind_of(placed.network) in kinds
        ]

    def source(self, host: Host) -> Host:
        """Return the host whose addresses this one has: for a vantage point of kind peer, its device."""
        named = host.given.get("device")
        return next((other for other in self.devices if other.name == named), host) if named else host

    @property
    def devices(self) -> list[Host]:
        """The declared DICOM peers: workstations and modalities."""
        return [host for host in self.hosts if host.kind in DEVICES]

    @property
    def servers(self) -> list[Host]:
        """The Orthanc servers."""
        return [host for host in self.hosts if host.kind == "orthanc_server"]

    @property
    def gateways(self) -> list[Host]:
        """The hosts between the clinic and others, which keep no images and speak no DICOM of their own."""
        return [host for host in self.hosts if host.kind == "gateway"]

    def box_of(self, host: Host) -> Host | None:
        """Return the gateway that stands beside a modality and has its addresses for everybody else."""
        beside = (each for each in self.gateways if each.given.get("room", {}).get("modality") == host.name)
        return next(beside, None) if host.kind == "modality" else None


def clinic(given: dict[str, Any], today: datetime.date) -> Clinic:
    """Build the objects from data that the schema accepts; `today` tells what has expired."""
    hosts = [
        Host(name, kind, (key, name), host, tuple(_placed(host.get("addresses", {}), (key, name, "addresses"))))
        for key, kind in KINDS.items()
        for name, host in given.get(key, {}).items()
    ]
    return Clinic(given, tuple(hosts), today)


def literal(text: str) -> Address | None:
    """Return a literal address without zone id, or None."""
    try:
        return None if "%" in text else ipaddress.ip_address(text)
    except ValueError:
        return None


def _placed(addresses: dict[str, list[str]], path: Path) -> list[Placed]:
    return [
        Placed(address, network, (*path, network, place))
        for network, listed in addresses.items()
        for place, text in enumerate(listed)
        if (address := literal(text)) is not None
    ]
