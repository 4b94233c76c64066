# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What was seen last of a device stands for it while it is away: of this host, dated, not for longer than allowed."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.plugin_utils import (
    last_seen,
    report_console,
    report_document,
    report_junit,
    report_page,
)
from ansible_collections.radiology.hardening.plugins.plugin_utils.catalogue import Clause, Control
from ansible_collections.radiology.hardening.plugins.plugin_utils.judge import Sight, View, judge

NOW = datetime.datetime(2026, 11, 27, 8, 30, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)
VERSION = "1.0.0"
LAPTOP, HOST = "laptop.practice", "ws.practice"
TIMED_OUT = "ssh: connect to host 192.168.10.20 port 22: Connection timed out"
NO_SERVER = (
    "kex_exchange_identification: Connection closed by remote host\r\nConnection closed by UNKNOWN port 65535\r\n"
)
BY_JUMP = "channel 0: open failed: connect failed: No route to host\r\nstdio forwarding failed\r\n"
BY_NC = "nc: connect to 192.168.10.20 port 22 (tcp) failed: No route to host\n"
NESTED: Any = []
for _each in range(200):
    NESTED = [NESTED]
FACTS: dict[str, Any] = {"system": {"journal_kept": True}}
CLOSED: dict[str, Any] = {"wire": {"reachable": True, "present": True, "ports": {"open": [], "undeclared": []}}}
OFF = View(LAPTOP, "lan", None, "192.168.10.20 does not answer on its own network.", answers=False)
BROKEN = View(LAPTOP, "lan", None, "the laptop is switched off")
THERE = View(LAPTOP, "lan", CLOSED, answers=True)
UNHEARD = View(LAPTOP, "lan", {"wire": {"reachable": True, "present": False}}, answers=False)
CONTROL = Control(
    id="system.journal_kept",
    title="The journal is kept",
    severity="medium",
    profiles=("baseline",),
    rationale="It tells who was there.",
    catalogue="lg-journal",
    references={"gdpr": ["32.1.b"]},
    applies_when=None,
    expect=(Clause("system.journal_kept", "is", True),),
    expect_from={"lan": (Clause("wire.ports.undeclared", "empty", True),)},
    by_hand=(),
)


@pytest.fixture(name="variables")
def of_a_workstation(tmp_path: Path) -> dict[str, Any]:
    clinic = {"name": "practice", "title": "A practice", "networks": [], "internet": {"addresses": []}, "exposed": []}
    host = {"name": "ws", "kind": "workstation", "away_days": 14, "ae_title": "WS", "addresses": ["192.168.10.20"]}
    return {"clinic": clinic | {"directory": str(tmp_path / "practice")}, "clinic_host": host}


def kept(variables: dict[str, Any], when: datetime.datetime = NOW, *views: View, version: str = VERSION) -> Path:
    return Path(last_seen.keep(variables, version, Sight(HOST, FACTS, views or (THERE,)), when))


def why_not(variables: dict[str, Any], now: datetime.datetime = NOW) -> str:
    with pytest.raises(HardeningError) as refused:
        last_seen.recall(variables, VERSION, now, inside=True)
    return str(refused.value)


@pytest.mark.parametrize(
    ("said", "unanswered"),
    [
        (TIMED_OUT, True),
        (f"Failed to connect to the host via ssh: {TIMED_OUT}\r\n", True),
        (f"{BY_JUMP}{NO_SERVER}", True),
        (f"{BY_NC}{NO_SERVER}", True),
        ("ssh: connect to host 192.168.10.9 port 22: Connection timed out", False),  # the jump host
        (BY_JUMP + 2 * NO_SERVER, False),  # the second of two jump hosts
        (f"{BY_NC.replace('10.20', '10.9')}{NO_SERVER}", False),
        (f"{TIMED_OUT}\nengineer@192.168.10.20: Permission denied (publickey).", False),  # its banner says so
        (f"Received disconnect from 192.168.10.20 port 22:2: {TIMED_OUT}\r\nDisconnected from 192.168.10.20", False),
        (f"{BY_NC}engineer@192.168.10.20: Permission denied (publickey).", False),
        ("ssh: connect to host 192.168.10.20 port 22: Connection refused", False),
        ("ssh: connect to host 192.168.10.20 port 22: Network is unreachable", False),
        ("engineer@192.168.10.20: Permission denied (publickey).", False),
        ("Connection timed out during banner exchange", False),
        ("", False),
    ],
)
def test_a_host_that_refuses_or_hangs_is_not_away(said: str, *, unanswered: bool) -> None:
    assert last_seen.is_unanswered(said, ["192.168.10.20"]) is unanswered


