# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the firewall of a box lets pass between it and the room of the modality that it stands beside. Pure functions.

All packets of the room's interface go through two chains of their own, ahead of every other rule: the modality's DICOM
in clear, answers and pings, nothing else, of IPv6 nothing at all. Addresses of the room are known on no other
interface, so that images in clear leave the box by the cable to the modality or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

COMMENT = "room"
"""First word of the comments of the rules that lead into the two chains."""
FROM, TO = "from_room", "to_room"
"""The chains."""
LINKS = {"input": FROM, "output": TO}
"""Chain of a hook -> the chain that it leads the room's packets into."""

CHAINS = """\
  chain %(from)s {
    ip saddr %(modality)s ip daddr %(box)s tcp dport { %(ports)s } accept comment "modality calls"
    ip saddr %(modality)s ct state established ct direction reply accept comment "modality answers"
    ip saddr %(modality)s ct state related accept comment "modality answers, errors"
    ip saddr %(modality)s icmp type echo-request accept comment "modality pings"
    limit rate 10/minute burst 20 packets log prefix "radiology drop room: " level info comment "log room"
    counter drop comment "nothing else from the room"
  }
  chain %(to)s {
    ip daddr %(modality)s ct state { established, related } accept comment "answers to the modality"
%(called)s    ip daddr %(modality)s icmp type echo-request accept comment "pings to the modality"
    counter reject with icmpx admin-prohibited comment "nothing else to the room"
  }
"""
CALLED = '    ip daddr %(modality)s tcp dport %(port)s accept comment "calls to the modality"\n'


def chains(room: Mapping[str, Any]) -> str:
    """Return the two chains as text of a table; nothing where this host stands beside no modality."""
    if not room:
        return ""
    known = {"modality": room["modality_address"], "box": room["address"], "port": int(room["called"])}
    ports = ", ".join(str(int(port)) for port in room["ports"])
    called = CALLED % known if known["port"] else ""
    return CHAINS % {**known, "from": FROM, "to": TO, "ports": ports, "called": called}


def entering(room: Mapping[str, Any]) -> list[str]:
    """Return the first rules of input after loopback's."""
    if not room:
        return []
    elsewhere = f'iifname != "{room["interface"]}" ip'
    return [
        f'iifname "{room["interface"]}" goto {FROM} comment "{COMMENT}"',
        f'{elsewhere} daddr {room["network"]} drop comment "{COMMENT} from elsewhere"',
        f'{elsewhere} saddr {room["network"]} drop comment "{COMMENT} address from elsewhere"',
    ]


def leaving(room: Mapping[str, Any]) -> list[str]:
    """Return the first rules of output."""
    if not room:
        return []
    elsewhere = f'oifname != {{ "lo", "{room["interface"]}" }} ip daddr {room["network"]}'
    return [
        f'oifname "{room["interface"]}" goto {TO} comment "{COMMENT}"',
        f'{elsewhere} reject with icmpx admin-prohibited comment "{COMMENT} to elsewhere"',
    ]


def told(room: Mapping[str, Any]) -> str:
    """Say in words whom the room's interface lets in; nothing without a room."""
    ports = ", ".join(str(port) for port in room.get("ports") or [])
    return f", by {room['interface']} {room['modality']} (TCP {ports}) and nothing else" if room else ""


def beginning(rules: Sequence[dict[str, Any]], chain: str) -> list[dict[str, Any]]:
    """Return the rules of a hook's chain up to the last of the room's: the rest decides of other packets."""
    mine = [rule for rule in rules if rule["chain"] == chain]
    last = max((place for place, rule in enumerate(mine) if _is_of_room(rule)), default=-1)
    return mine[: last + 1]


def _is_of_room(rule: Mapping[str, Any]) -> bool:
    return bool(str(rule["comment"]).partition(" ")[0] == COMMENT)
