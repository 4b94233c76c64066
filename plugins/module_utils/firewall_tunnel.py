# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the firewall lets through the tunnel of those who read from home: rules a device, and none more. Pure functions.

WireGuard itself takes from each key only the addresses of that key's device, so an address tells who calls.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.firewall_output import FAMILIES, sets

INTERFACE = "wg-radiology"
"""The tunnel's network interface, of at most 15 characters."""
OF_IPSEC = "ipsec0"
"""The interface of a tunnel of IPsec, as strongSwan's kernel-libipsec names it, which carries ESP in user space."""
SERVICE = "home"
"""First word of the name of each service that a device is granted: `home-martin-laptop-web`."""
COMMENT = "tunnel"
"""First word of the comments of the rules that keep the tunnel itself."""
FACTS: dict[str, str] = {
    "tunnel.undeclared_rules": "list of str: undeclared rules of input that name the tunnel or an address in it",
    "tunnel.missing_rules": "list of str: rules on the tunnel that the clinic file gives and input lacks",
}


def ports(tunnel: Mapping[str, Any]) -> list[int]:
    """Return the UDP ports that the tunnel is called on: one of WireGuard, two of IPsec."""
    return [int(port) for port in tunnel.get("ports") or [tunnel["port"]]]


def named(numbers: Sequence[int]) -> str:
    """Return UDP ports in words: `UDP port 51820`, `UDP ports 500 and 4500`."""
    return f"UDP port{'s' if len(numbers) > 1 else ''} {' and '.join(map(str, numbers))}"


def interface(tunnel: Mapping[str, Any]) -> str:
    """Return the network interface of a tunnel."""
    return OF_IPSEC if tunnel.get("ports") else INTERFACE


def _one_of(numbers: Sequence[int]) -> str:
    """Return a number as nftables takes it, or several as a set of them."""
    return f"{{ {', '.join(map(str, numbers))} }}" if len(numbers) > 1 else str(numbers[0])


def services(tunnel: Mapping[str, Any], services_of_host: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what each device is granted, as services that take calls through the tunnel alone.

    A device is bounded as any other address is (`most` of `https`).
    """
    bounds = {int(each["port"]): each["most"] for each in services_of_host if each.get("most")}
    return [
        {"name": f"{SERVICE}-{peer['name']}-{grant}", "port": int(port), "sources": peer["addresses"]}
        | {"through": interface(tunnel)}
        | ({"most": bounds[int(port)]} if int(port) in bounds else {})
        for peer in tunnel.get("peers") or []
        for grant, port in peer["services"].items()
    ]


def guards(tunnel: Mapping[str, Any]) -> list[str]:
    """Return rules that stand before open connections: tunnel addresses come by it alone, what is not granted ends."""
    name = interface(tunnel)
    elsewhere = [
        f'iifname != "{name}" {keyword} saddr {found} drop comment "{COMMENT} address from elsewhere {keyword}"'
        for keyword, found in sets(tunnel.get("network") or [])
    ]
    return elsewhere + ([*_granted_no_more(tunnel)] if tunnel else [])


def _granted_no_more(tunnel: Mapping[str, Any]) -> Iterator[str]:
    """Yield the rules that drop what comes to an open connection which no grant gives; new ones are logged elsewhere.

    Only what a device began itself: the host's own calls are answered. Over the interface of IPsec other connections of
    the host come as well, so that there only addresses of the tunnel are looked at.
    """
    ranges = dict(sets(tunnel.get("network") or []))
    shared = interface(tunnel) == OF_IPSEC
    granted = {
        (ipaddress.ip_address(address), int(port))
        for peer in tunnel.get("peers") or []
        for address in peer["addresses"]
        for port in peer["services"].values()
    }
    for version, keyword in FAMILIES:
        if shared and keyword not in ranges:
            continue
        of_home = f" {keyword} saddr {ranges[keyword]}" if shared else ""
        opened = f'iifname "{interface(tunnel)}"{of_home} ct state established ct direction original'
        mine = ", ".join(
            f"{address} . {port}" for address, port in sorted(granted, key=str) if address.version == version
        )
        other = (
            f"{keyword} saddr . tcp dport != {{ {mine} }}" if mine else f"meta nfproto ipv{version} meta l4proto tcp"
        )
        yield f'{opened} {other} drop comment "{COMMENT} granted no more {keyword}"'


def door(tunnel: Mapping[str, Any]) -> list[str]:
    """Return the rule that opens the tunnel's ports to everybody: WireGuard answers nobody who has no key there."""
    return [f'udp dport {_one_of(ports(tunnel))} accept comment "{COMMENT} port"'] if tunnel else []


def answers(tunnel: Mapping[str, Any]) -> list[str]:
    """Return the rule of a restricted output by which the tunnel speaks to devices, wherever they are."""
    return [f'udp sport {_one_of(ports(tunnel))} accept comment "{COMMENT} answers"'] if tunnel else []


def observe(
    undeclared: Iterable[Mapping[str, Any]], described: Sequence[str], lacking: Sequence[str], tunnel: Mapping[str, Any]
) -> dict[str, list[str]]:
    """Return the facts: of undeclared rules of input (`described`: each in words) those that concern the tunnel."""
    pairs = zip(undeclared, described, strict=True)
    return {
        "undeclared_rules": [told for rule, told in pairs if _concerns(rule, tunnel)],
        "missing_rules": [name for name in lacking if name.startswith((f"{COMMENT} ", f"{SERVICE}-"))],
    }


def _concerns(rule: Mapping[str, Any], tunnel: Mapping[str, Any]) -> bool:
    words = set(_words(rule["expr"]))
    addresses = {str(address) for peer in tunnel.get("peers") or [] for address in peer["addresses"]}
    networks = {network.partition("/")[0] for network in tunnel.get("network") or []}
    return bool(words & {INTERFACE, OF_IPSEC, *addresses, *networks})


def _words(value: Any) -> Iterator[str]:
    """Yield every text in an expression of nftables' JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _words(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _words(inner)
