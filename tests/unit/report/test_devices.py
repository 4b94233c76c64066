# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Devices in the report's four forms: what a person attests is told apart from what was measured, with name and days."""

from __future__ import annotations

import datetime
import json
from typing import Any
from xml.etree import ElementTree

import pytest
from ansible_collections.radiology.hardening.plugins.action import audit
from ansible_collections.radiology.hardening.plugins.plugin_utils import (
    attestations,
    concerns,
    judge,
    report_console,
    report_document,
    report_junit,
    report_page,
)

NOW = datetime.datetime(2026, 11, 24, 12, 0, tzinfo=datetime.UTC)
CT, LAPTOP = "ct.practice", "laptop.practice"
DISK, LISTENER = "device.disk_encrypted", "device.listener"
CLOSED: dict[str, Any] = {
    "reachable": True,
    "errors": [],
    "ports": {"open": [], "undeclared": [], "udp": []},
    "dicom": {"cleartext_ports": [], "tls_ports": [], "readable_series": 0},
    "http": {"cleartext_ports": []},
    "ssh": {"ports": []},
    "device": {"dicom": [], "web": [], "remote_control": [], "file_shares": []},
    "box": {"mappings": [], "opens_ports": [], "unread": []},
}
OPEN = {**CLOSED, "device": {**CLOSED["device"], "dicom": ["10.0.0.30:11112 answers DICOM in clear"]}}
SILENT = {"reachable": False, "errors": ["10.0.0.30 does not answer on its own network: it is switched off."]}
SEEN = {
    DISK: "The maker's letter says so <b>",
    LISTENER: "No listener on the service page",
    "device.own_accounts": "One user a person on its screen",
    "device.security_updates": "Version 9 is the newest one",
    "device.remote_control": "The service box is switched off",
}
WORD: dict[str, Any] = {"host": CT, "by": "Dr Roux", "date": "2026-11-01", "expires": "2027-10-31", "controls": SEEN}


def hostvars(wire: dict[str, Any], *words: dict[str, Any]) -> dict[str, Any]:
    """Return what a run registered on a modality and on the laptop that looked at it."""
    clinic = {
        "name": "practice",
        "title": "A practice",
        "networks": [{"name": "lan", "kind": "lan", "cidrs": ["10.0.0.0/24"]}],
        "internet": {"addresses": []},
    }
    laptop = {
        "clinic": clinic,
        "clinic_host": {"name": "laptop", "kind": "vantage_point", "addresses": ["10.0.0.66"]},
        "clinic_vantage": {"name": "laptop", "kind": "lan"},
        "clinic_targets": [{"host": CT}],
        "hardening_exposure": {"targets": {CT: {"wire": wire}}},
    }
    modality = {"name": "ct", "kind": "modality", "addresses": ["10.0.0.30"], "ae_title": "CT1", "lost": False}
    device = {"clinic": clinic, "clinic_host": modality, "clinic_managed": False, "hardening_attestations": [*words]}
    known = {**device, "inventory_hostname": CT, "groups": {"vantage_points": [LAPTOP]}, "hostvars": {LAPTOP: laptop}}
    sight = judge.Sight(CT, None, tuple(audit.views(known)), attestations=tuple(attestations.of(list(words))))
    findings = judge.judge(concerns.controls(known, "baseline"), sight, [], NOW.date())
    return {CT: {**device, "hardening_audit": {"findings": findings}}, LAPTOP: laptop}


def document(wire: dict[str, Any], *words: dict[str, Any]) -> dict[str, Any]:
    known = hostvars(wire, *words)
    (built,) = report_document.build(known, {"clinic_hosts": [CT, LAPTOP], "vantage_points": [LAPTOP]}, NOW)
    return dict(json.loads(json.dumps(built)))


def in_one_line(text: str) -> str:
    return " ".join(text.split())


def test_a_device_that_is_closed_and_attested_passes_and_says_by_whom() -> None:
    built = document(CLOSED, WORD)
    assert (built["verdict"], built["counts"]) == ("pass", {"attested": 5, "pass": 3})
    said = "attested by Dr Roux on 2026-11-01, until 2027-10-31, not measured: No listener on the service page"
    console = in_one_line(report_console.table(built))
    assert "PASS: 3 checks judged; 5 attested, 3 pass" in console
    assert said in console
    page = report_page.html(built, "{}")
    assert "Attested by persons and not measured: 5, named below." in report_page.sentence(built)
    assert "<h2>Attested by persons, not measured</h2>" in page
    assert "<td>Dr Roux</td><td>2026-11-01</td><td>2027-10-31</td>" in page
    assert "letter says so &lt;b&gt;" in page and "so <b>" not in page
    assert "The 3 checks that hold" in page
    (suite,) = ElementTree.fromstring(report_junit.xml(built))
    assert (suite.attrib["skipped"], suite.attrib["failures"], suite.attrib["errors"]) == ("5", "0", "0")
    assert said in [case.attrib["message"] for case in suite.iter("skipped")]
    finding = next(each for each in built["findings"] if each["control"] == DISK)
    assert (finding["verdict"], finding["attestation"]["expires"]) == ("attested", "2027-10-31")
    assert {each["state"] for each in built["attestations"]} == {"in use"}


