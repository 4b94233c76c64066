# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the simulator takes for possible after a power cut, on logs short enough to count by hand."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

SIMULATOR = Path(__file__).resolve().parents[3] / "tests" / "powercut"
ONE, TWO, THREE, FOUR = (bytes([each]) * 8192 for each in (1, 2, 3, 4))
LOG = [
    ("data", 0, ONE),
    ("data",),
    ("data", 8192, TWO),
    ("system", 0, THREE),
    ("data", 16384, FOUR),
    ("system",),
    ("data",),
]
EMPTY = {"data": bytes(24576), "system": bytes(8192)}
WHOLE = [(0, 8192)]


@pytest.fixture
def crashes(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(sys, "path", [str(SIMULATOR), *sys.path])
    import crashes

    return crashes


def kept(crashes: ModuleType, kind: str, operation: int, seed: int = 0) -> dict[int, list[tuple[int, int]]]:
    return dict(crashes.kept(crashes.Cut(kind, operation, seed), LOG))


def test_prefix_keeps_every_write_before_it_and_none_after(crashes: ModuleType) -> None:
    assert kept(crashes, "prefix", 0) == {}
    assert kept(crashes, "prefix", 4) == {0: WHOLE, 2: WHOLE, 3: WHOLE}
    assert kept(crashes, "prefix", 7) == {0: WHOLE, 2: WHOLE, 3: WHOLE, 4: WHOLE}


def test_lost_loses_what_was_not_flushed_on_one_disk_or_on_all(crashes: ModuleType) -> None:
    found = [kept(crashes, "lost", 5, seed) for seed in range(40)]
    assert all(each[0] == WHOLE for each in found), "a flushed write was lost"
    assert {frozenset(each) for each in found} == {frozenset({0}), frozenset({0, 3}), frozenset({0, 2, 4})}


def test_a_flush_holds_for_its_own_disk_only(crashes: ModuleType) -> None:
    assert all(3 in kept(crashes, "lost", 6, seed) for seed in range(40))
    assert any(2 not in kept(crashes, "lost", 6, seed) for seed in range(40))
    assert all(kept(crashes, kind, 7) == kept(crashes, "prefix", 7) for kind in ("lost", "dropped", "random"))


def test_dropped_loses_exactly_one_write_that_was_not_flushed(crashes: ModuleType) -> None:
    found = [set(kept(crashes, "dropped", 5, seed)) for seed in range(60)]
    assert {frozenset({0, 2, 3, 4} - each) for each in found} == {frozenset({2}), frozenset({3}), frozenset({4})}


def test_torn_keeps_whole_sectors_of_the_write_at_its_point_only(crashes: ModuleType) -> None:
    partial = 0
    for seed in range(200):
        found = kept(crashes, "torn", 2, seed)
        parts = found.pop(2, [])
        assert found == {0: WHOLE}
        assert all(border % 512 == 0 for part in parts for border in part)
        partial += parts not in ([], WHOLE)
    assert partial > 100


def test_torn_sectors_are_the_disks_not_the_writes(crashes: ModuleType) -> None:
    log = [("data", 256, bytes(2048))]
    borders = {
        border
        for seed in range(200)
        for _place, parts in crashes.kept(crashes.Cut("torn", 0, seed), log)
        for part in parts
        for border in part
    }
    assert {(256 + border) % 512 for border in borders - {0, 2048}} == {0}


def test_torn_at_a_flush_or_at_the_end_is_what_came_before(crashes: ModuleType) -> None:
    assert kept(crashes, "torn", 1) == kept(crashes, "prefix", 1)
    assert kept(crashes, "torn", 7) == kept(crashes, "prefix", 7)


def test_random_never_loses_a_flushed_write_and_reaches_every_subset(crashes: ModuleType) -> None:
    found = [kept(crashes, "random", 5, seed) for seed in range(400)]
    assert all(each[0] == WHOLE for each in found)
    assert len({frozenset(each) for each in found}) == 8
    assert any(parts != WHOLE for each in found for parts in each.values())


def test_a_state_is_what_was_before_with_the_kept_parts_in_their_order(crashes: ModuleType) -> None:
    log = [("data", 0, ONE), ("data", 4096, TWO), ("data",)]
    found = crashes.state([(0, [(0, 8192)]), (1, [(512, 1024)])], EMPTY, log)
    assert found["data"] == ONE[:4608] + TWO[:512] + ONE[:3072] + bytes(16384)
    assert found["system"] == bytes(8192)
    assert EMPTY["data"] == bytes(24576), "the state before was written to"


def test_a_cut_is_the_same_each_time_and_reads_back_from_its_word(crashes: ModuleType) -> None:
    cut = crashes.draw(random.Random(5), len(LOG))
    kind, operation, seed = str(cut).split(":")
    assert crashes.Cut(kind, int(operation), int(seed)) == cut
    assert crashes.kept(cut, LOG) == crashes.kept(cut, LOG)


def test_drawn_cuts_reach_every_kind_and_every_stage_the_heavier_ones_oftener(crashes: ModuleType) -> None:
    chance, stages = random.Random(1), [("prepared", 900), ("encrypted", 950), ("done", 1000)]
    cuts: list[Any] = [crashes.draw(chance, 1010, stages) for _draw in range(2000)]
    assert {each.kind for each in cuts} == set(crashes.KINDS)
    assert all(0 <= each.operation <= 1010 for each in cuts)
    prepared = sum(each.operation < 900 for each in cuts)
    encrypted = sum(900 < each.operation < 950 for each in cuts)
    assert 50 < prepared < encrypted / 4
    assert any(each.operation > 1000 for each in cuts)


def test_a_recovery_without_operations_can_be_cut(crashes: ModuleType) -> None:
    assert crashes.draw(random.Random(1), 0).operation == 0
    assert crashes.draw(random.Random(1), 0, [("done", 0)]).operation == 0
