# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Harden servers under trouble: nothing may be lost, and the next run has to converge.

    run.py [--seed N] [--only REGEX] [--release bookworm|trixie]

Two servers, of Debian 12 and 13, meet their troubles side by side, each in a lab of its own; `--only` chooses by name.
The moments at which runs are killed are drawn from the seed, which is printed: with it a case can be repeated. The
last line is `N troubles: N hosts lost, N runs not converged, N services down longer than their former state`.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import os
import re
import secrets
import signal
import sys
import time
from pathlib import Path
from typing import NoReturn

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "molecule" / "resources")]

import daemons
import hosts
import kills
from case import Case, Verdict, meet
from place import CLINICS, ROOT, Place


def cases(number: int, only: str) -> list[Case]:
    """Return the cases of one server: first those that find it as the practice left it."""
    listed = [case for case in kills.cases() if kills.mine(case, number)]
    listed += hosts.cases()
    chosen = [case for case in listed if re.search(only, case.name)]
    return sorted(chosen, key=lambda case: case.on_hardened)


def walk(number: int, only: str, seed: int) -> list[Verdict]:
    """Let one server meet its cases, one after another, and tell each as it ends."""
    place = Place(number)
    verdicts = []
    try:
        for case in cases(number, only):
            try:
                verdicts.append(meet(case, place, seed))
            except (Exception, SystemExit) as error:
                verdicts.append(Verdict(case.name, place.release, unsaid=f"the test itself broke off: {error!r}"))
                place.hardened = False
            print(verdicts[-1].line(), flush=True)
        for verdict in daemons.walk(place, only):
            verdicts.append(verdict)
            print(verdict.line(), flush=True)
    finally:
        place.remove()
    return verdicts


def broken_off(numbers: list[int]) -> NoReturn:
    """Leave nothing behind, and wait for no run."""
    for number in numbers:
        Place(number).remove()
    os._exit(130)


def main() -> int:
    """Meet the cases; 0 when nothing was lost, everything converged, and all was said."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    parser.add_argument("--only", default="", help="regular expression on the names of the cases")
    parser.add_argument("--release", choices=["bookworm", "trixie"])
    given = parser.parse_args()
    numbers = [number for number in CLINICS if given.release in (None, Place(number).release)]
    bad = [each.name for each in daemons.known() if re.search(given.only, each.name)]
    if not bad and not any(cases(number, given.only) for number in numbers):
        print(f"No trouble's name matches {given.only!r}.")
        return 2
    print(f"seed {given.seed}", flush=True)
    began = time.monotonic()
    pool = concurrent.futures.ThreadPoolExecutor()
    walked = [pool.submit(walk, number, given.only, given.seed) for number in numbers]
    try:
        verdicts = [verdict for one in walked for verdict in one.result()]
    except KeyboardInterrupt:
        broken_off(numbers)
    for verdict in verdicts:
        if not verdict.good:
            print(
                f"repeat it: {os.path.relpath(__file__, ROOT)} --seed {given.seed} --only '^{verdict.name}$' "
                f"--release {verdict.release}"
            )
    unsaid = sum(bool(verdict.unsaid) for verdict in verdicts)
    print(f"{len(verdicts)} met in {time.monotonic() - began:.0f} s, {unsaid} without one clear sentence")
    print(
        f"{len(verdicts)} troubles: {sum(verdict.lost for verdict in verdicts)} hosts lost, "
        f"{sum(not verdict.converged for verdict in verdicts)} runs not converged, "
        f"{sum(len(verdict.down) for verdict in verdicts)} services down longer than their former state"
    )
    return 0 if all(verdict.good for verdict in verdicts) else 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does: nothing stays behind
    sys.exit(main())
