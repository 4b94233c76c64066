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


def draw(chance: random.Random, operations: int) -> Cut:
    """Return a cut somewhere in a log of so many operations."""
    return Cut(chance.choice(KINDS), chance.randrange(operations + 1), chance.randrange(1 << 30))


def state(cut: Cut, images: Mapping[str, bytes], log: Sequence[Operation]) -> dict[str, bytearray]:
    """Return what each disk holds after the cut; `images` is what they held before the log began."""
    chance = random.Random(cut.seed)
    kept = _kept(cut, log, chance)
    result = {disk: bytearray(image) for disk, image in images.items()}
    for operation, part in kept:
        if len(operation) == 3:
            disk, offset, content = operation
            for begin, end in part:
                result[disk][offset + begin : offset + end] = content[begin:end]
    return result


Kept = tuple[Operation, list[tuple[int, int]]]
"""An operation, and the ranges of its content that reached the disk."""


def _kept(cut: Cut, log: Sequence[Operation], chance: random.Random) -> list[Kept]:
    before = list(log[: cut.operation])
    whole = [(each, _all(each)) for each in before]
    if cut.kind == "prefix":
        return whole
    if cut.kind == "torn":
        following = log[cut.operation] if cut.operation < len(log) else None
        return [*whole, (following, _torn(following, chance))] if following is not None else whole
    loose = _not_flushed(before)
    if cut.kind == "lost":
        disks = sorted({before[place][0] for place in loose})
        only = chance.choice([None, *disks])
        gone = {place for place in loose if only is None or before[place][0] == only}
        return [each for place, each in enumerate(whole) if place not in gone]
    if cut.kind == "dropped":
        gone = {chance.choice(loose)} if loose else set()
        return [each for place, each in enumerate(whole) if place not in gone]
    kept: list[Kept] = []
    loose_places = set(loose)
    for place, each in enumerate(whole):
        if place not in loose_places:
            kept.append(each)
        elif chance.random() < 0.5:
            kept.append((each[0], _torn(each[0], chance)) if chance.random() < 0.3 else each)
    return kept


def _all(operation: Operation) -> list[tuple[int, int]]:
    return [(0, len(operation[2]))] if len(operation) == 3 else []


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
    _, offset, content = operation
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
