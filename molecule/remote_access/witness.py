# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Witness those who read from home: a laptop of a reader, a tablet of an administrator, each elsewhere on the internet.

Usage: witness.py before|after|removed LAB INVENTORY. Prints a line a check and `N passed, N failed`. The laptop is the
lab's host `home`, the tablet its host `attacker`, which scans as well.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

RESOURCES = Path(__file__).resolve().parents[1] / "resources"
WITNESSES = RESOURCES / "witnesses"
sys.path.insert(0, str(RESOURCES))

import yaml
from administering import Administering
from story import STUDIES, Practice
from topology import TOPOLOGY
from witnessing import Check, witness

NOBODYS = {
    "home": "YS5tYXJ0aW4ncyBsYXB0b3AsIG1hZGUgdXAgaGVyZSE=",
    "tablet": "Yy5tb3JlYXUncyB0YWJsZXQsIG1hZGUgdXAgaGVyZSE=",
}
"""The keys in the lab's clinic files, which are nobody's."""
PLACES = {"home": "home", "tablet": "attacker"}
"""Device of the clinic file -> host of the lab that plays it."""
READER = {"home": "a.martin", "tablet": "c.moreau"}
IMAGES, BYTES = 6, 128 * 128 * 2
LAST = 12000
"""The last TCP port of a scan."""
LISTENER = 8099
INSTALL = (
    "export DEBIAN_FRONTEND=noninteractive; flock /run/installing apt-get -qq install --no-download "
    "--no-install-recommends %s </dev/null >/dev/null 2>&1; mkdir -p /etc/wireguard"
)
BOX = """
flush ruleset
table inet box {
  chain forwards { type nat hook prerouting priority dstnat; policy accept;
    iifname "internet" meta nfproto ipv4 udp dport %(port)s dnat ip to %(address)s
  }
  chain out { type nat hook postrouting priority srcnat; policy accept;
    oifname "internet" ip saddr %(lan)s masquerade
  }
  chain through { type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "lan" accept
    ct status dnat accept
  }
}
"""
"""A box with one forward and no other; what comes in by IPv6 it drops."""


