# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Witness both practices, before and after hardening, with nothing of the collection's own code.

Usage: witness.py before|after LAB INVENTORY. Prints a line a check and `N passed, N failed`.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

RESOURCES = Path(__file__).resolve().parents[1] / "resources"
WITNESSES = RESOURCES / "witnesses"
sys.path.insert(0, str(RESOURCES))

import forgery
import machine
import network
from practices import AE_TITLES, PREFIXES
from story import FRONT, STUDIES, Practice, readable_series
from topology import TOPOLOGY
from witnessing import Check, side_by_side, witness

WEAK = ("AES128-SHA", "AES256-SHA", "AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA", "ECDHE-RSA-AES256-SHA384")
DEVICE = "/etc/dicom-device"
SILENT, SILENCE = 100, "/root/silence"
AT_LEAST = f"for _ in $(seq 60); do test 0$(cat {SILENCE}) -gt {{}} && echo -n 1 && exit; sleep 1; done"
"""Waits until more silent connections than these were opened, and says so in one digit."""
WAITS = ("--connect-timeout", "10", "-m", "60")
"""Seconds that curl waits for a connection, its TLS handshake included, and for all."""
CLEAR = 11104
"""The port that is declared in clear for us."""


class Witness:
    """Looks at one practice."""

    def __init__(self, practice: Practice, directory: Path) -> None:
        """Take the practice and the clinic's folder on the controller."""
        self.practice = practice
        self.directory = directory
        self.server = practice.address("pacs")
        self.called = AE_TITLES[practice.clinic]
        self.prefix = PREFIXES[practice.clinic]

    def on(self, kind: str, *command: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command on one of the practice's hosts."""
        host = kind if kind == "attacker" else f"{kind}-{self.practice.number}"
        return self.practice.lab.execute(host, *command, stdin=stdin, check=False)

    def associate(self, kind: str, calling: str, port: int = FRONT, address: str = "", *identity: str) -> str:
        """Ask for an association and return how it ended; with `identity`, over TLS."""
        program = (WITNESSES / "associate.py").read_text(encoding="utf-8")
        words = ("python3", "-", address or self.server, str(port), calling, self.called, *identity)
        answer = self.on(kind, *words, stdin=program)
        return (answer.stdout.split() or [answer.stderr[-200:]])[0]

    def checks(self) -> Iterator[Check]:
        """Yield every check of a hardened practice."""
        yield from self.use()
        yield from self.cleartext()
        yield from self.tls()
        yield from self.identities()
        yield from self.silence()
        yield from self.web()
        yield from self.ports()
        yield "series readable from the internet", readable_series(self.practice.attack()), 0

    def use(self) -> Iterator[Check]:
        """Those entitled go on working."""
        images = STUDIES * 6
        yield (
            "ct stores over TLS",
            self.practice.device("ct", "store", "/root/studies", tls=True),
            f"{images} images stored",
        )
        found = f"{STUDIES} studies, {STUDIES * 2} series"
        yield "ws queries over TLS", self.practice.device("ws", "query", tls=True), found
        yield "ws retrieves over TLS", self.practice.device("ws", "retrieve", tls=True), f"{images} images retrieved"

    def cleartext(self) -> Iterator[Check]:
        """Nobody gets an association in clear but the one device that is declared so, by its own AE title."""
        places = (
            ("ct", self.server),
            ("laptop", self.server),
            ("laptop", self.practice.address("pacs", 6)),
            ("attacker", TOPOLOGY.hosts[f"box-{self.practice.number}"].plain("internet")[0]),
            ("attacker", self.practice.address("pacs", 6)),
        )
        cases = [(kind, port, address) for kind, address in places for port in (FRONT, 4242, CLEAR)]
        ends = side_by_side(lambda case: self.associate(case[0], f"{self.prefix}_CT1", *case[1:]), cases)
        for (kind, port, address), ended in ends.items():
            yield f"cleartext from {kind} to {address} port {port}", ended, "refused"
        for family in (4, 6):
            ended = self.associate("us", f"{self.prefix}_US1", CLEAR, self.practice.address("pacs", family))
            yield f"cleartext from us, which is declared so, by IPv{family}", ended, "accepted"
        ended = self.associate("us", f"{self.prefix}_CT1", CLEAR)
        yield "cleartext from us by another's AE title", ended != "accepted", True

    def tls(self) -> Iterator[Check]:
        """Only TLS 1.2 and 1.3, only AEAD suites with forward secrecy."""
        for version in ("-tls1", "-tls1_1"):
            yield f"handshake {version}", self.handshake(version, "-cipher", "ALL:@SECLEVEL=0"), False
        for suite in WEAK:
            yield f"handshake {suite}", self.handshake("-tls1_2", "-cipher", f"{suite}:@SECLEVEL=0"), False
        for version in ("-tls1_2", "-tls1_3"):
            yield f"handshake {version}", self.handshake(version), True

    def handshake(self, *options: str) -> bool:
        """Tell whether openssl, from the modality, comes to agree on a suite."""
        done = self.on("ct", "openssl", "s_client", "-connect", f"{self.server}:{FRONT}", *options, stdin="")
        return any("Cipher is" in line and "(NONE)" not in line for line in done.stdout.splitlines())

    def identities(self) -> Iterator[Check]:
        """Certificate, address and AE title belong together."""
        ct, ws = f"{self.prefix}_CT1", f"{self.prefix}_WS1"
        own = (f"{DEVICE}/device.crt", f"{DEVICE}/device.key", f"{DEVICE}/ca.crt")
        yield "ct with all of its own", self.associate("ct", ct, FRONT, "", *own), "accepted"
        yield "no certificate", self.associate("ct", ct, FRONT, "", "-"), "refused"
        yield "unknown AE title", self.associate("ct", "NOBODY", FRONT, "", *own) != "accepted", True
        yield "ct's certificate, ws's AE title", self.associate("ct", ws, FRONT, "", *own) != "accepted", True
        stolen = self.steal("ws", "ct")
        yield "ws's certificate from ct's address", self.associate("ct", ws, FRONT, "", *stolen) != "accepted", True
        yield "... with ct's AE title", self.associate("ct", ct, FRONT, "", *stolen) != "accepted", True
        for what, certificate, key in forgery.forged(self.directory, "ct", self.practice.address("ct")):
            self.on("ct", "sh", "-c", "cat >/root/forged.crt", stdin=certificate)
            self.on("ct", "sh", "-c", "cat >/root/forged.key", stdin=key)
            forged = ("/root/forged.crt", "/root/forged.key")
            yield what, self.associate("ct", ct, FRONT, "", *forged), "refused"

    def steal(self, owner: str, thief: str) -> tuple[str, str]:
        """Copy a device's identity to another device, as a thief would."""
        for name in ("device.crt", "device.key"):
            content = self.on(owner, "cat", f"{DEVICE}/{name}").stdout
            self.on(thief, "sh", "-c", f"umask 077; cat >/root/stolen-{name}", stdin=content)
        return "/root/stolen-device.crt", "/root/stolen-device.key"

    def silence(self) -> Iterator[Check]:
        """A hundred connections that say nothing delay nobody."""
        program = (WITNESSES / "silence.py").read_text(encoding="utf-8")
        self.on("ct", "sh", "-c", f"cat >{SILENCE}.py", stdin=program)
        unit = ("systemd-run", "--quiet", "--unit=silence", "python3", f"{SILENCE}.py")
        own = (f"{DEVICE}/device.crt", f"{DEVICE}/device.key", f"{DEVICE}/ca.crt")
        alone = self.slowest_echo(*own)
        self.on("ct", "rm", "-f", SILENCE)
        self.on("ct", *unit, self.server, str(FRONT), str(SILENT), SILENCE)
        full = self.on("ct", "sh", "-c", AT_LEAST.format(SILENT - 1)).stdout
        yield f"ct opens {SILENT} silent connections", full.isdigit(), True
        beside = self.slowest_echo(*own)
        yield "ws echoes each time, alone and beside them", max(alone, beside) < math.inf, True
        delayed = beside - alone >= max(1, alone)
        yield "... delayed by less than a second, or than it takes by itself", delayed and (alone, beside), False
        more = self.on("ct", "sh", "-c", AT_LEAST.format(SILENT)).stdout
        yield "... which are opened again where the front ends them", more.isdigit(), True
        self.on("ct", "systemctl", "stop", "silence")

    def slowest_echo(self, *identity: str) -> float:
        """Return the seconds that the slowest of five echoes took; infinite where one was refused."""
        source = (WITNESSES / "associate.py").read_text(encoding="utf-8")
        words = ("python3", "-", self.server, str(FRONT), f"{self.prefix}_WS1", self.called, *identity)
        answers = [self.on("ws", *words, stdin=source).stdout.split() for _attempt in range(5)]
        return max(float(seconds[0]) if ended == "accepted" else math.inf for ended, *seconds in answers)

    def web(self) -> Iterator[Check]:
        """HTTPS with a login for those entitled, nothing else."""
        kinds, plain = ("ws", "laptop", "ct"), f"http://{self.server}"
        for kind, status in side_by_side(lambda kind: self.status(kind, f"{plain}:8042/system"), kinds).items():
            yield f"8042 from {kind}", status, "000"
        url = f"https://{self.server}"
        for path in ("/system", "/patients", "/dicom-web/studies", "/app/explorer.html", "/webdav/"):
            yield f"ws without login {path}", self.status("ws", url + path), "401"
        yield "ws as orthanc:orthanc", self.status("ws", f"{url}/system", "-u", "orthanc:orthanc"), "401"
        login, password = self.reader()
        done = self.on(
            "ws", "curl", "-sk", "-K", "-", f"{url}/dicom-web/studies", stdin=f'user = "{login}:{password}"\n'
        )
        yield f"DICOMweb as {login}", len(json.loads(done.stdout or "[]")), STUDIES

    def status(self, kind: str, url: str, *more: str) -> str:
        """Return the HTTP status that curl gets; 000 when there is no answer."""
        asked = ("curl", "-sk", *WAITS, "-o", "/dev/null", "-w", "%{http_code}", *more, url)
        return self.on(kind, *asked).stdout

    def reader(self) -> tuple[str, str]:
        """Return a login and its password, out of the clinic's vault by ansible-vault."""
        command = [str(Path(sys.executable).with_name("ansible-vault")), "view", str(self.directory / "vault.yml")]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        passwords: dict[str, str] = forgery.yaml.safe_load(done.stdout)["passwords"]
        return next(iter(sorted(passwords.items())))

    def ports(self) -> Iterator[Check]:
        """The ports that answer from each vantage point are those that the clinic file declares."""
        number = self.practice.number
        inside = TOPOLOGY.hosts[f"pacs-{number}"].plain(f"lan{number}")
        administered = TOPOLOGY.hosts[f"pacs-{number}"].plain(f"admin{number}")
        station = TOPOLOGY.hosts[f"ws-{number}"].plain(f"lan{number}")
        from_desk = TOPOLOGY.hosts[f"ws-{number}"].plain(f"admin{number}")
        box = TOPOLOGY.hosts[f"box-{number}"].plain("internet")[0]
        looks: tuple[tuple[str, tuple[str, ...], tuple[int, ...]], ...] = (
            ("attacker", (box, inside[1]), ()),
            (f"laptop-{number}", inside, ()),
            (f"ct-{number}", inside, (FRONT,)),
            (f"us-{number}", inside, (CLEAR,)),
            (f"ws-{number}", inside, (443, FRONT)),
            (network.ADMIN, administered, (22, 443)),
            ("attacker", (station[1],), ()),
            (f"laptop-{number}", station, ()),
            (f"ct-{number}", station, ()),
            (network.ADMIN, from_desk, (22,)),
        )
        scans = side_by_side(lambda look: self.scan(*look[:2]), looks, at_once=3)
        for (vantage, addresses, expected), found in scans.items():
            for address in addresses:
                yield f"ports of {address} from {vantage}", found[address], list(expected)

    def scan(self, vantage: str, addresses: tuple[str, ...]) -> dict[str, list[int]]:
        """Return the TCP ports of each address that take a connection from there."""
        entered = network.namespace(self.practice.lab.name, vantage)
        scan = [sys.executable, str(WITNESSES / "open_ports.py"), "1", "12000", *addresses]
        found: dict[str, list[int]] = json.loads(machine.root("nsenter", f"--net=/run/netns/{entered}", *scan).stdout)
        return found


def before(practice: Practice, directory: Path) -> Iterator[Check]:
    """The practice as its doctor left it: it works, and the internet reads all of it."""
    practice.make_studies()
    yield (
        "ct stores in clear",
        practice.device("ct", "store", "/root/studies", tls=False),
        f"{STUDIES * 6} images stored",
    )
    yield "series readable from the internet", readable_series(practice.attack()), STUDIES * 2
    practice.hand_in_requests(directory)


def after(practice: Practice, directory: Path) -> Iterator[Check]:
    """The practice as we leave it."""
    practice.fetch_certificates(directory)
    yield from Witness(practice, directory).checks()


if __name__ == "__main__":
    sys.exit(witness({"before": before, "after": after}, *sys.argv[1:]))
