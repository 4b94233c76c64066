# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Witness a laptop that the engineer hardened in the practice and that is carried home.

Usage: witness.py before|after|again LAB INVENTORY. Prints a line a check and `N passed, N failed`. The laptop is the
practice's host `ws`, which leaves its networks for the internet; the host `attacker` scans it, and plays the archive in
a home that has the range of the practice.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

RESOURCES = Path(__file__).resolve().parents[1] / "resources"
sys.path.insert(0, str(RESOURCES))

import network
from home import NO_ANSWER, Device, patient, set_box
from story import STUDIES, Practice
from topology import TOPOLOGY
from witnessing import Check, witness

IMAGES, BYTES = 6, 128 * 128 * 2
TABLE, CLOSING, TUNNEL = "radiology_home", "radiology-tunnel-closed", "radiology-tunnel"
PRETENDER = "pretender"


class Witness:
    """Looks at one practice."""

    def __init__(self, practice: Practice, directory: Path) -> None:
        """Take the practice and the clinic's folder on the controller."""
        self.practice, self.directory, self.number = practice, directory, practice.number
        self.server, self.server6 = practice.address("pacs"), practice.address("pacs", 6)
        self.laptop = Device(practice, directory, "reading", f"ws-{self.number}")
        self.attacker = Device(practice, directory, "attacker", "attacker")
        self.host = TOPOLOGY.hosts[self.laptop.host]
        self.last = 80 + self.number

    def before(self) -> Iterator[Check]:
        """Store studies; and the scan that later finds nothing finds what is open."""
        made = self.practice.run("pacs", "studies.py", "/root/studies", self.practice.clinic, str(STUDIES))
        post = "curl -sfo /dev/null -u orthanc:orthanc 127.0.0.1:8042/instances --data-binary @$f"
        line = f"for f in /root/studies/*; do {post} || exit; done"
        kept = self.practice.lab.execute(f"pacs-{self.number}", "bash", "-c", line, check=False)
        yield f"the archive keeps {made}", kept.returncode, 0
        box = self.practice.box
        yield "the scan sees what is open", 4242 in self.attacker.scan(box)[box], True

    def after(self) -> Iterator[Check]:
        """Try the laptop in the practice, at home, and where a home has the range of the practice."""
        yield "the box takes the one forward", set_box(self.practice, self.directory), 0
        yield from self.in_practice()
        yield from self.again()

    def again(self) -> Iterator[Check]:
        """Carry it home, read, and come back to the practice, where the engineer still reaches it."""
        self.keep_authority()
        home = network.carry(self.practice.lab.name, self.host, "internet", self.last)
        try:
            yield from self.reading("at home")
            yield from self.outside(home)
            yield from self.without_tunnel()
            yield from self.same_range()
            yield from self.power()
        finally:
            network.bring_back(self.practice.lab.name, self.host, "internet")
        told = self.laptop.on("wg", "showconf", "wg-radiology").stdout.count("PrivateKey")
        listed = self.laptop.shell("grep -rlFf /etc/radiology-tunnel/private.key /etc /var/lib /run 2>/dev/null")
        yield "WireGuard holds a key, which lies in one file", (told, listed), (1, "/etc/radiology-tunnel/private.key")
        key = self.laptop.shell("cat /etc/radiology-tunnel/private.key")
        holding = [
            str(path) for path in self.directory.rglob("*") if path.is_file() and key in path.read_text("latin-1")
        ]
        yield "the clinic's folder holds it nowhere", (len(key), holding), (44, [])

    def keep_authority(self) -> None:
        """Have the laptop trust the clinic's authority."""
        authority = (self.directory / "authority" / "ca.crt").read_text(encoding="utf-8")
        self.laptop.shell(f"cat >{self.laptop.authority}", stdin=authority)

    def in_practice(self) -> Iterator[Check]:
        """In the practice too: by the tunnel or not at all, though the archive is beside it and would answer."""
        self.laptop.on("systemctl", "stop", TUNNEL)
        for address in (self.server, self.server6):
            yield f"in the practice, without the tunnel, {address}", self.laptop.status(address), NO_ANSWER
        self.laptop.on("nft", "delete", "table", "inet", TABLE)
        for address in (self.server, self.server6):
            yield f"... and without the rules, {address} answers", self.laptop.status(address) == NO_ANSWER, False
        for unit in (CLOSING, TUNNEL):
            yield f"{unit} starts again", self.laptop.on("systemctl", "restart", unit).returncode, 0

    def reading(self, where: str) -> Iterator[Check]:
        """Read by DICOMweb over HTTPS through the tunnel."""
        line = (
            f"for _ in $(seq 30); do curl -sk -m 15 -o /dev/null https://{self.server}/ && exit; sleep 1; done; exit 1"
        )
        yield f"{where} the archive answers", self.laptop.on("bash", "-c", line).returncode, 0
        for address in (self.server, self.server6):
            yield f"{where} the laptop lists the studies at {address}", len(self.laptop.studies(address)), STUDIES
        listed = self.laptop.studies(self.server)
        size = self.laptop.fetch(self.server, listed[0]) if listed else 0
        yield (
            f"{where} it fetches the study of {patient(listed[0]) if listed else 'nobody'}",
            size > IMAGES * BYTES,
            True,
        )

    def outside(self, home: tuple[str, str]) -> Iterator[Check]:
        """Whoever is where it is finds nothing open; and it finds the one port of the archive."""
        yield "a scan of the laptop finds", self.attacker.scan(*home), {address: [] for address in home}
        found = self.laptop.scan(self.server, self.server6)
        yield "the laptop finds open at the archive", found, {self.server: [443], self.server6: [443]}
        viewers = "':(104|2761|2762|3333|4242|8042|11112)$'"
        listening = self.laptop.shell(f"ss -Hltn | awk '{{print $4}}' | grep -vE '^(127|.::1)' | grep -E {viewers}")
        yield "no port of DICOM waits on it", listening, ""

    def without_tunnel(self) -> Iterator[Check]:
        """With the tunnel down there is no archive."""
        self.laptop.on("systemctl", "stop", TUNNEL)
        for address in (self.server, self.server6, self.practice.box):
            yield f"at home, without the tunnel, {address} tells it nothing", self.laptop.status(address), NO_ANSWER

    def same_range(self) -> Iterator[Check]:
        """In a home that has the practice's range, somebody has the archive's address and waits for a password."""
        prefix = TOPOLOGY.networks[f"lan{self.number}"][0].partition("/")[2]
        self.attacker.on("ip", "address", "add", f"{self.server}/{prefix}", "dev", "internet")
        own = f"{self.practice.address('ws')}/{prefix}"
        self.laptop.on("ip", "address", "add", own, "dev", "internet", "metric", "5")
        unit = f"{PRETENDER}-{self.number}"
        self.attacker.on("systemd-run", "--quiet", f"--unit={unit}", "nc", "-lk", self.server, "443")
        call = ("bash", "-c", f"for _ in 1 2 3; do nc -z -w 3 {self.server} 443 && exit; sleep 1; done; exit 1")
        try:
            yield "it calls a pretender by the archive's address", self.laptop.on(*call).returncode, 1
            self.laptop.on("nft", "delete", "table", "inet", TABLE)
            yield "... and would be called without the rules", self.laptop.on(*call).returncode, 0
            self.laptop.on("systemctl", "restart", CLOSING)
            self.laptop.on("systemctl", "restart", TUNNEL)
            yield from self.reading("with the tunnel, in such a home,")
        finally:
            self.attacker.on("systemctl", "stop", unit)
            self.attacker.on("ip", "address", "delete", f"{self.server}/{prefix}", "dev", "internet")
            self.laptop.on("ip", "address", "delete", own, "dev", "internet")

    def power(self) -> Iterator[Check]:
        """Switched off and on, it is as closed, and reads."""
        self.practice.lab.cut_power(self.laptop.host)
        self.practice.lab.give_power(self.laptop.host)
        told = json.loads(self.laptop.on("nft", "-j", "list", "tables").stdout)["nftables"]
        tables = {each["table"]["name"] for each in told if "table" in each}
        yield "after a start the rules are there", {"radiology", TABLE} <= tables, True
        yield from self.reading("after a start")


if __name__ == "__main__":
    LOOKS = {
        "before": lambda practice, directory: Witness(practice, directory).before(),
        "after": lambda practice, directory: Witness(practice, directory).after(),
        "again": lambda practice, directory: Witness(practice, directory).again(),
    }
    sys.exit(witness(LOOKS, *sys.argv[1:]))
