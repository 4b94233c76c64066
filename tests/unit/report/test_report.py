# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The report's four forms, built as a run builds them: from the facts of hardened and of broken hosts."""

from __future__ import annotations

import copy
import datetime
import html.parser
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from ansible_collections.radiology.hardening.plugins.plugin_utils import (
    catalogue,
    concerns,
    judge,
    report_console,
    report_document,
    report_drawing,
    report_junit,
    report_page,
)
from hypothesis import given, settings
from hypothesis import strategies as st

NOW = datetime.datetime(2026, 11, 24, 12, 0, tzinfo=datetime.UTC)
HARDENED = Path(__file__).resolve().parents[1] / "surfaces" / "hardened"
KEPT = tuple(control for control in catalogue.kept_by_roles() if control.concerns != ("gateway",))
"""Facts of gateways are recorded apart from those of servers."""
SERVER, ATTACKER = "pacs.practice", "attacker.practice"
CLOSED: dict[str, Any] = {
    "reachable": True,
    "errors": [],
    "ports": {"open": [], "undeclared": [], "udp": []},
    "dicom": {
        "cleartext_ports": [],
        "cleartext_association": "refused",
        "tls_ports": [],
        "tls_versions": [],
        "tls_suites": [],
        "weak_suites": [],
        "certificates_ending": [],
        "client_certificate": "unreachable",
        "unknown_ae_title": "refused",
        "readable_studies": 0,
        "readable_series": 0,
    },
    "http": {
        "cleartext_ports": [],
        "unauthenticated_paths": [],
        "foreign_names": [],
        "foreign_origins": [],
        "default_credentials": "unreachable",
    },
    "web": {"tls_versions": [], "weak_suites": [], "certificates_ending": []},
    "ssh": {"ports": [], "password_offered": []},
}


def opened() -> dict[str, Any]:
    wire = copy.deepcopy(CLOSED)
    wire["ports"] = {"open": ["203.0.113.1:4242"], "undeclared": ["203.0.113.1:4242"]}
    wire["dicom"] |= {
        "cleartext_ports": ["203.0.113.1:4242"],
        "cleartext_association": "accepted",
        "readable_series": 5300,
    }
    return wire


def facts() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for file in sorted(HARDENED.iterdir()):
        if file.name.endswith(".debian12.json") and ".gateway." not in file.name:
            found |= json.loads(file.read_text(encoding="utf-8"))["facts"]
    return found


def hostvars(wire: dict[str, Any] | None, *, title: str = "A practice", audit: Any = None) -> dict[str, Any]:
    clinic = {
        "name": "practice",
        "title": title,
        "networks": [{"name": "lan", "kind": "lan", "cidrs": ["10.0.0.0/24"]}],
        "internet": {"addresses": ["203.0.113.1"]},
    }
    view = judge.View(ATTACKER, "internet", {"wire": wire} if wire else None, "no route")
    if audit is None:
        sight = judge.Sight(SERVER, facts(), (view,))
        audit = {"findings": judge.judge(KEPT, sight, [], NOW.date())}
    exposure = {"targets": {SERVER: {"wire": wire}}} if wire else {"unreachable": True, "msg": "no route"}
    server = {
        "name": "pacs",
        "kind": "orthanc_server",
        "addresses": ["10.0.0.10"],
        "ae_title": "PRACTICE",
        "title": title,
    }
    attacker = {"name": "attacker", "kind": "vantage_point", "addresses": ["203.0.113.66"]}
    return {
        SERVER: {
            "clinic": clinic,
            "clinic_host": server,
            "clinic_managed": True,
            "clinic_devices": [],
            "hardening_audit": audit,
        },
        ATTACKER: {
            "clinic": clinic,
            "clinic_host": attacker,
            "clinic_vantage": {"name": "attacker", "kind": "internet"},
            "hardening_exposure": exposure,
        },
    }


GROUPS = {"clinic_hosts": [SERVER, ATTACKER], "vantage_points": [ATTACKER]}


def document(known: dict[str, Any]) -> dict[str, Any]:
    (built,) = report_document.build(known, GROUPS, NOW)
    return json.loads(json.dumps(built))


def test_a_hardened_practice_passes_and_says_so() -> None:
    built = document(hostvars(CLOSED))
    assert built["verdict"] == "pass"
    assert built["counts"] == {"pass": len(KEPT)}
    assert "no image series can be read" in report_page.sentence(built)
    assert "PASS: " in report_console.table(built)


