# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Replay both fined practices, harden them, and show what is left. Usage: demo.py up | down."""

from __future__ import annotations

import concurrent.futures
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESOURCES = ROOT / "molecule" / "resources"
sys.path[:0] = [str(RESOURCES), str(Path(__file__).resolve().parent)]

import control
import home
from lab import EVERYBODY, Lab
from story import STUDIES, Practice, readable_series
from topology import TOPOLOGY

NAME = "demo"
REPORTS = ROOT / "reports" / NAME
STEPS = 8
WEB = 443
LEAST = 6 * 128 * 128 * 2
"""Bytes that the pixels of a study take."""


class Demo:
    """The demo's steps, each of which says what it does."""

    def __init__(self) -> None:
        """Prepare the lab's name, its inventory and the two practices."""
        self.lab = Lab(NAME, (*EVERYBODY, "gate-2"))
        self.inventory = self.lab.state / "inventory"
        self.practices = [Practice(self.lab, clinic) for clinic in TOPOLOGY.clinics]
        self.laptops = [home.Device(practice, self.inventory / practice.clinic) for practice in self.practices]
        self.began = time.monotonic()
        self.step = 0

    def say(self, what: str) -> None:
        """Announce the next step."""
        self.step += 1
        print(f"\n[{self.step}/{STEPS}] {time.monotonic() - self.began:4.0f} s  {what}", flush=True)

    def up(self) -> int:
        """Run all steps; 0 when strangers are shown nothing, and those entitled go on reading."""
        self.say("Build two practices behind their internet boxes, as their doctors left them, and a laptop at home")
        self.lab.up(self.inventory, tunnel=True)
        for laptop in self.laptops:
            home.enlist(laptop.directory, laptop.make_key())
        self.say("Each modality stores its studies, in clear")
        self.both(lambda practice: [f"made {practice.make_studies()}", store(practice, tls=False)])
        self.say("A stranger on the internet looks at both")
        before = self.attack()
        self.say("Audit and probe both, before")
        self.playbook("audit", "before", expect_failure=True)
        self.say("Harden servers and workstations")
        for practice in self.practices:
            practice.hand_in_requests(self.inventory / practice.clinic, ("ct",))
        self.playbook("harden")
        self.say("Set both internet boxes as the run wrote down for their technician")
        boxes = [self.set_box(laptop) for laptop in self.laptops]
        self.say("The clinics go on working, the doctor reads at home; the stranger looks again")
        self.both(self.work)
        reads = self.at_home()
        after = self.attack()
        self.say("Audit and probe both, after")
        self.playbook("audit", "after")
        self.tell(before, after, reads)
        return 0 if all(before.values()) and not any(after.values()) and all(boxes) and all(reads) else 1

    @staticmethod
    def set_box(laptop: home.Device) -> bool:
        """Print what the box of a practice is set to, and set it."""
        print(f"  {laptop.practice.clinic}: {home.told(laptop.directory)}")
        return home.set_box(laptop.practice, laptop.directory) == 0

    def both(self, do: Callable[[Practice], list[str]]) -> None:
        """Do the same in both practices, side by side, and print what came of it."""
        with concurrent.futures.ThreadPoolExecutor() as pool:
            told = list(pool.map(do, self.practices))
        for practice, lines in zip(self.practices, told, strict=True):
            for line in lines:
                print(f"  {practice.clinic}: {line}", flush=True)

    def work(self, practice: Practice) -> list[str]:
        """Let the modality store over TLS, and the workstation's viewer, which speaks none, read by its tunnel."""
        practice.fetch_certificates(self.inventory / practice.clinic, ("ct",))
        stored = f"ct {store(practice, tls=True)}, over TLS"
        return [stored, *(f"ws {practice.viewer(verb)}, by its tunnel in TLS" for verb in ("query", "retrieve"))]

    def at_home(self) -> list[bool]:
        """Let the doctor of each practice read at home, print what came of it, and tell whether it is as it is due."""
        due: dict[str, bool] = {}
        laptops = {laptop.practice.clinic: laptop for laptop in self.laptops}

        def read(practice: Practice) -> list[str]:
            due[practice.clinic], lines = self.read(laptops[practice.clinic])
            return [f"home {line}" for line in lines]

        self.both(read)
        return [due[practice.clinic] for practice in self.practices]

    @staticmethod
    def read(laptop: home.Device) -> tuple[bool, list[str]]:
        """Read with the tunnel up, then try with it down; return whether all is as it is due, and what came of it."""
        server, box = laptop.practice.address("pacs"), laptop.practice.box
        up = laptop.up() == 0
        studies = laptop.studies(server)
        size = laptop.fetch(server, studies[0]) if studies else 0
        ports = laptop.scan(server)[server]
        laptop.switch("down")
        silent = {laptop.status(address) for address in (server, box)} == {home.NO_ANSWER}
        fetched = f", fetches that of {home.patient(studies[0])}, {size // 1024} KiB" if studies else ""
        lines = [
            f"{len(studies)} studies listed{fetched}, by its tunnel; ports open to it: {ports}",
            f"with its tunnel down: {'nothing answers' if silent else 'STILL ANSWERED'}",
        ]
        return up and len(studies) == STUDIES and size > LEAST and ports == [WEB] and silent, lines

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

    def tell(self, before: dict[str, int], after: dict[str, int], reads: list[bool]) -> None:
        """Print the outcome and where the reports lie."""
        print(f"\nDone in {time.monotonic() - self.began:.0f} s. Series readable from the internet:")
        for (clinic, series), at_home in zip(before.items(), reads, strict=True):
            said = "reads by the tunnel, and by nothing else" if at_home else "DOES NOT READ AS IS DUE"
            print(f"  {clinic:22} before {series} of {2 * STUDIES}, after {after[clinic]}; the doctor at home {said}")
        print("Reports:")
        for when in ("before", "after"):
            for clinic in before:
                print(f"  {REPORTS.relative_to(ROOT) / when / clinic / 'report.html'}")
        print("The lab stays up to look at; `make demo-down` removes it.")


def store(practice: Practice, *, tls: bool) -> str:
    """Let the modality store its studies, and return what it says."""
    return practice.device("ct", "store", "/root/studies", tls=tls)


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
