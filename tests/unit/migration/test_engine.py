# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Preparing a job again: after a cut, and after a restart that took a key which only the memory held."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils.migration import cli, engine, escrow, luks, records
from ansible_collections.radiology.hardening.plugins.module_utils.migration.job import Job, Plan
from ansible_collections.radiology.hardening.plugins.module_utils.migration.machine import Machine
from ansible_collections.radiology.hardening.plugins.module_utils.migration.new_volume import Copy

PLAN = Plan("studies", "container", "/srv/studies", container="/srv/studies.luks", container_size=1 << 20)


@pytest.fixture
def done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was done; a volume is opened by the key that was last `formatted` with."""
    monkeypatch.setattr(records, "synchronous_folder", lambda path: Path(path).mkdir(exist_ok=True))
    calls: list[str] = []
    made: list[bytes] = []

    def formatted(strategy: Copy) -> None:
        calls.append("formatted")
        made.append(strategy.key)

    monkeypatch.setattr(Copy, "reach_claimed", lambda _: calls.append("claimed"))
    monkeypatch.setattr(Copy, "reach_formatted", formatted)
    monkeypatch.setattr(luks, "opens", lambda _machine, header, key: header == PLAN.container and key == made[-1])
    return calls


def prepare(tmp_path: Path, key: bytes) -> Job:
    folder = str(tmp_path / "studies")
    if not (tmp_path / "studies").exists():
        Job.create(folder, PLAN)
    engine.prepare(folder, Machine(), key, str)
    return Job(folder)


def test_preparing_ends_before_an_image_is_touched_and_is_done_once(tmp_path: Path, done: list[str]) -> None:
    assert prepare(tmp_path, b"one").stage == "formatted"
    assert prepare(tmp_path, b"one").stage == "formatted"
    assert done == ["claimed", "formatted"]


def test_a_header_that_the_escrowed_key_does_not_open_is_made_anew(tmp_path: Path, done: list[str]) -> None:
    prepare(tmp_path, b"lost with a restart")
    assert prepare(tmp_path, b"two").stage == "formatted"
    assert done == ["claimed", "formatted", "formatted"]


@pytest.mark.parametrize("stage", ["copied", "proven", "done"])
def test_nothing_is_made_anew_once_it_protects_something(tmp_path: Path, done: list[str], stage: str) -> None:
    prepare(tmp_path, b"one").record(stage)
    assert prepare(tmp_path, b"two").stage == stage
    assert done == ["claimed", "formatted"]


def test_a_unit_cut_after_its_job_s_end_asks_for_no_key_and_disarms(
    tmp_path: Path, done: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(tmp_path, b"one").record("done")
    armed = tmp_path / "studies" / "armed"
    armed.touch()
    monkeypatch.setattr(escrow, "in_memory", lambda folder: f"{folder}/key")
    monkeypatch.setattr(cli, "_asked", lambda *_: pytest.fail("a person was asked for the key of a job that is over"))
    assert cli.run(str(tmp_path / "studies")) == 0
    assert not armed.exists()