@pytest.mark.parametrize(
    ("views", "unheard"),
    [
        ((OFF,), True),
        ((), True),
        ((UNHEARD, OFF), True),
        ((THERE,), False),
        ((OFF, View("other.practice", "peer", CLOSED, answers=True)), False),
        ((OFF, View("other.practice", "peer", None, "one of its addresses answers", answers=True)), False),
    ],
)
def test_a_host_that_answers_any_vantage_point_is_not_away(views: tuple[View, ...], *, unheard: bool) -> None:
    assert last_seen.is_unheard(Sight(HOST, None, views)) is unheard


def test_a_vantage_point_that_could_not_look_shows_nobody_away(variables: dict[str, Any]) -> None:
    for views, looked in (((BROKEN,), False), ((), False), ((OFF,), True), ((UNHEARD, BROKEN), True)):
        assert last_seen.is_looked_for(Sight(HOST, None, views)) is looked
    kept(variables)
    known = last_seen.recall(variables, VERSION, NOW, inside=True)
    sight, _when = last_seen.standing_in(Sight(HOST, None, (BROKEN,)), known)
    assert (sight.inside, sight.outside) == (FACTS, (BROKEN,))
    assert last_seen.unseen(sight, "It was never seen.") == sight


def test_what_was_seen_stands_for_as_many_days_as_are_allowed(variables: dict[str, Any]) -> None:
    kept(variables)
    assert last_seen.recall(variables, VERSION, NOW + 14 * DAY, inside=True)["inside"].facts == FACTS
    said = why_not(variables, NOW + 15 * DAY)
    assert said == "It was last seen on 2026-11-27, 15 days ago; its away_days are 14."


def test_each_place_has_its_own_day_and_ends_by_it(variables: dict[str, Any]) -> None:
    kept(variables)
    kept(variables, NOW + 10 * DAY, OFF)
    assert {
        name: seen.when for name, seen in last_seen.recall(variables, VERSION, NOW + 12 * DAY, inside=True).items()
    } == {
        "inside": NOW + 10 * DAY,
        LAPTOP: NOW,
    }
    assert list(last_seen.recall(variables, VERSION, NOW + 15 * DAY, inside=True)) == ["inside"]
    where = kept(variables, NOW + 15 * DAY, OFF)
    assert list(json.loads(where.read_text())["parts"]) == ["inside"]


