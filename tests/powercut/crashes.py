# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What may be on the disks after the power went: states drawn from the log of a run.

A disk may lose, reorder and tear what was written since its last flush; what was flushed is there. Each disk has a
write cache of its own. An operation is a point in the log; the state is drawn for that point:

    prefix   everything before it is there
    lost     nothing that was not flushed is there, on all disks or on one of them
    torn     as prefix, and the write at that point is there in part: its begin, its end, or some of its sectors
    random   each write that was not flushed is there, or not, or in part
    dropped  exactly one write that was not flushed is not there

Two more are aimed, at the places where careless procedures lose:

    stale    on the system disk the largest write that was not flushed is not there: a journal whose header came first
    behind   on the data disk nothing that was not flushed is there: data whose header came first
"""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections.abc import Mapping, Sequence

from disks import Operation

KINDS = ("prefix", "lost", "torn", "random", "dropped")


@dataclasses.dataclass(frozen=True)
class Cut:
    """A power cut, so that it can be drawn again."""

    kind: str
    operation: int
    seed: int

    def __str__(self) -> str:
        """Return it in one word, as `--only` takes it."""
        return f"{self.kind}:{self.operation}:{self.seed}"


def writes(log: Sequence[Operation], disk: str) -> list[int]:
    """Return the places of the writes to a disk."""
    return [place for place, each in enumerate(log) if len(each) == 3 and each[0] == disk]


def next_flush(log: Sequence[Operation], disk: str, begin: int = 0) -> int:
    """Return the place of the first flush that follows a write to a disk, or the log's end."""
    written = False
    for place in range(begin, len(log)):
        if log[place][0] == disk:
            if written and len(log[place]) == 1:
                return place
            written = True
    return len(log)


def after_large(log: Sequence[Operation], disk: str, size: int) -> list[int]:
    """Return the places of the writes to a disk that are smaller than `size` bytes and follow one that is not."""
    lengths = {place: len(log[place][-1]) for place in writes(log, disk)}
    return [here for former, here in itertools.pairwise(lengths) if lengths[here] < size <= lengths[former]]


Stages = Sequence[tuple[str, int]]
"""Stages of a procedure, in their order, each with the number of operations in the log when it was recorded."""
WEIGHTS = {"encrypted": 8, "copied": 3, "proven": 2, "moved": 8, "switched": 2}
"""How often a cut falls into the way to a stage, relative to the others (1): most writes of a run are records."""


def draw(chance: random.Random, operations: int, stages: Stages = ()) -> Cut:
    """Return a cut somewhere in a log of so many operations: in a stage, then anywhere in it."""
    begin, spans, weights = 0, [], []
    for stage, end in [*stages, ("", operations)]:
        spans.append((begin, end))
        weights.append(WEIGHTS.get(stage, 1) if end > begin or not spans else 0)
        begin = end
    first, last = chance.choices(spans, weights)[0] if any(weights) else (0, operations)
    return Cut(chance.choice(KINDS), chance.randint(first, last), chance.randrange(1 << 30))


Kept = list[tuple[int, list[tuple[int, int]]]]
"""Places in the log of the writes that reached their disk, and which ranges of their content did."""


def kept(cut: Cut, log: Sequence[Operation]) -> Kept:
    """Return what of a log is on the disks after the cut. Equal results are equal states."""
    chance = random.Random(cut.seed)
    before = list(log[: cut.operation])
    whole = {place: [(0, len(each[2]))] for place, each in enumerate(before) if len(each) == 3}
    loose = _not_flushed(before)
    if cut.kind == "torn" and cut.operation < len(log):
        whole[cut.operation] = _torn(log[cut.operation], chance)
    elif cut.kind == "lost":
        only = chance.choice([None, *sorted({before[place][0] for place in loose})])
        for place in loose:
            if only is None or before[place][0] == only:
                del whole[place]
    elif cut.kind == "dropped" and loose:
        del whole[chance.choice(loose)]
    elif cut.kind == "stale":
        records = [place for place in loose if before[place][0] == "system"]
        if records:
            del whole[max(records, key=lambda place: len(before[place][-1]))]
    elif cut.kind == "behind":
        for place in loose:
            if before[place][0] == "data":
                del whole[place]
    elif cut.kind == "random":
        for place in loose:
            if chance.random() < 0.5:
                whole[place] = []
            elif chance.random() < 0.3:
                whole[place] = _torn(log[place], chance)
    return [(place, _merged(parts)) for place, parts in whole.items() if parts]


def state(reached: Kept, images: Mapping[str, bytes], log: Sequence[Operation]) -> dict[str, bytearray]:
    """Return what each disk holds after a cut; `images` is what they held before the log began."""
    result = {disk: bytearray(image) for disk, image in images.items()}
    for place, parts in reached:
        operation = log[place]
        if len(operation) == 3:
            disk, offset, content = operation
            for begin, end in parts:
                result[disk][offset + begin : offset + end] = content[begin:end]
    return result


def _merged(parts: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join ranges that touch."""
    merged: list[tuple[int, int]] = []
    for begin, end in parts:
        if merged and merged[-1][1] == begin:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((begin, end))
    return merged


def _not_flushed(before: Sequence[Operation]) -> list[int]:
    """Return the places of the writes after which their disk was not flushed."""
    loose: list[int] = []
    flushed: set[str] = set()
    for place in range(len(before) - 1, -1, -1):
        operation = before[place]
        if len(operation) == 1:
            flushed.add(operation[0])
        elif operation[0] not in flushed:
            loose.append(place)
    return loose[::-1]


def _torn(operation: Operation, chance: random.Random) -> list[tuple[int, int]]:
    """Return the parts of a write that reached the disk: whole sectors of 512 or 4096 bytes."""
    if len(operation) == 1:
        return []
    offset, content = operation[1:]
    unit = chance.choice((512, 4096))
    first = -offset % unit
    borders = [0, *range(first or unit, len(content), unit), len(content)]
    sectors = list(itertools.pairwise(borders))
    how = chance.choice(("begin", "end", "some"))
    if how == "begin":
        return sectors[: chance.randrange(len(sectors) + 1)]
    if how == "end":
        return sectors[chance.randrange(len(sectors) + 1) :]
    return [sector for sector in sectors if chance.random() < 0.5]
