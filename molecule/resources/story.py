# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the clinic's devices and the attacker do in the lab; told once, for the demo and for the tests."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from lab import Lab
from practices import AE_TITLES, PREFIXES
from topology import TOPOLOGY

DEVICES, WITNESSES = (Path(__file__).with_name(folder) for folder in ("devices", "witnesses"))
STUDIES = 6
FRONT = 2762
LOOPBACK = "127.0.0.1"


@dataclasses.dataclass(frozen=True)
class Practice:
    """One of the two practices in a lab."""

    lab: Lab
    clinic: str

    @property
    def number(self) -> int:
        """Its figure in the names of its hosts."""
        return TOPOLOGY.clinics[self.clinic]

    def address(self, kind: str, family: int = 4) -> str:
        """Return an address of one of its hosts on the LAN."""
        return TOPOLOGY.hosts[f"{kind}-{self.number}"].plain(f"lan{self.number}")[0 if family == 4 else 1]

    @property
    def box(self) -> str:
        """The address of its internet box on the internet."""
        return TOPOLOGY.hosts[f"box-{self.number}"].plain("internet")[0]

    def run(self, kind: str, program: str, *arguments: str, check: bool = True) -> str:
        """Run a program of devices/ or witnesses/ on one of its hosts and return what it printed."""
        host = kind if kind == "attacker" else f"{kind}-{self.number}"
        known = DEVICES / program if (DEVICES / program).exists() else WITNESSES / program
        source = known.read_text(encoding="utf-8")
        done = self.lab.execute(host, "python3", "-", *arguments, stdin=source, check=False)
        if check and done.returncode:
            raise SystemExit(f"{host}: {program} {' '.join(arguments[:1])}: {done.stderr.strip()[-500:]}")
        return done.stdout.strip()

    def device(self, kind: str, verb: str, *more: str, tls: bool, check: bool = True, port: int = 4242) -> str:
        """Let a modality (ct, or us, which speaks in clear) or the workstation (ws) do something with the server.

        `port`: where it is called in clear.
        """
        arguments = [verb, *more, "--server", self.address("pacs"), "--called", AE_TITLES[self.clinic]]
        arguments += ["--aet", f"{PREFIXES[self.clinic]}_{kind.upper()}1", "--listen", self.address(kind)]
        arguments += ["--tls", "--server-name", "pacs", "--port", str(FRONT)] if tls else ["--port", str(port)]
        return self.run(kind, "device.py", *arguments, check=check)

    def viewer(self, verb: str, *more: str, check: bool = True) -> str:
        """Let the workstation's viewer, which speaks no TLS, do something by the tunnel to the server."""
        arguments = [verb, *more, "--server", LOOPBACK, "--called", AE_TITLES[self.clinic]]
        arguments += ["--aet", f"{PREFIXES[self.clinic]}_WS1", "--listen", LOOPBACK]
        return self.run("ws", "device.py", *arguments, check=check)

    def make_studies(self, studies: int = STUDIES) -> str:
        """Make studies on the modality and say how many."""
        return self.run("ct", "studies.py", "/root/studies", self.clinic, str(studies))

    def patients(self, kind: str = "ct") -> list[str]:
        """Return the name of each study's patient, as a modality has it on its disk, in order."""
        return sorted(self.run(kind, "patients.py", "/root/studies").splitlines())

    def hand_in_requests(self, directory: Path, kinds: tuple[str, ...] = ("ct", "ws")) -> None:
        """Let each device make its key, and put its request into the clinic's folder."""
        folder = directory / "requests"
        folder.mkdir(parents=True, exist_ok=True)
        for kind in kinds:
            addresses = [word for family in (4, 6) for word in ("--address", self.address(kind, family))]
            asked = self.run(kind, "device.py", "request", "--name", kind, *addresses)
            (folder / f"{kind}.csr").write_text(asked + "\n", encoding="utf-8")

    def fetch_certificates(self, directory: Path, kinds: tuple[str, ...] = ("ct", "ws")) -> None:
        """Install on each device the certificate that was signed for it, and that of the authority, or of both."""
        both, one = directory / "authority" / "trusted.crt", directory / "authority" / "ca.crt"
        authority = (both if both.exists() else one).read_text(encoding="utf-8")
        for kind in kinds:
            certificate = (directory / "certificates" / f"{kind}.crt").read_text(encoding="utf-8")
            for name, content in (("device.crt", certificate), ("ca.crt", authority)):
                host = f"{kind}-{self.number}"
                self.lab.execute(host, "sh", "-c", f"cat >/etc/dicom-device/{name}", stdin=content)

    def attack(self) -> dict[str, dict[str, dict[str, object]]]:
        """Attack the practice from the internet: its public address and the server's IPv6 address."""
        answer = self.run("attacker", "attacker.py", self.box, self.address("pacs", 6))
        loaded: dict[str, dict[str, dict[str, object]]] = json.loads(answer)
        return loaded


def readable_series(attack: dict[str, dict[str, dict[str, object]]]) -> int:
    """Return the largest number of series that one way of the attack could list."""
    return max(int(str(way["series"])) for ways in attack.values() for way in ways.values())
