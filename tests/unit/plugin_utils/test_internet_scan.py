# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Evidence of a look from the internet: only of who heard something, dated, of this clinic, for the addresses of today."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.action import audit
from ansible_collections.radiology.hardening.plugins.action import internet_scan as action
from ansible_collections.radiology.hardening.plugins.module_utils import expectation
from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import Deliberate
from ansible_collections.radiology.hardening.plugins.module_utils.surfaces import firewall
from ansible_collections.radiology.hardening.plugins.plugin_utils import catalogue, internet_scan

NOW = datetime.datetime(2026, 11, 27, 8, 30, tzinfo=datetime.UTC)
BOX, SERVER = "203.0.113.11", "2001:db8:11::10"
CONTROLS = ["203.0.113.77:22", "[2001:db8:113::77]:22"]
(CONTROL,) = [each for each in catalogue.load("firewall") if each.id == "firewall.internet_box_scanned"]
DAY = datetime.timedelta(days=1)


@pytest.fixture(name="clinic")
def a_clinic(tmp_path: Path) -> dict[str, Any]:
    return {"name": "practice", "directory": str(tmp_path / "practice"), "exposed": [BOX, SERVER]}


def exposure(
    answered: list[str],
    *,
    reached: tuple[str, ...] = (BOX, SERVER),
    opened: tuple[str, ...] = (),
    udp: tuple[str, ...] = (),
) -> Any:
    nowhere = [address for address in (BOX, SERVER) if address not in reached]
    ports = {"looked_at": list(reached), "no_way": nowhere, "tried": "22-23, 80"}
    ports |= {"open": list(opened), "undeclared": list(opened), "udp": list(udp)}
    targets = {"pacs.practice": {"wire": {"reachable": True, "ports": ports}}, "ct.practice": {"wire": {}}}
    return {"answered": answered, "targets": targets}


def looks(answered: list[str], *, kind: str = "internet", **seen: Any) -> internet_scan.Looks:
    return internet_scan.looks("stranger.practice", {"kind": kind}, exposure(answered, **seen))


def kept(clinic: dict[str, Any], when: datetime.datetime = NOW, **seen: Any) -> Path:
    return Path(internet_scan.keep(clinic, looks(answered=CONTROLS, **seen), when))


def judged(clinic: dict[str, Any]) -> list[str]:
    """Return the facts that fail the control, and check that the role tells the advice of the finding."""
    facts = {"firewall": {"scan": firewall.scan.observe(internet_scan.state(clinic, NOW))}}
    unmet = expectation.unmet(facts, catalogue.wanted((CONTROL,)))
    (step,) = firewall.scan.plan(facts["firewall"]["scan"])
    assert isinstance(step, Deliberate)
    assert "run the playbook probe" in step.does
    return [name.removeprefix("firewall.scan.") for name in unmet]


def advice(clinic: dict[str, Any]) -> str:
    (sentence,) = internet_scan.state(clinic, NOW)["advice"]
    return str(sentence)


def test_a_look_of_who_heard_somebody_is_evidence(clinic: dict[str, Any]) -> None:
    (look,) = looks(answered=CONTROLS)
    assert look == {
        "vantage_point": "stranger.practice",
        "host": "pacs.practice",
        "addresses": [BOX, SERVER],
        "no_way": [],
        "ports": "22-23, 80",
        "open": [],
        "undeclared": [],
    }
    file = kept(clinic)
    assert judged(clinic) == []
    assert json.loads(file.read_text())["scanned"] == "2026-11-27T08:30:00+00:00"
    assert sorted(path.name for path in file.parent.iterdir()) == ["README", "evidence.json"]
    assert internet_scan.said(internet_scan.state(clinic, NOW)) == (
        "Last look from the internet: 2026-11-27, 08:30 UTC, from stranger.practice at 203.0.113.11, 2001:db8:11::10: "
        "nothing answered that is not declared."
    )


def test_an_address_to_which_the_internet_knows_no_way_is_told_apart(clinic: dict[str, Any]) -> None:
    (look,) = looks(answered=CONTROLS, reached=(BOX,))
    assert (look["addresses"], look["no_way"]) == ([BOX], [SERVER])
    kept(clinic, reached=(BOX,))
    assert judged(clinic) == []
    (look,) = looks(answered=CONTROLS[:1], reached=(BOX,))
    assert (look["addresses"], look["no_way"]) == ([BOX], [])