def test_an_open_practice_fails_in_every_form() -> None:
    built = document(hostvars(opened()))
    assert built["verdict"] == "fail"
    assert built["readable_series"] == {ATTACKER: 5300}
    page = report_page.html(built, json.dumps(built))
    assert "5300 image series can be read by anyone" in page
    assert 'class="line undeclared"' in page
    assert "4242 DICOM in clear" in page
    assert "firewall.wan_exposure" in report_console.table(built)
    suite = ElementTree.fromstring(report_junit.xml(built)).find("testsuite")
    assert suite is not None
    assert int(suite.attrib["failures"]) == built["counts"]["fail"] == len(suite.findall("testcase/failure"))
    assert int(suite.attrib["tests"]) == len(KEPT)


def test_what_does_not_concern_a_host_stands_apart_with_its_reason() -> None:
    seen = facts()
    seen["disk_encryption"] = {"own_disks": False, "workstation": False}
    findings = judge.judge(KEPT, judge.Sight(SERVER, seen), [], NOW.date())
    built = document(hostvars(CLOSED, audit={"findings": findings}))
    spared = built["counts"]["not_applicable"]
    assert f"Not applicable: {spared}, each with its reason" in report_page.sentence(built)
    page = " ".join(report_page.html(built, "{}").split())
    assert "Critical findings" not in page
    assert page.count("<code>disk_encryption.own_disks</code> is yes; here it is <b>no</b>") > 0


def test_images_in_clear_come_with_the_command_and_the_minutes_in_every_form() -> None:
    seen = facts()
    command = "ansible-playbook radiology.hardening.encrypt_storage -l pacs.practice"
    advice = f"/srv/images (images) lies on /dev/vdb1, in clear: encrypt its 3.0 GiB by `{command}`, about 4 min"
    seen["disk_encryption"]["data"] |= {"in_clear": ["/srv/images (images) lies on /dev/vdb1"], "advice": [advice]}
    findings = judge.judge(catalogue.load("disk_encryption"), judge.Sight(SERVER, seen), [], NOW.date())
    built = document(hostvars(CLOSED, audit={"findings": findings}))
    page = report_page.html(built, "{}")
    for text in (report_console.table(built), ElementTree.fromstring(report_junit.xml(built))[0], page):
        whole = " ".join(("".join(text.itertext()) if isinstance(text, ElementTree.Element) else text).split())
        assert f"{command}`, about 4 min" in whole


@pytest.mark.parametrize(
    "audit",
    [
        {"unreachable": True, "msg": "no answer on port 22"},
        {},
        {"findings": []},
        {"findings": judge.judge(KEPT, judge.Sight(SERVER, {"orthanc": {"installed": False}}), [], NOW.date())},
    ],
)
def test_a_server_that_nobody_judged_never_passes(audit: dict[str, Any]) -> None:
    built = document(hostvars(CLOSED, audit=audit))
    assert built["verdict"] == "fail"
    assert [host["name"] for host in built["hosts"]] == [SERVER]


def test_one_server_does_not_stand_for_another() -> None:
    known = hostvars(CLOSED)
    known["second.practice"] = {**known[SERVER], "hardening_audit": {"findings": []}}
    (built,) = report_document.build(known, {**GROUPS, "clinic_hosts": [SERVER, "second.practice"]}, NOW)
    assert built["verdict"] == "fail"


WORKSTATION = "ws.practice"


def beside_a_workstation(*, managed: bool, audit: dict[str, Any], lost: bool = False) -> dict[str, Any]:
    known = hostvars(CLOSED)
    ws = {"name": "ws", "kind": "workstation", "addresses": ["10.0.0.20"], "ae_title": "WS1", "lost": lost}
    known[WORKSTATION] = {**known[SERVER], "clinic_host": ws, "clinic_managed": managed, "hardening_audit": audit}
    groups = {**GROUPS, "clinic_hosts": [SERVER, WORKSTATION, ATTACKER]}
    (built,) = report_document.build(known, groups, NOW)
    return dict(built)


