# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Switch off a workstation and the ultrasound, which the clinic file lets be away, in the lab of lan.py, after its day.

What an audit saw of them last stands for them, inside the workstation and from the visitor's laptop, for as many days as
they may be away. It does not where the workstation is there and refuses the engineer, by its port or by ICMP, and no longer than those
days.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "molecule" / "resources"))

import machine
import network

if TYPE_CHECKING:
    from lan import Lan

DAYS = 14
MAY_BE_AWAY = {
    "    port: 11112\n    tls: true\n": f"    port: 11112\n    away_days: {DAYS}\n    tls: true\n",
    "    port: 11112\n    tls: false\n": f"    port: 11112\n    away_days: {DAYS}\n    tls: false\n",
}
"""What the clinic file says of the workstation, and of the ultrasound."""
LOGGED_IN, NOBODYS = "ws", "us"
"""Somebody logs in to the one, and nobody to the other, which is seen from outside alone."""
NO_ENGINEER = "systemctl stop ssh.socket ssh.service 2>/dev/null; systemctl stop ssh"
FORBIDS = """\
nft add table inet forbids
nft 'add chain inet forbids calls { type filter hook input priority -200; }'
nft add rule inet forbids calls meta l4proto tcp reject with icmpx type admin-prohibited
"""
ALLOWS = "nft delete table inet forbids"
"""Of a host that forbids calls by ICMP, ssh(1) says `No route to host` as well, as of one that is off."""
OFF = "ip link set lan down; ip link set admin down 2>/dev/null; true"
"""Its network cards: nothing of it answers any more, not ARP either."""
FORGET = ("ip", "neighbour", "flush", "all")
"""For up to 45 s the kernel takes for there who just answered ARP."""
FROM_OUTSIDE = {LOGGED_IN: "firewall.input_default_deny", NOBODYS: "device.remote_control"}
"""A control of each that is judged from the LAN."""
LONG_AGO = "2026-01-01T08:00:00+00:00"
ONE_CONNECTION_EACH = "-o ControlMaster=no -o ControlPath=none"
"""For ssh(1): no connection of before is at hand when the workstation is off."""


class Seen(NamedTuple):
    """What a report says of one device."""

    clinic: str
    kind: str
    host: dict[str, Any]
    findings: dict[str, dict[str, Any]]

    @property
    def name(self) -> str:
        """Its name in the inventory."""
        return f"{self.kind}.{self.clinic}"

    @property
    def verdicts(self) -> dict[str, str]:
        """Of each control the verdict."""
        return {control: each["verdict"] for control, each in self.findings.items()}

    @property
    def evidence(self) -> list[dict[str, Any]]:
        """Of the control that is judged from outside, what was seen."""
        return list(self.findings[FROM_OUTSIDE[self.kind]]["evidence"])


