# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Replay both fined practices, harden them, and show what is left. Usage: demo.py up | down."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESOURCES = ROOT / "molecule" / "resources"
sys.path[:0] = [str(RESOURCES), str(Path(__file__).resolve().parent)]

import control
from lab import Lab
from story import STUDIES, Practice, readable_series
from topology import TOPOLOGY

NAME = "demo"
REPORTS = ROOT / "reports" / NAME
STEPS = 7


class Demo:
    """The demo's seven steps, each of which says what it does."""

    def __init__(self) -> None:
        """Prepare the lab's name, its inventory and the two practices."""
        self.lab = Lab(NAME)
        self.inventory = self.lab.state / "inventory"
        self.practices = [Practice(self.lab, clinic) for clinic in TOPOLOGY.clinics]
        self.began = time.monotonic()
        self.step = 0

    def say(self, what: str) -> None:
        """Announce the next step."""
        self.step += 1
        print(f"\n[{self.step}/{STEPS}] {time.monotonic() - self.began:4.0f} s  {what}", flush=True)

    def up(self) -> int:
        """Run all steps; 0 when the hardened practices show nothing and go on working."""
        self.say("Build two practices behind their internet boxes, as their doctors left them")
        self.lab.up(self.inventory)
        self.say("Each modality stores its studies, in clear")
        for practice in self.practices:
            print(f"  {practice.clinic}: made {practice.make_studies()}")
            print(f"  {practice.clinic}: {practice.device('ct', 'store', '/root/studies', tls=False)}")
        self.say("A stranger on the internet looks at both")
        before = self.attack()
        self.say("Audit and probe both, before")
        self.playbook("audit", "before", expect_failure=True)
        self.say("Harden servers and workstations")
        for practice in self.practices:
            practice.hand_in_requests(self.inventory / practice.clinic)
        self.playbook("harden")
        self.say("The clinics go on working, over TLS; the stranger looks again")
        for practice in self.practices:
            practice.fetch_certificates(self.inventory / practice.clinic)
            for kind, verb, more in (("ct", "store", ["/root/studies"]), ("ws", "query", []), ("ws", "retrieve", [])):
                print(f"  {practice.clinic}: {kind} {practice.device(kind, verb, *more, tls=True)}", flush=True)
        after = self.attack()
        self.say("Audit and probe both, after")
        self.playbook("audit", "after")
        self.tell(before, after)
        return 0 if all(before.values()) and not any(after.values()) else 1

    def attack(self) -> dict[str, int]:
        """Let the stranger try, print what he got, and return the readable series of each practice."""
        found = {}
        for practice in self.practices:
            attack = practice.attack()
            found[practice.clinic] = readable_series(attack)
            print(f"  {practice.clinic}: {found[practice.clinic]} of {2 * STUDIES} series readable from the internet")
            for address, ways in attack.items():
                for way, got in ways.items():
                    if got["series"]:
                        shown = {key: value for key, value in got.items() if key != "patients"}
                        print(f"    {address} by {way}: {json.dumps(shown)}")
                        for patient in got.get("patients", []):  # type: ignore[attr-defined]
                            print(f"      {patient}")
        return found

    def playbook(self, name: str, report: str = "", *, expect_failure: bool = False) -> None:
        """Run a playbook of the collection, showing its tasks as they begin."""
        command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(self.inventory)]
        command += ["-e", f"report_directory={REPORTS / report}", str(ROOT / "playbooks" / f"{name}.yml")]
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".ansible" / "collections"),
            "ANSIBLE_VAULT_PASSWORD_FILE": str(RESOURCES / "vault_password.py"),
            "ANSIBLE_FORCE_COLOR": "0",
            "RADIOLOGY_LAB": NAME,
        }
        lines = []
        with subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as run:
            for line in run.stdout or ():
                lines.append(line)
                if line.startswith("TASK [") and "Validating arguments" not in line:
                    print(f"  {line[6:].partition(']')[0]}", flush=True)
        if (run.returncode != 0) is not expect_failure:
            sys.exit("".join(lines[-60:]) + f"\nThe playbook {name} ended with {run.returncode}.")

    def tell(self, before: dict[str, int], after: dict[str, int]) -> None:
        """Print the outcome and where the reports lie."""
        print(f"\nDone in {time.monotonic() - self.began:.0f} s. Series readable from the internet:")
        for clinic, series in before.items():
            print(f"  {clinic:22} before {series} of {2 * STUDIES}, after {after[clinic]}")
        print("Reports:")
        for when in ("before", "after"):
            for clinic in before:
                print(f"  {REPORTS.relative_to(ROOT) / when / clinic / 'report.html'}")
        print("The lab stays up to look at; `make demo-down` removes it.")


def main(arguments: list[str]) -> int:
    """Obey."""
    if arguments == ["up"]:
        return Demo().up()
    if arguments == ["down"]:
        Lab(NAME).down()
        control.remove()
        print("The demo is gone, and what `make control` keeps standing.")
        return 0
    print(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
