# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import datetime
from pathlib import Path

import pytest
import yaml
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.plugin_utils import catalogue

TODAY = datetime.date(2026, 11, 24)
BLOCK = {
    "id": "orthanc.find_limit",
    "title": "A query returns a bounded number of results",
    "severity": "low",
    "profiles": ["strict"],
    "rationale": "A wildcard query reads the whole index.",
    "catalogue": "or-find-limits",
    "references": {"nist_csf": ["PR.DS-4"]},
    "expect": [{"fact": "orthanc.config.LimitFindResults", "at_most": 100, "set_by": "orthanc_find_limit"}],
}


def write(folder: Path, **changes: object) -> Path:
    block = {**BLOCK, **changes}
    path = folder / "orthanc" / "meta"
    path.mkdir(parents=True, exist_ok=True)
    (path / "controls.yml").write_text(yaml.safe_dump([block]), encoding="utf-8")
    return folder


def test_profile_and_waiver_select(tmp_path: Path) -> None:
    controls = catalogue.load(None, write(tmp_path))
    assert [control.id for control in controls] == ["orthanc.find_limit"]
    assert catalogue.in_force(controls, profile="baseline", today=TODAY) == ()
    assert catalogue.in_force(controls, profile="strict", today=TODAY) == controls
    waiver = catalogue.Waiver("orthanc.find_limit", "r", "o", TODAY)
    assert catalogue.in_force(controls, profile="strict", waivers=[waiver], today=TODAY) == ()
    with pytest.raises(HardeningError, match="accepted: baseline, strict"):
        catalogue.in_force(controls, profile="paranoid", today=TODAY)


def test_a_weaker_choice_is_refused_by_name(tmp_path: Path) -> None:
    controls = catalogue.load(None, write(tmp_path))
    catalogue.refuse_weaker(controls, {"orthanc_find_limit": 50})
    with pytest.raises(HardeningError, match=r"orthanc_find_limit is 500.*orthanc\.find_limit.*at most 100.*waiver"):
        catalogue.refuse_weaker(controls, {"orthanc_find_limit": 500})


@pytest.mark.parametrize(
    "changes",
    [
        {"severity": "urgent"},
        {"profiles": ["default"]},
        {"id": "firewall.find_limit"},
        {"colour": "red"},
        {"expect": [{"fact": "orthanc.x", "like": 3}]},
        {"expect": [{"fact": "orthanc.x", "is": 3, "at_most": 4}]},
        {"expect": []},
        {"expect_from": {"moon": []}},
    ],
)
def test_a_block_out_of_form_is_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises(HardeningError):
        catalogue.load(None, write(tmp_path, **changes))


def test_waivers_are_complete_and_name_a_control() -> None:
    with pytest.raises(HardeningError, match="lacks owner, expires"):
        catalogue.waivers_of([{"control": "orthanc.webdav_off", "reason": "x"}])
    with pytest.raises(HardeningError, match="there is no control"):
        catalogue.waivers_of([{"control": "moon.landing", "reason": "x", "owner": "y", "expires": "2027-01-01"}])
