# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Break what devices promise that nobody logs in to, one control at a time: the audit has to name each, and only it.

Usage: sabotage_devices.py [CONTROL ...]. A lab of a modality, a workstation, a laptop and their internet box is made;
out of the clinic file go the workstation's `ssh` and the other devices, and a made-up person attests of both what is
asked. What is seen from outside is broken by servers that a viewer or a system would run; what persons attest by taking
it out of the file, or by days that are past or to come. Each is seen by the playbook audit as it stands; the next run,
or the last, proves that the one before is mended. The last line is as of sabotage.py.
"""

from __future__ import annotations

import datetime
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
RESOURCES = ROOT / "molecule" / "resources"
sys.path[:0] = [str(RESOURCES), str(ROOT / ".ansible" / "collections")]

import attested
from ansible_collections.radiology.hardening.plugins.plugin_utils import catalogue, judge
from lab import Lab

NAME = os.environ.get("RADIOLOGY_LAB", "devices")
CLINIC = "dmz-practice"
HOSTS = {"ct": "ct-1", "ws": "ws-1", "box": "box-1", "laptop": "laptop-1"}
KINDS = {"ws": "workstation", "ct": "modality"}
LIMIT = ",".join([*(f"{name}.{CLINIC}" for name in ("ws", "ct", "laptop", "ct-probe")), "localhost"])
LINES = ROOT / "tests" / "sabotage" / "device.yml"
BY = "A made-up person of the sabotage"


class Devices:
    """The lab, its clinic file, and what the audit says of its two devices."""

    def __init__(self, name: str) -> None:
        """Take the lab's name."""
        self.lab = Lab(name, tuple(HOSTS.values()))
        self.inventory = self.lab.state / "inventory"
        self.file = self.inventory / f"{CLINIC}.yml"
        self.kept = self.lab.state / "kept.yml"

    def up(self) -> None:
        """Build the lab, and say in the clinic file that nobody logs in to its devices, and what a person attests."""
        self.lab.up(self.inventory)
        given = yaml.safe_load(self.file.read_text(encoding="utf-8"))
        del given["workstations"]["ws"]["ssh"]
        given["modalities"] = {name: told for name, told in given["modalities"].items() if name in KINDS}
        points = given["vantage_points"].items()
        given["vantage_points"] = {name: told for name, told in points if told.get("device", "ct") in KINDS}
        today = datetime.datetime.now(tz=datetime.UTC).date()
        given["hardening_waivers"] = []
        given["hardening_attestations"] = attested.made_up(catalogue.load("device"), KINDS, BY, today)
        self.file.write_text(yaml.safe_dump(given, sort_keys=False, width=1000), encoding="utf-8")
        shutil.copy(self.file, self.kept)

    def do(self, place: str, line: str) -> None:
        """Run a shell line as root on a host of the lab, or beside the clinic file."""
        if place == "clinic_file":
            before = self.file.read_bytes()
            subprocess.run(["bash", "-euc", line], cwd=self.inventory, check=True)
            if self.file.read_bytes() == before:
                sys.exit(f"This line changes nothing in the clinic file: {line}")
        else:
            self.lab.execute(HOSTS[place], "bash", "-euc", line)

    def mend(self, entry: dict[str, Any]) -> None:
        """Do what a person does about it; a clinic file gets its former words back."""
        if entry["at"] == "clinic_file":
            shutil.copy(self.kept, self.file)
        else:
            self.do(entry["at"], entry["mend"])

    def audit(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Run the playbook audit; return the findings on the devices that do not pass, by device and control."""
        reports = self.lab.state / "reports"
        command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(self.inventory), "--limit", LIMIT]
        command += ["-e", f"report_directory={reports}", str(ROOT / "playbooks" / "audit.yml")]
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".ansible" / "collections"),
            "ANSIBLE_FORCE_COLOR": "0",
            "ANSIBLE_VAULT_PASSWORD_FILE": str(RESOURCES / "vault_password.py"),
            "RADIOLOGY_LAB": self.lab.name,
        }
        shutil.rmtree(reports, ignore_errors=True)
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        report = reports / CLINIC / "report.json"
        if not report.is_file():
            sys.exit(done.stdout[-3000:] + done.stderr[-3000:])
        findings = json.loads(report.read_text(encoding="utf-8"))["findings"]
        mine = {
            (each["host"].partition(".")[0], each["control"]): each
            for each in findings
            if each["control"].startswith("device.")
        }
        asked = {(name, control.id) for name, kind in KINDS.items() for control in _asked(kind)}
        if set(mine) != asked:
            sys.exit(f"The audit judged {len(mine)} of {len(asked)} controls of the devices.\n{done.stdout[-3000:]}")
        return {key: each for key, each in mine.items() if each["verdict"] in judge.UNACCEPTABLE}


def _asked(kind: str) -> list[catalogue.Control]:
    return [control for control in catalogue.load("device") if kind in control.concerns]


def named(entry: dict[str, Any], control: str, wanting: dict[tuple[str, str], dict[str, Any]]) -> bool:
    """Tell whether the audit names the broken control on its device in the words of `says`, and no other there."""
    device = entry["of"]
    if {found for name, found in wanting if name == device} != {control, *entry["follows"]}:
        return False
    items = wanting[(device, control)]["evidence"]
    words = [word for item in items for word in (item["why"], *_listed(item["observed"]))]
    return any(entry["says"] in str(word) for word in words)


def _listed(observed: Any) -> list[Any]:
    return observed if isinstance(observed, list) else [observed]


def break_all(devices: Devices, controls: Sequence[str]) -> tuple[int, int, int, int]:
    """Break, have named and mend each control; return how many there were, were broken, named and repaired."""
    lines = yaml.safe_load(LINES.read_text(encoding="utf-8"))
    chosen = list(controls) or list(lines)
    if first := devices.audit():
        sys.exit(f"Before anything is broken these are wanting: {sorted(first)}")
    seen: list[bool] = []
    repaired: list[bool] = []
    before = ""
    for control in chosen:
        entry = lines[control]
        devices.do(entry["at"], entry["break"])
        try:
            wanting = devices.audit()
        finally:
            devices.mend(entry)
        seen.append(named(entry, control, wanting))
        if before and before not in entry["follows"]:
            repaired.append((lines[before]["of"], before) not in wanting)
        elif before:
            repaired.append((lines[before]["of"], before) not in devices.audit())
        print(f"Break {control}: {'named' if seen[-1] else f'NOT named, but {sorted(wanting)}'}", flush=True)
        before = control
    left = devices.audit()
    repaired.append(not left)
    if left:
        print(f"Left at the end: {sorted(left)}", flush=True)
    return len(chosen), len(seen), seen.count(True), repaired.count(True)


def on_devices(name: str, controls: Sequence[str]) -> tuple[int, int, int, int]:
    """Build the lab of this name, break the controls of devices, and return the tally."""
    devices = Devices(name)
    try:
        devices.up()
        return break_all(devices, controls)
    finally:
        devices.lab.down()


def main(controls: list[str]) -> int:
    """Break the controls that are asked for, all of them by default, and tell the tally."""
    known = {control.id for control in catalogue.load("device")}
    if unknown := sorted(set(controls) - known):
        print(f"There is no control {', '.join(unknown)}; docs/controls.md lists them all.")
        return 2
    count, broken, told, repaired = on_devices(NAME, controls)
    print(f"{count} controls: {broken} broken, {told} named, {repaired} repaired")
    return 0 if len({count, broken, told, repaired}) == 1 and count else 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does: nothing stays behind
    sys.exit(main(sys.argv[1:]))
