# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What goes out of the host: the lines of the chain `output`, and what nftables says of them. Pure functions.

Rules take literal addresses alone. A name, such as a package mirror's, would be resolved once, when the rules are
loaded: at a boot before there is a network, which fails; later it leads elsewhere than the rules say.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.internet_box_words import MARK

UPNP = "upnp and nat-pmp"
DISCOVERY = "discovery"
"""Comments of the rules that keep the host silent, whatever else may go out."""

SILENT = (
    f'ip ttl 1 meta mark {MARK:#x} accept comment "asks the box"',
    f'udp dport {{ 1900, 5351 }} drop comment "{UPNP}"',
    f'udp dport {{ 3702, 5353, 5355 }} drop comment "{DISCOVERY}"',
)
"""SSDP and NAT-PMP; WS-Discovery, mDNS and LLMNR: none but our own questions to the box, which die at the next router,
and whose mark none but root may set, who may change these rules as well. The same ports come in nowhere: no service
declares them."""

ORTHANC_PORT = 4242
CALLERS = {"orthanc port": "dicom-front", "device addresses": "orthanc"}
"""Comment of a rule about loopback, and the one account that may call there (dicom_tls says why)."""

STEADY = (UPNP, DISCOVERY, *CALLERS)
"""Comments of the rules that stand whatever the destinations are."""

ALWAYS = (
    'oifname "lo" accept comment "loopback out"',
    'ct state { established, related } accept comment "answers"',
    'icmp type { destination-unreachable, time-exceeded, parameter-problem } accept comment "icmp out"',
    (
        "icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem } "
        'accept comment "icmpv6 out"'
    ),
    (
        "icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert } ip6 hoplimit 255 accept "
        'comment "neighbours out"'
    ),
    'icmpv6 type { mld-listener-report, mld2-listener-report } accept comment "multicast listeners"',
    'udp sport 68 udp dport 67 accept comment "dhcp out"',
    'udp sport 546 udp dport 547 accept comment "dhcpv6 out"',
)
"""What a host cannot live on a network without, and what answers those who were let in."""

LAST = (
    'limit rate 10/minute burst 20 packets log prefix "radiology drop out: " level info comment "log out"',
    'counter reject with icmpx admin-prohibited comment "not sent"',
)
"""A program learns at once that its connection is not allowed, in place of waiting minutes for an answer."""

PING = {"ip": "icmp type echo-request", "ip6": "icmpv6 type echo-request"}
FAMILIES = ((4, "ip"), (6, "ip6"))


def callers(devices: Sequence[Mapping[str, Any]], accounts: Mapping[str, int]) -> list[str]:
    """Return the rules by which the front alone reaches Orthanc's DICOM port, and Orthanc alone its devices.

    `accounts` are those of CALLERS that the host has, with their numbers: a name that is gone would keep the whole
    table from being loaded at a boot. Packets that no socket sends, such as resets, match neither rule.
    """
    addresses = sorted({str(device["loopback"]) for device in devices}, key=ipaddress.ip_address)
    where = {
        "orthanc port": f"tcp dport {ORTHANC_PORT}",
        "device addresses": f"ip daddr {{ {', '.join(addresses)} }} ip protocol tcp" if addresses else "",
    }
    return [
        f'oifname "lo" {where[comment]} meta skuid != {accounts[user]} reject with tcp reset comment "{comment}"'
        for comment, user in CALLERS.items()
        if user in accounts and where[comment]
    ]


def overdue(devices: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the rules by which calls in clear to a device end with the last day of its declaration, run or no run."""
    called = [device for device in devices if device.get("port") and (device.get("cleartext") or {}).get("in_force")]
    return [
        f"ip daddr {device['address']} tcp dport {int(device['port'])} "
        f"meta time >= {end_of(device['cleartext']['expires'])} "
        f'reject with tcp reset comment "{device["name"]} in clear is over"'
        for device in called
    ]


def end_of(day: str) -> str:
    """Return when a day ends, by the host's clock, as nftables has it."""
    return f'"{(datetime.date.fromisoformat(day) + datetime.timedelta(days=1)).isoformat()} 00:00:00"'


def lines(
    services: Sequence[Mapping[str, Any]], destinations: Sequence[Mapping[str, Any]], networks: Sequence[str] = ()
) -> list[str]:
    """Return the rules of an output restricted to destinations: name, protocol, ports, and literal addresses.

    Pings go to them and to the clinic's `networks`: whoever pings the whole internet carries images away in pings.
    """
    near = [*networks, *(address for destination in destinations for address in destination["addresses"])]
    pings = [
        f'{keyword} daddr {found} {PING[keyword]} accept comment "ping {keyword}"' for keyword, found in sets(near)
    ]
    answers = [line for service in services for line in _answers(service)]
    allowed = [line for destination in destinations for line in _allowed(destination)]
    return [*ALWAYS, *pings, *answers, *allowed, *LAST]


def sets(addresses: Sequence[Any]) -> Iterator[tuple[str, str]]:
    """Yield, for each family that has any of the addresses or networks, its keyword and the set as nftables has it."""
    networks: list[Any] = [ipaddress.ip_network(str(address)) for address in addresses]
    for version, keyword in FAMILIES:
        mine = sorted({network for network in networks if network.version == version}, key=str)
        merged = ", ".join(_short(network) for network in ipaddress.collapse_addresses(mine))
        if merged:
            yield keyword, f"{{ {merged} }}"


def _answers(service: Mapping[str, Any]) -> Iterator[str]:
    """Yield rules for connections that are older than the rules, the engineer's own session above all.

    The kernel's tracking knows none of them before a packet came in, so a packet that goes out counts as new.
    """
    port, name = int(service["port"]), service["name"]
    for keyword, wanted in sets(service["sources"]):
        flags = "tcp flags & (syn | ack) != syn"
        yield f'{keyword} daddr {wanted} tcp sport {port} {flags} accept comment "{name} answers {keyword}"'


def _allowed(destination: Mapping[str, Any]) -> Iterator[str]:
    ports = ", ".join(str(int(port)) for port in destination["ports"])
    for keyword, wanted in sets(destination["addresses"]):
        port = f"{destination['protocol']} dport {{ {ports} }}"
        yield f'{keyword} daddr {wanted} {port} accept comment "to {destination["name"]} {keyword}"'


def _short(network: Any) -> str:
    return str(network.network_address) if network.num_addresses == 1 else str(network)
