# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Rotate certificates and a password while a modality of each practice stores one image a second; none may be lost.

On Debian 12 and 13: all certificates, then a device's alone. What the fronts serve is another afterwards, their
processes and Orthanc's are the former, and a device is let in by its former certificate until it bears the new one.
Then the password of a person: the former is refused at once, the new one taken, by the same processes.
The last line is `N checks: N held; N images stored, N lost`.
"""

from __future__ import annotations

import concurrent.futures
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESOURCES = ROOT / "molecule" / "resources"
sys.path.insert(0, str(RESOURCES))

import yaml
from lab import Lab
from story import Practice

NAME = os.environ.get("RADIOLOGY_LAB", "rotation")
HOSTS = ("pacs-1", "ct-1", "ws-1", "pacs-2", "ct-2", "ws-2")
CLINICS = ("dmz-practice", "forwarded-practice")
STUDIES = 100
"""Of six images each: ten minutes of one image a second."""
PROCESSES = "systemctl show -p MainPID --value dicom-front orthanc-web orthanc"
SERVED = """
for port in 2762 443; do openssl s_client -connect {address}:$port </dev/null 2>/dev/null | openssl x509 -noout -serial; done
"""
KEYS = (
    "cd /etc && sha256sum dicom-front/server.key orthanc-web/server.key; ls dicom-front/next.key orthanc-web/next.key"
)
PERSON = "a.martin"
TOLD = re.compile(r"(\d+) stored, (\d+) lost")


class Rotation:
    """The lab with its two practices, and the tally of what was checked."""

    def __init__(self, lab: Lab, inventory: Path, clinics: Sequence[str] = CLINICS) -> None:
        """Take a lab that is up, and the clinics that it has."""
        self.lab, self.inventory = lab, inventory
        self.practices = [Practice(lab, clinic) for clinic in clinics]
        self.held: list[bool] = []

    def check(self, what: str, *, holds: bool) -> None:
        """Tell whether something is as it is due."""
        self.held.append(holds)
        print(f"{'held  ' if holds else 'FAILED'}  {what}", flush=True)

    def each(self, do: Callable[[Practice], Any]) -> list[Any]:
        """Do the same in all practices at once."""
        with concurrent.futures.ThreadPoolExecutor() as pool:
            return list(pool.map(do, self.practices))

    def ask(self, command: str) -> list[str]:
        """Run a shell line on their servers and return what it printed."""

        def do(practice: Practice) -> str:
            line = command.replace("{address}", practice.address("pacs"))
            return self.lab.execute(f"pacs-{practice.number}", "sh", "-c", line, check=False).stdout

        return self.each(do)

    def play(self, name: str, *more: str) -> str:
        """Run a playbook that has to succeed, and return what it printed."""
        playbook = ROOT / "playbooks" / f"{name}.yml"
        return self.run("ansible-playbook", "-i", str(self.inventory), str(playbook), *more)

    def run(self, program: str, *arguments: str) -> str:
        """Run a program of Ansible's that has to succeed, and return what it printed."""
        done = self.attempt(program, *arguments)
        if done.returncode:
            sys.exit(done.stdout[-6000:] + done.stderr[-2000:])
        return done.stdout

    def attempt(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a program of Ansible's, and return what it answered."""
        command = [str(Path(sys.executable).with_name(program)), *arguments]
        return subprocess.run(command, cwd=ROOT, env=self.environment(), capture_output=True, text=True, check=False)

    @staticmethod
    def environment() -> dict[str, str]:
        """Return what Ansible's programs are to find around them."""
        return {
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".ansible" / "collections"),
            "ANSIBLE_VAULT_PASSWORD_FILE": str(RESOURCES / "vault_password.py"),
            "RADIOLOGY_LAB": NAME,
        }

    def folder(self, practice: Practice) -> Path:
        """Return the clinic's folder."""
        return self.inventory / practice.clinic

    def prepare(self, studies: int = STUDIES) -> None:
        """Make images, harden, and let each device bear its certificate."""
        self.each(lambda practice: practice.make_studies(studies))
        self.each(lambda practice: practice.hand_in_requests(self.folder(practice)))
        self.play("harden")
        self.fetch()

    def fetch(self, kinds: tuple[str, ...] = ("ct", "ws")) -> None:
        """Let each device bear the certificate that lies in the clinic's folder."""
        self.each(lambda practice: practice.fetch_certificates(self.folder(practice), kinds))

    def rotate(self) -> None:
        """Rotate everything, then the scanner's pair, and look at what changed."""
        served, processes, keys = self.ask(SERVED), self.ask(PROCESSES), self.ask(KEYS)
        self.play("rotate_certificates")
        for practice, before, after in zip(self.practices, served, self.ask(SERVED), strict=True):
            fresh = len(set(after.split())) == len(after.split()) == 2 and not set(before.split()) & set(after.split())
            self.check(f"{practice.clinic}: DICOM and the web are served with new certificates", holds=fresh)
        for practice, before, after in zip(self.practices, keys, self.ask(KEYS), strict=True):
            fresh = len(after.splitlines()) == 2 and not set(before.splitlines()) & set(after.splitlines())
            self.check(f"{practice.clinic}: both fronts have new keys, and none waits", holds=fresh)
        self.alive("by its former certificate")
        self.fetch()
        self.alive("by its new certificate")
        served = self.ask(SERVED)
        self.play("rotate_certificates", "-e", "device=ct")
        self.alive("by the former of two, after a rotation of ct alone")
        self.fetch()
        self.alive("by its own, after a rotation of ct alone")
        self.check("a rotation of ct alone leaves the servers' certificates", holds=self.ask(SERVED) == served)
        self.check("no front and no Orthanc was restarted", holds=self.ask(PROCESSES) == processes)

    def change_password(self) -> None:
        """Take a person's password out of the vault, harden, and see who is let in, and by which processes."""
        processes, former = self.ask(PROCESSES), self.each(self.forget)
        self.play("harden")
        for practice, before in zip(self.practices, former, strict=True):
            after = self.secrets(practice)["passwords"][PERSON]
            statuses = [self.status(practice, password) for password in (before, after)]
            self.check(
                f"{practice.clinic}: a new password is taken, the former is not", holds=statuses == ["401", "200"]
            )
        self.check("no front and no Orthanc was restarted for a password", holds=self.ask(PROCESSES) == processes)

    def secrets(self, practice: Practice) -> dict[str, Any]:
        """Return what the clinic's vault holds."""
        held: dict[str, Any] = yaml.safe_load(self.run("ansible-vault", "view", str(self.vault(practice))))
        return held

    def vault(self, practice: Practice) -> Path:
        """Return the clinic's vault file."""
        return self.folder(practice) / "vault.yml"

    def forget(self, practice: Practice) -> str:
        """Take the person's password out of the vault, as `ansible-vault edit` does, and return it."""
        held = self.secrets(practice)
        password: str = held["passwords"].pop(PERSON)
        self.vault(practice).write_text(yaml.safe_dump(held), encoding="utf-8")
        self.run("ansible-vault", "encrypt", str(self.vault(practice)))
        return password

    def status(self, practice: Practice, password: str) -> str:
        """Return what the front answers to the person."""
        given = f'user = "{PERSON}:{password}"\n'
        command = ["curl", "-sk", "-o", "/dev/null", "-w", "%{http_code}", "-K", "-"]
        url = f"https://{practice.address('pacs')}/system"
        return self.lab.execute(f"ws-{practice.number}", *command, url, stdin=given, check=False).stdout

    def alive(self, how: str) -> None:
        """Check that the modality and the workstation are let in."""
        for kind in ("ct", "ws"):
            for said in self.each(lambda practice, kind=kind: practice.device(kind, "echo", tls=True, check=False)):
                self.check(f"{kind} is let in {how}", holds=said == "alive")


