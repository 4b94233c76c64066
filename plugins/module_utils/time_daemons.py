# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the time services of Debian say of themselves: whom they ask, whom they follow, how far off the clock was.

Read are the service's own answers, never its files: systemd-timesyncd by the bus, chrony by chronyc, NTPsec by ntpq.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.host import Host

LONGEST = 3 * 3600
"""Seconds after which a measurement is none any more; systemd-timesyncd asks every 34 minutes, or more often."""

BUS = ("busctl", "--json=short", "get-property")
TIMESYNC = ("org.freedesktop.timesync1", "/org/freedesktop/timesync1", "org.freedesktop.timesync1.Manager")
TIMESYNC_SAYS = ("SystemNTPServers", "ServerAddress", "NTPMessage")
TIMES, COUNT = slice(8, 12), 13
"""Of NTPMessage, (uuuuittayttttbtt): the four times of an exchange (RFC 5905) in microseconds; how many there were."""


@dataclasses.dataclass(frozen=True)
class Said:
    """What a time service says: whom it asks, whom it follows, and by how many seconds it last found the clock off."""

    servers: Sequence[str] = ()
    followed: str = ""
    offset: float | None = None
    """None while it has measured nothing, or nothing lately."""
    attached: bool = False
    """It follows no server but a clock of the machine's own, such as a receiver of satellites."""


def timesyncd(host: Host) -> Said:
    """Ask systemd-timesyncd; only while it runs, for asking starts it."""
    told = properties(host, (*TIMESYNC, *TIMESYNC_SAYS))
    if len(told) != len(TIMESYNC_SAYS):
        return Said()
    servers, (_family, octets), message = told
    followed = str(ipaddress.ip_address(bytes(octets))) if octets else ""
    return Said([plain(server) for server in servers], followed, _measured(message))


def chrony(host: Host) -> Said:
    """Ask chrony: `sources` begins with mode, state (`*` is the one that it follows) and address.

    The mode `#` is a reference clock, which has a name in the place of an address (chronyc(1)).
    """
    listed = [line.split(",") for line in host.run(["chronyc", "-n", "-c", "sources"]).output.splitlines()]
    sources = [
        (fields[0], fields[1], plain(fields[2]))
        for fields in listed
        if len(fields) > 2 and fields[0] in ("^", "=", "#")
    ]
    tracking = host.run(["chronyc", "-n", "-c", "tracking"]).output.strip().split(",")
    mode, followed = next(((mode, name) for mode, state, name in sources if state == "*"), ("", ""))
    off = _number(tracking[4]) if followed and tracking[-1] != "Not synchronised" and len(tracking) > 4 else None
    servers = [address for mode, _state, address in sources if mode != "#"]
    return Said(servers, followed, None if off is None else abs(off), attached=mode == "#")


def ntpsec(host: Host) -> Said:
    """Ask NTPsec: a line a server, with a mark before its address (`*` is the one that it follows), offset in ms.

    A long address has a line of its own.
    """
    lines = re.sub(r"(?m)^(.\S+)\n +", r"\1 ", host.run(["ntpq", "-n", "-w", "-p"]).output).splitlines()[2:]
    rows = [(line[0], line[1:].split()) for line in lines if line]
    servers = [(mark, plain(fields[0]), fields) for mark, fields in rows if len(fields) >= 10]
    chosen = next(((address, fields) for mark, address, fields in servers if mark == "*"), None)
    off = _number(chosen[1][8]) if chosen else None
    return Said(
        [address for _mark, address, _fields in servers],
        chosen[0] if chosen else "",
        None if off is None else abs(off) / 1000,
    )


ASK: Mapping[str, Callable[[Host], Said]] = {"systemd-timesyncd": timesyncd, "chrony": chrony, "ntpsec": ntpsec}
"""Package, which is the name of its unit as well -> how it is asked."""


def properties(host: Host, words: Sequence[str]) -> list[Any]:
    """Return the values of properties on the system bus, in their order; nothing where one of them is not known."""
    answer = host.run([*BUS, *words])
    try:
        return [json.loads(line)["data"] for line in answer.output.splitlines()] if answer.ok else []
    except (ValueError, KeyError, TypeError):
        return []


def plain(server: str) -> str:
    """Return an address as everybody writes it; a name as it is."""
    try:
        return str(ipaddress.ip_address(server))
    except ValueError:
        return server


def _measured(message: Any) -> float | None:
    if not isinstance(message, list) or len(message) <= COUNT or not message[COUNT]:
        return None
    sent, arrived, answered, back = message[TIMES]
    if time.time() - back / 1e6 > LONGEST:
        return None
    return abs(float((arrived - sent) + (answered - back))) / 2e6


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