@pytest.mark.parametrize(
    ("words", "why", "state"),
    [
        ((), "nobody attests it", set()),
        (
            ({**WORD, "date": "2025-11-01", "expires": "2026-10-31"},),
            "the attestation of Dr Roux ended on 2026-10-31",
            {"not valid"},
        ),
        (
            ({**WORD, "date": "2026-11-25"},),
            "the attestation of Dr Roux is dated 2026-11-25, a day still to come",
            {"not valid"},
        ),
    ],
    ids=["none", "ended", "to come"],
)
def test_without_a_word_that_holds_nothing_passes_in_any_form(
    words: tuple[dict[str, Any], ...], why: str, state: set[str]
) -> None:
    built = document(CLOSED, *words)
    assert (built["verdict"], built["counts"]) == ("fail", {"not_audited": 5, "pass": 3})
    assert why in report_console.table(built)
    assert why in report_page.html(built, "{}")
    (suite,) = ElementTree.fromstring(report_junit.xml(built))
    assert suite.attrib["errors"] == "5"
    assert all(why in case.attrib["message"] for case in suite.iter("error"))
    assert {each["state"] for each in built["attestations"]} == state
    assert "attested by" not in report_console.table(built)


def test_what_answers_outranks_what_a_person_attests() -> None:
    built = document(OPEN, WORD)
    assert (built["verdict"], built["counts"]) == ("fail", {"fail": 1, "attested": 4, "pass": 3})
    console = report_console.table(built)
    assert f"{LAPTOP}: wire.device.dicom is 10.0.0.30:11112 answers DICOM in clear; expected none" in console
    assert f"attestation of {LISTENER} on {CT} by Dr Roux: what was seen from outside says otherwise" in console
    assert "Attestations that do not stand" in report_page.html(built, "{}")
    assert {each["control"] for each in built["attestations"] if each["state"] == "contradicted"} == {LISTENER}


def test_a_newer_word_leaves_the_older_one_idle() -> None:
    built = document(CLOSED, WORD, {**WORD, "date": "2026-11-24", "by": "Dr Blanc"})
    assert {(each["by"], each["state"]) for each in built["attestations"]} == {
        ("Dr Roux", "idle"),
        ("Dr Blanc", "in use"),
    }


def test_a_probe_asks_no_person_and_calls_no_word_idle() -> None:
    known = hostvars(CLOSED, WORD)
    findings = known[CT]["hardening_audit"]["findings"]
    for each in findings:
        each["evidence"] = [item for item in each["evidence"] if item["seen_from"] == LAPTOP]
    known[CT]["hardening_audit"] = {"findings": [each for each in findings if each["evidence"]]}
    (built,) = report_document.build(known, {"clinic_hosts": [CT, LAPTOP], "vantage_points": [LAPTOP]}, NOW)
    assert {each["state"] for each in built["attestations"]} == {"not asked"}
    assert "attestation of" not in report_console.table(built)
    assert "Attestations that do not stand" not in report_page.html(built, "{}")


def test_a_device_that_is_switched_off_is_not_called_closed() -> None:
    built = document(SILENT, WORD)
    assert (built["verdict"], built["counts"]) == ("fail", {"not_audited": 5, "attested": 3})
    assert "10.0.0.30 does not answer on its own network" in report_console.table(built)


def test_a_vantage_point_without_a_way_of_its_own_to_a_device_is_not_asked() -> None:
    known = hostvars(CLOSED, WORD)
    known[LAPTOP] |= {"clinic_targets": [], "hardening_exposure": {"targets": {}}}
    variables = {**known[CT], "inventory_hostname": CT, "groups": {"vantage_points": [LAPTOP]}, "hostvars": known}
    assert audit.views(variables) == []
    known[LAPTOP] |= {"clinic_targets": [{"host": CT}], "hardening_exposure": {"msg": "no answer"}}
    assert audit.views(variables) == [judge.View(LAPTOP, "lan", None, "no answer")]


@pytest.mark.parametrize(
    ("wire", "answers"),
    [
        (CLOSED, True),
        (CLOSED | {"present": False}, False),
        (SILENT, None),
        (SILENT | {"present": False}, False),
        (SILENT | {"present": True}, True),
    ],
)
def test_it_is_told_whether_anything_answered_a_vantage_point(wire: dict[str, Any], *, answers: bool | None) -> None:
    known = hostvars(wire)
    variables = {**known[CT], "inventory_hostname": CT, "groups": {"vantage_points": [LAPTOP]}, "hostvars": known}
    assert [view.answers for view in audit.views(variables)] == [answers]
