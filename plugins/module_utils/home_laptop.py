# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A laptop that reads by the tunnel: what its files say, and what WireGuard and nftables say of it. Pure functions.

It reaches the clinic's ranges by the tunnel alone. A rule of nftables says so, whatever the routes are: at a home that
has a range of the clinic's, or with the tunnel down, what is meant for the archive would go to whoever is there.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import firewall_output, firewall_rules, home_tunnel
from ansible_collections.radiology.hardening.plugins.module_utils.firewall_tunnel import INTERFACE

KEEPALIVE = 25
"""Seconds; what wg(8) advises behind the address translation of a home's box."""
TABLE = "radiology_home"
RULES = f"{home_tunnel.FOLDER}/closed.nft"
RULES_UNIT = "radiology-tunnel-closed.service"
RULES_UNIT_FILE = f"/etc/systemd/system/{RULES_UNIT}"

SERVICE = f"""\
# Kept by radiology.hardening (role reading_laptop): the tunnel by which this machine reaches the clinic.
[Unit]
Description=Tunnel to the clinic
After=network.target radiology-firewall.service {RULES_UNIT}

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStartPre=-/usr/sbin/ip link delete dev {INTERFACE}
ExecStart=/usr/bin/wg-quick up {home_tunnel.CONFIGURATION}
ExecStop=-/usr/bin/wg-quick down {home_tunnel.CONFIGURATION}
Restart=on-failure
RestartSec=5

[Install]
WantedBy=multi-user.target
"""

RULES_SERVICE = firewall_rules.LOADING % {
    "keeper": "role reading_laptop",
    "keeps": "the rules are loaded",
    "title": "The clinic is reached by the tunnel alone",
    "file": RULES,
}

TEMPLATE = """\
# Kept by radiology.hardening (role reading_laptop). Loading it replaces this table and touches no other.
table inet %(table)s
delete table inet %(table)s
table inet %(table)s {
  chain output {
    type filter hook output priority filter; policy accept;
    oifname { "lo", "%(interface)s" } accept comment "loopback and tunnel"
    ct direction reply accept comment "answers"
    tcp sport %(ssh)d tcp flags & (syn | ack) != syn accept comment "answers of ssh"
    meta l4proto { tcp, udp } th dport 53 accept comment "names"
    %(asks)s
    udp dport { 67, 123, 547 } accept comment "address and time"
    icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert } accept comment "neighbours"
%(closed)s
  }
}
"""
"""`answers of ssh` are of sessions that are older than the rules; the kernel's tracking knows none of them."""


def configuration(laptop: Mapping[str, Any]) -> str:
    """Return wg-quick's configuration; the private key has a file of its own."""
    lines = [
        "# Kept by radiology.hardening (role reading_laptop): the way to the clinic's gateway, and no other.",
        "[Interface]",
        f"Address = {', '.join(own(laptop))}",
        f"PostUp = wg set %i private-key {home_tunnel.KEY}",
        "",
        f"# {laptop['gateway']}",
        "[Peer]",
        f"PublicKey = {laptop['gateway_key']}",
        f"Endpoint = {laptop['endpoint']}",
        f"AllowedIPs = {', '.join(reached(laptop))}",
        f"PersistentKeepalive = {KEEPALIVE}",
    ]
    return "\n".join(lines) + "\n"


def own(laptop: Mapping[str, Any]) -> list[str]:
    """Return its addresses in the tunnel, each alone."""
    return sorted(map(_alone, laptop["addresses"]))


def reached(laptop: Mapping[str, Any]) -> list[str]:
    """Return the gateway's addresses, each alone: what goes into the tunnel, and may come out of it."""
    return sorted(map(_alone, laptop["reached"]))


def unlike(shown: Mapping[str, str], listing: str, public: str | None, laptop: Mapping[str, Any]) -> list[str]:
    """Return in what the running tunnel is not the declared one.

    `shown`: what `wg show` says of public-key and allowed-ips. `listing`: `ip -json address`. `public`: the own key.
    """
    found = [] if shown["public-key"].strip() == public else ["another key than that of its file"]
    there = home_tunnel.peers(shown["allowed-ips"])
    others = sorted(f"key {key[:8]}... of nobody" for key in there if key != laptop["gateway_key"])
    ranges = there.get(laptop["gateway_key"], frozenset())
    if laptop["gateway_key"] not in there:
        found.append(f"no way to {laptop['gateway']}")
    elif ranges != frozenset(reached(laptop)):
        found.append(f"by it go {', '.join(sorted(ranges)) or 'none'} instead of {', '.join(reached(laptop))}")
    standing = home_tunnel.addresses(listing)
    if standing != own(laptop):
        found.append(f"addresses {', '.join(standing) or 'none'} instead of {', '.join(own(laptop))}")
    return found + others


def astray(listing: str, routes: Mapping[str, str]) -> list[str]:
    """Return what keeps the gateway from being reached: `ip -json address`, and `ip -json route get` an address."""
    down = [f"the interface {INTERFACE} is down"] if "UP" not in home_tunnel.flags(listing) else []
    return down + [
        f"{address} does not go by it"
        for address, told in sorted(routes.items())
        if INTERFACE not in {str(route.get("dev")) for route in home_tunnel.read(told)}
    ]


def rules(closed: Sequence[str], ssh_port: int) -> str:
    """Return the ruleset by which the ranges of the clinic are reached by the tunnel alone."""
    lines = [
        f'    {keyword} daddr {found} reject with icmpx admin-prohibited comment "by the tunnel alone {keyword}"'
        for keyword, found in firewall_output.sets(closed)
    ]
    known = {
        "table": TABLE,
        "interface": INTERFACE,
        "ssh": ssh_port,
        "asks": firewall_output.SILENT[0],
        "closed": "\n".join(lines),
    }
    return TEMPLATE % known


def _alone(address: Any) -> str:
    return str(ipaddress.ip_network(str(address)))
