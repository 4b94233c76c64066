# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The tunnel of those who read from home: what its files say, and what WireGuard says of it. Pure functions.

WireGuard (wireguard-tools 1.0 of Debian 12 and 13) by wg-quick(8) in a unit of our own. The private key has a file of
its own, which the configuration names: so the configuration holds no secret, and the key survives its changes.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import home_idle
from ansible_collections.radiology.hardening.plugins.module_utils.firewall_tunnel import INTERFACE

UNIT = "radiology-tunnel.service"
UNIT_FILE = f"/etc/systemd/system/{UNIT}"
FOLDER = "/etc/radiology-tunnel"
CONFIGURATION = f"{FOLDER}/{INTERFACE}.conf"
KEY = f"{FOLDER}/private.key"
PUBLIC = f"{FOLDER}/public.key"
"""What devices need of the gateway; the controller fetches it."""
PROGRAM = "/usr/bin/wireguard-go"
"""Carries the tunnel where the kernel has no WireGuard."""

SERVICE = f"""\
# Kept by radiology.hardening (role remote_access): the tunnel of those who read from home.
[Unit]
Description=Tunnel of those who read from home
Wants=network-online.target
After=network-online.target radiology-firewall.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/wg-quick up {CONFIGURATION}
ExecStartPost=-{home_idle.PROGRAM}
ExecStop=-/usr/bin/wg-quick down {CONFIGURATION}

[Install]
WantedBy=multi-user.target
"""


def configuration(tunnel: Mapping[str, Any]) -> str:
    """Return wg-quick's configuration for the tunnel of the clinic file, its devices in the order of their names."""
    lines = [
        "# Kept by radiology.hardening (role remote_access): the devices of the clinic file, and no other.",
        "[Interface]",
        f"Address = {', '.join(tunnel['addresses'])}",
        f"ListenPort = {int(tunnel['port'])}",
        f"PostUp = wg set %i private-key {KEY}",
    ]
    for peer in sorted(tunnel["peers"], key=lambda each: str(each["name"])):
        lines += ["", f"# {peer['name']}", "[Peer]", f"PublicKey = {peer['public_key']}"]
        lines += [f"AllowedIPs = {', '.join(allowed(peer))}"]
    return "\n".join(lines) + "\n"


def pages(peer: Mapping[str, Any], tunnel: Mapping[str, Any]) -> str:
    """Return what a device opens in its browser: a server's own page, or that of each server behind a gateway."""
    passed = [str(each["address"]) for each in peer.get("forwards") or () if each["to"].endswith(" web")]
    shown = tunnel["reached"] if "web" in peer.get("services", ()) else passed
    return ", ".join(f"https://{text}/" for text in shown if ":" not in text) or "by SSH"


def allowed(peer: Mapping[str, Any]) -> list[str]:
    """Return what a device's key stands for: its addresses, each alone."""
    addresses = (ipaddress.ip_network(str(address)) for address in peer["addresses"])
    return [str(address) for address in sorted(addresses, key=lambda each: each.version)]


def peers(told: str) -> dict[str, frozenset[str]]:
    """Read `wg show <interface> allowed-ips`: each key with its ranges."""
    found = {}
    for line in told.splitlines():
        key, _tab, ranges = line.partition("\t")
        found[key] = frozenset(ranges.split()) - {"(none)"}
    return found


def differing(running: Mapping[str, frozenset[str]], tunnel: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return which running peers the clinic file does not give so, and which of its devices are not there so.

    A device is called by its name in the clinic file, a key of nobody by its first characters.
    """
    declared = {peer["public_key"]: peer for peer in tunnel.get("peers") or []}
    undeclared = [
        f"{_name(key, declared)}, {', '.join(sorted(ranges)) or 'no address'}"
        for key, ranges in running.items()
        if key not in declared or ranges - set(allowed(declared[key]))
    ]
    missing = [
        str(peer["name"]) for key, peer in declared.items() if not set(allowed(peer)) <= running.get(key, frozenset())
    ]
    return sorted(undeclared), sorted(missing)


def _name(key: str, declared: Mapping[str, Mapping[str, Any]]) -> str:
    return str(declared[key]["name"]) if key in declared else f"key {key[:8]}... of nobody"


def unlike(port: str, public: str, listing: str, own: str | None, tunnel: Mapping[str, Any]) -> list[str]:
    """Return in what the running tunnel is not the declared one: `wg show`'s port and key, `ip -json address`."""
    wanted = {str(address) for address in tunnel["addresses"]}
    found = []
    if port.strip() != str(tunnel["port"]):
        found.append(f"port {port.strip()} instead of {tunnel['port']}")
    if public.strip() != own:
        found.append("another key than that of its file")
    standing = addresses(listing)
    if set(standing) != wanted:
        found.append(f"addresses {', '.join(standing) or 'none'} instead of {', '.join(sorted(wanted))}")
    return found


def addresses(listing: str) -> list[str]:
    """Return the addresses, with prefix length, in `ip -json address show dev`; link-local ones left out."""
    return sorted(
        f"{told['local']}/{told['prefixlen']}"
        for link in read(listing)
        for told in link.get("addr_info", [])
        if told.get("scope") == "global"
    )


def flags(listing: str) -> set[str]:
    """Return the flags of the interface in `ip -json address show dev`."""
    return {str(flag) for link in read(listing) for flag in link.get("flags", [])}


def read(told: str) -> Sequence[Mapping[str, Any]]:
    """Read what `ip -json` told; empty where it told nothing."""
    try:
        return [each for each in json.loads(told or "[]") if isinstance(each, Mapping)]
    except ValueError:
        return []
