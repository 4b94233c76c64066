# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Contract 2: if the audit fails a control, its role has a plan; found by walking the catalogue.

The facts in surfaces/hardened/ were observed on real hosts after hardening: <role>.<release>.json.
What no role keeps has no plan: a device fails by what is seen from outside, and passes by no word that has ended.
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
from ansible_collections.radiology.hardening.plugins.plugin_utils.attestations import Attestation
from ansible_collections.radiology.hardening.plugins.plugin_utils.catalogue import Clause, Control
from ansible_collections.radiology.hardening.plugins.plugin_utils.judge import Sight, View, judge

HARDENED = Path(__file__).parent / "surfaces" / "hardened"
RELEASES = ("debian12", "debian13")

RECORDED: dict[str, list[Control]] = {}
"""Name of the files of recorded facts -> the controls that a host is held to which they were recorded of."""
for each in catalogue.kept_by_roles():
    RECORDED.setdefault(f"{each.role}.gateway" if each.concerns == ("gateway",) else each.role, []).append(each)
OF_DEVICES = [control for control in catalogue.load() if not control.expect]
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


def recorded(control: Control) -> str:
    return next(name for name, controls in RECORDED.items() if control in controls)


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
    for control in catalogue.kept_by_roles()
    for clause in control.expect
    for breach in BREACHES[clause.operator](clause.expected)
]


def test_there_are_controls() -> None:
    assert len(catalogue.load()) >= 30
    assert CASES


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("name", RECORDED)
def test_a_hardened_host_passes_and_has_no_plan(name: str, release: str) -> None:
    known, controls = hardened(name, release), RECORDED[name]
    assert {control.id: verdict(control, known["facts"]) for control in controls} == dict.fromkeys(
        (control.id for control in controls), "pass"
    )
    role, wanted = controls[0].role, catalogue.wanted(tuple(controls))
    assert [step.does for step in surface(role).plan(known["facts"], wanted, known["scope"])] == []


@pytest.mark.parametrize(("release", "control", "clause", "breach"), CASES)
def test_a_breach_fails_the_audit_and_has_a_plan(release: str, control: Control, clause: Clause, breach: Any) -> None:
    name = recorded(control)
    known = hardened(name, release)
    broken = with_fact(known["facts"], clause.fact, breach)
    assert verdict(control, broken) == "fail"
    assert surface(control.role).plan(broken, catalogue.wanted(tuple(RECORDED[name])), known["scope"])


def seen_from(control: Control, kind: str, *, broken: str = "") -> View:
    """Return what a vantage point sees of a device that keeps the control, but for one fact."""
    facts: dict[str, Any] = {}
    for clause in control.expect_from[kind]:
        (breach,) = BREACHES[clause.operator](clause.expected)
        kept = {"empty": [], "is": clause.expected}[clause.operator]
        facts = with_fact(facts, clause.fact, breach if clause.fact == broken else kept)
    return View(f"a {kind}", kind, facts)


def judged(control: Control, attested: list[Attestation], *views: View) -> dict[str, Any]:
    (finding,) = judge((control,), Sight("ct", None, views, attestations=tuple(attested)), [], TODAY)
    return finding


def test_every_control_is_kept_by_a_role_or_is_of_devices() -> None:
    assert {control.role for control in OF_DEVICES} == {"device"}
    assert len(OF_DEVICES) >= 10
    assert {kind for control in OF_DEVICES for kind in control.concerns} == {"workstation", "modality"}


@pytest.mark.parametrize(
    ("control", "kind", "clause"),
    [
        pytest.param(control, kind, clause, id=f"{control.id}-{kind}-{clause.fact}")
        for control in OF_DEVICES
        for kind, clauses in control.expect_from.items()
        for clause in clauses
    ],
)
def test_what_is_seen_of_a_device_fails_it_whatever_a_person_attests(
    control: Control, kind: str, clause: Clause
) -> None:
    word = [Attestation(control.id, "ct", "A. Martin", TODAY, TODAY, "It is off in the preferences")]
    assert judged(control, word, seen_from(control, kind))["verdict"] == ("attested" if control.attest else "pass")
    broken = judged(control, word, seen_from(control, kind, broken=clause.fact))
    assert broken["verdict"] == "fail"
    assert ("something" in str(broken["evidence"])) is True


@pytest.mark.parametrize("control", [control for control in OF_DEVICES if control.attest], ids=lambda each: each.id)
def test_a_control_that_only_persons_tell_passes_by_no_silence(control: Control) -> None:
    day, seen = datetime.timedelta(days=1), "Seen on its screen"
    by = "A. Martin"
    closed = [seen_from(control, kind) for kind in control.expect_from]
    for date, expires, verdict in (
        (TODAY - day, TODAY + day, "attested"),
        (TODAY, TODAY, "attested"),
        (TODAY - 2 * day, TODAY - day, "not_audited"),
        (TODAY + day, TODAY + 2 * day, "not_audited"),
    ):
        finding = judged(control, [Attestation(control.id, "ct", by, date, expires, seen)], *closed)
        assert finding["verdict"] == verdict
        assert (finding["attestation"] or {}).get("by") == (by if verdict == "attested" else None)
    assert judged(control, [], *closed)["verdict"] == "not_audited"
    for other in (("device.other", "ct"), (control.id, "mri")):
        assert judged(control, [Attestation(*other, by, TODAY, TODAY, seen)], *closed)["verdict"] == "not_audited"


@pytest.mark.parametrize("control", [control for control in OF_DEVICES if not control.attest], ids=lambda each: each.id)
def test_a_device_at_which_nobody_looks_from_outside_is_not_audited(control: Control) -> None:
    finding = judged(control, [])
    assert finding["verdict"] == "not_audited"
    assert "names no vantage point of kind" in finding["evidence"][0]["why"]
