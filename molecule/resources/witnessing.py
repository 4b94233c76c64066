# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run what a witness has to see at both practices, and tell each check as it ends."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from lab import Lab
from story import Practice
from topology import TOPOLOGY

Check = tuple[str, object, object]
"""What was tried, what came of it, what has to come of it."""
Look = Callable[[Practice, Path], Iterator[Check]]
"""Takes a practice, and its clinic's folder on the controller."""
LISTENING = "for _ in {1..60}; do ss -Hltn src %s | grep -q . && exit; sleep 1; done; exit 1"
"""Waits in bash until somebody on this host listens at an address and TCP port; `:PORT` is that of any address."""
Case, Seen = TypeVar("Case"), TypeVar("Seen")


def witness(looks: Mapping[str, Look], when: str, lab: str, inventory: str) -> int:
    """Run the checks of a moment (`before`, `after`) at both practices, side by side; 0 when all of them hold."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        told = pool.map(lambda clinic: _tell(looks[when], Practice(Lab(lab), clinic), inventory), TOPOLOGY.clinics)
    verdicts = [verdict for practice in told for verdict in practice]
    print(f"{verdicts.count(True)} passed, {verdicts.count(False)} failed")
    return 0 if verdicts and all(verdicts) else 1


def side_by_side(do: Callable[[Case], Seen], cases: Sequence[Case], at_once: int = 8) -> dict[Case, Seen]:
    """Return what came of each case, tried at the same time: who is not answered waits, and most are not to be."""
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        return dict(zip(cases, pool.map(do, cases), strict=True))


def _tell(look: Look, practice: Practice, inventory: str) -> list[bool]:
    verdicts = []
    for what, observed, expected in look(practice, Path(inventory) / practice.clinic):
        holds = observed == expected
        verdicts.append(holds)
        more = "" if holds else f": {observed!r} instead of {expected!r}"
        print(f"{'passed' if holds else 'FAILED'}  {practice.clinic}: {what}{more}", flush=True)
    return verdicts