@pytest.mark.parametrize(
    ("managed", "verdict", "expected", "why"),
    [
        (True, "pass", "pass", ""),
        (True, "fail", "fail", ""),
        (True, "", "fail", "no answer"),
        (True, "probed", "pass", report_document.NOT_SEEN),
        (False, "probed", "pass", report_document.NOT_SEEN),
        (False, "", "fail", "no answer"),
    ],
)
def test_a_workstation_counts_whoever_administers_it(managed: bool, verdict: str, expected: str, why: str) -> None:
    controls = catalogue.load("system")
    sight = judge.Sight(WORKSTATION, facts() if verdict == "pass" else {})
    audit: dict[str, Any] = {"findings": judge.judge(controls, sight, [], NOW.date())}
    if verdict in ("", "probed"):
        audit = {"findings": []} if verdict else {"unreachable": True, "msg": "no answer"}
    built = beside_a_workstation(managed=managed, audit=audit)
    (shown,) = (host for host in built["hosts"] if host["name"] == WORKSTATION)
    assert (built["verdict"], shown["why"]) == (expected, why)
    told = {each["control"].partition(".")[0] for each in built["findings"] if each["host"] == WORKSTATION}
    assert told <= {*(concerns.ROLES["workstation"] if managed else ()), "device"}
    assert (verdict == "") is ("device" in told)
    assert (f"{WORKSTATION} was not audited: no answer" in report_console.table(built)) is (why == "no answer")


def test_a_lost_device_is_shown_and_not_judged() -> None:
    built = beside_a_workstation(managed=False, audit={"unreachable": True, "msg": "no answer"}, lost=True)
    (shown,) = (host for host in built["hosts"] if host["name"] == WORKSTATION)
    assert (built["verdict"], shown["why"], shown["judged"]) == ("pass", report_document.LOST, False)


def test_a_vantage_point_that_could_not_look_is_told() -> None:
    built = document(hostvars(None))
    assert built["verdict"] == "fail"
    assert built["counts"]["not_audited"] > 0
    assert "Nobody looked from the internet" in report_page.sentence(built)
    asked = sum(built["counts"][verdict] for verdict in ("pass", "not_audited"))
    assert f"of {asked} checks, each of one control on one host, do not hold" in report_page.sentence(built)
    assert "nobody could look: no route" in report_drawing.description(built)
    told = report_console.table(built)
    assert told.count("no route") == len(built["vantage_points"])
    assert "not looked at from attacker.practice" in told
    assert "was not seen: no route" in report_junit.xml(built)


def test_the_page_asks_for_nothing_from_elsewhere() -> None:
    page = report_page.html(document(hostvars(opened())), "{}")
    assert "default-src 'none'" in page
    for mark in ("<script", "src=", "@import", "url("):
        assert mark not in page


