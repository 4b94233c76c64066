# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Cut the power at every kind of moment, let the machine boot and go on, and count the images that are lost.

    run.py [--scene in_place|volume|roomy|tight|wiped|stock]... [--release bookworm|trixie]... [--cuts N]
           [--seconds S] [--seed S] [--processes P] [--short]
    run.py --scene tight --release trixie --only KIND:OPERATION:SEED[/KIND:OPERATION:SEED] --seed S

A case is a first cut in the procedure, a recovery, and for every second case a second cut in that recovery. No state
of the disks is counted twice. The last line is `N power cuts, 0 images lost`. Scene `wiped` is the retirement of the
copy in clear. Scene `stock` are cryptsetup's own commands: there images have to be lost. The first cases of some scenes
are aimed, see AIMED. Encryption under running programs needs a device-mapper, and is cut by the machine tests instead.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import hashlib
import multiprocessing
import os
import random
import sys
import time
from collections.abc import Iterable, Iterator, Mapping

import judge
import release as releases
from crashes import Cut, Kept, after_large, draw, kept, next_flush, state, writes
from disks import Disks, die_with_parent, own_mounts
from places import DISKS, boot, lay
from simulated import Ours
from stock import Stock

LONG = {"in_place": 1050, "volume": 260, "roomy": 140, "tight": 140, "wiped": 40, "stock": 60}
"""Cuts for each scene and release."""
SHORT = {"in_place": 36, "volume": 8, "roomy": 6, "tight": 10, "wiped": 4, "stock": 16}
AIMED = {"in_place": 12, "stock": 3}
"""Cases of each scene that are not drawn. Of `stock`: after the last byte of the data, where it is known to lose. Of
`in_place`, at moments spread over the encryption, by turns: a journal that came later than the header that names it;
and a chunk that was cut, its replay cut too before the device was flushed. Drawn cases find these moments too seldom."""
JOURNAL = 64 << 10
"""Bytes of a write to the system disk from which on it is the journal's, and below which it is the header's."""
AT_ONCE = 270
"""Cuts that one process makes at most, so that the last ones end at about the same time."""
Job = tuple[str, str, int, int, float, int]
"""Scene, release, seed, cuts, seconds, and the number of this process among those of the scene and release."""


@dataclasses.dataclass
class Tally:
    """What came of a scene on a release."""

    scene: str
    release: str
    cases: dict[str, int] = dataclasses.field(default_factory=dict)
    """For each case, by what was on the disks after its cuts, how many cuts it had."""
    lost: dict[str, int] = dataclasses.field(default_factory=dict)
    """For each case that lost images, how many."""

    @property
    def cuts(self) -> int:
        """All power cuts."""
        return sum(self.cases.values())

    @property
    def images(self) -> int:
        """All images lost."""
        return sum(self.lost.values())

    def __str__(self) -> str:
        """Return a line for people."""
        cases = f", in {len(self.lost)} of {len(self.cases)} cases" if self.lost else ""
        return f"{self.scene:9} {self.release:9} {self.cuts:5} power cuts, {self.images} images lost{cases}"