class Away:
    """One trial: the lab, and what is judged of its devices."""

    def __init__(self, trial: Lan) -> None:
        """Let the devices be away, and nc tell why it does not connect."""
        self.trial = trial
        for clinic in trial.clinics():
            for old, new in MAY_BE_AWAY.items():
                _replace(trial.inventory / f"{clinic}.yml", old, new)
        for file in (path for path in trial.inventory.iterdir() if path.is_file() and " nc 10." in path.read_text()):
            _replace(file, " nc 10.", " nc -v 10.")

    def look(self, playbook: str = "audit") -> list[Seen]:
        """Look at the devices from inside, where a playbook does, and from the visitor's laptops."""
        folder = self.trial.inventory.parent / "reports"
        command = ["ansible-playbook", "-i", str(self.trial.inventory), str(ROOT / "playbooks" / f"{playbook}.yml")]
        limit, reports = "workstations:modalities:laptop.*:localhost", f"report_directory={folder}"
        with _ssh(ONE_CONNECTION_EACH):
            self.trial.attempt(*command, "-l", limit, "-e", reports)
        found = []
        for clinic in self.trial.clinics():
            report = json.loads((folder / clinic / "report.json").read_text(encoding="utf-8"))
            for kind in FROM_OUTSIDE:
                (host,) = [each for each in report["hosts"] if each["name"] == f"{kind}.{clinic}"]
                about = [each for each in report["findings"] if each["host"] == host["name"]]
                found.append(Seen(clinic, kind, host, {each["control"]: each for each in about}))
        return found

    def on(self, kind: str, *command: str) -> None:
        """Run a command on each host of a kind."""
        for practice in self.trial.practices:
            self.trial.lab.execute(f"{kind}-{practice.number}", *command)

    def switch_off(self) -> None:
        """Take the devices from their networks; the visitor's laptops and the engineer's station forget them."""
        for kind in FROM_OUTSIDE:
            self.on(kind, "sh", "-c", OFF)
        self.on("laptop", *FORGET)
        station = network.namespace(self.trial.lab.name, network.ADMIN)
        machine.root("ip", "netns", "exec", station, *FORGET)

    def file(self, seen: Seen) -> Path:
        """Return where it lies what was seen of a device."""
        return self.trial.inventory / seen.clinic / "last-seen" / f"{seen.kind}.json"

    def check(self, what: str, *, holds: bool) -> None:
        """Tell whether something holds."""
        self.trial.check(what, holds=holds)

    def there(self) -> list[Seen]:
        """Audit them while they are there, and return what was seen."""
        found = self.look()
        for seen in found:
            places = {f"laptop.{seen.clinic}", *(["inside"] if seen.kind == LOGGED_IN else [])}
            by = {item["seen_from"] for item in seen.evidence if item["verdict"] in ("pass", "fail")}
            self.check(f"{seen.name}: there, seen from {sorted(by)}", holds=places >= by >= {f"laptop.{seen.clinic}"})
            self.check(f"{seen.name}: and today", holds=seen.host["audited"] and not seen.host["last_seen"])
            kept = set(json.loads(self.file(seen).read_text(encoding="ascii"))["parts"])
            self.check(f"{seen.name}: kept of {sorted(kept)}", holds=kept == places)
        return found

    def refusing(self, how: str) -> None:
        """A workstation that refuses the engineer is not away."""
        for seen in self.look():
            if seen.kind == LOGGED_IN:
                told = f"{seen.name}: refused {how}, and not audited: {seen.host['why']}"
                self.check(told, holds=not seen.host["audited"] and set(seen.verdicts.values()) == {"not_audited"})

    def off(self, before: list[Seen]) -> None:
        """What is off is judged as when it was there, each evidence with its day."""
        for seen, then in zip(self.look(), before, strict=True):
            pairs = {*seen.verdicts.items()} ^ {*then.verdicts.items()}
            self.check(f"{seen.name}: off, and judged as before but for {pairs or 'nothing'}", holds=not pairs)
            when = seen.host["last_seen"]
            self.check(f"{seen.name}: by what was seen at {when}", holds=seen.host["audited"] and when != "")
            days = {item["last_seen"] for item in seen.evidence if item["verdict"] in ("pass", "fail")}
            self.check(f"{seen.name}: each evidence has its day: {days}", holds=days == {when[:10]})
        for seen in self.look("probe"):
            days = {item["last_seen"] for item in seen.evidence if item["verdict"] in ("pass", "fail")}
            self.check(
                f"{seen.name}: a probe judges what the laptop saw on {days}", holds=days > set() and "" not in days
            )

    def too_long(self, before: list[Seen]) -> None:
        """What was seen before the days that it may be away stands for nothing."""
        for seen in before:
            known = json.loads(self.file(seen).read_text(encoding="ascii"))
            known["parts"] = {name: part | {"seen": LONG_AGO} for name, part in known["parts"].items()}
            self.file(seen).write_text(json.dumps(known), encoding="ascii")
        said = f"It was last seen on {LONG_AGO[:10]}, "
        for seen in self.look():
            told = [seen.host["why"], *(item["why"] for item in seen.evidence)]
            self.check(f"{seen.name}: away too long: {told}", holds=any(said in why for why in told))
            verdicts = set(seen.verdicts.values())
            self.check(f"{seen.name}: verdicts then {sorted(verdicts)}", holds="pass" not in verdicts)


def trial(lan: Lan) -> None:
    """Audit the devices as they are there, as one refuses, as they are off, and as they are off for too long."""
    away = Away(lan)
    before = away.there()
    away.on(LOGGED_IN, "sh", "-c", FORBIDS)
    away.refusing("by ICMP")
    away.on(LOGGED_IN, "sh", "-c", ALLOWS)
    away.on(LOGGED_IN, "sh", "-c", NO_ENGINEER)
    away.refusing("by its port")
    away.switch_off()
    away.off(before)
    away.too_long(before)


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
