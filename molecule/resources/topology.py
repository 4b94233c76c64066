# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lab as topology.yml describes it."""

from __future__ import annotations

import dataclasses
import ipaddress
from pathlib import Path

import yaml

FILE = Path(__file__).with_name("topology.yml")


@dataclasses.dataclass(frozen=True)
class Host:
    """A host of the lab; `addresses` gives, for each network it is on, its IPv4 and IPv6 addresses with prefix."""

    name: str
    release: str
    addresses: dict[str, tuple[str, ...]]

    @property
    def kind(self) -> str:
        """What it plays: attacker, home, box, gate, pacs, ws, ct, us, laptop, side, old."""
        return self.name.partition("-")[0]

    @property
    def clinic(self) -> str | None:
        """The clinic that it belongs to; the attacker and who is at home to none."""
        number = self.name.partition("-")[2]
        return next((name for name, known in TOPOLOGY.clinics.items() if str(known) == number), None)

    def plain(self, network: str) -> tuple[str, str]:
        """Return the IPv4 and IPv6 addresses on a network, without their prefixes."""
        return tuple(address.partition("/")[0] for address in self.addresses[network])  # type: ignore[return-value]


@dataclasses.dataclass(frozen=True)
class Topology:
    """Networks, clinics (name to number) and hosts."""

    networks: dict[str, tuple[str, ...]]
    clinics: dict[str, int]
    hosts: dict[str, Host]


def read() -> Topology:
    """Read topology.yml; the last part of an address is the same figure in IPv4 and IPv6."""
    known = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    networks = {name: tuple(cidrs) for name, cidrs in known["networks"].items()}

    def address(network: str, last: int) -> tuple[str, ...]:
        ranges = (ipaddress.ip_network(cidr) for cidr in networks[network])
        return tuple(f"{each[last if each.version == 4 else int(str(last), 16)]}/{each.prefixlen}" for each in ranges)

    hosts = {
        name: Host(
            name,
            told["release"],
            {where: address(where, last) for where, last in told["addresses"].items()},
        )
        for name, told in known["hosts"].items()
    }
    return Topology(networks, known["clinics"], hosts)


TOPOLOGY = read()
