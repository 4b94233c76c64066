# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A job's records, where the power went while it was being made."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.migration import engine, records, unlock
from ansible_collections.radiology.hardening.plugins.module_utils.migration.job import Job, Plan
from ansible_collections.radiology.hardening.plugins.module_utils.migration.machine import Machine

PLAN = Plan("studies", "container", "/srv/studies", container="/srv/studies.luks", container_size=1 << 20)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(records, "synchronous_folder", lambda path: Path(path).mkdir(exist_ok=True))
    return str(tmp_path / "studies")


def test_a_job_cut_before_its_first_stage_was_recorded_stands_at_the_first(folder: str) -> None:
    Job.create(folder, PLAN)
    Path(folder, "stage.json").unlink()
    found = Job(folder)
    assert found.stage == engine.strategy_of(found, Machine(), b"", str).STAGES[0]
    assert not unlock.openable(found, Machine()), "a volume that was never made is opened"


def test_such_a_job_can_be_made_again_one_that_has_begun_cannot(folder: str) -> None:
    Job.create(folder, PLAN)
    Path(folder, "stage.json").unlink()
    Job.create(folder, PLAN).record("claimed")
    with pytest.raises(HardeningError, match="holds a job already"):
        Job.create(folder, PLAN)
