# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The stages of `make test` share the machine, and each kind has what it needs to itself."""

from __future__ import annotations

import collections
import importlib.util
import sys
import threading
from pathlib import Path
from types import ModuleType

import pytest

TESTS = Path(__file__).resolve().parents[2]
PATIENCE = 60


def load(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(sys, "path", [str(TESTS), *sys.path])
    spec = importlib.util.spec_from_file_location(f"make_test_{name}", TESTS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def lanes(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return load("lanes", monkeypatch)


def test_no_kind_has_more_under_way_than_it_bears(lanes: ModuleType) -> None:
    counting, now, most = threading.Lock(), collections.Counter[str](), collections.Counter[str]()

    def do(work: str) -> str:
        with counting:
            now.update([work[0], "all"])
            most.update({each: max(0, now[each] - most[each]) for each in now})
        threading.Event().wait(0.002)
        with counting:
            now.subtract([work[0], "all"])
        return work.upper()

    works = [f"{kind}{number}" for number in range(20) for kind in "dha"]
    assert lanes.done(works, do, lambda work: work[0], {"d": 1, "h": 2}, 3) == [work.upper() for work in works]
    assert most["d"] == 1 and most["h"] <= 2 and most["all"] <= 3


def test_what_may_begin_does_not_wait_behind_what_may_not(lanes: ModuleType) -> None:
    came = threading.Event()

    def do(work: str) -> bool:
        if work == "alone":
            came.set()
        return came.wait(PATIENCE)

    assert lanes.done(["d1", "d2", "alone"], do, lambda work: work[0], {"d": 1}, 2) == [True, True, True]


def test_what_goes_wrong_is_raised_when_the_others_are_done(lanes: ModuleType) -> None:
    did: list[int] = []

    def do(work: int) -> None:
        if work == 0:
            raise ValueError("no such file")
        did.append(work)

    with pytest.raises(ValueError, match="no such file"):
        lanes.done(range(6), do, lambda work: "", {"": 1}, 2)
    assert did == [1, 2, 3, 4, 5]


def test_every_stage_has_a_kind_and_no_name_of_a_kind_is_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = load("run", monkeypatch)
    names = {stage.name.removesuffix("-newest") for stage in runner.stages()}
    assert {*runner.DISKS, *runner.ALONE} <= names
    kinds = collections.Counter(stage.kind for stage in runner.stages())
    assert kinds["disks"] == len(runner.DISKS) and kinds["hosts"] >= 20
