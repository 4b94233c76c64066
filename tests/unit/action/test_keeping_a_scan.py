# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Evidence of a look from the internet, as a run of ansible-playbook keeps it: once, not in check mode, not of the deaf."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CONTROL = "203.0.113.77:22"
PLAYBOOK = """
- hosts: vantage_points
  gather_facts: false
  tasks:
    - ansible.builtin.set_fact:
        hardening_exposure: "{{ seen }}"
    - radiology.hardening.internet_scan:
      register: scanned
    - ansible.builtin.assert:
        that: scanned is not changed
"""


def point(folder: Path, clinic: str, kind: str, answered: list[str], opened: list[str]) -> dict[str, Any]:
    ports = {"looked_at": ["203.0.113.11"], "no_way": [], "tried": "22", "open": opened, "undeclared": opened}
    return {
        "ansible_connection": "local",
        "clinic": {"name": clinic, "directory": str(folder / clinic), "exposed": ["203.0.113.11"]},
        "clinic_vantage": {"name": "x", "kind": kind, "control_targets": [CONTROL]},
        "seen": {"answered": answered, "targets": {f"pacs.{clinic}": {"wire": {"ports": ports}}}},
    }


def run(folder: Path, points: dict[str, Any], *more: str) -> str:
    (folder / "play.yml").write_text(PLAYBOOK, encoding="utf-8")
    inventory = {"all": {"children": {"vantage_points": {"hosts": points}}}}
    (folder / "inventory.yml").write_text(json.dumps(inventory), encoding="utf-8")
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "inventory.yml", "play.yml", *more]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return " ".join((done.stdout + done.stderr).split())


def evidence(folder: Path, clinic: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / clinic / "internet-scan" / "evidence.json").read_text())
    return found


@pytest.fixture(name="points")
def of_two_clinics(tmp_path: Path) -> dict[str, Any]:
    return {
        "deaf": point(tmp_path, "one", "internet", [], []),
        "first": point(tmp_path, "one", "internet", [CONTROL], []),
        "second": point(tmp_path, "one", "internet", [], ["203.0.113.11:22"]),
        "inside": point(tmp_path, "one", "lan", [], ["203.0.113.11:23"]),
        "other": point(tmp_path, "two", "internet", [], []),
    }


def test_one_file_a_clinic_holds_what_those_saw_who_heard_somebody(tmp_path: Path, points: dict[str, Any]) -> None:
    run(tmp_path, points, "--check")
    assert not (tmp_path / "one").exists()
    told = run(tmp_path, points)
    looks = evidence(tmp_path, "one")["looks"]
    assert [(look["vantage_point"], look["undeclared"]) for look in looks] == [
        ("first", []),
        ("second", ["203.0.113.11:22"]),
    ]
    assert not (tmp_path / "two").exists()
    for name in ("deaf", "other"):
        assert f"{name} heard nothing from anywhere, so that its silence proves nothing" in told
    assert told.count("heard nothing from anywhere") == 2
    assert f"which should have answered: {CONTROL}." in told


def test_who_did_not_look_leaves_the_former_evidence(tmp_path: Path, points: dict[str, Any]) -> None:
    run(tmp_path, points)
    before = evidence(tmp_path, "one")
    run(tmp_path, {"deaf": points["deaf"]})
    unreachable = {**points["first"], "seen": {"unreachable": True, "msg": "no answer"}}
    run(tmp_path, {"first": unreachable, "inside": points["inside"]})
    assert evidence(tmp_path, "one") == before
    run(tmp_path, {"first": points["first"]})
    assert [look["vantage_point"] for look in evidence(tmp_path, "one")["looks"]] == ["first"]
