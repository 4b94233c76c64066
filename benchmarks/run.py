# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Measure what the care of the migration costs, as ratios of throughput in one run, on one disk.

    run.py [--size MIB] [--rounds N]

What is measured, on loop devices over files in build/bench, which lie on a real disk:

- `in_place`: the encryption of a device, from its first chunk to the final header in place, by our engine, against
  the one command `cryptsetup reencrypt --resume-only` on the same device with an ordinary folder for the header: with
  the same journal, and with no resilience at all. The two readings of every file, before and after, are told beside
  it: they are a promise of ours, not a way of encrypting.
- `volume`: the whole of it, copying and proving, the programs at work and then stopped, against rsync, a remount, and
  sha256sum on every core over both sides. The new volume is a plain device for both of them, since a kernel without
  device-mapper can open none: what dm-crypt costs, it costs both, so the ratio with it lies nearer to 1.

The device has 2 GiB unless told otherwise: what our engine does once, however large the device is (two readings of the
header, the final one put in place, the working one overwritten: some 0.2 s), would count for a tenth on a small one.

The ways take turns, caches are left cold before each. A ratio is taken within each round, in which the disk was as busy
for both, and the median over the rounds counts. The last line is `bench: N ratios, N hold`.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import random
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY / each) for each in ("tests/powercut", ".ansible/collections")]

import release
from ansible_collections.radiology.hardening.plugins.module_utils.migration import (
    in_place,
    job,
    luks,
    new_volume,
    table,
)
from ansible_collections.radiology.hardening.plugins.module_utils.migration.machine import Machine
from ansible_collections.radiology.hardening.plugins.module_utils.migration.manifest import UNSETTLED
from disks import LOOPS, own_mounts

FOLDER = REPOSITORY / "build" / "bench"
MIB = 1 << 20
KEY = b"BENC-HMAR-KKEY-OFTH-EREP-OSIT-ORY"
UUID = "5d0f4c6e-0000-4000-8000-000000000003"
LEAST = {("in_place", "journal"): 0.95, ("in_place", "none"): 0.6, ("volume", "rsync"): 0.9}
"""Ratios of throughput that have to hold: ours to theirs."""


class Bench(Machine):
    """A machine whose opened volume is a plain device."""

    work = str(FOLDER / "work")
    etc = str(FOLDER / "etc")

    def __init__(self, volume: str = "") -> None:
        """Take the device that stands for the volume."""
        self.cryptsetup = release.cryptsetup("bookworm")
        self.volume = volume

    def open_volume(self, device: str, name: str, key: bytes, *, header: str = "") -> str:
        """Return the device."""
        return self.volume

    def close_volume(self, name: str) -> None:
        """Leave it."""

    def put_table(self, plan: job.Plan) -> None:
        """Write a table of the benchmark's own."""
        table.put(os.path.join(self.etc, "fstab"), plan)


