# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the trials of the undo share: playbooks that are run, facts that are compared, and the tally."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESOURCES = ROOT / "molecule" / "resources"

EXCEPTED = {"older_than_configuration", "engineers", "installed", "carrier", "members"}
EXCEPTED |= {"used_bytes", "used_mib", "available_kib"}
SCANNED = "disk_encryption.scan.files"
"""Facts of the moment (what waits for a restart, who is connected, how full a disk is); packages and
groups stay."""
LOGS = "files.open_logs"
"""Orthanc begins a log at each start: those that were there have to be as they were, later ones need not be."""
ACCOUNTS = "callers.accounts"
"""Accounts stay too."""
OF_PEOPLE, PEOPLE = ("ssh_access.declared", "session.unheld_users"), {"a.martin", "b.leroy", "c.moreau"}
"""Facts that name the accounts that were made for people of the lab, which stay and are closed."""
OF_A_PACKAGE = ("system.updates.every_days", "system.updates.security", "system.time.daemon")
"""What unattended-upgrades, which stays, does by Debian's own settings; and the clock's package, stopped as before."""
RULES, OF_AN_ACCOUNT = "callers.missing_rules", "orthanc port"
"""Facts of rules, and the one that is asked for only where the front's account, which stays, is known."""


class Undoing:
    """An inventory, the group of its hosts and the surfaces that are looked at, and the tally of what was checked."""

    def __init__(self, lab_name: str, inventory: Path, surfaces: Sequence[str]) -> None:
        """Take an inventory whose hosts are up; its servers are looked at first."""
        self.lab_name, self.inventory, self.surfaces = lab_name, inventory, surfaces
        self.targets = "orthanc_servers"
        self.held: list[bool] = []
        self.began = time.monotonic()

    def check(self, what: str, found: object, due: object = True) -> None:
        """Tell whether what was found is what is due."""
        self.held.append(found == due)
        seconds = time.monotonic() - self.began
        more = "" if found == due else f": {found!r} instead of {due!r}"
        print(f"{'held  ' if found == due else 'FAILED'} {seconds:5.0f} s  {what}{more}", flush=True)

    def play(self, path: str, *more: str, roles: str = "", facts: str = "") -> subprocess.CompletedProcess[str]:
        """Run a playbook and return what it said."""
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".ansible" / "collections"),
            "ANSIBLE_VAULT_PASSWORD_FILE": str(RESOURCES / "vault_password.py"),
            "ANSIBLE_FORCE_COLOR": "0",
            "RADIOLOGY_LAB": self.lab_name,
            "RADIOLOGY_ROLE": roles,
            "RADIOLOGY_TARGETS": self.targets,
            "TARGETS": self.targets,
            "SURFACES": ",".join(self.surfaces),
            "FACTS": facts,
        }
        command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(self.inventory), str(ROOT / path)]
        return subprocess.run([*command, *more], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    def demand(self, path: str, *more: str, roles: str = "") -> str:
        """Run a playbook that has to succeed."""
        done = self.play(path, *more, roles=roles)
        if done.returncode:
            sys.exit(
                f"{path} {' '.join(more)}: exit status {done.returncode}\n{failing(done.stdout)}{done.stderr[-2000:]}"
            )
        return done.stdout

    def facts(self, path: str = "tests/integration/facts.yml") -> dict[str, dict[str, Any]]:
        """Return what posture, or the audit, sees of each host."""
        with tempfile.TemporaryDirectory() as folder:
            done = self.play(path, facts=folder)
            if done.returncode:
                sys.exit(f"{path}: exit status {done.returncode}\n{failing(done.stdout)}{done.stderr[-2000:]}")
            return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in Path(folder).iterdir()}

    def undo(self, surface: str, host: str) -> str:
        """Undo a surface on a host, and return what was said."""
        return self.demand("playbooks/undo.yml", "-l", host, "-e", f"surface={surface}", "-e", f"confirm={host}")

    def same(self, what: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        """Check that the facts of each host are as before."""
        for host in before:
            self.check(f"{host}: {what}", differing(before[host], after[host]), [])

    def changed(self, surface: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        """Check that the hardening of a surface changed the facts of each host."""
        for host in before:
            self.check(f"{host}: {surface} changes", differing(before[host], after[host]) != [])


def failing(said: str) -> str:
    """Return of what a playbook said the tasks that failed on a host, and the recap: the rest can be long."""
    *tasks, recap = re.split(r"(?m)^(?=(?:TASK|PLAY|RUNNING HANDLER) )", said)
    return "".join([task for task in tasks if re.search("(?m)^(?:fatal|failed|ERROR)", task)] + [recap])


def differing(before: Any, after: Any, path: str = "") -> list[str]:
    """Return where two sets of facts differ, the facts of the moment and what stays left out."""
    if path.endswith((ACCOUNTS, SCANNED, *OF_A_PACKAGE)):
        return []
    if isinstance(before, dict) and isinstance(after, dict):
        return [
            said
            for key in sorted({*before, *after} - EXCEPTED)
            for said in differing(before.get(key), after.get(key), f"{path}.{key}")
        ]
    if path.endswith(LOGS):
        after = [log for log in after or [] if log in (before or [])]
    if path.endswith(OF_PEOPLE):
        after = [name for name in after if name not in PEOPLE or name in before]
    if path.endswith(RULES):
        before, after = ([rule for rule in rules or [] if rule != OF_AN_ACCOUNT] for rules in (before, after))
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = enumerate(zip(before, after, strict=True))
        return [said for number, each in pairs for said in differing(*each, f"{path}.{number}")]
    return [] if before == after else [f"{path.lstrip('.')}: {before!r} became {after!r}"]
