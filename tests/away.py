# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Switch off a workstation that the clinic file lets be away, in the lab of lan.py, after its day.

What an audit saw of it last stands for it, inside and from the visitor's laptop, for as many days as it may be away. It
does not where the workstation is there and refuses the engineer, and no longer than those days.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "molecule" / "resources"))

import machine
import network

if TYPE_CHECKING:
    from lan import Lan

DAYS = 14
MAY_BE_AWAY = (
    "    port: 11112\n    tls: true\n",
    f"    port: 11112\n    tls: true\n    away_days: {DAYS}\n",
)
OFF = "ip link set lan down && ip link set admin down"
"""Its network cards: nothing of it answers any more, not ARP either."""
FORGET = ("ip", "neighbour", "flush", "all")
"""For up to 45 s the kernel takes for there who just answered ARP."""
BY_LAPTOP = "firewall.input_default_deny"
"""A control that is judged inside and from the LAN."""
ONE_CONNECTION_EACH = "-o ControlMaster=no -o ControlPath=none"
"""For ssh(1): no connection of before is at hand when the workstation is off."""


class Away:
    """One trial: the lab, and what is judged of its workstations."""

    def __init__(self, trial: Lan) -> None:
        """Let the workstations be away, and nc tell why it does not connect."""
        self.trial = trial
        for clinic in trial.clinics():
            _replace(trial.inventory / f"{clinic}.yml", *MAY_BE_AWAY)
        for file in (path for path in trial.inventory.iterdir() if path.is_file() and " nc 10." in path.read_text()):
            _replace(file, " nc 10.", " nc -v 10.")

    def run(self, playbook: str = "audit") -> list[tuple[str, dict[str, Any], dict[str, dict[str, Any]]]]:
        """Look at the workstations, and return of each clinic its name, their host of the report and their findings."""
        folder = self.trial.inventory.parent / "reports"
        play, limit = str(ROOT / "playbooks" / f"{playbook}.yml"), "workstations:laptop.*:localhost"
        with _ssh(ONE_CONNECTION_EACH):
            self.trial.attempt(
                "ansible-playbook",
                "-i",
                str(self.trial.inventory),
                play,
                "-l",
                limit,
                "-e",
                f"report_directory={folder}",
            )
        found = []
        for clinic in self.trial.clinics():
            report = json.loads((folder / clinic / "report.json").read_text(encoding="utf-8"))
            (host,) = [each for each in report["hosts"] if each["name"] == f"ws.{clinic}"]
            findings = {each["control"]: each for each in report["findings"] if each["host"] == f"ws.{clinic}"}
            found.append((clinic, host, findings))
        return found

    def on(self, line: str) -> None:
        """Run a line of shell on each workstation."""
        for practice in self.trial.practices:
            self.trial.lab.execute(f"ws-{practice.number}", "sh", "-c", line)

    def forget(self) -> None:
        """Let the visitor's laptops and the engineer's station forget whom they just heard."""
        for practice in self.trial.practices:
            self.trial.lab.execute(f"laptop-{practice.number}", *FORGET)
        station = network.namespace(self.trial.lab.name, network.ADMIN)
        machine.root("ip", "netns", "exec", station, *FORGET)

    def file(self, clinic: str) -> Path:
        """Return where it lies what was seen of the workstation."""
        return self.trial.inventory / clinic / "last-seen" / "ws.json"

    def there(self) -> dict[str, dict[str, str]]:
        """Audit them while they are there, and return the verdicts."""
        verdicts = {}
        for clinic, host, findings in self.run():
            verdicts[clinic] = {control: each["verdict"] for control, each in findings.items()}
            seen = {item["seen_from"] for item in findings[BY_LAPTOP]["evidence"] if item["verdict"] == "pass"}
            self.check(f"{clinic}: there, seen from {sorted(seen)}", holds=seen == {"inside", f"laptop.{clinic}"})
            self.check(f"{clinic}: and not by what was seen before", holds=host["audited"] and not host["last_seen"])
            parts = json.loads(self.file(clinic).read_text(encoding="ascii"))["parts"]
            self.check(f"{clinic}: kept of {sorted(parts)}", holds=set(parts) == {"inside", f"laptop.{clinic}"})
        return verdicts

    def refusing(self) -> None:
        """A workstation that refuses the engineer is not away."""
        for clinic, host, findings in self.run():
            verdicts = {each["verdict"] for each in findings.values()}
            self.check(f"{clinic}: refused, and not audited: {host['why']}", holds=not host["audited"])
            self.check(f"{clinic}: verdicts {sorted(verdicts)}", holds="pass" not in verdicts)

    def off(self, verdicts: dict[str, dict[str, str]]) -> None:
        """A workstation that is off is judged as when it was there, each evidence with its day."""
        for clinic, host, findings in self.run():
            now = {control: each["verdict"] for control, each in findings.items()}
            differing = {
                control for control in {*now, *verdicts[clinic]} if now.get(control) != verdicts[clinic].get(control)
            }
            self.check(f"{clinic}: off, and judged as before but {differing or 'nothing'}", holds=not differing)
            self.check(
                f"{clinic}: by what was seen at {host['last_seen'] or host['why']}",
                holds=host["audited"] and host["last_seen"] != "",
            )
            days = {item["last_seen"] for item in findings[BY_LAPTOP]["evidence"]}
            self.check(f"{clinic}: each evidence has its day: {days}", holds=days == {host["last_seen"][:10]})
        for clinic, _host, findings in self.run("probe"):
            evidence = [(item["verdict"], item["last_seen"] != "") for item in findings[BY_LAPTOP]["evidence"]]
            told = f"{clinic}: a probe judges what the laptop saw: {evidence}"
            self.check(told, holds=bool(evidence) and set(evidence) == {("pass", True)})

    def too_long(self) -> None:
        """What was seen before the days that it may be away stands for nothing."""
        for clinic in self.trial.clinics():
            known = json.loads(self.file(clinic).read_text(encoding="ascii"))
            for part in known["parts"].values():
                part["seen"] = "2026-01-01T08:00:00+00:00"
            self.file(clinic).write_text(json.dumps(known), encoding="ascii")
        for clinic, host, findings in self.run():
            verdicts = {each["verdict"] for each in findings.values()}
            said = "It was last seen on 2026-01-01, "
            self.check(f"{clinic}: away too long: {host['why']}", holds=said in host["why"] and not host["audited"])
            self.check(f"{clinic}: verdicts then {sorted(verdicts)}", holds="pass" not in verdicts)

    def check(self, what: str, *, holds: bool) -> None:
        """Tell whether something holds."""
        self.trial.check(what, holds=holds)


def trial(lan: Lan) -> None:
    """Audit the workstations as they are there, as they refuse, as they are off, and as they are off for too long."""
    away = Away(lan)
    verdicts = away.there()
    away.on("systemctl stop ssh.socket ssh.service 2>/dev/null; systemctl stop ssh")
    away.refusing()
    away.on(OFF)
    away.forget()
    away.off(verdicts)
    away.too_long()


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    if old not in text:
        raise SystemExit(f"{path} has no {old!r}.")
    path.write_text(text.replace(old, new), encoding="utf-8")


@contextlib.contextmanager
def _ssh(arguments: str) -> Iterator[None]:
    """Have Ansible call ssh(1) with arguments of its own."""
    os.environ["ANSIBLE_SSH_ARGS"] = arguments
    try:
        yield
    finally:
        del os.environ["ANSIBLE_SSH_ARGS"]
