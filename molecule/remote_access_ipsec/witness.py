# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Witness those who read from home by IPsec: a laptop of a reader, a tablet of an administrator, on the internet.

Usage: witness.py before|after|removed LAB INVENTORY. Prints a line a check and `N passed, N failed`. The laptop is the
lab's host `home`, the tablet its host `attacker`, which scans as well.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

RESOURCES = Path(__file__).resolve().parents[1] / "resources"
sys.path.insert(0, str(RESOURCES))

from home import set_box
from home_ipsec import devices
from readers import PLACES, Readers
from story import STUDIES, Practice
from witnessing import Check, witness

NOTE = "/var/lib/radiology-tunnel/heard.json"
AGED = "s/^   [0-9]+,/   90,/; s/^   [0-9]+$/   1/"
"""Has each key of the note silent for 90 days, heard of long ago: one that is connected is heard of anew."""


class Witness(Readers):
    """Looks at one practice."""

    def __init__(self, practice: Practice, directory: Path) -> None:
        """Take the practice and the clinic's folder on the controller."""
        super().__init__(practice, directory, devices(PLACES, practice, directory))
        self.box = practice.box

    def on(self, kind: str, *command: str) -> int:
        """Run a command on one of the practice's hosts and return its status."""
        return self.practice.lab.execute(f"{kind}-{self.number}", *command, check=False).returncode

    def before(self) -> Iterator[Check]:
        """Store studies, make each device's key on it, and hand in its request."""
        yield from self.stored()
        for name, device in self.devices.items():
            yield (
                f"{name} makes its key, and a request",
                device.hand_in().splitlines()[-1:],
                ["-----END CERTIFICATE REQUEST-----"],
            )
        yield "the scan sees what is open", 4242 in self.tablet.scan(self.box)[self.box], True

    def after(self) -> Iterator[Check]:
        """Read from home, and try other ways."""
        yield "the box takes the two ports of one forward", set_box(self.practice, self.directory), 0
        yield from self.nothing("without the tunnel", self.server, self.server6, self.box)
        for name, device in self.devices.items():
            yield f"{name} brings its tunnel up", device.up(), 0
        yield from self.reading()
        yield from self.reach()
        yield from self.unused()
        yield from self.power()
        self.hold()

    def reach(self) -> Iterator[Check]:
        """Each device reaches what it is granted and no more; from the LAN nobody by an address of the tunnel."""
        for device, ports in ((self.home, [443]), (self.tablet, [22, 443])):
            found = device.scan(self.server, self.server6)
            yield f"{device.name} finds open", found, {self.server: ports, self.server6: ports}
        yield "a scan of TCP from the internet finds", self.tablet.scan(self.box), {self.box: []}
        claimed = f"10.99.{10 + self.number}.2"
        line = (
            f"ip address add {claimed}/32 dev lan; "
            f"for port in 22 443; do nc -z -w 3 -s {claimed} {self.server} $port && found=1; done; "
            f"ip address delete {claimed}/32 dev lan; test -z $found"
        )
        yield "from the LAN by an address of the tunnel nobody gets in", self.on("box", "bash", "-c", line), 0

    def unused(self) -> Iterator[Check]:
        """A device that was not heard of for 90 days is shut out, after a restart too."""
        self.tablet.switch("down")
        aged = "systemctl stop radiology-tunnel-idle.timer"  # which may have read the note before the edit
        aged += f" && systemctl start radiology-tunnel-idle && sed -i -E '{AGED}' {NOTE}"
        aged += " && systemctl start radiology-tunnel-idle && systemctl restart radiology-tunnel"
        saved = "cp -a /etc/swanctl/conf.d /etc/swanctl/x509 /root/"
        yield "90 days pass", self.on("pacs", "bash", "-c", f"{saved} && {aged}"), 0
        yield "tablet, not heard of for so long, comes in", "AUTH_FAILED" in self.tablet.why_not(), True
        yield "home, which is connected, still reads", len(self.home.studies(self.server)), STUDIES
        back = f"rm {NOTE}; cp -a /root/conf.d /root/x509 /etc/swanctl/ && systemctl restart radiology-tunnel"
        back += " && systemctl start radiology-tunnel-idle.timer"
        yield "it is let in anew", self.on("pacs", "bash", "-c", back), 0
        self.tablet.switch("up")
        yield "... and reads again", len(self.tablet.studies(self.server)), STUDIES

    def power(self) -> Iterator[Check]:
        """After a power cut the tunnel comes up by itself, and devices come back."""
        yield from self.power_cut()
        asked = "swanctl --list-conns 2>/dev/null | grep -q home-home:"
        line = f"for _ in $(seq 60); do {asked} && exit; sleep 1; done; exit 1"
        yield "the gateway waits for devices after a power cut", self.on("pacs", "bash", "-c", line), 0
        for name, device in self.devices.items():
            device.switch("down")
            device.switch("up")
            yield f"{name} reads after a power cut", len(device.studies(self.server)), STUDIES

    def removed(self) -> Iterator[Check]:
        """The laptop is taken out: its connection ended, its certificate opens nothing; the tablet never notices."""
        yield from self.nothing("with a connection that was open", self.server, self.server6)
        self.home.switch("down")
        yield "the gateway refuses the laptop", "AUTH_FAILED" in self.home.why_not(), True
        yield "tablet still reads", len(self.tablet.studies(self.server)), STUDIES
        yield "... also over the connection that it has open", self.still_open(), True
        folder = self.directory / "remote_access"
        left = [(folder / f"home.{end}").exists() for end in ("crt", "ipsec.txt", "csr")]
        yield "beside the clinic file its request alone is left", left, [False, False, True]


if __name__ == "__main__":
    LOOKS = {
        "before": lambda practice, directory: Witness(practice, directory).before(),
        "after": lambda practice, directory: Witness(practice, directory).after(),
        "removed": lambda practice, directory: Witness(practice, directory).removed(),
    }
    sys.exit(witness(LOOKS, *sys.argv[1:]))
