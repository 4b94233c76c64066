# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

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
    "by_hand": [{"run": "grep LimitFindResults /etc/orthanc/orthanc.json", "shows": "A number."}],
}
LOOK = BLOCK["by_hand"][0]  # type: ignore[index]


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
        {"concerns": ["modality"]},
        {"expect": [], "concerns": ["modality"], "by_hand": []},
        {"attest": "it is off"},
        {"expect": [], "attest": "it is off", "by_hand": [{**LOOK, "system": "modality"}]},
        {"expect": [], "attest": "it is off", "concerns": ["orthanc_server"], "by_hand": []},
        {"expect": [], "attest": "it is off", "concerns": ["modality"]},
        {"expect": [], "attest": "it is off", "concerns": ["workstation"], "by_hand": [{**LOOK, "system": "macos"}]},
        {"by_hand": [LOOK, {**LOOK, "system": "macos"}]},
        {"expect_from": {"moon": []}},
        {"by_hand": []},
        {"by_hand": [{"run": "true"}]},
        {"by_hand": [{"shows": "Nothing."}]},
        {"by_hand": [{**LOOK, "on": "the moon"}]},
        {"by_hand": [{**LOOK, "from": ["lan"]}]},
        {"by_hand": [LOOK, {**LOOK, "from": ["lan"]}]},
        {"expect_from": {"lan": []}},
        {"by_hand": [{**LOOK, "from": ["lan"]}], "expect_from": {"lan": []}},
    ],
)
def test_a_block_out_of_form_is_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises(HardeningError):
        catalogue.load(None, write(tmp_path, **changes))


@pytest.mark.parametrize("listed", ["orthanc.webdav_off", ["orthanc.webdav_off"], {"control": "orthanc.webdav_off"}])
def test_waivers_are_a_list_of_mappings(listed: Any) -> None:
    with pytest.raises(HardeningError, match="accepted: a list of mappings with control, reason, owner and expires"):
        catalogue.waivers_of(listed)


def test_a_look_by_hand_is_on_the_host_or_from_vantage_points(tmp_path: Path) -> None:
    looks = [LOOK, {"from": ["lan", "peer"], "run": "nmap ADDRESS\nnmap -6 ADDRESS", "shows": "No\n  port."}]
    given = write(tmp_path, by_hand=looks, expect_from={"lan": [], "peer": []}, left_to_you="Ask\nwhy.")
    (control,) = catalogue.load(None, given)
    assert [look.kinds for look in control.by_hand] == [(), ("lan", "peer")]
    assert control.by_hand[1].run.count("\n") == 1
    assert control.by_hand[1].shows == "No port."
    assert control.left_to_you == "Ask why."


def test_waivers_are_complete_and_name_a_control() -> None:
    with pytest.raises(HardeningError, match="lacks owner, expires"):
        catalogue.waivers_of([{"control": "orthanc.webdav_off", "reason": "x"}])
    with pytest.raises(HardeningError, match="there is no control"):
        catalogue.waivers_of([{"control": "moon.landing", "reason": "x", "owner": "y", "expires": "2027-01-01"}])


def test_a_waiver_with_a_value_leaves_the_control_in_force_with_that_value(tmp_path: Path) -> None:
    controls = catalogue.load(None, write(tmp_path))
    chosen = {"profile": "strict", "today": TODAY}
    waiver = catalogue.Waiver("orthanc.find_limit", "r", "o", TODAY, value=500)
    (kept,) = catalogue.in_force(controls, waivers=[waiver], **chosen)
    assert catalogue.wanted((kept,)) == {"orthanc.config.LimitFindResults": {"at_most": 500}}
    catalogue.refuse_weaker((kept,), {"orthanc_find_limit": 500})
    with pytest.raises(HardeningError, match="at most 500"):
        catalogue.refuse_weaker((kept,), {"orthanc_find_limit": 501})
    whole = catalogue.Waiver("orthanc.find_limit", "r", "o", TODAY)
    assert catalogue.in_force(controls, waivers=[waiver, whole], **chosen) == ()


