# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether the server serves, seen from its devices' places on the LAN, with nothing of the collection's code.

DICOM: a C-ECHO of the modality is answered, in clear on Orthanc's port or over TLS on the front's. Web: the server
answers where it did before (on the LAN by Orthanc's default login, or on its own loopback where that was all), or the
reader's login is let in over HTTPS on the LAN. Orthanc says 401 to whom it does not serve from afar: that is no answer.
"""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import time
from pathlib import Path

import machine
import network
import yaml
from place import RESOURCES, Place
from practices import AE_TITLES, PREFIXES

ASSOCIATE = RESOURCES / "witnesses" / "associate.py"
DEADLINE = 100
"""Seconds within which a server serves again: a boot, and after it the 45 s of an undo that nobody confirmed."""


@dataclasses.dataclass(frozen=True)
class Look:
    """What was seen at one moment: the ways in which the server answered."""

    dicom: tuple[str, ...]
    web: tuple[str, ...]

    def falls_short_of(self, former: Look) -> list[str]:
        """Name the services that a former look saw and this one does not."""
        missing = ["DICOM"] if former.dicom and not self.dicom else []
        doors = {"LAN", "HTTPS"} if {"LAN", "HTTPS"} & set(former.web) else {"LAN", "HTTPS", "loopback"}
        return [*missing, *(["web"] if former.web and not doors & set(self.web) else [])]


class Witness:
    """Looks at one place."""

    def __init__(self, place: Place) -> None:
        """Take the place."""
        self.place = place
        self.server = place.address("pacs")
        self._known: tuple[float, str, str] = (0.0, "", "")
        """When the clinic's vault was written, and a login and its password from it."""

    def look(self) -> Look:
        """Look once."""
        dicom = [way for way, seen in (("clear", self._echo(4242)), ("TLS", self._echo_over_tls())) if seen]
        answers = {
            "LAN": self._status("ws", f"http://{self.server}:8042/system", "-u", "orthanc:orthanc") == "200",
            "loopback": self._status("pacs", "http://127.0.0.1:8042/system") in ("200", "401"),
            "HTTPS": self._https(),
        }
        return Look(tuple(dicom), tuple(way for way, seen in answers.items() if seen))

    def wait(self, former: Look) -> tuple[Look, float]:
        """Look until every former service is seen; return the last look and the seconds that it took."""
        began = time.monotonic()
        while True:
            look = self.look()
            if not look.falls_short_of(former) or time.monotonic() - began > DEADLINE:
                return look, time.monotonic() - began
            time.sleep(1)

    def _at(self, kind: str, *command: str, stdin: str | None = None) -> str:
        name = network.namespace(self.place.lab.name, f"{kind}-{self.place.number}")
        return machine.root("ip", "netns", "exec", name, *command, stdin=stdin, check=False).stdout

    def _echo(self, port: int, *identity: str) -> bool:
        clinic = self.place.clinic
        words = [sys.executable, str(ASSOCIATE), self.server, str(port), f"{PREFIXES[clinic]}_CT1", AE_TITLES[clinic]]
        return self._at("ct", *words, *identity).startswith("accepted")

    def _echo_over_tls(self) -> bool:
        directory = self.place.directory
        identity = (directory / "certificates" / "ct.crt", self.place.key("ct"), directory / "authority" / "ca.crt")
        return all(path.is_file() for path in identity) and self._echo(2762, *map(str, identity))

    def _status(self, kind: str, url: str, *more: str, stdin: str | None = None) -> str:
        words = ("curl", "-s", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}", *more, url)
        return self._at(kind, *words, stdin=stdin)

    def _https(self) -> bool:
        """Tell whether the reader is let in over HTTPS, the server's certificate proven."""
        authority, vault = self.place.directory / "authority" / "ca.crt", self.place.directory / "vault.yml"
        if not (authority.is_file() and vault.is_file()):
            return False
        login, secret = self._login(vault)
        given = f'user = "{login}:{secret}"\n'
        return (
            self._status("ws", f"https://{self.server}/system", "--cacert", str(authority), "-K", "-", stdin=given)
            == "200"
        )

    def _login(self, vault: Path) -> tuple[str, str]:
        """Return a login and its password, by ansible-vault."""
        written = vault.stat().st_mtime
        if self._known[0] != written:
            program = str(Path(sys.executable).with_name("ansible-vault"))
            password = self.place.lab.state / "vault-password"
            command = [program, "view", "--vault-password-file", str(password), str(vault)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            self._known = (written, *min((yaml.safe_load(done.stdout).get("passwords") or {"": ""}).items()))
        return self._known[1:]
