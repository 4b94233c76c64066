# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An IT provider's own repository, as docs/pipelines.md tells to make it, and how its commands run there.

The program ssh of these runs notes that it was called and reaches nobody; every socket that Python would connect is
noted as well.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PIPELINES = ROOT / "docs" / "pipelines"
PASSWORD = "a vault password of the provider"
CLINICS = ("bord-de-mer", "rue-lumiere")

SSH = """#!/bin/sh
echo ssh >>"$WATCHED"
echo "$@" >>"$WATCHED-words"
echo "ssh: no route to this host, says the test" >&2
exit 255
"""

WATCH = """import os
import sys


def watch(event, arguments):
    if event in ("socket.getaddrinfo", "socket.connect"):
        address = arguments[0] if event == "socket.getaddrinfo" else arguments[1]
        if "127.0.0.1" not in str(address):  # Ansible tries its own patch of getaddrinfo on it
            with open(os.environ["WATCHED"], "a") as file:
                file.write(f"{event} {address}\\n")


sys.addaudithook(watch)
"""


class Repository:
    """The repository in a temporary folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "repository"
        self.clinics = self.folder / "clinics"
        self.home = folder / "home"
        self.watched = folder / "watched"
        self.path = folder / "bin"
        for name in ("ansible.cfg", "requirements.txt", "requirements.yml", "vault-password"):
            self.clinics.mkdir(parents=True, exist_ok=True)
            shutil.copy(PIPELINES / name, self.folder)
        for clinic in CLINICS:
            shutil.copy(ROOT / "inventories" / "example" / f"{clinic}.yml", self.clinics)
        (self.clinics / "escrow").mkdir()
        for name in ("provider", "clinic"):
            (self.clinics / "escrow" / f"{name}.pem").write_text(certificate(name), encoding="ascii")
        self.home.mkdir()
        self.path.mkdir()
        (self.path / "ssh").write_text(SSH, encoding="ascii")
        (self.path / "ssh").chmod(0o755)
        (self.path / "watch").mkdir()
        (self.path / "watch" / "sitecustomize.py").write_text(WATCH, encoding="ascii")

    @property
    def called(self) -> list[str]:
        """What would have reached a host."""
        return self.watched.read_text(encoding="utf-8").splitlines() if self.watched.exists() else []

    @property
    def called_with(self) -> list[str]:
        """The arguments of each call of ssh."""
        return self.watched.with_name(f"{self.watched.name}-words").read_text(encoding="utf-8").splitlines()

    def edit(self, clinic: str, old: str, new: str) -> None:
        """Change a clinic file."""
        file = self.clinics / f"{clinic}.yml"
        text = file.read_text(encoding="utf-8")
        assert old in text
        file.write_text(text.replace(old, new), encoding="utf-8")

    def encrypt(self, path: str, content: str, password: str = PASSWORD) -> Path:
        """Write a file below the clinics, encrypted as a whole."""
        file = self.clinics / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")
        done = self.run(f"ansible-vault encrypt '{file}'", VAULT_PASSWORD=password)
        assert done.returncode == 0, done.stderr
        return file

    def run(self, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a script in the repository as a CI system does: it ends at the first command that fails."""
        environment = {
            "PATH": f"{self.path}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(self.path / "watch"),
            "WATCHED": str(self.watched),
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "ANSIBLE_CONFIG": "ansible.cfg",
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".ansible" / "collections"),
            "VAULT_PASSWORD": PASSWORD,
            **variables,
        }
        return subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", script],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )


@functools.cache
def certificate(name: str, *words: str) -> str:
    """Make a key pair and return its certificate; the private key is thrown away."""
    key = words or ("ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    made = ("openssl", "req", "-x509", "-newkey", *key, "-nodes", "-days", "30", "-subj", f"/CN={name}")
    return subprocess.run((*made, "-keyout", "/dev/null"), check=True, capture_output=True, text=True).stdout


def said(done: subprocess.CompletedProcess[str]) -> str:
    """Return all that was printed, on one line: Ansible breaks lines as wide as a terminal."""
    return " ".join((done.stdout + done.stderr).split())