def test_who_heard_nothing_looked_at_nothing() -> None:
    assert looks(answered=[]) == []
    assert looks(answered=CONTROLS, reached=()) == []
    assert looks(answered=CONTROLS, kind="lan") == []
    assert [look["addresses"] for look in looks(answered=CONTROLS[:1])] == [[BOX]]
    assert [look["addresses"] for look in looks(answered=CONTROLS[1:])] == [[SERVER]]
    assert [look["addresses"] for look in looks(answered=[], opened=(f"[{SERVER}]:104",))] == [[SERVER]]


@pytest.mark.parametrize(
    ("ago", "wanting"),
    [(datetime.timedelta(), []), (30 * DAY, []), (31 * DAY, ["age_days"]), (-DAY, ["age_days", "wanting"])],
)
def test_a_look_counts_for_thirty_days_and_not_before_it(
    clinic: dict[str, Any], ago: datetime.timedelta, wanting: list[str]
) -> None:
    kept(clinic, NOW - ago)
    assert judged(clinic) == wanting
    if ago == 31 * DAY:
        assert advice(clinic).startswith("The last look from the internet is of 2026-10-27, 31 days ago: run the play")
    if ago == -DAY:
        assert "evidence.json is dated 2026-11-28T08:30:00+00:00, which is still to come: run" in advice(clinic)
        assert internet_scan.said(internet_scan.state(clinic, NOW)).startswith("Last look from the internet: none that")


def test_a_clock_that_is_minutes_ahead_is_no_future(clinic: dict[str, Any]) -> None:
    kept(clinic, NOW + internet_scan.AHEAD)
    assert judged(clinic) == []


def test_what_answered_then_is_named_until_somebody_looks_again(clinic: dict[str, Any]) -> None:
    kept(clinic, opened=(f"{BOX}:4242",))
    assert judged(clinic) == ["undeclared"]
    assert advice(clinic).startswith("On 2026-11-27 203.0.113.11:4242 answered the internet: close it")
    assert f"undeclared, {BOX}:4242 answered." in internet_scan.said(internet_scan.state(clinic, NOW))
    kept(clinic, udp=(f"{BOX}:161 SNMP",))
    assert judged(clinic) == ["undeclared"]
    assert "On 2026-11-27 203.0.113.11:161 SNMP (UDP) answered the internet" in advice(clinic)
    kept(clinic)
    assert judged(clinic) == []


def test_without_a_look_it_is_said_that_there_was_none(clinic: dict[str, Any]) -> None:
    assert judged(clinic) == ["age_days", "wanting"]
    assert advice(clinic).startswith("Nobody has looked from the internet yet: run the playbook probe")
    assert firewall.scan.observe({})["wanting"] == ["the controller tells of no look from the internet"]


def test_an_address_that_the_file_names_since_then_wants_a_look(clinic: dict[str, Any]) -> None:
    kept(clinic)
    clinic["exposed"].append("203.0.113.12")
    assert judged(clinic) == ["wanting"]
    assert advice(clinic).startswith("Nobody could look at 203.0.113.12, which the clinic file names: run")
    clinic["exposed"] = []
    assert judged(clinic) == ["wanting"]
    assert advice(clinic).startswith("The clinic file names no address of its internet box")


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '"evidence"',
        "{}",
        "é",
        '{"format": 1, "clinic": "practice", "scanned": "2026-11-27T08:30:00+00:00", "looks": []}',
        '{"format": 2, "clinic": "practice", "scanned": "2026-11-27T08:30:00+00:00", "looks": [LOOK]}',
        '{"format": 1, "clinic": "practice", "scanned": "2026-11-27T08:30:00", "looks": [LOOK]}',
        '{"format": 1, "clinic": "practice", "scanned": "yesterday", "looks": [LOOK]}',
        '{"format": 1, "clinic": "practice", "scanned": 20261127, "looks": [LOOK]}',
        '{"format": 1, "clinic": ["practice"], "scanned": "2026-11-27T08:30:00+00:00", "looks": [LOOK]}',
        '{"format": 1, "clinic": "practice", "scanned": "2026-11-27T08:30:00+00:00", "looks": [LOOK, {"open": []}]}',
        '{"format": 1, "clinic": "practice", "scanned": "2026-11-27T08:30:00+00:00", "looks": ["all of it"]}',
        '{"format": 1, "clinic": "practice", "scanned": "2026-11-27T08:30:00+00:00", "looks": {"a": "b"}}',
        "[" * 5000,
    ],
)
def test_what_does_not_read_as_evidence_is_none(clinic: dict[str, Any], text: str) -> None:
    file = kept(clinic)
    (look,) = looks(answered=CONTROLS)
    file.write_text(text.replace("LOOK", json.dumps(look)), encoding="utf-8")
    assert judged(clinic) == ["age_days", "wanting"]
    assert str(file) in advice(clinic)
    assert advice(clinic).count(": run the playbook probe") == 1


