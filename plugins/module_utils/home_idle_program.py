# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Shut out the devices at home that did not come through the tunnel for 90 days, whose laptop may be anybody's by now.

Run as root by radiology-tunnel-idle.timer each day, and by the tunnel's own unit when it comes up; of a tunnel of IPsec
every ten minutes, since strongSwan knows who is there, and not who was. Counted are days on
which it ran and a key was silent, never the time between two dates: a clock that is wrong for a while, as after a power
cut, costs a key one day at most, and days on which the gateway was off count for nobody. This file is a program of its
own, which the role remote_access puts on the host: it needs Python's standard library alone.
"""

# A program of its own, which speaks to a person and ends as programs do.
# pylint: disable=ansible-bad-function
from __future__ import annotations

import glob
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

INTERFACE = "wg-radiology"
FILE = "/var/lib/radiology-tunnel/heard.json"
"""{"day": the day that was last counted, "keys": {public key: [silent days, last handshake]}}."""
IPSEC = "/etc/strongswan.d/radiology.conf"
"""There where the tunnel is one of IPsec."""
CONNECTIONS = "/etc/swanctl/conf.d/radiology-home-*.conf"
"""A file for each device that comes by IPsec; it names the device's key."""
DAYS = 90
"""Silent days after which a key is taken out."""


class Heard(NamedTuple):
    """What is known of a key: on how many days it was silent since its last handshake, and when by WireGuard that was.

    The handshake is in seconds since 1970, 0 for none since the tunnel came up.
    """

    silent: int
    handshake: int

    @property
    def idle(self) -> bool:
        """Whether nobody used it for so long that it opens nothing any more."""
        return self.silent >= DAYS

    def now(self, handshake: int, *, counts: bool) -> Heard:
        """Return what is known when WireGuard tells of a handshake; `counts`: the day was not counted yet."""
        if handshake and handshake != self.handshake:
            return Heard(0, handshake)
        return Heard(self.silent + counts, self.handshake)


class Note(NamedTuple):
    """What the file holds."""

    day: str
    keys: dict[str, Heard]

    def text(self) -> str:
        """Return it as the file has it."""
        return json.dumps({"day": self.day, "keys": self.keys}, indent=1, sort_keys=True) + "\n"

    def on(self, day: str, running: Mapping[str, int]) -> Note:
        """Return it with what WireGuard tells on a day: each key and its last handshake.

        Keys that it does not have are forgotten, but for those that were taken out.
        """
        kept = {key: heard for key, heard in self.keys.items() if heard.idle and key not in running}
        fresh = Heard(0, 0)
        told = {
            key: self.keys[key].now(seconds, counts=day != self.day)
            if key in self.keys
            else fresh.now(seconds, counts=False)
            for key, seconds in running.items()
        }
        return Note(day, {**kept, **told})


def parsed(text: str) -> Note:
    """Read a note; one that is none, such as an empty file, has each key's days begin anew."""
    try:
        loaded: dict[str, Any] = json.loads(text)
        keys = {str(key): Heard(int(silent), int(last)) for key, (silent, last) in loaded["keys"].items()}
        return Note(str(loaded["day"]), keys)
    except (ValueError, TypeError, AttributeError, KeyError):
        return Note("", {})


def handshakes(told: str) -> dict[str, int]:
    """Read `wg show <interface> latest-handshakes`: each key, and seconds since 1970 or 0."""
    rows = (line.split("\t") for line in told.splitlines())
    return {key: int(seconds) for key, seconds in rows}


def read() -> Note:
    """Return what is noted; nothing where there is no note yet."""
    try:
        with open(FILE, encoding="ascii") as file:
            return parsed(file.read())
    except FileNotFoundError:
        return parsed("")


def write(note: Note) -> None:
    """Replace the note whole."""
    os.makedirs(os.path.dirname(FILE), mode=0o700, exist_ok=True)
    temporary = f"{FILE}.tmp"
    with open(temporary, "w", encoding="ascii") as file:
        file.write(note.text())
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, FILE)


def wg(*words: str) -> str:
    """Ask WireGuard, and return its answer."""
    return subprocess.run(["wg", *words], capture_output=True, text=True, check=True).stdout


def connections() -> dict[str, str]:
    """Return the files of the devices that come by IPsec, by their keys."""
    found = {}
    for path in glob.glob(CONNECTIONS):
        with open(path, encoding="ascii") as file:
            key = re.search("^# key ([0-9a-f]{64})$", file.read(), re.MULTILINE)
        if key:
            found[key[1]] = path
    return found


def named(path: str) -> str:
    """Return the name of the connection that a file is of."""
    return os.path.basename(path).removesuffix(".conf")


def connected(told: str) -> set[str]:
    """Read `swanctl --list-sas --raw`: the connections that stand now."""
    return set(re.findall(r"^list-sa event \{(\S+) \{uniqueid=\d+ version=2 state=ESTABLISHED ", told, re.MULTILINE))


def ask(*words: str) -> str:
    """Ask strongSwan, and return its answer."""
    return subprocess.run(["swanctl", *words], capture_output=True, text=True, check=True).stdout


def heard_by_ipsec(files: Mapping[str, str]) -> dict[str, int]:
    """Return each device's key, and now, in seconds since 1970, where it is connected, else 0."""
    there = connected(ask("--list-sas", "--raw"))
    return {key: int(time.time()) if named(path) in there else 0 for key, path in files.items()}


def shut_out(key: str, files: Mapping[str, str]) -> None:
    """Have a key open the tunnel no more."""
    if key not in files:
        wg("set", INTERFACE, "peer", key, "remove")
        return
    certificates = glob.glob(f"/etc/swanctl/x509/{glob.escape(named(files[key]))}.crt")
    certificates += glob.glob(f"/etc/swanctl/x509/{glob.escape(named(files[key]))}.former-?.crt")
    for path in (files[key], *certificates):
        os.remove(path)
    ask("--load-creds", "--clear", "--noprompt")
    ask("--load-conns")
    subprocess.run(["swanctl", "--terminate", "--ike", named(files[key])], capture_output=True, check=False)


def main() -> int:
    """Note who was heard of, and take out who was not."""
    files = connections()
    by_ipsec = os.path.exists(IPSEC)
    running = heard_by_ipsec(files) if by_ipsec else handshakes(wg("show", INTERFACE, "latest-handshakes"))
    note = read().on(time.strftime("%Y-%m-%d", time.gmtime()), running)
    write(note)
    for key in sorted(running):
        if note.keys[key].idle:
            shut_out(key, files)
            print(f"key {key[:8]}... was silent for {DAYS} days: it opens the tunnel no more", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
