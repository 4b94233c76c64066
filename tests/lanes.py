# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Do some work several at a time, of each kind no more at once than it bears."""

from __future__ import annotations

import collections
import concurrent.futures
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

Work, Verdict = TypeVar("Work"), TypeVar("Verdict")


def done(
    works: Sequence[Work],
    do: Callable[[Work], Verdict],
    kind: Callable[[Work], str],
    most: Mapping[str, int],
    workers: int,
) -> list[Verdict]:
    """Do each, the first of those that may begin whenever a worker is free, and return what came of them, in order.

    `most` tells of a kind how many may be under way at a time; a kind that is not in it has no bound of its own.
    """
    waiting, under_way = list(range(len(works))), collections.Counter[str]()
    verdicts: dict[int, Verdict] = {}
    changed = threading.Condition()

    def next_one() -> int | None:
        """Return what is to be done next, once it may begin; None when nothing is left."""
        with changed:
            while waiting:
                for number in waiting:
                    its = kind(works[number])
                    if under_way[its] < most.get(its, workers):
                        waiting.remove(number)
                        under_way[its] += 1
                        return number
                changed.wait()
            return None

    def work() -> None:
        while (number := next_one()) is not None:
            try:
                verdicts[number] = do(works[number])
            finally:
                with changed:
                    under_way[kind(works[number])] -= 1
                    changed.notify_all()

    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        for worker in [pool.submit(work) for _number in range(workers)]:
            worker.result()
    return [verdicts[number] for number in range(len(works))]
