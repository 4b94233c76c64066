# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A job that is armed is one that a boot goes on with, whenever the power or the line was cut while it was started."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils.migration import (
    cli,
    deliberate,
    evidence,
    job,
    records,
    units,
)

UNIT = "radiology-encrypt-storage@studies.service"


class CutError(Exception):
    """The power went."""


class Host:
    """Takes systemctl's commands; the power goes at one of them."""

    def __init__(self, wants: Path, armed: Path, cut_at: str = "") -> None:
        self.wants, self.armed, self.cut_at = wants, armed, cut_at
        self.asked: list[str] = []

    def must(self, command: Sequence[str]) -> bytes:
        verb = command[1]
        if verb == self.cut_at:
            raise CutError
        self.asked.append(verb)
        if verb == "enable":
            (self.wants / UNIT).touch()
        if verb == "start":
            assert self.armed.exists(), "its condition keeps the unit from starting"
        return b""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A job that is prepared, and a system to start it on."""
    monkeypatch.setattr(job, "FOLDER", str(tmp_path))
    monkeypatch.setattr(units, "UNITS", str(tmp_path / "units"))
    monkeypatch.setattr(cli, "progress_path", lambda name: str(tmp_path / f"{name}.progress"))
    monkeypatch.setattr(evidence, "record", lambda *_: None)
    monkeypatch.setattr(units, "install", lambda _: None)
    monkeypatch.setattr(deliberate, "status", lambda *_: {"done": False})
    (tmp_path / "units" / "multi-user.target.wants").mkdir(parents=True)
    made = job.Job.create(str(tmp_path / "studies"), job.Plan("studies", "in_place", "/srv/images"))
    made.record("prepared")
    return tmp_path / "studies"


def host(folder: Path, cut_at: str = "") -> Any:
    """Return a host for a job's folder."""
    return Host(folder.parent / "units" / "multi-user.target.wants", folder / "armed", cut_at)


@pytest.mark.parametrize("cut_at", ["daemon-reload", "enable", "start"])
def test_whenever_the_power_goes_an_armed_job_is_enabled(folder: Path, cut_at: str) -> None:
    cut = host(folder, cut_at)
    with pytest.raises(CutError):
        deliberate.start(cut, "studies", {})
    assert not cut.armed.exists() or (cut.wants / UNIT).exists()
    again = host(folder)
    deliberate.start(again, "studies", {})
    assert again.armed.exists() and "start" in again.asked


def test_started_again_it_forgets_what_it_waited_for_a_person_for(folder: Path) -> None:
    path = cli.progress_path("studies")
    records.write_json(path, {"sentence": "The device is gone", "failed": True})
    deliberate.start(host(folder), "studies", {})
    assert records.read_json(path) is None


def test_started_again_it_keeps_saying_how_far_it_is(folder: Path) -> None:
    path = cli.progress_path("studies")
    records.write_json(path, {"sentence": "half", "failed": False})
    deliberate.start(host(folder), "studies", {})
    assert records.read_json(path) == {"sentence": "half", "failed": False}


def test_a_job_that_ended_between_the_look_and_the_start_is_left_alone(folder: Path) -> None:
    job.Job(str(folder)).record("done")
    ended = host(folder)
    ended.must = lambda command: ended.asked.append(command[1]) or b""
    deliberate.start(ended, "studies", {})
    assert ended.asked == ["start"], "its condition keeps the unit from running"
    assert not ended.armed.exists()
