# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Clinics as they are told of: waivers by name, addresses that two of them share, lines and verdict."""

from __future__ import annotations

import dataclasses
import datetime

import pytest
from ansible_collections.radiology.hardening.plugins.plugin_utils import attestations, catalogue, validation
from ansible_collections.radiology.hardening.plugins.plugin_utils.preflight import Checked, Reach
from ansible_collections.radiology.hardening.plugins.plugin_utils.remarks import Remarks

TODAY = datetime.date(2026, 11, 26)
GIVEN = {"name": "test", "title": "A practice", "file": "/clinics/test.yml"}
WEBDAV = "orthanc.webdav_off"


def reach(host: str, address: str = "10.0.2.10", arguments: str = "", stands: str = "") -> Reach:
    return Reach(host, "ssh", address, "22", "engineer", arguments, stands, ("10.0.1.10",) if stands else ())


def waiver(control: str = WEBDAV, expires: str = "2027-11-26", host: str | None = None) -> catalogue.Waiver:
    return catalogue.Waiver(control, "Migration", "D. Petit", datetime.date.fromisoformat(expires), host)


def clinic(*waivers: catalogue.Waiver, profile: str = "baseline") -> validation.Clinic:
    hosts = {
        "pacs.test": Checked(Remarks(), reach("pacs.test"), profile, waivers, controls=catalogue.kept_by_roles()),
        "second.test": Checked(
            Remarks(), reach("second.test", "10.0.2.11"), profile, waivers, catalogue.kept_by_roles()
        ),
        "laptop.test": Checked(Remarks(), reach("laptop.test", "10.0.2.12", stands="lan")),
    }
    return validation.clinic(GIVEN, hosts, TODAY)


def remarks(*waivers: catalogue.Waiver, profile: str = "baseline") -> Remarks:
    return clinic(*waivers, profile=profile).remarks


def test_a_waiver_that_stands_is_not_told_of() -> None:
    assert remarks(waiver(), waiver(host="pacs.test")) == Remarks()


def test_a_waiver_whose_value_is_a_list_is_told_of_once() -> None:
    listed = dataclasses.replace(waiver(expires="2026-11-25"), value=["TLSv1.2", "TLSv1.3", "TLSv1.1"])
    assert len(remarks(listed).problems) == 1


def test_an_expired_waiver_is_told_of_by_name_once() -> None:
    (problem,) = remarks(waiver(expires="2026-11-25")).problems
    assert problem == (
        f"/clinics/test.yml: hardening_waivers: {WEBDAV}, of D. Petit, expired on 2026-11-25; "
        "accepted: a later day, or no waiver."
    )


def test_the_day_of_expiry_still_counts_and_the_month_before_is_told_of() -> None:
    for day, said in (("2026-11-26", 1), ("2026-12-26", 1), ("2026-12-27", 0)):
        found = remarks(waiver(expires=day))
        assert (found.problems, len(found.notes)) == ([], said)
    note = f"/clinics/test.yml: hardening_waivers: {WEBDAV} on pacs.test, of D. Petit, expires on 2026-11-26."
    assert remarks(waiver(expires="2026-11-26", host="pacs.test")).notes == [note]


def test_a_waiver_for_a_host_that_nobody_judges_covers_none() -> None:
    (problem,) = remarks(waiver(host="ct.test")).problems
    assert problem == (
        f"/clinics/test.yml: hardening_waivers: {WEBDAV} on ct.test covers no host that is judged; "
        "accepted: pacs.test, second.test, or no host."
    )


def test_a_waiver_for_a_control_of_another_profile_covers_no_host(monkeypatch: pytest.MonkeyPatch) -> None:
    (control,) = (each for each in catalogue.load() if each.id == WEBDAV)
    strict = dataclasses.replace(control, profiles=("strict",))
    monkeypatch.setattr(catalogue, "load", lambda *dummy: (strict,))
    (problem,) = remarks(waiver()).problems
    assert problem.endswith("covers no host, since the control is of profile strict; accepted: no waiver.")
    assert remarks(waiver(), profile="strict").problems == []


def test_a_waiver_for_a_control_that_is_not_asked_there_covers_no_host() -> None:
    (problem,) = remarks(waiver("device.web")).problems
    assert problem == (
        "/clinics/test.yml: hardening_waivers: device.web covers no host, since the control is asked of none there; "
        "accepted: no waiver."
    )


def attested(*days: tuple[str, str], waivers: tuple[catalogue.Waiver, ...] = ()) -> Remarks:
    """Return what is said of a modality of which one control is attested from one day to another, and no other is."""
    asked = [control for control in catalogue.load("device") if control.id in ("device.disk_encrypted", "device.web")]
    listed = [
        attestations.Attestation(
            "device.disk_encrypted", "ct.test", "D. Petit", *map(datetime.date.fromisoformat, each), "x"
        )
        for each in days
    ]
    checked = Checked(Remarks(), None, "baseline", waivers, controls=asked, attestations=listed)
    return validation.clinic(GIVEN, {"ct.test": checked}, TODAY).remarks


