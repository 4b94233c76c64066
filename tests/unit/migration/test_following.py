# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The terminal follows a job through power cuts, and leaves a slow host its time."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible_collections.radiology.hardening.plugins.action import encrypt_storage
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError

RUNS = {"done": False, "stopped": False, "stage": "stopped", "sentence": "half", "device": "/dev/vdb1"}


class Connection:
    """Counts how often it was set up anew."""

    resets = 0

    def reset(self) -> None:
        self.resets += 1


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let no time pass but what a look takes: twelve seconds."""
    paused: list[float] = []
    clock = iter(range(0, 10_000, 12))
    monkeypatch.setattr(encrypt_storage.time, "sleep", paused.append)
    monkeypatch.setattr(encrypt_storage.time, "monotonic", lambda: next(clock))
    return paused


def action(answers: list[Any]) -> Any:
    """Return the action, its host's answers given beforehand."""
    made = object.__new__(encrypt_storage.ActionModule)
    made.host, made.took, made._connection = "pacs", 0.0, Connection()
    made._task = SimpleNamespace(args={"name": "studies", "confirm": "NEW"})
    following: Iterator[Any] = iter(answers)

    def call(_name: str, **_arguments: Any) -> Any:
        answer = next(following)
        if isinstance(answer, Exception):
            raise answer
        return answer

    made.call = call
    return made


def test_a_slow_host_is_left_alone_and_one_that_is_away_is_waited_for(slept: list[float]) -> None:
    followed = action([RUNS, AnsibleConnectionFailure("away"), RUNS, {**RUNS, "done": True}])
    assert followed.follow(dict(RUNS))["done"]
    assert slept == [5.0, 36.0, 36.0, 36.0]
    assert followed._connection.resets == 1


def test_a_job_that_waits_for_a_person_ends_it_with_its_sentence(slept: list[float]) -> None:
    with pytest.raises(HardeningError, match="pacs stopped at stopped: The device is gone"):
        action([{**RUNS, "stopped": True, "sentence": "The device is gone"}]).follow(dict(RUNS))
    assert slept


def test_a_host_that_is_lost_while_the_job_starts_is_asked_again(slept: list[float]) -> None:
    starting = action([AnsibleConnectionFailure("cut"), AnsibleConnectionFailure("still booting"), RUNS])
    assert starting.start({"digest": "0"}) == RUNS
    assert starting._connection.resets == 2