def test_what_was_never_seen_does_not_stand(variables: dict[str, Any]) -> None:
    assert why_not(variables).startswith("No audit saw it yet that could stand for it: there is no /")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"clinic": "other"},
            "is of ws in other, by version 1.0.0; what counts is of ws in practice, by version 1.0.0",
        ),
        ({"host": "ws2"}, "is of ws2 in practice, by version 1.0.0; what counts is of ws in practice"),
        ({"collection": "0.9.0"}, "is of ws in practice, by version 0.9.0; what counts is of ws in practice"),
        ({"parts": {}}, "tells nothing of what was seen."),
        (
            {"parts": {LAPTOP: {"seen": "2026-11-27T08:30:00+00:00", "facts": {}}}},
            "tells nothing of what was seen inside.",
        ),
        ({"parts": []}, "does not read as what an audit saw last of a host"),
        ({"parts": {"inside": {"seen": "2026-11-27T08:30:00", "facts": {}}}}, "does not read as"),
        ({"parts": {"inside": {"seen": "2026-11-27T08:30:00+00:00", "facts": []}}}, "does not read as"),
        ({"parts": {"inside": {"seen": "0001-01-01T00:00:00+23:00", "facts": {}}}}, "does not read as"),
        (
            {"parts": {"inside": {"seen": "2026-11-27T08:30:00+00:00", "facts": {"a": float("nan")}}}},
            "does not read as",
        ),
        ({"parts": {"inside": {"seen": "2026-11-27T08:30:00+00:00", "facts": {"a": NESTED}}}}, "does not read as"),
        ({"addresses": 5}, "does not read as"),
        (
            {"parts": {"inside": {"seen": "2026-12-01T08:30:00+00:00", "facts": {}}}},
            "is dated 2026-12-01T08:30:00+00:00, which is still to come",
        ),
    ],
)
def test_what_is_of_another_or_does_not_read_stands_for_nothing(
    variables: dict[str, Any], change: dict[str, Any], said: str
) -> None:
    where = kept(variables)
    where.write_text(json.dumps(json.loads(where.read_text()) | change), encoding="ascii")
    assert said in why_not(variables)
    kept(variables)
    assert last_seen.recall(variables, VERSION, NOW, inside=True)["inside"].facts == FACTS


@pytest.mark.parametrize("text", ["{", "[]", "null", "[" * 100000])
def test_a_file_that_does_not_read_is_told_and_replaced(variables: dict[str, Any], text: str) -> None:
    where = kept(variables)
    where.write_text(text, encoding="ascii")
    assert why_not(variables) == f"{where} does not read as what an audit saw last of a host."
    kept(variables)
    assert last_seen.recall(variables, VERSION, NOW, inside=True)


def test_of_a_device_that_nobody_logs_in_to_the_vantage_points_will_do(variables: dict[str, Any]) -> None:
    last_seen.keep(variables, VERSION, Sight(HOST, None, (THERE,)), NOW)
    known = last_seen.recall(variables, VERSION, NOW + DAY, inside=False)
    assert list(known) == [LAPTOP]
    assert last_seen.standing_in(Sight(HOST, None, (OFF,)), known)[0].outside[0].last_seen == "2026-11-27"
    with pytest.raises(HardeningError, match="It was last seen on 2026-11-27, 15 days ago; its away_days are 14"):
        last_seen.recall(variables, VERSION, NOW + 15 * DAY, inside=False)


def findings(variables: dict[str, Any], sight: Sight, now: datetime.datetime) -> list[dict[str, Any]]:
    stood, _when = last_seen.standing_in(sight, last_seen.recall(variables, VERSION, now, inside=True))
    return judge((CONTROL,), stood, [], now.date())


def test_the_day_that_is_told_is_of_the_oldest_that_stands_in(variables: dict[str, Any]) -> None:
    kept(variables)
    kept(variables, NOW + 2 * DAY, OFF)
    known = last_seen.recall(variables, VERSION, NOW + 3 * DAY, inside=True)
    off, there = ((OFF,), (UNHEARD,))
    assert last_seen.standing_in(Sight(HOST, None, off), known)[1] == NOW
    assert last_seen.standing_in(Sight(HOST, None, there), known)[1] == NOW + 2 * DAY
    assert last_seen.standing_in(Sight(HOST, None, there, look_inside=False), known)[1] is None


def test_what_was_seen_inside_is_nothing_for_a_probe(variables: dict[str, Any]) -> None:
    kept(variables, NOW, OFF)
    with pytest.raises(HardeningError, match="tells nothing of what was seen from outside"):
        last_seen.recall(variables, VERSION, NOW, inside=False)
    kept(variables, NOW)
    kept(variables, NOW + 10 * DAY, OFF)
    with pytest.raises(HardeningError, match="It was last seen on 2026-11-27, 15 days ago"):
        last_seen.recall(variables, VERSION, NOW + 15 * DAY, inside=False)


