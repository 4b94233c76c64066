# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What every strategy shares: stages in their order, the hold on the writers, the switch to the new volume."""

from __future__ import annotations

import abc
import contextlib
import os
import time
from collections.abc import Callable

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.migration import luks, records
from ansible_collections.radiology.hardening.plugins.module_utils.migration.job import Device, Job
from ansible_collections.radiology.hardening.plugins.module_utils.migration.machine import Machine
from ansible_collections.radiology.hardening.plugins.module_utils.migration.manifest import Manifest

Tell = Callable[[str], None]


class Strategy(abc.ABC):
    """One way from files in clear to an encrypted volume, as stages that a cut can only repeat."""

    STAGES: tuple[str, ...] = ()
    """Names of the stages, in their order; each is recorded when it is reached."""
    PREPARED = ""
    """The stage after which the header is final and its copies can be taken; no image was moved before it."""
    WHOLE = ""
    """The stage from which the volume holds everything, so that a boot may open it."""

    def __init__(self, job: Job, machine: Machine, key: bytes, tell: Tell) -> None:
        """Take the job's plan; `key` is the recovery key, `tell` gets sentences for the journal."""
        self.job, self.plan, self.machine, self.key = job, job.plan, machine, key
        self.tell = tell

    def run(self, until: str = "") -> None:
        """Go from the recorded stage to the end, or to the stage `until`.

        For each stage the method `reach_<stage>` brings it about from the stage before; it may be cut anywhere and
        is then called again. HardeningError ends the run with a sentence; the recorded stage stays.
        """
        while (stage := self.job.stage) != self.STAGES[-1]:
            if stage not in self.STAGES:
                raise HardeningError(f"{self.job.folder} stands at {stage}, which is no stage of this job.")
            following = self.STAGES[self.STAGES.index(stage) + 1]
            getattr(self, f"reach_{following}")()
            self.job.record(following)
            self.tell(f"{self.plan.name}: {following}")
            if following == until:
                return

    @property
    @abc.abstractmethod
    def made(self) -> str:
        """Where the header lies that stage PREPARED stands for."""

    def needs_key(self) -> bool:
        """Whether what is left to do opens a keyslot."""
        return True

    # The parts of stages

    def hold_writers(self) -> None:
        """Stop the programs that write there; the file `hold` keeps them from a start, at a boot too."""
        records.write(self.job.path("hold"), b"The storage is being encrypted; see journalctl -u radiology-encrypt*\n")
        self.machine.stop_writers(self.plan)

    def release_writers(self) -> None:
        """Let the programs start again, and start them."""
        records.remove(self.job.path("hold"))
        self.machine.start_writers(self.plan)

    def guard_mount_point(self) -> None:
        """Let nothing be written below the mount point while no volume is mounted there, if nothing lies there yet."""
        where = self.plan.mount_point
        if os.path.isdir(where) and not self.machine.mounted(where) and not os.listdir(where):
            with contextlib.suppress(OSError):  # a file system that has no such flag
                self.machine.make_immutable(where)

    def secure_header(self, header: str) -> None:
        """Give a new header what an opened volume needs: the recovery slot's name and the unattended unlock."""
        luks.name_recovery_slot(self.machine, header)
        if self.plan.unlock:
            self.machine.bind(header, self.plan.unlock, self.key)

    def device(self, device: Device | None) -> str:
        """Return the path of a device of the plan."""
        if device is None:
            raise HardeningError(f"The plan of {self.plan.name} names no device for strategy {self.plan.strategy}.")
        path = self.machine.device(device)
        self.machine.confirm_serial(path, device)
        return path

    def work(self, name: str) -> str:
        """Return a place to mount something for the length of a stage."""
        return os.path.join(self.machine.work, self.plan.name, name)

    def manifest(self) -> Manifest:
        """Open the job's manifest."""
        return Manifest(self.job.path("survey/manifest"))

    def counted(self, verb: str, total: int) -> Callable[[int], None]:
        """Return a function that takes the bytes done since its last call and tells how far the work is."""
        return Counter(self.tell, f"{self.plan.name}: {verb}", total).add


class Counter:
    """Tells percent, rate and time left, at most every five seconds."""

    def __init__(self, tell: Tell, verb: str, total: int) -> None:
        """Count towards `total` bytes (0: not known)."""
        self.tell, self.verb, self.total = tell, verb, total
        self.begun = self.told = time.monotonic()
        self.done = 0

    def add(self, size: int) -> None:
        """Count bytes done."""
        self.at(self.done + size)

    def at(self, done: int, *, start: int = 0) -> None:
        """Take `done` as the bytes done in all, of which `start` were done before this run."""
        self.done = done
        now = time.monotonic()
        if now - self.told < 5:
            return
        self.told = now
        rate = (done - start) / (now - self.begun)
        percent = f"{100 * done / self.total:.1f} %, " if self.total else ""
        left = f", {(self.total - done) / rate / 60:.0f} min left" if self.total and rate else ""
        self.tell(f"{self.verb} {percent}{rate / (1 << 20):.0f} MiB/s{left}")
