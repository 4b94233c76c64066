# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run the stages of `make test`, three at a time, for one verdict.

Usage: tests/run.py [STAGE or GROUP ...]; the groups are lint, unit, sanity, package, lockout, interlocks, powercut,
machine, rotation, abuse, enroll, lan, canary, devices, managers and molecule.
The output of each stage goes to build/test/<stage>.log; of a stage that fails, its end is printed, and before the
verdict, where a log that is cut short still shows them, the lines that tell why.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import lanes

ROOT = Path(__file__).resolve().parents[1]
LOGS = ROOT / "build" / "test"
SCENARIOS = (
    "disk_encryption",
    "clinic",
    "orthanc",
    "authentication",
    "dicom_tls",
    "firewall",
    "remote_access",
    "remote_access_ipsec",
    "system",
    "workstation",
    "reading_laptop",
    "gateway",
    "modality_box",
)
LOCKOUT = (
    "tests/integration/output_declared.yml",
    "tests/integration/container_bypass.yml",
    "tests/integration/lockout_firewall.yml",
    "tests/integration/lockout_undo.yml",
    "playbooks/harden.yml",
    "tests/integration/late_sshd.yml",
    "tests/integration/lockout_sshd.yml",
)
"""A server calls nobody undeclared and lets nobody into a container, the engineer staying in, also where sshd refuses
everybody for a moment; then the engineer is really cut off, by the firewall and by sshd, and each host undoes it alone."""
DISKS = ("machine", "molecule-disk_encryption", "interlocks", "powercut")
"""Stages that have a virtual machine or loop devices, and keep a core busy: one at a time."""
ALONE = ("unit", "sanity", "lint")
"""Stages that have nothing but themselves; all others have hosts in containers, of which the kernel bears two stages."""
AT_ONCE = {"disks": 1, "hosts": 2}
WORKERS = 3
TELLING = re.compile(r'\bFAILED\b|\bfatal: |^E  |\b[Ee]rror\b|\bmsg": "')
"""What a line has that tells why a stage failed: of a witness, a playbook, pytest and the rest."""
WITHIN = re.compile(r'\\n|", "')
"""What stands between two lines of a command's output where Ansible tells of its failure."""


@dataclasses.dataclass(frozen=True)
class Stage:
    """One step of the test: its name, the group that names it on the command line, and its commands."""

    name: str
    group: str
    commands: tuple[tuple[str, ...], ...]

    @property
    def kind(self) -> str:
        """What it has to itself."""
        if self.name in DISKS:
            return "disks"
        return "alone" if self.name.removesuffix("-newest") in ALONE else "hosts"


def on_lab(name: str, hosts: str, *playbooks: str) -> Stage:
    """Return the stage that runs playbooks one after another against a lab of its own."""
    return Stage(name, name, (("bash", "tests/on_lab.sh", name, hosts, *playbooks),))