def test_evidence_of_a_look_that_saw_less_is_read_as_it_stands(clinic: dict[str, Any]) -> None:
    file = kept(clinic)
    known = json.loads(file.read_text())
    for change, words in (
        ({"clinic": "other"}, "is of the clinic other, not of practice"),
        ({"looks": [{**known["looks"][0], "addresses": "all"}]}, "does not read as evidence"),
        ({"looks": [{**known["looks"][0], "ports": 80}]}, "does not read as evidence"),
        ({"looks": [{**known["looks"][0], "addresses": []}]}, "Nobody could look at 203.0.113.11, 2001:db8:11::10"),
    ):
        file.write_text(json.dumps({**known, **change}), encoding="utf-8")
        assert "wanting" in judged(clinic)
        assert words in advice(clinic)


def run_of(clinic: dict[str, Any], **seen: dict[str, Any]) -> dict[str, Any]:
    """Return the variables of a run in which vantage points saw something."""
    other = {"clinic": {**clinic, "name": "other"}, "clinic_vantage": {"kind": "internet"}}
    known = {
        name: {"clinic": clinic, "clinic_vantage": {"kind": "internet"}, "hardening_exposure": told}
        for name, told in seen.items()
    }
    known["theirs"] = {**other, "hardening_exposure": exposure(answered=CONTROLS)}
    return {"groups": {"vantage_points": list(known)}, "hostvars": known, "clinic": clinic}


def test_all_vantage_points_of_a_clinic_are_heard_and_nobody_else(clinic: dict[str, Any]) -> None:
    found = action.seen(
        run_of(
            clinic,
            deaf=exposure(answered=[]),
            away={"unreachable": True, "msg": "no answer"},
            first=exposure(answered=CONTROLS[:1]),
            second=exposure(answered=CONTROLS[1:], opened=(f"[{SERVER}]:22",)),
        )
    )
    assert list(found) == ["deaf", "first", "second"]
    assert found["deaf"] == []
    entries = [entry for listed in found.values() for entry in listed]
    internet_scan.keep(clinic, entries, NOW)
    state = internet_scan.state(clinic, NOW)
    assert (state["addresses"], state["vantage_points"]) == ([BOX, SERVER], ["first", "second"])
    assert judged(clinic) == ["undeclared"]


@pytest.mark.parametrize(
    ("kind", "answered", "seen", "unheard"),
    [
        ("internet", CONTROLS, {}, None),
        ("internet", [], {}, "IPv4 and IPv6"),
        ("internet", CONTROLS[:1], {}, "IPv6"),
        ("internet", CONTROLS[:1], {"reached": (BOX,)}, None),
        ("internet", [], {"opened": (f"{BOX}:4242",)}, None),
        ("internet", [], {"udp": (f"{BOX}:161 snmp",)}, None),
        ("lan", [], {}, None),
    ],
)
def test_a_vantage_point_that_hears_nobody_has_not_looked(
    kind: str, answered: list[str], seen: dict[str, Any], unheard: str | None
) -> None:
    vantage = {"name": "stranger", "kind": kind, "control_targets": CONTROLS}
    told = exposure(answered, **seen)
    clinic = {"name": "practice"}
    stranger = {
        "clinic": clinic,
        "clinic_vantage": vantage,
        "clinic_targets": [{"host": "pacs.practice"}],
        "hardening_exposure": told,
    }
    variables = {
        "inventory_hostname": "pacs.practice",
        "clinic": clinic,
        "groups": {"vantage_points": ["stranger.practice"]},
        "hostvars": {"stranger.practice": stranger},
    }
    (view,) = audit.views(variables)
    if unheard is None:
        assert (view.facts, view.why) == (told["targets"]["pacs.practice"], "")
    else:
        asked = "control_targets that it asked: 203.0.113.77:22, [2001:db8:113::77]:22"
        assert view.facts is None
        assert view.why == f"nobody answered it over {unheard}, so that silence proves nothing; {asked}"
