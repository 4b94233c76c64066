# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tell a device that is off from one that is closed: on its own network each answers ARP, whatever it drops."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.internet_box import neighbours

COMPLETE = 0x2
"""ATF_COM in the flags of /proc/net/arp: the neighbour has said which its hardware address is (arp(7))."""


def absent(host: Host, addresses: Iterable[str]) -> list[str]:
    """Return those of IPv4 addresses that are on this machine's own networks and did not answer when tried."""
    near = neighbours(host)
    answered = _answered(host)
    return [
        text
        for text in addresses
        if (address := ipaddress.ip_address(text)).version == 4
        and any(address in network for network in near)
        and text not in answered
    ]


def _answered(host: Host) -> set[str]:
    rows = [line.split() for line in (host.text("/proc/net/arp") or "").splitlines()[1:]]
    return {row[0] for row in rows if len(row) > 3 and int(row[2], 16) & COMPLETE}