def test_what_was_seen_at_other_addresses_stands_for_nothing(variables: dict[str, Any]) -> None:
    kept(variables)
    variables["clinic_host"]["addresses"] = ["192.168.10.21"]
    assert why_not(variables).endswith("is of ws at 192.168.10.20; by the clinic file it is at 192.168.10.21 now.")


def test_a_finding_says_of_which_day_its_evidence_is(variables: dict[str, Any]) -> None:
    kept(variables)
    (finding,) = findings(variables, Sight(HOST, None, (OFF,)), NOW + 3 * DAY)
    assert finding["verdict"] == "pass"
    assert [item["last_seen"] for item in finding["evidence"]] == ["2026-11-27", "2026-11-27"]


def test_what_stands_in_can_fail_as_well(variables: dict[str, Any]) -> None:
    last_seen.keep(variables, VERSION, Sight(HOST, {"system": {"journal_kept": False}}, (THERE,)), NOW)
    (finding,) = findings(variables, Sight(HOST, None, (OFF,)), NOW + 3 * DAY)
    assert finding["verdict"] == "fail"


def test_what_no_vantage_point_ever_saw_stays_not_audited(variables: dict[str, Any]) -> None:
    kept(variables, NOW, OFF)
    (finding,) = findings(variables, Sight(HOST, None, (OFF,)), NOW + DAY)
    assert finding["verdict"] == "not_audited"


def test_a_probe_judges_what_was_seen_from_outside(variables: dict[str, Any]) -> None:
    kept(variables)
    (finding,) = findings(variables, Sight(HOST, None, (OFF,), look_inside=False), NOW + DAY)
    assert (finding["verdict"], len(finding["evidence"])) == ("pass", 1)
    said = last_seen.unseen(Sight(HOST, None, (OFF, THERE), look_inside=False), "It was never seen.")
    assert [view.why for view in said.outside] == [f"{OFF.why} It was never seen.", ""]


def test_every_form_of_the_report_says_that_it_was_away(variables: dict[str, Any]) -> None:
    kept(variables)
    found = findings(variables, Sight(HOST, None, (OFF,)), NOW + 3 * DAY)
    known = variables | {"hardening_audit": {"findings": found, "last_seen": "2026-11-27T08:30:00+00:00"}}
    groups = {"clinic_hosts": [HOST]}
    (built,) = json.loads(json.dumps(report_document.build({HOST: known}, groups, NOW + 3 * DAY)))
    assert built["verdict"] == "pass"
    assert "ws.practice was away: judged by what an audit saw on 2026-11-27, 08:30 UTC" in report_console.table(built)
    headline = "PASS: 1 checks judged; 1 pass; 1 host away, judged by what an audit saw before"
    assert report_console.headline(built) == headline
    assert report_console.away(built | {"hosts": 2 * built["hosts"]}) == "2 hosts away"
    page = report_page.html(built, "{}")
    for told in (
        "Judged by what an audit saw before: 1 host away, named below.",
        "away today; judged by what was seen on 2026-11-27, 08:30 UTC",
        "seen on 2026-11-27, away today",
    ):
        assert told in page
    suite = ElementTree.fromstring(report_junit.xml(built)).find("testsuite")  # our own
    assert suite is not None
    assert [each.attrib for each in suite.iter("property")] == [
        {"name": "away, judged by what was seen on", "value": "2026-11-27T08:30:00+00:00"}
    ]
    assert [each.text for each in suite.iter("system-out")] == ["away, judged by what was seen on 2026-11-27"]
    known["clinic_host"] = known["clinic_host"] | {"lost": True}
    (lost,) = report_document.build({HOST: known}, groups, NOW + 3 * DAY)
    assert "was away" not in report_console.table(lost)