def main() -> int:
    """Build the lab, let the modalities store, rotate, and tell the tally."""
    lab = Lab(NAME, HOSTS)
    inventory = lab.state / "inventory"
    lab.up(inventory)
    try:
        rotation = Rotation(lab, inventory)
        rotation.prepare()
        with concurrent.futures.ThreadPoolExecutor() as pool:
            waiting = [
                pool.submit(practice.device, "ct", "trickle", "/root/studies", tls=True)
                for practice in rotation.practices
            ]
            time.sleep(5)
            try:
                rotation.rotate()
                rotation.change_password()
            finally:
                rotation.each(
                    lambda practice: practice.lab.execute(f"ct-{practice.number}", "touch", "/root/studies/stop")
                )
            told = [TOLD.fullmatch(each.result()) for each in waiting]
        there = rotation.each(lambda practice: practice.device("ws", "retrieve", tls=True, check=False))
    finally:
        lab.down()
    tallies = [(int(each[1]), int(each[2])) for each in told if each]
    rotation.check("modalities stored all along", holds=len(tallies) == len(CLINICS) and min(tallies)[0] > 20)
    due = [f"{stored} images retrieved" for stored, dummy in tallies]
    rotation.check(f"the workstations fetch each image: {', '.join(there)}", holds=there == due)
    stored, lost = sum(each[0] for each in tallies), sum(each[1] for each in tallies)
    held = rotation.held
    print(f"{len(held)} checks: {held.count(True)} held; {stored} images stored, {lost} lost")
    return 0 if all(held) and not lost else 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does: nothing stays behind
    sys.exit(main())
