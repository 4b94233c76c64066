# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Contract 2: if the audit fails a control, its role has a plan; found by walking the catalogue.

The facts in surfaces/hardened/ were observed on real hosts after hardening: <role>.<release>.json.
"""

from __future__ import annotations

import copy
import datetime
import importlib
import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.plugin_utils import catalogue
from ansible_collections.radiology.hardening.plugins.plugin_utils.catalogue import Clause, Control
from ansible_collections.radiology.hardening.plugins.plugin_utils.judge import Sight, judge

HARDENED = Path(__file__).parent / "surfaces" / "hardened"
RELEASES = ("debian12", "debian13")
ROLES = sorted({control.role for control in catalogue.load()})
TODAY = datetime.date(2026, 11, 24)
BREACHES: dict[str, Any] = {
    "at_least": lambda value: [value - 1],
    "at_most": lambda value: [value + 1],
    "matches": lambda value: ["\0"],
    "subset_of": lambda value: [["undeclared"]],
    "empty": lambda value: [["something"] if value else []],
    "in": lambda value: ["undeclared"],
    "present": lambda value: [None if value else "something"],
    "is": lambda value: [not value] if isinstance(value, bool) else [["x"] if isinstance(value, list) else "x"],
}


def hardened(role: str, release: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((HARDENED / f"{role}.{release}.json").read_text(encoding="utf-8"))
    return loaded


def surface(role: str) -> Any:
    return importlib.import_module(f"ansible_collections.radiology.hardening.plugins.module_utils.surfaces.{role}")


def with_fact(facts: dict[str, Any], name: str, value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(facts)
    *parents, last = name.split(".")
    inner = changed
    for parent in parents:
        inner = inner.setdefault(parent, {})
    inner[last] = value
    return changed


def verdict(control: Control, facts: dict[str, Any]) -> str:
    (finding,) = judge((control,), Sight("pacs", facts), [], TODAY)
    return str(finding["verdict"])


CASES = [
    pytest.param(release, control, clause, breach, id=f"{release}-{control.id}-{clause.fact}")
    for release in RELEASES
    for control in catalogue.load()
    for clause in control.expect
    for breach in BREACHES[clause.operator](clause.expected)
]


def test_there_are_controls() -> None:
    assert len(catalogue.load()) >= 30
    assert CASES


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("role", ROLES)
def test_a_hardened_host_passes_and_has_no_plan(role: str, release: str) -> None:
    known = hardened(role, release)
    controls = catalogue.load(role)
    assert {control.id: verdict(control, known["facts"]) for control in controls} == dict.fromkeys(
        (control.id for control in controls), "pass"
    )
    assert [step.does for step in surface(role).plan(known["facts"], catalogue.wanted(controls), known["scope"])] == []


@pytest.mark.parametrize(("release", "control", "clause", "breach"), CASES)
def test_a_breach_fails_the_audit_and_has_a_plan(release: str, control: Control, clause: Clause, breach: Any) -> None:
    known = hardened(control.role, release)
    broken = with_fact(known["facts"], clause.fact, breach)
    assert verdict(control, broken) == "fail"
    assert surface(control.role).plan(broken, catalogue.wanted(catalogue.load(control.role)), known["scope"])
