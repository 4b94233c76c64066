# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Cut the power at every kind of moment, let the machine boot and go on, and count the images that are lost.

    run.py [--scene in_place|volume|roomy|tight|stock]... [--release bookworm|trixie]... [--cuts N] [--seconds S]
           [--seed S] [--short]
    run.py --scene tight --release trixie --only KIND:OPERATION:SEED[/KIND:OPERATION:SEED] --seed S

A case is a first cut in the procedure, a recovery, and for every second case a second cut in that recovery. The last
line is `N power cuts, 0 images lost`. Scene `stock` are cryptsetup's own commands: there images have to be lost.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import hashlib
import multiprocessing
import random
import sys
import time
from collections.abc import Iterator, Mapping

import judge
import release as releases
import simulated
import stock
from crashes import Cut, draw, state
from disks import Disks, Operation, own_mounts

SCENES = ("in_place", "volume", "roomy", "tight", "stock")
LONG = {"in_place": 1100, "volume": 260, "roomy": 150, "tight": 150, "stock": 60}
"""Cuts for each scene and release."""
SHORT = {"in_place": 24, "volume": 8, "roomy": 6, "tight": 8, "stock": 16}


@dataclasses.dataclass
class Tally:
    """What came of a scene on a release."""

    scene: str
    release: str
    cuts: int = 0
    lost: int = 0
    """Images lost, over all cases."""
    cases: list[str] = dataclasses.field(default_factory=list)
    """Cases that lost, as `--only` takes them, with their first loss."""


class Stage:
    """A scene on a release: recorded once, then cut again and again."""

    def __init__(self, name: str, release: str, seed: int) -> None:
        """Build the scene's disks and record a whole run on them."""
        own_mounts()
        self.stock = name == "stock"
        self.scene = simulated.scenes()["in_place" if self.stock else name]
        self.disks = Disks({disk: simulated.SIZES[disk] for disk in self.scene.disks})
        self.host = simulated.SimulatedMachine(self.disks, releases.cryptsetup(release))
        self.seed, self.name, self.release = seed, name, release
        simulated.build(self.scene, self.disks, self.host)
        self.start = self.disks.images()
        self.log = self.record()

    def record(self) -> list[Operation]:
        """Run the procedure whole and return its log; AssertionError unless that loses nothing."""
        self.disks.load(self.start)
        simulated.boot(self.scene, self.host)
        if self.stock:
            stock.begin(self.host)
        else:
            simulated.go_on(self.host)
        log = self.disks.log()
        found = self.judged()
        assert not found, f"{self.name}: lost without any cut: {found[0]}"
        return log

    def judged(self) -> list[str]:
        """Return what is lost now, and leave nothing mounted."""
        if self.stock:
            simulated.JOB.mkdir(exist_ok=True)
            (simulated.JOB / "header").write_bytes(stock.header().read_bytes() if stock.header().exists() else b"")
        try:
            return judge.lost(self.scene, self.host)
        finally:
            self.host.close()

    def recover(self, images: Mapping[str, bytes | bytearray]) -> None:
        """Boot with these disks and go on to the end; what fails is judged as it is left."""
        self.disks.load(images)
        try:
            simulated.boot(self.scene, self.host)
            if self.stock:
                stock.go_on(self.host)
            else:
                simulated.go_on(self.host)
        except (Exception, SystemExit) as error:  # whatever stops a recovery, the judge sees what is left
            self.stopped = repr(error)

    def case(self, number: int, only: list[Cut] | None = None) -> tuple[int, int, str]:
        """Return the power cuts of a case, the images lost, and how it can be repeated."""
        chance = random.Random(f"{self.seed} {self.name} {self.release} {number}")
        first = only[0] if only else draw(chance, len(self.log))
        self.stopped = ""
        after_first = state(first, self.start, self.log)
        self.recover(after_first)
        cuts = [first]
        if (len(only) > 1) if only else number % 2:
            log = self.disks.log()
            self.host.close()
            self.stopped = ""
            second = only[1] if only else draw(chance, len(log))
            self.recover(state(second, after_first, log))
            cuts.append(second)
        found = self.judged()
        where = "/".join(map(str, cuts))
        return len(cuts), len(found), f"{where}  {self.stopped or (found[0] if found else '')}"


