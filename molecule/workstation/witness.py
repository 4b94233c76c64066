# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Witness a viewer that speaks no TLS: it finds, fetches and stores through the tunnels, and nothing crosses in clear.

Usage: witness.py before|after LAB INVENTORY. Prints a line a check and `N passed, N failed`. DCMTK's tools stand for
the viewer where they can: its storescp listens on every address, so that pynetdicom receives what is fetched.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

RESOURCES = Path(__file__).resolve().parents[1] / "resources"
sys.path.insert(0, str(RESOURCES))

import wiretap
from practices import AE_TITLES, PREFIXES
from story import STUDIES, Practice
from witnessing import LISTENING, Check, witness

IMAGES = STUDIES * 6
PORT, LOCAL = 11112, 4242
APPLICATION = "1.2.840.10008.3.1.1.1"
"""DICOM's application context, which every association in clear begins with (PS3.7 A.2.1)."""
DEVICE = "/etc/dicom-device"
MEANT = "/tmp/meant.conf"


class Witness:
    """Looks at one practice."""

    def __init__(self, practice: Practice) -> None:
        """Take the practice."""
        self.practice = practice
        self.called, self.calling = AE_TITLES[practice.clinic], f"{PREFIXES[practice.clinic]}_WS1"

    def on(self, kind: str, *command: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command on one of the practice's hosts."""
        return self.practice.lab.execute(f"{kind}-{self.practice.number}", *command, stdin=stdin, check=False)

    def find(self, port: int = LOCAL, seconds: int = 60) -> list[str]:
        """Return the patients' names that DCMTK's findscu finds within so many seconds."""
        asked = ["timeout", str(seconds), "findscu", "-S"]
        for key in ("QueryRetrieveLevel=STUDY", "PatientName", "StudyInstanceUID"):
            asked += ["-k", key]
        done = self.on("ws", *asked, "-aet", self.calling, "-aec", self.called, "127.0.0.1", str(port))
        return sorted(re.findall(r"PN \[([^\]]+?) *\]", done.stdout + done.stderr))

    def checks(self) -> Iterator[Check]:
        """Yield every check."""
        names = self.practice.patients()
        stored = self.practice.device("ct", "store", "/root/studies", tls=True)
        yield "the modality stores over TLS", stored, f"{IMAGES} images stored"
        self.on("ws", "sh", "-c", "mkdir -p /root/one; cat >/root/one/one.dcm.b64", stdin=self.image())
        self.on("ws", "sh", "-c", "base64 -d /root/one/one.dcm.b64 >/root/one/one.dcm; rm /root/one/one.dcm.b64")
        words = (*sorted(set(names)), APPLICATION)
        worked: list[Check] = []
        host = f"ws-{self.practice.number}"
        seen = wiretap.on_host(self.practice.lab, host, words, lambda: worked.extend(self.work(names)))
        yield from worked
        yield "... the capture saw all that travelled", seen["bytes"] > IMAGES * 128 * 128 * 2, True
        yield "... and missed nothing", seen["holes"], 0
        yield "... no name and no association in it", seen["words"], dict.fromkeys(words, 0)
        proof = wiretap.on_host(self.practice.lab, host, words, self.in_clear)
        yield (
            "a capture of the same in clear holds both",
            min(proof["words"][w] for w in (names[0], APPLICATION)) > 0,
            True,
        )
        yield from self.strangers(names)

    def work(self, names: list[str]) -> Iterator[Check]:
        """Find, fetch and store through the tunnels."""
        yield "findscu finds every patient", self.find(), names
        viewer = self.practice.viewer
        yield "the viewer queries", viewer("query", check=False), f"{STUDIES} studies, {STUDIES * 2} series"
        yield "the viewer fetches by C-MOVE", viewer("retrieve", check=False), f"{IMAGES} images retrieved"
        asked = ("storescu", "-aet", self.calling, "-aec", self.called, "127.0.0.1", str(LOCAL), "/root/one/one.dcm")
        yield "storescu stores", self.on("ws", *asked).returncode, 0

    def image(self) -> str:
        """Return one image of the first patient in order, in base64."""
        return self.on(
            "ct", "sh", "-c", f"grep -l '{self.practice.patients()[0]}' /root/studies/*.dcm | head -n 1 | xargs base64"
        ).stdout

    def in_clear(self) -> None:
        """Send one image from the workstation to the modality in clear, which nobody should."""
        self.on("ct", "systemd-run", "--quiet", "--unit=clear", "storescp", "-od", "/tmp", "--ignore", "4104")
        self.on("ct", "bash", "-c", LISTENING % ":4104")
        self.on("ws", "storescu", self.practice.address("ct"), "4104", "/root/one/one.dcm")
        self.on("ct", "systemctl", "stop", "clear")

    def strangers(self, names: list[str]) -> Iterator[Check]:
        """Neither end takes another peer, though the clinic's authority signed for it."""
        own = ("-cert", f"{DEVICE}/device.crt", "-key", f"{DEVICE}/device.key")
        place = f"{self.practice.address('ws')}:{PORT}"
        reached = self.on("ct", "timeout", "3", "bash", "-c", f"</dev/tcp/{place.replace(':', '/')}").returncode
        yield "a call of the workstation from the modality's address", reached, 124
        self.on("pacs", "mkdir", "-pm", "700", DEVICE)
        for name in ("device.crt", "device.key"):
            taken = self.on("ct", "cat", f"{DEVICE}/{name}").stdout
            self.on("pacs", "sh", "-c", f"cat >{DEVICE}/{name}", stdin=taken)
        for what, identity in (("no certificate", ()), ("the modality's certificate", own)):
            script = f"timeout 60 openssl s_client -quiet -connect {place} {' '.join(identity)} 2>&1 </dev/null"
            told = self.on("pacs", "bash", "-c", script).stdout
            yield f"... from the server's with {what}", "alert" in told or "reset" in told, True
        for checked in (True, False):
            yield (
                f"what a pretender hears, names {'checked' if checked else 'left out'}",
                self.overheard(own, checked),
                (not checked),
            )
        yield "the same words of a tunnel reach the server", self.found_by_second_tunnel(), names

    def overheard(self, identity: tuple[str, ...], checked: bool) -> bool:
        """Tell whether a machine with another's certificate in the server's place hears what the viewer asks."""
        served = f"openssl s_server -quiet -accept 2762 -Verify 1 -CAfile {DEVICE}/ca.crt {' '.join(identity)}"
        script = f"sleep infinity | {served} >/run/heard 2>&1"
        self.on("ct", "systemd-run", "--quiet", "--unit=pretender", "bash", "-c", script)
        try:
            self.on("ct", "bash", "-c", LISTENING % ":2762")
            self.found_by_second_tunnel(self.practice.address("ct"), "" if checked else "; /^checkHost/d", 10)
        finally:
            self.on("ct", "systemctl", "stop", "pretender")
        return self.on("ct", "grep", "-qa", self.calling, "/run/heard").returncode == 0

    def found_by_second_tunnel(self, server: str = "", more: str = "", seconds: int = 60) -> list[str]:
        """Return what findscu finds by a stunnel that reads our configuration, with another server in it."""
        target = server or self.practice.address("pacs")
        edit = (
            f"/^.from-servers/,$d; s/127.0.0.1:{LOCAL}/127.0.0.1:4300/; s/^connect = .*/connect = {target}:2762/{more}"
        )
        self.on("ws", "sh", "-c", f"sed '{edit}' /etc/dicom-tunnel/stunnel.conf >{MEANT}")
        self.on("ws", "systemd-run", "--quiet", "--unit=second-tunnel", "stunnel4", MEANT)
        try:
            self.on("ws", "bash", "-c", LISTENING % ":4300")
            return self.find(4300, seconds)
        finally:
            self.on("ws", "systemctl", "stop", "second-tunnel")


def before(practice: Practice, directory: Path) -> Iterator[Check]:
    """Make studies, and have the modality ask for its certificate; the workstation asks by itself."""
    practice.make_studies()
    practice.hand_in_requests(directory, ("ct",))
    yield "the modality asks", (directory / "requests" / "ct.csr").exists(), True


def after(practice: Practice, directory: Path) -> Iterator[Check]:
    """Give the modality its certificate and look."""
    practice.fetch_certificates(directory, ("ct",))
    yield from Witness(practice).checks()


if __name__ == "__main__":
    sys.exit(witness({"before": before, "after": after}, *sys.argv[1:]))