class Stage:
    """A scene on a release: recorded once, then cut again and again."""

    def __init__(self, name: str, release: str, seed: int) -> None:
        """Lay the scene's disks and record a whole run on them."""
        own_mounts()
        self.name, self.release, self.seed = name, release, seed
        self.cryptsetup = releases.cryptsetup(release)
        self.disks = Disks(DISKS[name])
        self.procedure = (Stock if name == "stock" else Ours)(name, self.disks, self.cryptsetup)
        lay(self.disks, DISKS[name])
        self.procedure.begin()
        self.start = self.disks.images()
        self.stopped = self.go_on(self.start)
        self.log, self.reached = self.disks.log(), self.reached_now
        found = self.judged()
        assert not found, f"{name}: lost without any cut: {found[0]} {self.stopped}"

    def go_on(self, images: Mapping[str, bytes | bytearray]) -> str:
        """Boot with these disks and go on to the end; return what stopped that, or nothing."""
        self.disks.load(images)
        self.reached_now: list[tuple[str, int]] = []
        try:
            boot(self.disks)
            self.procedure.go_on(lambda stage: self.reached_now.append((stage, self.disks.count())))
        except Exception as error:  # whatever stops a recovery, the judge sees what is left
            return repr(error)
        return ""

    def judged(self) -> list[str]:
        """Shut down in order, and return what is lost now."""
        self.procedure.shut_down()
        try:
            return judge.lost(self.name, self.disks, self.cryptsetup, self.procedure.header)
        finally:
            self.procedure.shut_down()

    def case(self, number: int, seen: Iterable[str], only: list[Cut] | None = None) -> tuple[str, list[Cut], list[str]]:
        """Play a case that was not seen; return its key, its cuts, and what is lost and why."""
        chance = random.Random(f"{self.seed} {self.name} {self.release} {number}")
        aimed = not only and number < AIMED.get(self.name, 0)
        twice = len(only) > 1 if only else number % 2 == 1 and not (aimed and self.name == "stock")
        for _attempt in range(50):
            drawn = self.aim(number) if aimed else draw(chance, len(self.log), self.reached)
            first = only[0] if only else drawn
            reached = kept(first, self.log)
            if twice or key_of(reached) not in seen:
                break
        after_first = state(reached, self.start, self.log)
        stopped, cuts, key = self.go_on(after_first), [first], key_of(reached)
        if twice:
            log = self.disks.log()
            if aimed:
                second = Cut("behind", next_flush(log, "data"), 0)
            else:
                second = only[1] if only else draw(chance, len(log), self.reached_now)
            self.procedure.shut_down()
            reached = kept(second, log)
            stopped = self.go_on(state(reached, after_first, log))
            cuts.append(second)
            key += key_of(reached)
        found = self.judged()
        return key, cuts, [*found, stopped] if found else []

    def aim(self, number: int) -> Cut:
        """Return the first cut of an aimed case, see AIMED."""
        data = writes(self.log, "data")
        if self.name == "stock":
            return Cut("prefix", data[-1] + (len(self.log) - data[-1]) * (number + 1) // 4, 0)
        ends = dict(self.reached)
        places = data if number % 2 else after_large(self.log, "system", JOURNAL)
        places = [place for place in places if ends["stopped"] <= place < ends["encrypted"]]
        place = places[len(places) * (2 * number + 1) // (2 * AIMED[self.name])]
        return Cut("torn", place, number) if number % 2 else Cut("stale", next_flush(self.log, "system", place), 0)


def key_of(reached: Kept) -> str:
    """Return what stands for a state of the disks."""
    return hashlib.sha256(repr(reached).encode()).hexdigest()[:20]


def play(job: Job) -> Tally:
    """Play cases of a scene on a release until there were enough cuts, or the time is over. One process each."""
    die_with_parent()
    name, release, seed, wanted, seconds, worker = job
    tally = Tally(name, release)
    stage = Stage(name, release, seed)
    try:
        until, told = time.monotonic() + seconds, time.monotonic()
        for number in range(worker << 20, (worker << 20) + 4 * wanted):
            if tally.cuts >= wanted or time.monotonic() > until:
                break
            key, cuts, found = stage.case(number, tally.cases)
            tally.cases[key] = len(cuts)
            if found:
                tally.lost[key] = len(found) - 1
            if found and name != "stock":
                only = "/".join(map(str, cuts))
                print(
                    f"  LOST: --scene {name} --release {release} --seed {seed} --only {only}",
                    found[0],
                    found[-1],
                    flush=True,
                )
            if time.monotonic() - told > 60:
                told = time.monotonic()
                print(f"  under way: {tally}", flush=True)
    finally:
        stage.disks.close()
    return tally


def jobs(given: argparse.Namespace) -> Iterator[Job]:
    """Yield what the processes play."""
    for name in given.scene or DISKS:
        for release in given.release or releases.RELEASES:
            wanted = given.cuts or (SHORT if given.short else LONG)[name]
            parts = -(-wanted // AT_ONCE)
            for worker in range(parts):
                yield name, release, given.seed, -(-wanted // parts), given.seconds, worker


def main() -> int:
    """Play what the command line asks for; 1 when a procedure of ours lost an image, or the stock one none."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scene", choices=list(DISKS), action="append")
    parser.add_argument("--release", choices=releases.RELEASES, action="append")
    parser.add_argument("--cuts", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=5400.0)
    parser.add_argument("--seed", type=int, default=20261124)
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    for release in given.release or releases.RELEASES:
        releases.cryptsetup(release)
    if given.only:
        return repeat(given)
    began = time.monotonic()
    tallies: dict[tuple[str, str], Tally] = {}
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(given.processes, mp_context=context, max_tasks_per_child=1) as pool:
        for tally in pool.map(play, jobs(given)):
            whole = tallies.setdefault((tally.scene, tally.release), Tally(tally.scene, tally.release))
            whole.cases |= tally.cases
            whole.lost |= tally.lost
            print(f"  {whole}", flush=True)
    return told(list(tallies.values()), time.monotonic() - began)


def told(tallies: list[Tally], seconds: float) -> int:
    """Print what came of it and return the exit status."""
    print(*tallies, f"in {seconds:.0f} s", sep="\n")
    theirs = [each for each in tallies if each.scene == "stock"]
    ours = [each for each in tallies if each.scene != "stock"]
    if theirs:
        stock = sum(each.images for each in theirs)
        print(f"stock commands: {stock} images lost")
        if stock == 0:
            print("the stock commands lost nothing: these cuts prove nothing")
            return 1
    if any(each.cuts == 0 for each in tallies):
        print("a scene was not cut at all")
        return 1
    lost = sum(each.images for each in ours)
    print(f"{sum(each.cuts for each in ours)} power cuts, {lost} images lost")
    return 1 if lost else 0


def repeat(given: argparse.Namespace) -> int:
    """Play one case again, and print what was lost and why."""
    (name,), (release,) = given.scene, given.release
    cuts = [Cut(kind, int(at), int(seed)) for kind, at, seed in (each.split(":") for each in given.only.split("/"))]
    stage = Stage(name, release, given.seed)
    try:
        found = stage.case(0, (), cuts)[2]
    finally:
        stage.disks.close()
    print(*found, f"{max(0, len(found) - 1)} images lost", sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
