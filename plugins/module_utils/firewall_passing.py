# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a gateway apart from the Orthanc servers passes on from the tunnel: pairs of addresses and a port, each granted.

No rule of the chain `forward` accepts a connection because it is open: what is granted no more ends at once. A server
sees the gateway's own address, and needs no route to the tunnel. Pure functions.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.firewall_output import FAMILIES, sets
from ansible_collections.radiology.hardening.plugins.module_utils.firewall_tunnel import SERVICE, interface

CHAIN = "postrouting"
COMMENT = "as the gateway"
"""First words of the comments of the rules that give what is passed on the gateway's own address."""
RATE = "limit rate 30/minute burst 60 packets"
"""Of the lines in the journal that say which device began a connection, for each device."""
ICMP = "1, 58"
"""Protocols of ICMP and ICMPv6, by their numbers: a host without the package netbase knows no name of the latter."""
FACTS: dict[str, str] = {
    "forward.missing_rules": "list of str: rules by which the clinic file has a gateway pass on that our table lacks",
    "translation.differs": "list of str: rules by which it shows its own address to servers, undeclared or missing",
}

TRANSLATION = """\
  chain %s {
    type nat hook postrouting priority srcnat; policy accept;
%s
  }
"""


def families(tunnel: Mapping[str, Any]) -> list[int]:
    """Return the IP versions in which anything is passed on."""
    return sorted({ipaddress.ip_address(each["address"]).version for _peer, each in _forwards(tunnel)})


def forward(tunnel: Mapping[str, Any]) -> list[str]:
    """Return the rules of the chain `forward`; none where the tunnel's host passes nothing on."""
    if not families(tunnel):
        return []
    errors = [
        f'{name} "{interface(tunnel)}" meta l4proto {{ {ICMP} }} ct state related accept comment "errors {way}"'
        for name, way in (("iifname", "from home"), ("oifname", "to home"))
    ]
    return [*errors, *(line for peer in tunnel["peers"] for line in _of_peer(peer, interface(tunnel)))]


def translation(tunnel: Mapping[str, Any]) -> str:
    """Return the chain by which servers see the gateway's own address; empty where nothing is passed on."""
    lines = []
    for (keyword, own), servers in _as_whom(tunnel).items():
        (network,) = [found for version, found in sets(tunnel["network"]) if version == keyword]
        reached = ", ".join(sorted(servers))
        lines.append(
            f"    {keyword} saddr {network} {keyword} daddr {{ {reached} }} snat {keyword} to {own} "
            f'comment "{COMMENT} {own}"'
        )
    return TRANSLATION % (CHAIN, "\n".join(lines)) if lines else ""


def _of_peer(peer: Mapping[str, Any], through: str) -> Iterator[str]:
    """Yield, for each family: log what a device begins, pass it on, pass its answers back."""
    for version, keyword in FAMILIES:
        own = ", ".join(text for text in peer["addresses"] if ipaddress.ip_address(text).version == version)
        places = sorted(
            f"{each['address']} . {int(each['port'])}"
            for each in peer.get("forwards") or ()
            if ipaddress.ip_address(each["address"]).version == version
        )
        if not (own and places):
            continue
        name, granted = f"{SERVICE}-{peer['name']}", f"{{ {', '.join(places)} }}"
        calls = f'iifname "{through}" {keyword} saddr {own} {keyword} daddr . tcp dport {granted}'
        answers = f'oifname "{through}" {keyword} daddr {own} {keyword} saddr . tcp sport {granted}'
        yield (
            f'{calls} ct state new {RATE} log prefix "radiology home {peer["name"]}: " level info '
            f'comment "{name} log {keyword}"'
        )
        yield f'{calls} ct state {{ new, established }} accept comment "{name} passes {keyword}"'
        yield f'{answers} ct state established ct direction reply accept comment "{name} is answered {keyword}"'


def _forwards(tunnel: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    for peer in tunnel.get("peers") or []:
        for each in peer.get("forwards") or []:
            yield peer, each


def _as_whom(tunnel: Mapping[str, Any]) -> dict[tuple[str, str], set[str]]:
    """Return keyword and own address of the gateway -> the addresses to which it is shown."""
    found: dict[tuple[str, str], set[str]] = {}
    for _peer, each in _forwards(tunnel):
        keyword = dict(FAMILIES)[ipaddress.ip_address(each["address"]).version]
        found.setdefault((keyword, str(each["as"])), set()).add(str(each["address"]))
    return dict(sorted(found.items()))


def observe(forward_lacks: Sequence[str], translated: tuple[Sequence[str], Sequence[str]]) -> dict[str, dict[str, Any]]:
    """Return the facts; `translated`: rules of the chain of addresses that are undeclared, and that are missing."""
    extra, lacking = translated
    return {
        "forward": {"missing_rules": list(forward_lacks)},
        "translation": {"differs": [*extra, *(name for name in lacking if name not in extra)]},
    }
