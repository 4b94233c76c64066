# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How it is judged what vantage points see of certificates that end soon, beside what is seen inside."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.plugin_utils import catalogue
from ansible_collections.radiology.hardening.plugins.plugin_utils.judge import Sight, View, judge
from test_agreement import hardened

TODAY = datetime.date(2026, 11, 24)
CASES = [
    ("dicom_tls", "dicom_tls.certificate_valid", "dicom", ["lan", "peer"]),
    ("authentication", "authentication.web_certificate_valid", "web", ["admin", "lan", "peer"]),
]


def judged(role: str, identifier: str, *views: View, inside: bool = True) -> dict[str, Any]:
    control = next(each for each in catalogue.load(role) if each.id == identifier)
    sight = Sight("pacs", hardened(role, "debian13")["facts"] if inside else None, views, look_inside=inside)
    (finding,) = judge((control,), sight, [], TODAY)
    return finding


@pytest.mark.parametrize(("role", "identifier", "family", "kinds"), CASES, ids=[case[1] for case in CASES])
@pytest.mark.parametrize("inside", [True, False], ids=["audit", "probe"])
def test_a_certificate_that_ends_soon_fails_by_what_any_vantage_point_sees_of_it(
    role: str, identifier: str, family: str, kinds: list[str], *, inside: bool
) -> None:
    def verdict(kind: str, told: dict[str, Any]) -> str:
        facts = {
            "wire": {family: told, "web" if family == "dicom" else "dicom": {"certificates_ending": ["another's"]}}
        }
        return str(judged(role, identifier, View(f"a {kind}", kind, facts), inside=inside)["verdict"])

    for kind in kinds:
        soon = "10.0.0.10:2762: 9 days left, 2026-12-04"
        assert verdict(kind, {"certificates_ending": [soon]}) == "fail"
        assert verdict(kind, {"certificates_ending": []}) == "pass", "also where nothing answers there"
        assert verdict(kind, {"tls_ports": []}) == "error", "what was seen by another version tells nothing of it"
    assert set(next(each for each in catalogue.load(role) if each.id == identifier).expect_from) == set(kinds)
