# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reading from home in the report: who may come in with what, and how the gateway was seen."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.plugin_utils import (
    report_document,
    report_drawing,
    report_home,
    report_page,
)
from test_report import CLOSED, opened

NOW = datetime.datetime(2026, 11, 27, 12, 0, tzinfo=datetime.UTC)
GATEWAY = "pacs.practice"
PEERS = [
    {"name": "home", "person": "a.martin", "addresses": ["10.99.1.2"], "services": {"web": 443}},
    {"name": "tablet", "person": "c.moreau", "addresses": ["10.99.1.3"], "services": {"ssh": 2222, "web": 443}},
]


def finding(control: str, verdict: str, host: str = GATEWAY) -> dict[str, Any]:
    said = {"title": control, "severity": "high", "rationale": "", "references": {}, "evidence": [], "advice": []}
    return {**said, "control": control, "host": host, "verdict": verdict, "attestation": None, "waiver": None} | {
        "why_not_waived": []
    }


def document(*findings: dict[str, Any], tunnel: bool = True) -> dict[str, Any]:
    """Return the report of a practice whose gateway has these findings."""
    clinic = {"name": "practice", "title": "A practice", "internet": {"addresses": ["203.0.113.1"]}}
    known = {
        "clinic": {**clinic, "networks": [{"name": "lan", "kind": "lan", "cidrs": ["10.0.0.0/24"]}]},
        "clinic_host": {"name": "pacs", "kind": "orthanc_server", "addresses": ["10.0.0.10"]},
        "clinic_managed": True,
        "clinic_people": [{"login": "a.martin", "name": "Dr <b>Martin", "role": "reader"}],
        "clinic_tunnel": {"port": 51820, "peers": PEERS} if tunnel else {},
        "hardening_audit": {"findings": list(findings)},
    }
    (built,) = report_document.build({GATEWAY: known}, {"clinic_hosts": [GATEWAY]}, NOW)
    return built


@pytest.mark.parametrize(
    ("kept", "peers", "state"),
    [
        ("pass", "pass", report_home.UP),
        ("fail", "fail", "not as declared"),
        ("waived", "pass", "not as declared"),
        ("pass", "fail", report_home.OPEN),
        ("error", "pass", "not audited"),
        ("pass", "not_audited", "not audited"),
    ],
)
def test_a_tunnel_is_what_its_gateway_was_seen_to_be(kept: str, peers: str, state: str) -> None:
    found = [finding(report_home.KEPT, kept), finding(report_home.PEERS, peers)]
    elsewhere = [
        finding(report_home.KEPT, "pass", "other.practice"),
        finding(report_home.PEERS, "pass", "other.practice"),
    ]
    built = document(*found, *elsewhere)
    (tunnel,) = built["tunnels"]
    assert tunnel["state"] == state
    page = report_page.html(built, "{}")
    assert ('class="line tunnel"' in page) == ("443 HTTPS by the tunnel</text>" in page) == (state == report_home.UP)
    assert ('class="line undeclared"' in page) == (state == report_home.OPEN)
    assert report_home.STATES[state] in page


def test_a_tunnel_through_which_more_is_reached_says_so() -> None:
    seen = [
        finding(report_home.KEPT, "pass"),
        finding(report_home.PEERS, "pass"),
        finding(report_home.REACH[1], "fail"),
    ]
    built = document(*seen)
    (tunnel,) = built["tunnels"]
    assert tunnel["state"] == report_home.WIDE
    assert "more is reached through the tunnel than is granted: see the findings." in report_home.sentences(tunnel)[0]
    page = report_page.html(built, "{}")
    assert 'class="line undeclared"' in page
    assert "443 HTTPS by the tunnel</text>" not in page


def test_each_device_is_told_with_its_person_and_what_it_reaches() -> None:
    built = document(finding(report_home.KEPT, "pass"), finding(report_home.PEERS, "pass"))
    page = report_page.html(built, "{}")
    assert "Dr &lt;b&gt;Martin" in page
    assert "tablet of c.moreau may reach 2222 SSH and 443 HTTPS there." in page
    assert page.index("443 HTTPS by the tunnel</text>") < page.index("2222 SSH by the tunnel</text>")
    assert "pacs.practice, by UDP port 51820" in page


def test_a_gateway_stands_beside_the_servers_and_says_what_it_passes_on() -> None:
    passed = [{"to": "pacs web", "port": 443, "address": address, "as": ""} for address in ("10.0.0.10", "fd00::10")]
    known = {
        "clinic": {
            "name": "practice",
            "title": "A practice",
            "internet": {"addresses": []},
            "networks": [{"name": "lan", "kind": "lan", "cidrs": ["10.0.0.0/24"]}],
        },
        "clinic_host": {"name": "gate", "kind": "gateway", "addresses": ["10.0.0.9"], "ae_title": ""},
        "clinic_managed": True,
        "clinic_tunnel": {"port": 51820, "peers": [{**PEERS[0], "services": {"ssh": 22}, "forwards": passed}]},
        "hardening_audit": {
            "findings": [finding(each, "pass", "gate.practice") for each in (report_home.KEPT, report_home.PEERS)]
        },
    }
    (built,) = report_document.build({"gate.practice": known}, {"clinic_hosts": ["gate.practice"]}, NOW)
    page = report_page.html(built, "{}")
    assert "home of a.martin may reach 443 HTTPS of pacs and 22 SSH there." in page
    assert "443 HTTPS by the tunnel</text>" in page
    assert '<g class="host server"' in page
    assert ">gateway</text>" in page
    assert [host["judged"] for host in built["hosts"]] == [True]


def test_without_a_tunnel_nothing_is_said_of_home() -> None:
    built = document(tunnel=False)
    assert built["tunnels"] == []
    assert "home" not in report_page.html(built, "{}").replace("Home", "home")


def test_a_gateway_that_nobody_looked_at_proves_nothing() -> None:
    (tunnel,) = document()["tunnels"]
    assert tunnel["state"] == "not audited"


def test_what_a_place_on_the_right_reaches_of_several_hosts_is_written_once() -> None:
    sees = [{"host": "pacs", "facts": {"wire": opened()}}, {"host": "gate", "facts": {"wire": CLOSED}}]
    point = {"name": "ct-probe", "kind": "peer", "why": "", "unproven": [], "sees": sees}
    places = {"pacs": (report_drawing.SERVER, 84), "gate": (report_drawing.SERVER, 188)}
    told = "".join(report_drawing._lines(point, 780, 84, places))
    assert (told.count("<path "), told.count("<text "), "4242 DICOM in clear" in told) == (2, 1, True)
    nowhere = "".join(report_drawing._lines({**point, "sees": sees[1:]}, 780, 84, places))
    assert "nothing answers" in nowhere