def stages() -> list[Stage]:
    """Return all stages, the longest first, so that all workers end together."""
    listed = [Stage("machine", "machine", ((sys.executable, "tests/machine/run.py", "--short"),))]
    listed += [Stage(f"molecule-{name}", "molecule", (("molecule", "test", "-s", name),)) for name in SCENARIOS]
    listed += [
        Stage("unit", "unit", (("pytest", "-n", "2", "tests/unit"),)),
        Stage("sanity", "sanity", ((sys.executable, "tests/sanity.py", sys.prefix),)),
        on_lab("lockout", "pacs-1,pacs-2,box-1,box-2,laptop-1,laptop-2", *LOCKOUT),
        on_lab("managers", "pacs-1,pacs-2", "tests/integration/network_managers.yml"),
        Stage("rotation", "rotation", ((sys.executable, "tests/rotation.py"),)),
        Stage("package", "package", (("bash", "tests/package.sh"),)),
        Stage("interlocks", "interlocks", (("pytest", "-o", "faulthandler_timeout=120", "tests/interlocks"),)),
        Stage("powercut", "powercut", ((sys.executable, "tests/powercut/run.py", "--short"),)),
        Stage("abuse", "abuse", ((sys.executable, "tests/abuse.py", "--short"),)),
        Stage("enroll", "enroll", ((sys.executable, "tests/enroll.py"),)),
        Stage("lan", "lan", ((sys.executable, "tests/lan.py", "dmz-practice"),)),
        Stage("canary", "canary", ((sys.executable, "tests/canary.py"),)),
        Stage("devices", "devices", ((sys.executable, "tools/sabotage_devices.py"),)),
        Stage(
            "lint",
            "lint",
            (
                ("ruff", "check", "."),
                ("ruff", "format", "--check", "."),
                ("mypy",),
                ("yamllint", "--strict", "."),
                (
                    "bash",
                    "-c",
                    "git ls-files | xargs awk 'FNR == 1 && /^#!.bin.(ba)?sh/ {print FILENAME}' | xargs shellcheck",
                ),
                ("ansible-lint", "--offline", "--profile", "production"),
                (sys.executable, "tools/write_docs.py", "--check"),
                ("antsibull-changelog", "lint"),
            ),
        ),
    ]
    newest = ROOT / ".venv-newest" / "bin"
    if newest.is_dir():
        listed.append(Stage("unit-newest", "unit", ((str(newest / "pytest"), "-n", "2", "tests/unit"),)))
        listed.append(
            Stage("sanity-newest", "sanity", ((str(newest / "python"), "tests/sanity.py", str(newest.parent)),))
        )
    return listed


def run(stage: Stage) -> bool:
    """Run a stage's commands until one fails; tell whether all succeeded."""
    log = LOGS / f"{stage.name}.log"
    began = time.monotonic()
    environment = {**os.environ, "ANSIBLE_FORCE_COLOR": "0", "PY_COLORS": "0", "NO_COLOR": "1"}
    with log.open("w", encoding="utf-8") as file:
        for command in stage.commands:
            file.write(f"$ {' '.join(command)}\n")
            file.flush()
            done = subprocess.run(
                command,
                cwd=ROOT,
                env=environment,
                stdout=file,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                check=False,
            )
            if done.returncode:
                break
    seconds = time.monotonic() - began
    passed = done.returncode == 0
    print(f"{'passed' if passed else 'FAILED'}  {stage.name:24} {seconds:5.0f} s", flush=True)
    if not passed:
        print("\n".join(f"    {line}" for line in lines(stage)[-60:]), flush=True)
    return passed


def lines(stage: Stage) -> list[str]:
    """Return what a stage has printed."""
    return (LOGS / f"{stage.name}.log").read_text(encoding="utf-8", errors="replace").splitlines()


def telling(printed: list[str]) -> list[str]:
    """Return the last lines that tell why a stage failed; what a command had printed is one line of a playbook's."""
    said = (part.strip()[:300] for line in printed for part in WITHIN.split(line) if TELLING.search(part))
    return list(dict.fromkeys(said))[-20:]


def main(chosen: list[str]) -> int:
    """Run what was asked for, all of it by default."""
    known = stages()
    names = {stage.name for stage in known} | {stage.group for stage in known}
    unknown = [name for name in chosen if name not in names]
    if unknown:
        print(f"There is no stage {', '.join(unknown)}; accepted: {', '.join(sorted(names))}.")
        return 2
    wanted = [stage for stage in known if not chosen or stage.name in chosen or stage.group in chosen]
    shutil.rmtree(LOGS, ignore_errors=True)
    LOGS.mkdir(parents=True)
    if any(stage.group not in ("lint", "unit", "sanity") for stage in wanted):
        print("building the lab's images (cached by their recipe)", flush=True)
        subprocess.run([sys.executable, "molecule/resources/lab.py", "images"], cwd=ROOT, check=True)
    print(f"running {len(wanted)} stages; logs in {LOGS.relative_to(ROOT)}/", flush=True)
    verdicts = lanes.done(wanted, run, lambda stage: stage.kind, AT_ONCE, WORKERS)
    for stage in (each for each, passed in zip(wanted, verdicts, strict=True) if not passed):
        print("\n".join(f"{stage.name}: {line}" for line in telling(lines(stage))))
    print(f"{verdicts.count(True)} passed, {verdicts.count(False)} failed")
    return 0 if verdicts and all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