class Elements(html.parser.HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.found.append(tag)


@settings(max_examples=40, deadline=None)
@given(
    st.text(min_size=1)
    | st.sampled_from(["<script>alert(1)</script>", "]]>&lt;", "\x1b[31m", "\ud800", "\ufffe", '"><b>'])
)
def test_no_name_breaks_out_of_any_form(hostile: str) -> None:
    known = hostvars(
        opened(),
        title=hostile,
        audit={"findings": judge.not_audited(KEPT[:2], SERVER, hostile, NOW.date())},
    )
    built = document(known)
    usual = document(
        hostvars(
            opened(),
            title="x",
            audit={"findings": judge.not_audited(KEPT[:2], SERVER, "x", NOW.date())},
        )
    )
    page = report_page.html(built, "{}")
    page.encode("utf-8")
    assert Elements(page).found == Elements(report_page.html(usual, "{}")).found
    ElementTree.fromstring(report_junit.xml(built).encode("utf-8"))
    assert not [
        mark for mark in report_console.table(built).replace("\n", "") if ord(mark) < 32 or 127 <= ord(mark) < 160
    ]


def test_evidence_reads_as_people_speak() -> None:
    item = {"operator": "empty", "expected": True, "observed": ["a", "b"], "verdict": "fail"}
    assert (report_console.expected(item), report_console.observed(item)) == ("none", "a, b")
    assert report_console.expected({"operator": "at_least", "expected": 30}) == "at least 30"
    assert report_console.expected({"operator": "is", "expected": True}) == "yes"


def test_waivers_are_listed_with_what_they_are_worth() -> None:
    known = hostvars(CLOSED)
    about = {"reason": "the old archive", "owner": "Ms Roux"}
    tries = "authentication.sshd.MaxAuthTries"
    bounded = next(each.id for each in KEPT if tries in [clause.fact for clause in each.expect])
    listed = [
        {**about, "control": bounded, "expires": "2027-01-01", "value": 6},
        {**about, "control": "orthanc.webdav_off", "expires": "2026-11-24"},
        {**about, "control": "dicom_tls.listener", "expires": "2026-11-23"},
    ]
    seen = facts()
    seen["authentication"]["sshd"]["MaxAuthTries"] = 6
    waivers = catalogue.waivers_of(listed)
    findings = judge.judge(KEPT, judge.Sight(SERVER, seen), waivers, NOW.date())
    known[SERVER] |= {"hardening_waivers": listed, "hardening_audit": {"findings": findings}}
    built = document(known)
    assert [(each["state"], each["said"]) for each in built["waivers"]] == [
        ("in use", f"it covers {SERVER}"),
        ("idle", "it covers nothing, since the control is kept or not asked: take it out"),
        ("expired", "it ended on 2026-11-23"),
    ]
    shown = report_console.table(built)
    assert "waiver of orthanc.webdav_off by Ms Roux: it covers nothing" in shown
    assert f"waiver of {bounded}" not in shown and "waived by Ms Roux until 2027-01-01" in shown
    page = report_page.html(built, json.dumps(built))
    assert "<h2>Waivers</h2>" in page and "value 6" in page


def test_a_waiver_that_ended_is_told_in_every_form() -> None:
    known = hostvars(CLOSED)
    ended = {"control": "orthanc.webdav_off", "reason": "r", "owner": "Ms Roux", "expires": "2026-11-23"}
    seen = facts()
    seen["orthanc"]["config"]["WebDavEnabled"] = True
    findings = judge.judge(KEPT, judge.Sight(SERVER, seen), catalogue.waivers_of([ended]), NOW.date())
    known[SERVER] |= {"hardening_waivers": [ended], "hardening_audit": {"findings": findings}}
    built = document(known)
    said = "the waiver of Ms Roux ended on 2026-11-23"
    assert said in report_console.table(built)
    assert said in report_junit.xml(built)
    assert said in report_page.html(built, json.dumps(built))


def test_a_limited_run_leaves_the_reports_of_other_clinics_alone() -> None:
    known = hostvars(CLOSED)
    looked = {
        name: {key: value for key, value in each.items() if key not in report_document.LOOKS}
        for name, each in known.items()
    }
    assert report_document.build(looked, GROUPS, NOW, limited=True) == []
    assert (
        len(report_document.build(looked, GROUPS, NOW))
        == len(report_document.build(known, GROUPS, NOW, limited=True))
        == 1
    )


def test_a_device_in_clear_is_shown_with_owner_reason_and_day() -> None:
    link = {"port": 11104, "owner": "A. <b>Martin", "reason": "Of 2009", "expires": "2026-11-24", "in_force": True}
    us = {"name": "us", "address": "10.0.0.40", "port": 11112, "cleartext": link}
    seen = copy.deepcopy(CLOSED)
    seen["dicom"]["cleartext_declared"] = ["10.0.0.10:11104", "10.0.0.10:104"]
    seen["ports"]["open"] = ["10.0.0.10:11104"]
    known = hostvars(seen)
    known[SERVER]["clinic_devices"] = [{"name": "ct", "cleartext": {}}, us]
    built = document(known)
    (shown,) = built["cleartext"]
    assert (shown["device"], shown["owner"], shown["reason"], shown["state"]) == (
        "us",
        link["owner"],
        "Of 2009",
        "in force",
    )
    assert shown["said"] == (
        "it lets 10.0.0.40 in on port 11104 alone, for 0 days more; Orthanc calls its port 11112 in clear; "
        f"seen from {ATTACKER} at 10.0.0.10:11104"
    )
    assert "us in clear until 2026-11-24, by A. <b>Martin (Of 2009): it lets" in report_console.table(built)
    page = report_page.html(built, "{}")
    assert "Links in clear" in page
    assert "11104 DICOM in clear, by exception</text>" in page
    assert "A. &lt;b&gt;Martin" in page
    link["expires"] = "2026-11-23"
    (over,) = document(known)["cleartext"]
    assert (over["state"], over["said"]) == (
        "expired",
        f"it ended on 2026-11-23: renew it or take it out; seen from {ATTACKER} at 10.0.0.10:11104",
    )
    known[SERVER]["clinic_devices"] = []
    assert "Links in clear" not in report_page.html(document(known), "{}")
