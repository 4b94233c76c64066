# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tell a device that is off from one that is closed: on its own network each answers ARP, whatever it drops."""

from __future__ import annotations

import ipaddress
import json
import time
from collections.abc import Iterable

from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.internet_box import neighbours

ANSWERED = frozenset({"REACHABLE", "PERMANENT", "NOARP"})
UNDECIDED = frozenset({"INCOMPLETE", "STALE", "DELAY", "PROBE"})
"""States of a neighbour (ip-neighbour(8)). One that was there a moment ago is asked anew 5 s after it was tried."""
PATIENCE, PAUSE = 12.0, 0.5
"""Seconds: 5 before the kernel asks anew, three times a second, and as much again; and between two looks."""


def answering(host: Host, addresses: Iterable[str], patience: float = PATIENCE) -> dict[str, bool]:
    """Return of each IPv4 address on this machine's own networks, just tried, whether it answered ARP.

    Waits `patience` seconds at most for the kernel to find out. Empty where it cannot be asked, for want of ip(8).
    """
    near = neighbours(host, by_arp=True)
    asked = [
        text
        for text in addresses
        if (address := ipaddress.ip_address(text)).version == 4 and any(address in network for network in near)
    ]
    until = time.monotonic() + patience
    while asked:
        done = host.run(("ip", "-json", "-4", "neighbour", "show"))
        if not done.ok:
            return {}
        states: dict[str, set[str]] = {}
        for each in json.loads(done.output or "[]"):  # a machine with two cards knows a neighbour twice
            states.setdefault(each["dst"], set()).update(each.get("state", []))
        found = {text: states.get(text, set()) for text in asked}
        if time.monotonic() > until or not any(state & UNDECIDED and not state & ANSWERED for state in found.values()):
            return {text: bool(state & ANSWERED) for text, state in found.items()}
        time.sleep(PAUSE)
    return {}
