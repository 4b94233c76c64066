# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Shut out the devices at home that did not come through the tunnel for 90 days, whose laptop may be anybody's by now.

Run as root by radiology-tunnel-idle.timer each day, and by the tunnel's own unit when it comes up. It notes when each
key was last heard of, since WireGuard forgets that with the tunnel; a key that is new counts from the day on which it
was let in. This file is a program of its own, which the role remote_access puts on the host: it needs Python's standard
library alone.
"""

# A program of its own, which speaks to a person and ends as programs do.
# pylint: disable=ansible-bad-function
from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping

INTERFACE = "wg-radiology"
FILE = "/var/lib/radiology-tunnel/heard.json"
"""Public key -> seconds since 1970 at which it was last heard of."""
DAYS = 90
DAY = 86400


def heard(noted: Mapping[str, float], running: Mapping[str, int], now: float) -> dict[str, float]:
    """Return when each key was last heard of, `running`: by WireGuard; one that it does not have stays as noted.

    A clock that was ahead for a while leaves times to come: they count as now.
    """
    told = {key: min(float(when), now) for key, when in noted.items()}
    return {**told, **{key: min(max(told.get(key, now), seconds), now) for key, seconds in running.items()}}


def handshakes(told: str) -> dict[str, int]:
    """Read `wg show <interface> latest-handshakes`: each key, and seconds since 1970 or 0."""
    rows = (line.split("\t") for line in told.splitlines())
    return {key: int(seconds) for key, seconds in rows}


def idle(last: Mapping[str, float], now: float) -> list[str]:
    """Return the keys that were not heard of for DAYS."""
    return sorted(key for key, when in last.items() if now - when >= DAYS * DAY)


def parsed(text: str) -> dict[str, float]:
    """Read a note; one that is none, such as an empty file, has each key's time begin anew."""
    try:
        return {str(key): float(when) for key, when in json.loads(text).items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def read() -> dict[str, float]:
    """Return what is noted; nothing where there is no note yet."""
    try:
        with open(FILE, encoding="ascii") as file:
            return parsed(file.read())
    except FileNotFoundError:
        return {}


def write(last: Mapping[str, float]) -> None:
    """Replace the note whole."""
    os.makedirs(os.path.dirname(FILE), mode=0o700, exist_ok=True)
    temporary = f"{FILE}.tmp"
    with open(temporary, "w", encoding="ascii") as file:
        json.dump(last, file, indent=1, sort_keys=True)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, FILE)


def wg(*words: str) -> str:
    """Ask WireGuard, and return its answer."""
    return subprocess.run(["wg", *words], capture_output=True, text=True, check=True).stdout


def main() -> int:
    """Note who was heard of, and take out who was not."""
    running, now = handshakes(wg("show", INTERFACE, "latest-handshakes")), time.time()
    last = heard(read(), running, now)
    write(last)
    for key in idle(last, now):
        if key in running:
            wg("set", INTERFACE, "peer", key, "remove")
            print(f"key {key[:8]}... was not heard of for {DAYS} days: it opens the tunnel no more", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