class Witness:
    """Looks at one practice."""

    def __init__(self, practice: Practice, directory: Path) -> None:
        """Take the practice and the clinic's folder on the controller."""
        self.practice, self.directory, self.number = practice, directory, practice.number
        self.server, self.server6 = practice.address("pacs"), practice.address("pacs", 6)
        self.box = TOPOLOGY.hosts[f"box-{self.number}"].plain("internet")[0]

    def on(self, host: str, *command: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command on a device, or on one of the practice's hosts."""
        name = PLACES.get(host) or (host if host in PLACES.values() else f"{host}-{self.number}")
        return self.practice.lab.execute(name, *command, stdin=stdin, check=False)

    def shell(self, host: str, line: str, stdin: str | None = None) -> str:
        """Run a line of shell there and return what it printed."""
        return self.on(host, "bash", "-c", line, stdin=stdin).stdout.strip()

    def tunnel(self, device: str) -> str:
        """Return the name of a device's interface."""
        return f"{device}-{self.number}"

    def before(self) -> Iterator[Check]:
        """Store studies, make each device's key on it, and put its public key into the clinic file."""
        source = (RESOURCES / "devices" / "studies.py").read_text(encoding="utf-8")
        made = self.on("pacs", "python3", "-", "/root/studies", self.practice.clinic, str(STUDIES), stdin=source)
        post = "curl -sfo /dev/null -u orthanc:orthanc 127.0.0.1:8042/instances --data-binary @$f"
        post = f"for f in /root/studies/*; do {post} || exit; done"
        yield "the archive keeps studies", (made.returncode, self.on("pacs", "bash", "-c", post).returncode), (0, 0)
        keys = {}
        for device in PLACES:
            self.shell(device, INSTALL % "wireguard-go wireguard-tools")
            file = f"/etc/wireguard/{self.tunnel(device)}.key"
            keys[device] = self.shell(device, f"umask 077; wg genkey | tee {file} | wg pubkey")
        yield "each device makes its key", [len(key) for key in keys.values()], [44, 44]
        file = self.directory.with_suffix(".yml")
        clinic = file.read_text(encoding="utf-8")
        for device, nobodys in NOBODYS.items():
            clinic = clinic.replace(nobodys, keys[device])
        file.write_text(clinic, encoding="utf-8")
        self.shell("pacs", INSTALL % "oathtool")
        yield "the scan sees what is open", 4242 in self.scan("attacker", self.box)[self.box], True

    def after(self) -> Iterator[Check]:
        """Read from home, and try every other way."""
        told = (self.directory / "remote_access" / "internet-box.txt").read_text(encoding="utf-8")
        port, address = re.search(r"UDP port (\d+) to ([0-9.]+)", told).groups()  # type: ignore[union-attr]
        rules = BOX % {"port": port, "address": address, "lan": TOPOLOGY.networks[f"lan{self.number}"][0]}
        yield "the box takes the one forward", self.on("box", "nft", "-f", "-", stdin=rules).returncode, 0
        yield from self.nothing("without the tunnel", self.server, self.server6, self.box)
        for device in PLACES:
            yield f"{device} brings its tunnel up", self.up(device), 0
        yield from self.reading()
        yield from self.reach()
        yield from Administering(self.on, (self.server, self.server6)).checks()
        yield from self.outside()
        yield from self.power()
        self.shell("pacs", "cat /sys/class/net/wg-radiology/ifindex >/root/index")

    def up(self, device: str) -> int:
        """Set a device by the file that the role wrote for it; the key is filled in on the device."""
        name, folder = self.tunnel(device), "/etc/wireguard"
        given = (self.directory / "remote_access" / f"{device}.conf").read_text(encoding="utf-8")
        edit = f'sed "s|PRIVATE-KEY-OF-THIS-DEVICE|$(cat {folder}/{name}.key)|" >{folder}/{name}.conf'
        self.shell(device, f"umask 077; {edit}", stdin=given)
        authority = (self.directory / "authority" / "ca.crt").read_text(encoding="utf-8")
        self.shell(device, f"cat >/root/ca-{self.number}.crt", stdin=authority)
        return self.on(device, "wg-quick", "up", name).returncode

    def passwords(self) -> dict[str, str]:
        """Return people's passwords, out of the clinic's vault by ansible-vault."""
        command = [str(Path(sys.executable).with_name("ansible-vault")), "view", str(self.directory / "vault.yml")]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        loaded: dict[str, str] = yaml.safe_load(done.stdout)["passwords"]
        return loaded

    def ask(self, device: str, address: str, path: str, *more: str) -> str:
        """Ask the server over HTTPS, its certificate checked, and return the answer; nothing where there is none."""
        login = READER[device]
        where = f"https://[{address}]{path}" if ":" in address else f"https://{address}{path}"
        words = ("curl", "-sS", "-m", "10", "--cacert", f"/root/ca-{self.number}.crt", "-K", "-", *more, where)
        return self.on(device, *words, stdin=f'user = "{login}:{self.passwords()[login]}"\n').stdout

    def studies(self, device: str, address: str, *more: str) -> int:
        """Return how many studies DICOMweb lists there."""
        return len(json.loads(self.ask(device, address, "/dicom-web/studies", *more) or "[]"))

    def nothing(self, when: str, *addresses: str) -> Iterator[Check]:
        """Ask at addresses that must not answer; neither curl's own certificate check nor a password is in the way."""
        for address in addresses:
            where = f"https://[{address}]/" if ":" in address else f"https://{address}/"
            asked = ("curl", "-sk", "-m", "4", "-o", "/dev/null", "-w", "%{http_code}", where)
            yield f"{when}, {address} tells the laptop nothing", self.on("home", *asked).stdout, "000"

    def reading(self) -> Iterator[Check]:
        """Read by DICOMweb over HTTPS."""
        for device in PLACES:
            for address in (self.server, self.server6):
                yield f"{device} lists the studies at {address}", self.studies(device, address), STUDIES
        listed = json.loads(self.ask("home", self.server, "/dicom-web/studies") or "[]")
        uid = listed[0]["0020000D"]["Value"][0] if listed else ""
        size = self.ask("home", self.server, f"/dicom-web/studies/{uid}", "-o", "/dev/null", "-w", "%{size_download}")
        yield "home fetches a study whole", int(float(size or 0)) > IMAGES * BYTES, True

    def reach(self) -> Iterator[Check]:
        """Each device reaches what it is granted and no more, by no address but its own."""
        name, gateway = self.tunnel("home"), self.practice.address("box")
        for device, ports in (("home", [443]), ("tablet", [22, 443])):
            found = self.scan(PLACES[device], self.server, self.server6)
            yield f"{device} finds open", found, {self.server: ports, self.server6: ports}
        self.on("box", "systemd-run", "--quiet", "--unit=listener", "nc", "-lk", gateway, str(LISTENER))
        key = self.shell("home", f"wg show {name} peers")
        lan = TOPOLOGY.networks[f"lan{self.number}"][0]
        self.shell("home", f"wg set {name} peer {key} allowed-ips {lan} && ip route add {lan} dev {name}")
        call = f"for _ in 1 2 3 4 5; do nc -z -w 3 {gateway} {LISTENER} && exit; sleep 0.2; done; exit 1"
        calls = {host: self.on(host, "bash", "-c", call).returncode for host in ("pacs", "home")}
        yield "the box answers the server, and nobody through it", calls, {"pacs": 0, "home": 1}
        yield "home still reads", self.studies("home", self.server), STUDIES
        for claimed in (self.practice.address("ws"), f"10.99.{10 + self.number}.3"):
            self.on("home", "ip", "address", "add", f"{claimed}/32", "dev", name)
            yield f"home as {claimed}", self.studies("home", self.server, "--interface", claimed), 0
            self.on("home", "ip", "address", "delete", f"{claimed}/32", "dev", name)

    def outside(self) -> Iterator[Check]:
        """From the internet, nothing answers who has no key: no TCP port, and no word by UDP."""
        tcp = self.scan("attacker", self.box)
        yield "a scan of TCP from the internet finds", tcp, {self.box: []}
        heard = self.on("attacker", "python3", "-", self.box, stdin=SHOUT).stdout.strip()
        yield "datagrams to every UDP port are answered by", heard, "[]"

    def power(self) -> Iterator[Check]:
        """After a power cut the tunnel comes up by itself, and devices come back."""
        self.practice.lab.cut_power(f"pacs-{self.number}")
        self.practice.lab.give_power(f"pacs-{self.number}")
        line = (
            f"for _ in $(seq 60); do curl -sk -m 3 -o /dev/null https://{self.server}/ && exit; sleep 1; done; exit 1"
        )
        for device in PLACES:  # each makes out for itself, 15 s after it first calls, that its former session is gone
            yield f"{device} is answered after a power cut", self.on(device, "bash", "-c", line).returncode, 0
            yield "... and reads", self.studies(device, self.server), STUDIES

    def removed(self) -> Iterator[Check]:
        """The laptop's key is taken out: it gets no answer at all, and the tablet never notices."""
        name = self.tunnel("home")
        self.on("home", "wg-quick", "down", name)
        yield "home brings its tunnel up again", self.on("home", "wg-quick", "up", name).returncode, 0
        yield from self.nothing("with a key that was taken out", self.server, self.server6)
        sent = self.shell("home", f"wg show {name} transfer").split()[1:]
        yield "... which hears nothing, and says something", [int(each) > 0 for each in sent], [False, True]
        yield "tablet still reads", self.studies("tablet", self.server), STUDIES
        same = "diff /sys/class/net/wg-radiology/ifindex /root/index"
        yield "... through the tunnel that never went down", self.on("pacs", "bash", "-c", same).returncode, 0
        file = self.directory / "remote_access" / "home.conf"
        yield "what the laptop is set to is gone beside the clinic file", file.exists(), False
        yield from self.unused()

    def unused(self) -> Iterator[Check]:
        """A device that was not heard of for 90 days is shut out, after a restart too, until it is let in anew."""
        note, tablet = "/var/lib/radiology-tunnel/heard.json", self.tunnel("tablet")
        self.on("tablet", "wg-quick", "down", tablet)
        self.shell("pacs", f"systemctl restart radiology-tunnel && sed -i -E 's/: [0-9.]+/: 1700000000/' {note}")
        self.shell("pacs", "systemctl start radiology-tunnel-idle && systemctl restart radiology-tunnel")
        self.on("tablet", "wg-quick", "up", tablet)
        yield "tablet, not heard of for 90 days, reads", self.studies("tablet", self.server), 0
        self.shell("pacs", f"rm {note}; systemctl restart radiology-tunnel")
        self.on("tablet", "wg-quick", "down", tablet)
        self.on("tablet", "wg-quick", "up", tablet)
        yield "... and reads again when it is let in anew", self.studies("tablet", self.server), STUDIES

    def scan(self, host: str, *addresses: str) -> dict[str, list[int]]:
        """Return the TCP ports that take a connection from there."""
        program = (WITNESSES / "open_ports.py").read_text(encoding="utf-8")
        done = self.on(host, "python3", "-", "1", str(LAST), *addresses, stdin=program)
        loaded: dict[str, list[int]] = json.loads(done.stdout)
        return loaded


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
        "removed": lambda practice, directory: Witness(practice, directory).removed(),
    }
    sys.exit(witness(LOOKS, *sys.argv[1:]))
