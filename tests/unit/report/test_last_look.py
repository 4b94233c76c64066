# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The report tells when somebody last looked from the internet, and from where, also where this run did not."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pytest
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


def seen_from_the_internet(answered: list[str], **targets: tuple[str, int]) -> dict[str, Any]:
    """Build the report of servers of which the internet tried an address each, and could read so many series."""
    clinic = {"name": "practice", "title": "A practice", "networks": [], "internet": {"addresses": []}}
    exposure: dict[str, Any] = {"answered": answered, "targets": {}}
    groups: dict[str, list[str]] = {"clinic_hosts": [], "vantage_points": ["outside.practice"]}
    known: dict[str, Any] = {}
    for name, (address, series) in targets.items():
        host, found = f"{name}.practice", [f"{address}:4242"] if series else []
        ports = {"open": found, "undeclared": found, "udp": [], "looked_at": [address]}
        dicom = {"cleartext_ports": found, "tls_ports": [], "readable_series": series}
        wire = {
            "reachable": True,
            "ports": ports,
            "dicom": dicom,
            "http": {"cleartext_ports": []},
            "ssh": {"ports": []},
        }
        exposure["targets"][host] = {"wire": wire}
        server = {"name": name, "kind": "orthanc_server", "addresses": ["10.0.0.10"], "ae_title": "PRACTICE"}
        known[host] = {"clinic": clinic, "clinic_host": server, "hardening_audit": {"findings": []}}
        groups["clinic_hosts"].append(host)
    vantage = {"kind": "internet", "control_targets": []}
    known["outside.practice"] = {"clinic": clinic, "clinic_vantage": vantage, "hardening_exposure": exposure}
    (built,) = report_document.build(known, groups, NOW)
    return dict(json.loads(json.dumps(built)))


@pytest.mark.parametrize("answered", [[], ["198.51.100.1:53"]])
def test_silence_counts_only_where_the_vantage_point_heard_anybody(answered: list[str]) -> None:
    built, heard = seen_from_the_internet(answered, pacs=("203.0.113.1", 0)), bool(answered)
    assert built["readable_series"] == {"outside.practice": 0 if heard else None}
    assert ("no image series can be read" in report_page.sentence(built)) is heard
    assert ("not proven" in report_page.sentence(built)) is not heard
    silence = "nothing is proven of pacs, since nobody answered it over IPv4"
    assert (silence in report_drawing.description(built)) is not heard
    assert ("0 series readable" in report_console.table(built)) is heard
    assert ("heard nobody" in report_page.html(built, "{}")) is not heard


@pytest.mark.parametrize(("series", "told"), [(5300, 5300), (0, None)])
def test_what_was_read_counts_beside_what_is_not_proven(series: int, told: int | None) -> None:
    heard = [] if series else ["198.51.100.1:53"]
    built = seen_from_the_internet(heard, pacs=("203.0.113.1", series), other=("2001:db8::1", 0))
    assert built["readable_series"] == {"outside.practice": told}
    assert "nothing is proven of other, since" in report_drawing.description(built)
    assert "heard nobody" not in report_page.html(built, "{}")
