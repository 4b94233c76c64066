# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A device that reads from home, and the internet box that it comes by; told once, for the demo and for the tests."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from story import Practice
from topology import TOPOLOGY
from witnessing import side_by_side

RESOURCES = Path(__file__).parent
NOBODYS = {
    "home": "YS5tYXJ0aW4ncyBsYXB0b3AsIG1hZGUgdXAgaGVyZSE=",
    "tablet": "Yy5tb3JlYXUncyB0YWJsZXQsIG1hZGUgdXAgaGVyZSE=",
}
"""The devices of the lab's clinic files, and their keys, which are nobody's."""
STUDY_UID, PATIENT = "0020000D", "00100010"
"""Attributes in DICOM's JSON model (PS3.18 F.2): StudyInstanceUID, PatientName."""
LAST = 12000
"""The last TCP port of a scan."""
NO_ANSWER = "000"
"""What curl says in the place of an HTTP status where it got none."""
INSTALL = (
    "export DEBIAN_FRONTEND=noninteractive; flock /run/installing apt-get -qq install --no-download "
    "--no-install-recommends %s </dev/null >/dev/null 2>&1; mkdir -p /etc/wireguard"
)
"""Installs packages, which the images have, where another installation may be under way."""
BOX = """
flush ruleset
table inet box {
  chain forwards { type nat hook prerouting priority dstnat; policy accept;
    iifname "internet" meta nfproto ipv4 udp dport { %(ports)s } dnat ip to %(address)s
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


def told(directory: Path) -> str:
    """Return what the run wrote for the technician of the internet box, beside the clinic file."""
    return (directory / "remote_access" / "internet-box.txt").read_text(encoding="utf-8").strip()


def set_box(practice: Practice, directory: Path) -> int:
    """Set the practice's internet box as its technician would who reads that; return the status, 0 when it took it."""
    words, address = re.search(r"UDP ports? ([0-9and ]+) to ([0-9.]+)", told(directory)).groups()  # type: ignore[union-attr]
    rules = BOX % {
        "ports": words.replace(" and ", ", "),
        "address": address,
        "lan": TOPOLOGY.networks[f"lan{practice.number}"][0],
    }
    return practice.lab.execute(f"box-{practice.number}", "nft", "-f", "-", stdin=rules, check=False).returncode


def enlist(directory: Path, key: str, name: str = "home") -> None:
    """Put a device's public key into the clinic file."""
    file = directory.with_suffix(".yml")
    file.write_text(file.read_text(encoding="utf-8").replace(NOBODYS[name], key), encoding="utf-8")


@dataclasses.dataclass(frozen=True)
class Device:
    """One device, and the practice that it reads from."""

    practice: Practice
    directory: Path
    """The clinic's folder on the controller."""
    name: str = "home"
    """What the clinic file calls it."""
    host: str = "home"
    """The host of the lab that plays it."""
    person: str = "a.martin"

    @property
    def interface(self) -> str:
        """The name of its tunnel; a device may have one to each practice."""
        return f"{self.name}-{self.practice.number}"

    @property
    def authority(self) -> str:
        """Where it keeps the certificate of the clinic's authority."""
        return f"/root/ca-{self.practice.number}.crt"

    def on(self, *command: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command on it."""
        return self.practice.lab.execute(self.host, *command, stdin=stdin, check=False)

    def shell(self, line: str, stdin: str | None = None) -> str:
        """Run a line of shell on it and return what that printed."""
        return self.on("bash", "-c", line, stdin=stdin).stdout.strip()

    def make_key(self) -> str:
        """Let it make its key, which stays there, and return the public half."""
        self.shell(INSTALL % "wireguard-go wireguard-tools")
        return self.shell(f"umask 077; wg genkey | tee /etc/wireguard/{self.interface}.key | wg pubkey")

    def up(self) -> int:
        """Set it by the file that the role wrote for it, the key filled in on the device; 0 when its tunnel is up."""
        given = (self.directory / "remote_access" / f"{self.name}.conf").read_text(encoding="utf-8")
        name = f"/etc/wireguard/{self.interface}"
        self.shell(f'umask 077; sed "s|PRIVATE-KEY-OF-THIS-DEVICE|$(cat {name}.key)|" >{name}.conf', stdin=given)
        authority = (self.directory / "authority" / "ca.crt").read_text(encoding="utf-8")
        self.shell(f"cat >{self.authority}", stdin=authority)
        return self.switch("up")

    def switch(self, way: str) -> int:
        """Bring its tunnel `up` or `down`; 0 when that went well."""
        return self.on("wg-quick", way, self.interface).returncode

    @functools.cached_property
    def password(self) -> str:
        """Its person's password, out of the clinic's vault by ansible-vault."""
        command = [str(Path(sys.executable).with_name("ansible-vault")), "view", str(self.directory / "vault.yml")]
        keys = {"ANSIBLE_VAULT_PASSWORD_FILE": str(RESOURCES / "vault_password.py")}
        keys["RADIOLOGY_LAB"] = self.practice.lab.name
        done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **keys})
        return str(yaml.safe_load(done.stdout)["passwords"][self.person])

    def ask(self, address: str, path: str, *more: str) -> str:
        """Ask the server over HTTPS, its certificate checked, and return the answer; nothing where there is none."""
        words = ("curl", "-sS", "--connect-timeout", "20", "-m", "60", "--cacert", self.authority, "-K", "-")
        return self.on(*words, *more, _url(address, path), stdin=f'user = "{self.person}:{self.password}"\n').stdout

    def studies(self, address: str, *more: str) -> list[dict[str, Any]]:
        """Return the studies that DICOMweb lists there."""
        listed: list[dict[str, Any]] = json.loads(self.ask(address, "/dicom-web/studies", *more) or "[]")
        return listed

    def studies_as(self, own: Sequence[str], address: str) -> dict[str, list[dict[str, Any]]]:
        """Return the studies that it is listed there by each of these addresses of somebody else's."""
        change = "; ".join(f"ip address %(way)s {each}/32 dev {self.interface}" for each in own)
        self.shell(change % {"way": "add"})
        listed = side_by_side(lambda each: self.studies(address, "--interface", each), own)
        self.shell(change % {"way": "delete"})
        return listed

    def fetch(self, address: str, study: dict[str, Any]) -> int:
        """Fetch a study that was listed whole, by DICOMweb; return how many bytes came."""
        path = f"/dicom-web/studies/{study[STUDY_UID]['Value'][0]}"
        return int(float(self.ask(address, path, "-o", "/dev/null", "-w", "%{size_download}") or 0))

    def status(self, address: str) -> str:
        """Return the HTTP status of what it gets there without a login and whoever's the certificate."""
        asked = ("curl", "-sk", "--connect-timeout", "10", "-m", "60", "-o", "/dev/null", "-w", "%{http_code}")
        return self.on(*asked, _url(address, "/")).stdout

    def scan(self, *addresses: str) -> dict[str, list[int]]:
        """Return the TCP ports that take a connection from it."""
        program = (RESOURCES / "witnesses" / "open_ports.py").read_text(encoding="utf-8")
        scan = ("flock", "/run/scanning", "python3", "-", "1", str(LAST))  # one tunnel at a time is flooded
        loaded: dict[str, list[int]] = json.loads(self.on(*scan, *addresses, stdin=program).stdout)
        return loaded


def patient(study: dict[str, Any]) -> str:
    """Return the patient's name of a study that was listed."""
    return str(study[PATIENT]["Value"][0]["Alphabetic"])


def _url(address: str, path: str) -> str:
    return f"https://[{address}]{path}" if ":" in address else f"https://{address}{path}"
