# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Attestations: complete, of a control that persons see, for a year at most; the newest that holds stands."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.plugin_utils import attestations
from ansible_collections.radiology.hardening.plugins.plugin_utils.attestations import Attestation

TODAY = datetime.date(2026, 11, 26)
DISK = "device.disk_encrypted"
GIVEN: dict[str, Any] = {
    "host": "ct.test",
    "by": "Claire Moreau",
    "date": "2026-11-20",
    "expires": "2027-11-21",
    "controls": {DISK: " FileVault is on for every volume "},
}


def attested(date: str, expires: str, by: str = "A", control: str = DISK) -> Attestation:
    days = (datetime.date.fromisoformat(text) for text in (date, expires))
    return Attestation(control, "ct.test", by, *days, seen="FileVault is on")


def test_what_persons_saw_is_read_control_by_control() -> None:
    (read,) = attestations.of([GIVEN])
    assert read.told() == {
        "by": "Claire Moreau",
        "date": "2026-11-20",
        "expires": "2027-11-21",
        "seen": "FileVault is on for every volume",
    }
    assert (read.control, read.host) == (DISK, "ct.test")
    assert attestations.of(None) == attestations.of([]) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"by": ""}, "that of ct.test lacks by"),
        ({"host": None}, "that of None lacks host"),
        ({"date": "26.11.2026"}, "accepted: a date as 2027-01-31"),
        ({"expires": "2027-11-22"}, "2027-11-22, more than a year after its date; accepted: at the latest 2027-11-21"),
        ({"expires": "2026-11-19"}, "2026-11-19, before its date"),
        ({"controls": {"device.web": "It is off on this machine"}}, "controls accepts a mapping of device.disk_encr"),
        ({"controls": [DISK]}, "controls accepts a mapping"),
        ({"controls": {DISK: "ok"}}, f"does not say what was seen for {DISK}"),
    ],
)
def test_one_that_is_out_of_form_is_refused_by_name(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(HardeningError, match=said):
        attestations.of([{**GIVEN, **changes}])


@pytest.mark.parametrize("listed", ["ct.test", [DISK], {"host": "ct.test"}])
def test_they_are_a_list_of_mappings(listed: Any) -> None:
    with pytest.raises(HardeningError, match="accepted: a list of mappings with host, by, date, expires, controls"):
        attestations.of(listed)


def test_the_newest_that_holds_stands_and_each_other_says_why_not() -> None:
    ended, old, new = (
        attested("2025-01-01", "2025-12-31"),
        attested("2026-01-01", "2026-12-31", "B"),
        attested("2026-11-26", "2026-11-26", "C"),
    )
    ahead = attested("2026-11-27", "2027-01-01", "D")
    assert attestations.best([new, old, ahead, ended], DISK, "ct.test", TODAY) == (new, [])
    assert attestations.best([ahead, ended], DISK, "ct.test", TODAY) == (
        None,
        [
            "the attestation of A ended on 2025-12-31",
            "the attestation of D is dated 2026-11-27, a day still to come",
        ],
    )
    assert attestations.best([new], DISK, "ws.test", TODAY) == (None, [])
    assert attestations.best([new], "device.listener", "ct.test", TODAY) == (None, [])
