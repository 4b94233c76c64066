# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The jobs of the pipelines in docs/pipelines, so that tests run their commands as they stand.

Usage: tests/pipelines.py PIPELINE JOB prints what the job runs of Ansible's playbooks, a command a line.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "pipelines"
INSTALLS = ("python3 -m pip install ", "ansible-galaxy collection install ")
"""How commands begin that need what tests do without: PyPI and Galaxy."""


@dataclasses.dataclass(frozen=True)
class Job:
    """One job: its shells with their commands, the variables that it sets, what it attaches, and its JUnit files."""

    shells: tuple[tuple[str, ...], ...]
    environment: dict[str, str]
    attached: tuple[str, ...]
    junit: tuple[str, ...]

    @property
    def commands(self) -> list[str]:
        """Every command of the job."""
        return [command for shell in self.shells for command in shell]

    @property
    def installs(self) -> list[str]:
        """The commands that install."""
        return [command for command in self.commands if command.startswith(INSTALLS)]

    @property
    def scripts(self) -> list[str]:
        """What each shell of the job runs, without the commands that install."""
        kept = ("\n".join(each for each in shell if each not in self.installs) for shell in self.shells)
        return [script for script in kept if script]

    @property
    def playbooks(self) -> list[str]:
        """The commands that run a playbook."""
        return [command for command in self.commands if command.startswith("ansible-playbook ")]


def jobs(name: str) -> dict[str, Job]:
    """Return the jobs of a pipeline by their names."""
    read: dict[str, Any] = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))
    if "jobs" in read:
        return {job: _github(read, given) for job, given in read["jobs"].items()}
    return {job: _gitlab(read, given) for job, given in read.items() if isinstance(given, dict) and "script" in given}


def _github(read: dict[str, Any], job: dict[str, Any]) -> Job:
    """Read a job of GitHub Actions, where each step has a shell of its own."""
    steps = job["steps"]
    uploads = [step["with"]["path"] for step in steps if step.get("uses", "").startswith("actions/upload-artifact@")]
    return Job(
        shells=tuple((step["run"],) for step in steps if "run" in step),
        environment={**read.get("env", {}), **job.get("env", {})},
        attached=tuple(uploads),
        junit=tuple(f"{path}/*/junit.xml" for path in uploads),
    )


def _gitlab(read: dict[str, Any], job: dict[str, Any]) -> Job:
    """Read a job of GitLab CI, where one shell runs all."""
    artifacts = job.get("artifacts", {})
    junit = artifacts.get("reports", {}).get("junit")
    return Job(
        shells=((*read.get("before_script", []), *job["script"]),),
        environment={**read.get("variables", {}), **job.get("variables", {})},
        attached=tuple(artifacts.get("paths", [])),
        junit=(junit,) if junit else (),
    )


if __name__ == "__main__":
    print("\n".join(jobs(sys.argv[1])[sys.argv[2]].playbooks))