def test_what_persons_attest_is_told_of_where_it_ends_or_lacks() -> None:
    where = "/clinics/test.yml: hardening_attestations: device.disk_encrypted on ct.test"
    assert attested(("2026-11-26", "2027-11-26")) == Remarks()
    assert attested(("2026-01-01", "2026-12-26")).notes == [f"{where}, of D. Petit, expires on 2026-12-26."]
    assert attested(("2025-01-01", "2025-12-31"), ("2026-11-26", "2027-11-26")) == Remarks()
    (ended,) = attested(("2025-01-01", "2025-12-31"), ("2025-11-26", "2026-11-25")).problems
    assert ended == (
        f"{where}: the attestation of D. Petit ended on 2026-11-25; accepted: what somebody saw since, with name and day."
    )
    (ahead,) = attested(("2026-11-27", "2027-01-01")).problems
    assert "is dated 2026-11-27, a day still to come" in ahead
    silent = attested()
    assert (silent.problems, silent.notes) == (
        [],
        ["/clinics/test.yml: nobody attests device.disk_encrypted on ct.test; an audit counts them as not audited."],
    )


def test_a_waiver_spares_the_attestation() -> None:
    covering = (waiver("device.disk_encrypted"),)
    assert attested(waivers=covering) == attested(("2025-01-01", "2025-12-31"), waivers=covering) == Remarks()


@pytest.mark.parametrize(
    ("other", "refused"),
    [
        (reach("pacs.other"), True),
        (reach("pacs.other", "10.0.2.20"), False),
        (reach("pacs.other", arguments="-J box.other"), False),
        (reach("laptop.other", stands="lan"), False),
    ],
    ids=["the same", "another", "behind a jump host", "a vantage point"],
)
def test_no_two_servers_are_reached_at_one_address(other: Reach, *, refused: bool) -> None:
    given = {"name": "other", "title": "Another", "file": "/clinics/other.yml"}
    found = [clinic(), validation.clinic(given, {other.host: Checked(Remarks(), other, "baseline")}, TODAY)]
    validation.refuse_one_address(found)
    told = (
        "/clinics/other.yml: pacs.other is reached at 10.0.2.10 port 22, as pacs.test of /clinics/test.yml is; "
        "accepted: an ssh.address of its own, or a jump host in ansible_ssh_common_args."
    )
    assert [each.remarks.problems for each in found] == [[], [told] if refused else []]


def test_a_few_lines_tell_of_a_clinic_without_moving_the_cursor() -> None:
    found = clinic()
    found.title = "A practice\x1b[2J"
    found.remarks.note("something to know")
    found.remarks.problem("something\nwrong")
    assert validation.lines(found) == [
        "",
        "A practice [2J (test), profile baseline, /clinics/test.yml",
        "  pacs.test    engineer@10.0.2.10 port 22",
        "  second.test  engineer@10.0.2.11 port 22",
        "  laptop.test  engineer@10.0.2.12 port 22, to look from the lan at 10.0.1.10",
        "  note: something to know.",
        "  WRONG: something wrong.",
    ]


def test_the_verdict_is_one_line() -> None:
    good, bad, others = clinic(), clinic(), Remarks()
    bad.name = "other"
    assert validation.verdict([good], others) == (
        "PASS: clinics checked: 1; hosts that a run would reach: 3; reached now: none."
    )
    bad.remarks.problem("wrong")
    assert validation.verdict([good, bad], others) == "FAIL: found wanting: other (1)."
    others.problem("refused")
    assert validation.verdict([good, bad], others) == "FAIL: found wanting: other (1), the inventory (1)."
    assert validation.verdict([good], others) == "FAIL: found wanting: the inventory (1)."


@pytest.mark.parametrize(
    ("day", "problems", "notes"),
    [
        ("2026-11-25", ["expired on 2026-11-25; accepted: a later day, or no cleartext."], []),
        ("2026-11-26", [], ["expires on 2026-11-26."]),
        ("2026-12-26", [], ["expires on 2026-12-26."]),
        ("2026-12-27", [], []),
    ],
)
def test_a_device_in_clear_is_told_of_when_its_day_is_near_or_over(
    day: str, problems: list[str], notes: list[str]
) -> None:
    us = {"name": "us", "cleartext": {"owner": "D. Petit", "expires": day}}
    devices = [{"name": "ct", "cleartext": {}}, us]
    hosts = {name: Checked(Remarks(), None, "baseline", devices=devices) for name in ("pacs.test", "second.test")}
    found = validation.clinic(GIVEN, hosts, TODAY).remarks
    begins = "/clinics/test.yml: cleartext of us, of D. Petit, "
    assert found.problems == [begins + each for each in problems]
    assert found.notes == [begins + each for each in notes]