@dataclasses.dataclass(frozen=True)
class Disk:
    """A file with a loop device on it."""

    file: Path
    device: str

    @classmethod
    def make(cls, name: str, size: int) -> Disk:
        """Make a disk, every block of which the real disk holds already."""
        file = FOLDER / name
        chance = random.Random(name)
        with file.open("wb") as opened:
            for _block in range(size // MIB):
                opened.write(chance.randbytes(MIB))
            opened.flush()
            os.fsync(opened.fileno())
        return cls(file, LOOPS.attach(str(file)))

    def confirmed(self) -> job.Device:
        """Return the device as an engineer confirms it."""
        return job.Device(self.device, self.file.stat().st_size, file_system_uuid=UUID)

    def cool(self) -> None:
        """Bring everything to the real disk, and let the next reading come from there."""
        run("blockdev", "--flushbufs", self.device)
        handle = os.open(self.file, os.O_RDONLY)
        try:
            os.fsync(handle)
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(handle)

    def format(self) -> None:
        """Make an empty ext4, the same each time."""
        options = ("-b", "4096", "-U", UUID, "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0")
        run("mkfs.ext4", "-q", "-F", *options, self.device)
        self.cool()


def run(*command: str, stdin: bytes = b"") -> bytes:
    """Run a command that has to succeed, and return its output."""
    done = subprocess.run(command, input=stdin, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr.decode()}")
    return done.stdout


@contextlib.contextmanager
def mounted(disk: Disk, where: Path, options: str = "rw") -> Iterator[Path]:
    """Mount a disk."""
    where.mkdir(parents=True, exist_ok=True)
    run("mount", "-o", options, disk.device, str(where))
    try:
        yield where
    finally:
        if os.path.ismount(where):
            run("umount", str(where))


def seconds(act: Callable[[], object]) -> float:
    """Return how long something takes."""
    begun = time.monotonic()
    act()
    return time.monotonic() - begun


# In place


def new_job(name: str, strategy: str, stage: str, **devices: job.Device) -> job.Job:
    """Return a job whose writers need no stopping, at a stage."""
    folder = FOLDER / "jobs" / name
    shutil.rmtree(folder, ignore_errors=True)
    plan = job.Plan(name, strategy, str(FOLDER / "srv"), memory=0, luks_uuid=UUID, **devices)  # type: ignore[arg-type]
    made = job.Job.create(str(folder), plan)
    made.record(stage)
    return made


def ours_in_place(disk: Disk) -> float:
    """Return the seconds in which our engine encrypts a device."""
    disk.format()
    made, machine = new_job("in_place", "in_place", "planned", source=disk.confirmed()), Bench()
    strategy = in_place.InPlace(made, machine, KEY, lambda _: None)
    strategy.reach_prepared()
    disk.cool()
    return seconds(strategy.reach_encrypted)


def theirs_in_place(disk: Disk, resilience: str) -> float:
    """Return the seconds in which cryptsetup's own command encrypts a device."""
    disk.format()
    machine, header = Bench(), FOLDER / "stock.header"
    header.unlink(missing_ok=True)
    plan = job.Plan("stock", "in_place", "/srv", memory=0)
    luks.initialise(machine, str(header), disk.device, plan, KEY)
    disk.cool()
    chunk = ("--hotzone-size", "16M") if resilience == "journal" else ()
    command = (*machine.cryptsetup, "reencrypt", "--header", str(header), "--resume-only", "--resilience", resilience)
    return seconds(lambda: run(*command, *chunk, "--key-file", "-", "--batch-mode", disk.device, stdin=KEY))


def readings(disk: Disk, where: Path) -> tuple[float, float]:
    """Return the seconds of the survey before an encryption in place, and of the proof after it."""
    made = new_job("readings", "in_place", "planned", source=job.Device(disk.device, 0))
    manifest = in_place.InPlace(made, Bench(), KEY, lambda _: None).manifest()
    try:
        with mounted(disk, where, "ro"):
            disk.cool()
            survey = seconds(lambda: manifest.survey(str(where), lambda _: None))
        disk.cool()
        with mounted(disk, where, "ro"):
            prove = seconds(lambda: manifest.prove(str(where), lambda _: None, read_again=True))
    finally:
        manifest.close()
    return survey, prove


# Volume


def ours_volume(source: Disk, target: Disk) -> float:
    """Return the seconds in which our engine copies a storage and proves the copy."""
    target.format()
    ends = {"source": source, "target": target}
    devices = {
        end: job.Device(each.device, each.file.stat().st_size, file_system_uuid=UUID) for end, each in ends.items()
    }
    strategy = new_volume.Copy(
        new_job("volume", "volume", "formatted", **devices), Bench(target.device), KEY, lambda _: None
    )
    with mounted(source, FOLDER / "srv", "noatime"):
        source.cool()
        return seconds(lambda: (strategy.reach_copied(), strategy.reach_proven()))


def theirs_volume(source: Disk, target: Disk) -> float:
    """Return the seconds that rsync takes, and then sha256sum, on every core, over both sides."""
    target.format()
    cores = str(len(os.sched_getaffinity(0)))
    sums = f"find . -type f -print0 | sort -z | xargs -0 -n 64 -P {cores} sha256sum | sort -k 2"

    def act() -> None:
        copy = FOLDER / "copy"
        with mounted(target, copy):
            run("rsync", "-aHAXS", "--numeric-ids", "--exclude=/lost+found", f"{FOLDER}/srv/", f"{copy}/")
        target.cool()
        with mounted(target, copy, "ro"):
            sides = [run("sh", "-c", f"cd {where} && {sums}") for where in (FOLDER / "srv", copy)]
        if sides[0] != sides[1] or not sides[0]:
            raise SystemExit("rsync left another tree")

    with mounted(source, FOLDER / "srv", "noatime"):
        source.cool()
        return seconds(act)


def fill(disk: Disk) -> int:
    """Lay a storage as Orthanc has it: many images of half a MiB, two folders deep; return its bytes."""
    disk.format()
    chance, total = random.Random(4), 0
    with mounted(disk, FOLDER / "srv") as where:
        while total < disk.file.stat().st_size * 3 // 4:
            folder = where / f"{chance.randrange(64):02x}" / f"{chance.randrange(4):02x}"
            folder.mkdir(parents=True, exist_ok=True)
            content = chance.randbytes(chance.choice((4_000, 130_000, 526_000, 526_000, 526_000, 2_000_000)))
            (folder / f"{total:012x}").write_bytes(content)
            total += len(content)
    disk.cool()
    return total


def main() -> int:
    """Measure, print the table and the verdict; 1 when a ratio does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=2048, help="MiB of the device; half of it for the storage")
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    own_mounts()
    shutil.rmtree(FOLDER, ignore_errors=True)
    for name in ("etc", "work", "jobs"):
        (FOLDER / name).mkdir(parents=True)
    size = given.size * MIB
    disk, target = Disk.make("disk", size // 2), Disk.make("target", size)
    try:
        return measure(disk, target, given.rounds)
    finally:
        LOOPS.detach(disk.device)
        LOOPS.detach(target.device)
        shutil.rmtree(FOLDER, ignore_errors=True)


def measure(disk: Disk, target: Disk, rounds: int) -> int:
    """Let the ways take turns; see the module."""
    held = fill(disk)
    settled = time.monotonic() + UNSETTLED  # a storage whose files were all written just now is read twice: none is
    in_place_ways: dict[str, Callable[[], float]] = {
        "in_place": lambda: ours_in_place(target),
        "journal": lambda: theirs_in_place(target, "journal"),
        "none": lambda: theirs_in_place(target, "none"),
    }
    volume_ways: dict[str, Callable[[], float]] = {
        "volume": lambda: ours_volume(disk, target),
        "rsync": lambda: theirs_volume(disk, target),
    }
    rates: dict[str, list[float]] = {}
    size = target.file.stat().st_size
    turns(in_place_ways, size, rounds, rates)
    time.sleep(max(0.0, settled - time.monotonic()))
    turns(volume_ways, held, rounds, rates)
    survey, prove = readings(disk, FOLDER / "srv")
    print(f"\n{'way':10} {'MiB/s, median':>14} {'least':>8} {'most':>8}")
    for name, found in rates.items():
        print(f"{name:10} {statistics.median(found):14.1f} {min(found):8.1f} {max(found):8.1f}")
    print(f"beside in_place: reading every file before {held / MIB / survey:.0f}, after {held / MIB / prove:.0f} MiB/s")
    holding = 0
    for (ours, theirs), least in LEAST.items():
        ratio = statistics.median(one / other for one, other in zip(rates[ours], rates[theirs], strict=True))
        holds = ratio >= least
        holding += holds
        print(f"{ours} to {theirs}: {ratio:.2f}, at least {least:.2f} {'holds' if holds else 'DOES NOT HOLD'}")
    print(f"bench: {len(LEAST)} ratios, {holding} hold")
    return 0 if holding == len(LEAST) else 1


def turns(ways: dict[str, Callable[[], float]], size: int, rounds: int, rates: dict[str, list[float]]) -> None:
    """Go each way once a round, first one and then another at the beginning, and add MiB a second to the rates."""
    for number in range(rounds):
        names = list(ways) if number % 2 == 0 else list(reversed(ways))
        for name in names:
            rates.setdefault(name, []).append(size / MIB / ways[name]())
        print("  ".join(f"{name} {rates[name][-1]:.1f}" for name in ways), flush=True)


if __name__ == "__main__":
    sys.exit(main())