def play(job: tuple[str, str, int, int, float, int]) -> Tally:
    """Play cases of a scene on a release until there were enough cuts, or the time is over. One process each."""
    name, release, seed, wanted, seconds, worker = job
    tally = Tally(name, release)
    stage = Stage(name, release, seed)
    try:
        until, told, number = time.monotonic() + seconds, time.monotonic(), worker << 20
        seen: set[bytes] = set()
        while tally.cuts < wanted and time.monotonic() < until:
            cuts, lost, how = stage.case(number)
            number += 1
            key = hashlib.sha256(how.encode()).digest()
            if key in seen:
                continue
            seen.add(key)
            tally.cuts += cuts
            tally.lost += lost
            if lost:
                tally.cases.append(how)
                if not stage.stock:
                    print(f"  LOST {lost}: --scene {name} --release {release} --seed {seed} --only {how}", flush=True)
            if time.monotonic() - told > 30:
                told = time.monotonic()
                print(f"  {name} {release}: {tally.cuts} power cuts, {tally.lost} images lost so far", flush=True)
    finally:
        stage.disks.close()
    return tally


def jobs(given: argparse.Namespace) -> Iterator[tuple[str, str, int, int, float, int]]:
    """Yield what the workers play: each scene on each release, the longer ones in two halves."""
    for name in given.scene or SCENES:
        for release in given.release or releases.RELEASES:
            wanted = given.cuts or (SHORT if given.short else LONG)[name]
            halves = 2 if wanted > 200 else 1
            for worker in range(halves):
                yield name, release, given.seed, -(-wanted // halves), given.seconds, worker


def main() -> int:
    """Play what the command line asks for; 1 when a procedure of ours lost an image, or the stock one none."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scene", choices=SCENES, action="append")
    parser.add_argument("--release", choices=releases.RELEASES, action="append")
    parser.add_argument("--cuts", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=5400.0)
    parser.add_argument("--seed", type=int, default=20261124)
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
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context, max_tasks_per_child=1) as pool:
        for tally in pool.map(play, jobs(given)):
            whole = tallies.setdefault((tally.scene, tally.release), Tally(tally.scene, tally.release))
            whole.cuts += tally.cuts
            whole.lost += tally.lost
            whole.cases += tally.cases
    return told(list(tallies.values()), time.monotonic() - began)


def told(tallies: list[Tally], seconds: float) -> int:
    """Print what came of it and return the exit status."""
    for each in tallies:
        lost_cases = f", in {len(each.cases)} cases" if each.cases else ""
        print(f"{each.scene:9} {each.release:9} {each.cuts:5} power cuts, {each.lost} images lost{lost_cases}")
    theirs = [each for each in tallies if each.scene == "stock"]
    ours = [each for each in tallies if each.scene != "stock"]
    print(f"in {seconds:.0f} s")
    if theirs:
        print(f"stock commands: {sum(each.lost for each in theirs)} images lost")
    if any(each.lost == 0 for each in theirs):
        print("the stock commands lost nothing: these cuts prove nothing")
        return 1
    if any(each.cuts == 0 for each in tallies):
        print("a scene was not cut at all")
        return 1
    lost = sum(each.lost for each in ours)
    print(f"{sum(each.cuts for each in ours)} power cuts, {lost} images lost")
    return 1 if lost else 0


def repeat(given: argparse.Namespace) -> int:
    """Play one case again, and print what was lost and why."""
    (name,), (release,) = given.scene, given.release
    cuts = [Cut(kind, int(at), int(seed)) for kind, at, seed in (each.split(":") for each in given.only.split("/"))]
    stage = Stage(name, release, given.seed)
    try:
        lost, how = stage.case(0, cuts)[1:]
    finally:
        stage.disks.close()
    print(f"{lost} images lost: {how}")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
