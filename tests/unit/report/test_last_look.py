# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The report tells when somebody last looked from the internet, and from where, also where this run did not."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

from ansible_collections.radiology.hardening.plugins.plugin_utils import (
    internet_scan,
    report_console,
    report_document,
    report_drawing,
    report_page,
)

NOW = datetime.datetime(2026, 11, 27, 12, 0, tzinfo=datetime.UTC)
LOOK = {"host": "pacs.practice", "addresses": ["203.0.113.11"], "no_way": [], "ports": "22-23", "open": []}


def document(clinic: dict[str, Any]) -> dict[str, Any]:
    server = {"name": "pacs", "kind": "orthanc_server", "addresses": ["10.0.0.10"], "ae_title": "PRACTICE"}
    known = {"pacs.practice": {"clinic": clinic, "clinic_host": server, "hardening_audit": {"findings": []}}}
    (built,) = report_document.build(known, {"clinic_hosts": ["pacs.practice"]}, NOW)
    return dict(json.loads(json.dumps(built)))


def test_every_form_tells_who_looked_last_and_when(tmp_path: Path) -> None:
    clinic = {"name": "practice", "title": "A practice", "networks": [], "internet": {"addresses": ["203.0.113.11"]}}
    clinic |= {"directory": str(tmp_path / "practice"), "exposed": ["203.0.113.11"]}
    built = document(clinic)
    said = "Last look from the internet: none that counts; nobody has looked from the internet yet."
    assert said in report_console.table(built)
    assert f"<li>{said}</li>" in report_page.html(built, "{}")
    looks = [{**LOOK, "vantage_point": "outside.practice", "undeclared": ["203.0.113.11:22"]}]
    internet_scan.keep(clinic, looks, NOW - datetime.timedelta(days=3))
    built = document(clinic)
    said = "2026-11-24, 12:00 UTC, from outside.practice at 203.0.113.11: undeclared, 203.0.113.11:22 answered."
    assert said in report_console.table(built)
    assert said in report_page.html(built, "{}")
    assert built["internet_scan"]["scanned"] == "2026-11-24T12:00:00+00:00"
    assert built["internet_scan"]["vantage_points"] == ["outside.practice"]


def test_no_name_in_the_evidence_breaks_out_of_any_form(tmp_path: Path) -> None:
    clinic = {"name": "practice", "title": "A practice", "networks": [], "internet": {"addresses": []}}
    clinic |= {"directory": str(tmp_path / "practice"), "exposed": ["203.0.113.11"]}
    hostile = "<b>\x1b[2J\u202e"
    internet_scan.keep(clinic, [{**LOOK, "vantage_point": hostile, "undeclared": [hostile]}], NOW)
    built = document(clinic)
    assert hostile in built["internet_scan"]["said"]
    assert "<b>" not in report_page.html(built, "{}").partition("Last look")[2].partition("</li>")[0]
    assert not {"\x1b", "\u202e"} & set(report_console.table(built) + report_page.html(built, "{}"))


def test_who_is_off_is_told_apart_from_what_is_open() -> None:
    ssh = ["10.0.0.10:22"]
    wire = {"reachable": True, "ports": {"open": ssh, "undeclared": ssh}, "http": {"cleartext_ports": []}}
    wire |= {"dicom": {"cleartext_ports": [], "tls_ports": []}, "ssh": {"ports": ssh}}
    off: dict[str, Any] = {"reachable": False}
    sees = [
        {"host": f"{name}.practice", "facts": {"wire": each}} for name, each in (("ct", wire), ("ws", off), ("us", off))
    ]
    point = {"name": "laptop.practice", "kind": "lan", "why": "", "unproven": [], "sees": sees}
    said = "From laptop (an undeclared device): 22 SSH (undeclared) of ct; no answer of ws and us."
    assert report_drawing.sentences({"vantage_points": [point], "tunnels": []}) == [said]
