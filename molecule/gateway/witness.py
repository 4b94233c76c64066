# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Witness those who read from home by a gateway apart from the server: what it passes on, for whom, and nothing else.

Usage: witness.py before|after|removed|withdrawn LAB INVENTORY. Prints a line a check and `N passed, N failed`. The
laptop is the lab's host `home`, the tablet its host `attacker`, which scans as well; the box plays the rest of the LAN.
"""

from __future__ import annotations

import functools
import itertools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
RESOURCES = HERE.parent / "resources"
sys.path[:0] = [str(RESOURCES), str(HERE.parent / "remote_access")]

from administering import Administering
from home import INSTALL, enlist, set_box
from readers import Readers, by_wireguard
from story import STUDIES, Practice
from topology import TOPOLOGY
from witnessing import LISTENING, Check, side_by_side, witness

LISTENER = 8099
LOGINS = 8
"""Of the checks of Administering: up to the first login by key and code; the rest the scenario remote_access sees."""
Done = subprocess.CompletedProcess[str]


class Witness(Readers):
    """Looks at one practice."""

    def __init__(self, practice: Practice, directory: Path) -> None:
        """Take the practice and the clinic's folder on the controller."""
        super().__init__(practice, directory, by_wireguard(practice, directory))
        self.gate, self.gate6 = practice.address("gate"), practice.address("gate", 6)
        self.inside = f"10.99.{10 + self.number}"
        self.closed = (self.server, self.server6, self.gate, self.gate6, practice.box)
        """Addresses at which nothing answers but by the tunnel."""

    def ran(self, host: str, *command: str, stdin: str | None = None) -> Done:
        """Run a command on a device, or on one of the practice's hosts, and return what came of it."""
        if host in self.devices:
            return self.devices[host].on(*command, stdin=stdin)
        return self.practice.lab.execute(f"{host}-{self.number}", *command, stdin=stdin, check=False)

    def before(self) -> Iterator[Check]:
        """Store studies, make each device's key on it, and put its public key into the clinic file."""
        yield from self.stored()
        for name, device in self.devices.items():
            enlist(self.directory, device.make_key(), name)
        for host in ("pacs", "gate"):
            self.ran(host, "bash", "-c", INSTALL % "oathtool")

    def after(self) -> Iterator[Check]:
        """Read from home, and try every other way."""
        yield "the box takes the one forward", set_box(self.practice, self.directory), 0
        yield from self.nothing("without the tunnel", *self.closed)
        for name, device in self.devices.items():
            yield f"{name} brings its tunnel up", device.up(), 0
        yield from self.reading()
        yield from self.reach()
        yield from self.across()
        yield from self.administering()
        yield from self.power()
        self.home.switch("down")
        yield from self.nothing("with the tunnel down", *self.closed)
        self.home.switch("up")
        yield from self.called()

    def reach(self) -> Iterator[Check]:
        """Each device reaches what it is granted and no more, though it sends all that it has into the tunnel."""
        every = (self.server, self.server6, self.gate, self.gate6)
        yield (
            "tablet finds open",
            self.tablet.scan(*every),
            dict(zip(every, ([22, 443], [22, 443], [22], [22]), strict=True)),
        )
        name, box = self.home.interface, self.practice.address("box")
        lan, lan6 = TOPOLOGY.networks[f"lan{self.number}"]
        key = self.home.shell(f"wg show {name} peers")
        wider = [lan, lan6, f"{self.inside}.0/24"]
        self.home.shell(f"wg set {name} peer {key} allowed-ips {','.join(wider)}")
        self.home.shell("; ".join(f"ip route add {each} dev {name}" for each in wider))
        yield "home finds open", self.home.scan(*every), dict(zip(every, ([443], [443], [], []), strict=True))
        self.ran("box", "systemd-run", "--quiet", "--unit=listener", "nc", "-lk", box, str(LISTENER))
        self.tablet.on(
            "systemd-run", "--quiet", f"--unit=listener-{self.number}", "nc", "-lk", f"{self.inside}.3", str(LISTENER)
        )
        self.ran("box", "bash", "-c", LISTENING % f"{box}:{LISTENER}")
        self.tablet.shell(LISTENING % f"{self.inside}.3:{LISTENER}")
        calls = (("pacs", box), ("tablet", f"{self.inside}.3"), ("home", box), ("home", f"{self.inside}.3"))
        answers = side_by_side(lambda call: self.calls(*call), calls)
        due = dict(zip(calls, (0, 0, 1, 1), strict=True))
        yield "others of the practice, and other devices, answer", answers, due
        others = (self.practice.address("ws"), f"{self.inside}.3")
        for claimed, listed in self.home.studies_as(others, self.server).items():
            yield f"home as {claimed}", listed, []

    def across(self) -> Iterator[Check]:
        """Nobody on the LAN comes through the gateway, into the tunnel or into the network of administration."""
        admin = TOPOLOGY.hosts[f"pacs-{self.number}"].plain(f"admin{self.number}")[0]
        place, host = f"{self.inside}.2", f"listener-{self.number}"
        self.home.on("systemd-run", "--quiet", f"--unit={host}", "nc", "-lk", place, str(LISTENER))
        self.home.shell(LISTENING % f"{place}:{LISTENER}")
        for there in (f"{self.inside}.0/24", f"{admin}/32"):
            self.ran("box", "ip", "route", "add", there, "via", self.gate)
        yield "the box calls the laptop by the gateway", self.calls("box", place), 1
        yield "the laptop answers itself", self.calls("home", place), 0
        yield "the box calls the server's address of administration by the gateway", self.calls("box", admin, 22), 1

    def calls(self, host: str, address: str, port: int = LISTENER) -> int:
        """Return 0 when a connection was taken, else 1."""
        return self.ran(host, "nc", "-z", "-w", "3", address, str(port)).returncode

    def administering(self) -> Iterator[Check]:
        """Over SSH key and code are asked of the tablet, on the server that sees the gateway, and on the gateway."""
        for kind in ("pacs", "gate"):
            shell = functools.partial(self.on_what_is_administered, kind)
            asked = Administering(shell, (self.practice.address(kind), self.practice.address(kind, 6)))
            for what, seen, due in itertools.islice(asked.checks(), LOGINS):
                yield f"at {kind}: {what}", seen, due

    def on_what_is_administered(self, kind: str, host: str, *command: str, stdin: str | None = None) -> Done:
        """Run a command on a device, or on the host that it administers, which Administering calls pacs."""
        return self.ran(kind if host == "pacs" else host, *command, stdin=stdin)

    def power(self) -> Iterator[Check]:
        """After a power cut the gateway passes on as before, by itself."""
        self.practice.lab.cut_power(f"gate-{self.number}")
        self.practice.lab.give_power(f"gate-{self.number}")
        line = (
            f"for _ in $(seq 60); do curl -sk -m 15 -o /dev/null https://{self.server}/ && exit; sleep 1; done; exit 1"
        )
        for name, device in self.devices.items():  # each finds out, 15 s after it calls, that its session is gone
            yield f"{name} is answered after a power cut", device.on("bash", "-c", line).returncode, 0
        yield "... and finds open", self.tablet.scan(self.server6), {self.server6: [22, 443]}

    def called(self) -> Iterator[Check]:
        """Let the tablet read over one connection, which stays open; the server sees the gateway's address."""
        self.hold()
        seen = self.ran("pacs", "sh", "-c", "ss -Htn state established sport = :443 | awk '{print $4}'").stdout
        callers = {line.rpartition(":")[0].removeprefix("[::ffff:").rstrip("]") for line in seen.splitlines()}
        yield "the server is called by", callers, {self.gate}

    def removed(self) -> Iterator[Check]:
        """The laptop's key is taken out: it gets no answer at all, and the tablet never notices."""
        self.home.switch("down")
        yield "home brings its tunnel up again", self.home.switch("up"), 0
        yield from self.nothing("with a key that was taken out", *self.closed)
        yield "tablet still reads", len(self.tablet.studies(self.server)), STUDIES
        yield "... also over the connection that it has open", self.still_open(), True

    def withdrawn(self) -> Iterator[Check]:
        """The tablet is granted the web no more: its open connection ends as well, while its tunnel stays up."""
        yield "the tablet's open connection", self.told_until("none").partition(", ")[2], "then none"
        yield "the tablet finds open", self.tablet.scan(self.server), {self.server: [22]}


if __name__ == "__main__":
    LOOKS = {
        "before": lambda practice, directory: Witness(practice, directory).before(),
        "after": lambda practice, directory: Witness(practice, directory).after(),
        "withdrawn": lambda practice, directory: Witness(practice, directory).withdrawn(),
        "removed": lambda practice, directory: Witness(practice, directory).removed(),
    }
    sys.exit(witness(LOOKS, *sys.argv[1:]))
