# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Witness those who read from home: a laptop of a reader, a tablet of an administrator, each elsewhere on the internet.

Usage: witness.py before|after|removed|withdrawn LAB INVENTORY. Prints a line a check and `N passed, N failed`. The
laptop is the lab's host `home`, the tablet its host `attacker`, which scans as well.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

RESOURCES = Path(__file__).resolve().parents[1] / "resources"
sys.path.insert(0, str(RESOURCES))

from administering import Administering
from home import INSTALL, enlist, set_box
from readers import Readers, by_wireguard
from story import STUDIES, Practice
from topology import TOPOLOGY
from witnessing import LISTENING, Check, witness

LISTENER = 8099
PORT = 51820
COUNTED = """
table inet witness {
  chain came { type filter hook prerouting priority -310; iifname "lan" udp dport %(port)s ip saddr %(from)s counter; }
  chain through { type filter hook input priority 300; iifname "lan" udp dport %(port)s ip saddr %(from)s counter; }
}
"""
"""Counts what came to the server, before anything looked at it, and what is left after the firewall."""


class Witness(Readers):
    """Looks at one practice."""

    def __init__(self, practice: Practice, directory: Path) -> None:
        """Take the practice and the clinic's folder on the controller."""
        super().__init__(practice, directory, by_wireguard(practice, directory))
        self.box = practice.box

    def on(self, kind: str, *command: str, stdin: str | None = None) -> int:
        """Run a command on one of the practice's hosts and return its status."""
        return self.ran(kind, *command, stdin=stdin).returncode

    def ran(self, host: str, *command: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command on a device, or on one of the practice's hosts, and return what came of it."""
        if host in self.devices:
            return self.devices[host].on(*command, stdin=stdin)
        return self.practice.lab.execute(f"{host}-{self.number}", *command, stdin=stdin, check=False)

    def before(self) -> Iterator[Check]:
        """Store studies, make each device's key on it, and put its public key into the clinic file."""
        yield from self.stored()
        keys = {name: device.make_key() for name, device in self.devices.items()}
        yield "each device makes its key", [len(key) for key in keys.values()], [44, 44]
        for name, key in keys.items():
            enlist(self.directory, key, name)
        self.on("pacs", "bash", "-c", INSTALL % "oathtool")
        yield "the scan sees what is open", 4242 in self.tablet.scan(self.box)[self.box], True

    def after(self) -> Iterator[Check]:
        """Read from home, and try every other way."""
        yield "the box takes the one forward", set_box(self.practice, self.directory), 0
        yield from self.nothing("without the tunnel", self.server, self.server6, self.box)
        for name, device in self.devices.items():
            yield f"{name} brings its tunnel up", device.up(), 0
        yield from self.reading()
        yield from self.reach()
        yield from Administering(self.ran, (self.server, self.server6)).checks()
        yield from self.outside()
        yield from self.claimed_on_lan()
        yield from self.unused()
        yield from self.power()
        self.hold()
        self.on("pacs", "sh", "-c", "cat /sys/class/net/wg-radiology/ifindex >/root/index")

    def reach(self) -> Iterator[Check]:
        """Each device reaches what it is granted and no more, by no address but its own."""
        name, gateway = self.home.interface, self.practice.address("box")
        for device, ports in ((self.home, [443]), (self.tablet, [22, 443])):
            found = device.scan(self.server, self.server6)
            yield f"{device.name} finds open", found, {self.server: ports, self.server6: ports}
        self.on("box", "systemd-run", "--quiet", "--unit=listener", "nc", "-lk", gateway, str(LISTENER))
        self.on("box", "bash", "-c", LISTENING % f"{gateway}:{LISTENER}")
        key = self.home.shell(f"wg show {name} peers")
        lan = TOPOLOGY.networks[f"lan{self.number}"][0]
        self.home.shell(f"wg set {name} peer {key} allowed-ips {lan} && ip route add {lan} dev {name}")
        call = f"for _ in 1 2 3 4 5; do nc -z -w 3 {gateway} {LISTENER} && exit; sleep 0.2; done; exit 1"
        calls = {"pacs": self.on("pacs", "bash", "-c", call), "home": self.home.on("bash", "-c", call).returncode}
        yield "the box answers the server, and nobody through it", calls, {"pacs": 0, "home": 1}
        yield "home still reads", len(self.home.studies(self.server)), STUDIES
        others = (self.practice.address("ws"), f"10.99.{10 + self.number}.3")
        for claimed, listed in self.home.studies_as(others, self.server).items():
            yield f"home as {claimed}", listed, []

    def outside(self) -> Iterator[Check]:
        """From the internet, nothing answers who has no key: no TCP port, and no word by UDP."""
        yield "a scan of TCP from the internet finds", self.tablet.scan(self.box), {self.box: []}
        heard = self.tablet.on("python3", "-", self.box, stdin=SHOUT).stdout.strip()
        yield "datagrams to every UDP port are answered by", heard, "[]"

    def claimed_on_lan(self) -> Iterator[Check]:
        """What comes from the LAN by an address of the tunnel gets not even to the tunnel's port, open to everybody."""
        own, claimed = self.practice.address("box"), f"10.99.{10 + self.number}.2"
        self.on("box", "ip", "address", "add", f"{claimed}/32", "dev", "lan")
        yield "from the LAN by an address of the tunnel", self.counted(claimed), {"came": 1, "through": 0}
        self.on("box", "ip", "address", "delete", f"{claimed}/32", "dev", "lan")
        yield "from the LAN by one's own address", self.counted(own), {"came": 1, "through": 1}

    def counted(self, source: str) -> dict[str, int]:
        """Send the tunnel's port one datagram from the box; tell if it came to the server, and past its firewall."""
        self.on("pacs", "nft", "-f", "-", stdin=COUNTED % {"port": PORT, "from": source})
        send = f"import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('{source}', 0)); "
        self.on("box", "python3", "-c", f"{send}s.sendto(b'word', ('{self.server}', {PORT}))")
        listed = ("sh", "-c", "sleep 1; nft -j list table inet witness; nft delete table inet witness")
        told = json.loads(self.practice.lab.execute(f"pacs-{self.number}", *listed).stdout)["nftables"]
        rules = [each["rule"] for each in told if "rule" in each]
        return {rule["chain"]: rule["expr"][-1]["counter"]["packets"] for rule in rules}

    def power(self) -> Iterator[Check]:
        """After a power cut the tunnel comes up by itself, and devices come back."""
        yield from self.power_cut()
        line = (
            f"for _ in $(seq 60); do curl -sk -m 15 -o /dev/null https://{self.server}/ && exit; sleep 1; done; exit 1"
        )
        for name, device in self.devices.items():  # each finds out, 15 s after it calls, that its session is gone
            yield f"{name} is answered after a power cut", device.on("bash", "-c", line).returncode, 0
            yield "... and reads", len(device.studies(self.server)), STUDIES

    def removed(self) -> Iterator[Check]:
        """The laptop's key is taken out: it gets no answer at all, and the tablet never notices."""
        self.home.switch("down")
        yield "home brings its tunnel up again", self.home.switch("up"), 0
        yield from self.nothing("with a key that was taken out", self.server, self.server6)
        sent = self.home.shell(f"wg show {self.home.interface} transfer").split()[1:]
        yield "... which hears nothing, and says something", [int(each) > 0 for each in sent], [False, True]
        yield "tablet still reads", len(self.tablet.studies(self.server)), STUDIES
        same = "diff /sys/class/net/wg-radiology/ifindex /root/index"
        yield "... through the tunnel that never went down", self.on("pacs", "bash", "-c", same), 0
        yield "... also over the connection that it has open", self.still_open(), True
        file = self.directory / "remote_access" / "home.conf"
        yield "what the laptop is set to is gone beside the clinic file", file.exists(), False

    def unused(self) -> Iterator[Check]:
        """A device that was not heard of for 90 days is shut out, after a restart too, until it is let in anew."""
        note = "/var/lib/radiology-tunnel/heard.json"
        self.tablet.switch("down")
        aged = f"systemctl restart radiology-tunnel && sed -i -E 's/^   [0-9]+,/   90,/' {note}"
        aged += " && systemctl start radiology-tunnel-idle && systemctl restart radiology-tunnel"
        yield "90 days pass", self.on("pacs", "bash", "-c", aged), 0
        self.tablet.switch("up")
        yield "tablet, not heard of for so long, reads", len(self.tablet.studies(self.server)), 0
        self.on("pacs", "bash", "-c", f"rm {note}; systemctl restart radiology-tunnel")
        self.tablet.switch("down")
        self.tablet.switch("up")
        yield "... and reads again when it is let in anew", len(self.tablet.studies(self.server)), STUDIES

    def withdrawn(self) -> Iterator[Check]:
        """The tablet is granted the web no more: its open connection ends as well, while its tunnel stays up."""
        yield "the tablet's open connection", self.told_until("none").partition(", ")[2], "then none"
        yield "the tablet finds open", self.tablet.scan(self.server), {self.server: [22]}


SHOUT = """
import socket, sys
caller = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
caller.settimeout(3)
heard = set()
for port in range(1, 65536):
    caller.sendto(bytes([1]) + bytes(147), (sys.argv[1], port))
try:
    while True:
        heard.add(caller.recvfrom(2000)[1][1])
except OSError:
    print(sorted(heard))
"""
"""Sends each UDP port what begins as a handshake of WireGuard does, and prints which ports said anything."""


if __name__ == "__main__":
    LOOKS = {
        "before": lambda practice, directory: Witness(practice, directory).before(),
        "after": lambda practice, directory: Witness(practice, directory).after(),
        "withdrawn": lambda practice, directory: Witness(practice, directory).withdrawn(),
        "removed": lambda practice, directory: Witness(practice, directory).removed(),
    }
    sys.exit(witness(LOOKS, *sys.argv[1:]))