@pytest.mark.parametrize(
    ("demand", "weaker", "refused", "accepted"),
    [
        ({"at_most": 100}, 101, [100, 99, True, "101", [101]], "a number above 100"),
        ({"at_least": 30}, 7, [30, 31, False, "7"], "a number below 30"),
        ({"is": False}, True, [False, 1, "yes"], "another value than False"),
        ({"in": ["a", "b"]}, ["a", "b", "c"], [["a", "b"], ["c"], "a"], "a list that holds .* and more"),
        ({"subset_of": ["a"]}, ["b", "a"], [["a"], [], "ab"], "a list that holds .* and more"),
    ],
)
def test_a_waiver_takes_a_weaker_value_only(
    tmp_path: Path, demand: dict[str, object], weaker: object, refused: list[object], accepted: str
) -> None:
    (control,) = catalogue.load(None, write(tmp_path, expect=[{"fact": "orthanc.x", **demand}]))
    assert catalogue.weakened(control, weaker).expect[0].expected == weaker
    for value in refused:
        with pytest.raises(HardeningError, match=f"orthanc.find_limit takes no value .*{accepted}"):
            catalogue.weakened(control, value)


@pytest.mark.parametrize(
    "expect",
    [
        [{"fact": "orthanc.x", "empty": True}],
        [{"fact": "orthanc.x", "is": 3}, {"fact": "orthanc.y", "is": 4}],
        [{"fact": "orthanc.x", "at_most": 3}, {"fact": "orthanc.y", "at_most": 3}],
    ],
)
def test_a_control_without_one_value_is_waived_whole(tmp_path: Path, expect: list[dict[str, object]]) -> None:
    (control,) = catalogue.load(None, write(tmp_path, expect=expect))
    with pytest.raises(HardeningError, match="accepted: none, the control is waived whole"):
        catalogue.weakened(control, 4)


def test_a_value_is_refused_as_soon_as_waivers_are_read() -> None:
    tries = "authentication.sshd.MaxAuthTries"
    bounded = next(each.id for each in catalogue.load() if tries in [clause.fact for clause in each.expect])
    entry = {"control": bounded, "reason": "x", "owner": "y", "expires": "2027-01-01"}
    assert catalogue.waivers_of([{**entry, "value": 6}])[0].value == 6
    with pytest.raises(HardeningError, match="takes no value 3; accepted: a number above 4"):
        catalogue.waivers_of([{**entry, "value": 3}])


def test_a_control_may_be_asked_of_one_kind_of_host_alone(tmp_path: Path) -> None:
    (control,) = catalogue.load(None, write(tmp_path, concerns=["orthanc_server"]))
    assert control.asked_of("orthanc_server")
    assert not control.asked_of("workstation")


def test_what_persons_attest_is_looked_at_on_each_system_of_its_devices(tmp_path: Path) -> None:
    looks = [{**LOOK, "system": system} for system in ("windows", "macos", "modality")]
    given = write(tmp_path, expect=[], attest="It\nis off", concerns=["workstation", "modality"], by_hand=looks)
    (control,) = catalogue.load(None, given)
    assert (control.attest, control.concerns) == ("It is off", ("workstation", "modality"))
    assert [look.language for look in control.by_hand] == ["powershell", "bash", "text"]
    assert catalogue.kept_by_roles(given) == ()
    assert catalogue.wanted((control,)) == {}
    with pytest.raises(HardeningError, match="accepted: none, the control is waived whole"):
        catalogue.weakened(control, 4)


def test_what_is_seen_from_outside_alone_needs_no_look_inside(tmp_path: Path) -> None:
    seen = {"lan": [{"fact": "wire.device.web", "empty": True}]}
    given = write(tmp_path, expect=[], concerns=["modality"], expect_from=seen, by_hand=[{**LOOK, "from": ["lan"]}])
    (control,) = catalogue.load(None, given)
    assert (control.expect, control.attest, list(control.expect_from)) == ((), "", ["lan"])
