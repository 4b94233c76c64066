# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Witness an old modality that speaks no TLS: it works by the box beside it, and nothing in clear leaves its room.

Usage: witness.py before|after LAB INVENTORY. Prints a line a check and `N passed, N failed`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

RESOURCES = Path(__file__).resolve().parents[1] / "resources"
sys.path.insert(0, str(RESOURCES))

import wiretap
from practices import AE_TITLES, PREFIXES
from story import STUDIES, Practice
from topology import TOPOLOGY
from witnessing import Check, witness

IMAGES = STUDIES * 6
PIXELS = IMAGES * 128 * 128 * 2
"""Bytes of all images; what carries them carries more."""
CALLED, OWN = 104, 11112
"""Where the modality calls the box in its room, and the port on which the modality itself is sent images."""
APPLICATION = "1.2.840.10008.3.1.1.1"
"""DICOM's application context, which every association in clear begins with (PS3.7 A.2.1)."""
STRANGER = "192.168.77.3"
SILENT = 124
"""The status of timeout(1): neither taken nor refused."""
LAST = 12000
"""The last TCP port of a scan."""


class Witness:
    """Looks at one practice."""

    def __init__(self, practice: Practice) -> None:
        """Take the practice."""
        self.practice, self.lab = practice, practice.lab
        self.lan, self.room = f"lan{practice.number}", f"room{practice.number}"
        self.box = TOPOLOGY.hosts[f"side-{practice.number}"].plain(self.room)[0]
        self.modality = TOPOLOGY.hosts[f"old-{practice.number}"].plain(self.room)[0]

    def on(self, kind: str, script: str) -> int:
        """Run a line of shell on one of the practice's hosts, and return its status."""
        return self.lab.execute(f"{kind}-{self.practice.number}", "bash", "-c", script, check=False).returncode

    def knock(self, kind: str, address: str, port: int) -> int:
        """Return how an attempt to connect ended: 0, 1 or SILENT."""
        return self.on(kind, f"timeout 2 bash -c '</dev/tcp/{address}/{port}' 2>/dev/null")

    def old(self, verb: str, *more: str) -> str:
        """Let the modality do something with the server, as it knows it: in clear, by the box."""
        clinic = self.practice.clinic
        called = ("--server", self.box, "--port", str(CALLED), "--called", AE_TITLES[clinic])
        own = ("--aet", f"{PREFIXES[clinic]}_OLD1", "--listen", self.modality, "--listen-port", str(OWN))
        return self.practice.run("old", "device.py", verb, *more, *called, *own, check=False)

    def checks(self) -> Iterator[Check]:
        """Yield every check."""
        names = self.practice.patients("old")
        words = (*sorted(set(names)), APPLICATION)
        worked: list[Check] = []
        crossed: list[dict[str, Any]] = []
        in_room = wiretap.on_network(
            self.lab,
            self.room,
            words,
            lambda: crossed.append(wiretap.on_network(self.lab, self.lan, words, lambda: worked.extend(self.work()))),
        )
        yield from worked
        for place, seen in (("the room", in_room), ("the LAN", crossed[0])):
            yield f"the capture of {place} saw all that travelled, both ways", seen["bytes"] > 2 * PIXELS, True
            yield "... and missed nothing", seen["holes"], 0
        yield "no name and no association on the LAN", crossed[0]["words"], dict.fromkeys(words, 0)
        yield "... but all of them in the room", min(in_room["words"].values()) > 0, True
        yield from self.from_the_room()
        yield from self.from_the_lan()

    def work(self) -> Iterator[Check]:
        """Store, query and fetch by C-MOVE."""
        yield "the modality stores", self.old("store", "/root/studies"), f"{IMAGES} images stored"
        yield "... queries", self.old("query"), f"{STUDIES} studies, {STUDIES * 2} series"
        yield "... and fetches by C-MOVE", self.old("retrieve"), f"{IMAGES} images retrieved"

    def from_the_room(self) -> Iterator[Check]:
        """Whoever is in the room reaches the modality's one port at the box, as that modality alone, and no further."""
        server, lan = self.practice.address("pacs"), self.practice.address("side")
        yield "the modality reaches its port of the box", self.knock("old", self.box, CALLED), 0
        for port in (22, OWN, CALLED + 1):
            yield f"... and not its port {port}", self.knock("old", self.box, port), SILENT
        network = TOPOLOGY.networks[self.lan][0]
        self.on("old", f"ip route add {network} via {self.box}")
        yield "... nor the server through it", self.knock("old", server, 2762), SILENT
        yield "... nor the box's other side", self.knock("old", lan, OWN), SILENT
        self.on("old", f"ip route delete {network}; ip address add {STRANGER}/29 dev room")
        came = self.on("old", f"timeout 2 nc -z -s {STRANGER} {self.box} {CALLED}")
        yield "a stranger in the room does not reach the modality's port", came, SILENT
        self.on("old", f"ip address delete {STRANGER}/29 dev room")

    def from_the_lan(self) -> Iterator[Check]:
        """Whoever is on the LAN reaches nothing of the room; the server alone, with its certificate, the modality."""
        lan = self.practice.address("side")
        network = TOPOLOGY.networks[self.room][0]
        for kind in ("laptop", "pacs"):
            self.on(kind, f"ip route add {network} via {lan}")
            for address, port in ((self.box, CALLED), (self.modality, OWN), (self.modality, 22), (lan, CALLED)):
                yield f"{kind} to {address}:{port}", self.knock(kind, address, port), SILENT
            self.on(kind, f"ip route delete {network}")
        told = self.practice.run("laptop", "open_ports.py", "1", str(LAST), lan, self.practice.address("side", 6))
        yield "nothing of the box answers the laptop", [ports for ports in json.loads(told).values() if ports], []
        yield "the server reaches the modality's port of the box", self.knock("pacs", lan, OWN), 0
        line = f"timeout 60 openssl s_client -quiet -connect {lan}:{OWN} 2>&1 </dev/null | grep -qE 'alert|reset'"
        yield "... where without a certificate it is shown out", self.on("pacs", line), 0
        yield "... and in clear it is no DICOM", self.on("pacs", f"timeout 10 echoscu {lan} {OWN}") != 0, True


def before(practice: Practice, directory: Path) -> Iterator[Check]:
    """Make studies on the modality; the box asks for the certificate by itself."""
    made = practice.run("old", "studies.py", "/root/studies", f"{practice.clinic}old", str(STUDIES))
    yield "images are made", bool(made), True
    yield "nobody asked for a certificate", (directory / "requests" / "old.csr").exists(), False


def after(practice: Practice, directory: Path) -> Iterator[Check]:
    """Look, and see that the modality's key was never beside the clinic file."""
    yield from Witness(practice).checks()
    kept = [path for path in directory.rglob("old*") if "PRIVATE" in path.read_text(encoding="utf-8")]
    yield "the modality's key is on the box alone", kept, []


if __name__ == "__main__":
    sys.exit(witness({"before": before, "after": after}, *sys.argv[1:]))
