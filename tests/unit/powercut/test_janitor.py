# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which loop devices a process left behind."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

SIMULATOR = Path(__file__).resolve().parents[3] / "tests" / "powercut"


@pytest.fixture
def janitor(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(sys, "path", [str(SIMULATOR), *sys.path])
    import janitor

    return janitor


def test_what_was_detached_is_not_left(janitor: ModuleType) -> None:
    assert janitor.left(["+/dev/loop0\n", "+/dev/loop1\n", "-/dev/loop0\n", "-/dev/loop1\n"]) == []


def test_what_stays_is_taken_away_the_last_one_first(janitor: ModuleType) -> None:
    assert janitor.left(["+/dev/loop0\n", "+/dev/loop1\n", "+/dev/loop2\n", "-/dev/loop1\n"]) == [
        "/dev/loop2",
        "/dev/loop0",
    ]


def test_a_number_that_was_given_again_is_left_once(janitor: ModuleType) -> None:
    assert janitor.left(["+/dev/loop0\n", "-/dev/loop0\n", "+/dev/loop0\n"]) == ["/dev/loop0"]


def test_what_was_never_attached_is_passed_over(janitor: ModuleType) -> None:
    assert janitor.left(["-/dev/loop7\n", ""]) == []
