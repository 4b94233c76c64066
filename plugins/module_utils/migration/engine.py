# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The migration, from whatever stage a job stands at."""

from __future__ import annotations

from ansible_collections.radiology.hardening.plugins.module_utils.migration import luks
from ansible_collections.radiology.hardening.plugins.module_utils.migration.in_place import InPlace
from ansible_collections.radiology.hardening.plugins.module_utils.migration.job import Job
from ansible_collections.radiology.hardening.plugins.module_utils.migration.machine import Machine
from ansible_collections.radiology.hardening.plugins.module_utils.migration.moving import Move
from ansible_collections.radiology.hardening.plugins.module_utils.migration.new_volume import Copy
from ansible_collections.radiology.hardening.plugins.module_utils.migration.online import Online
from ansible_collections.radiology.hardening.plugins.module_utils.migration.strategy import Strategy, Tell
from ansible_collections.radiology.hardening.plugins.module_utils.migration.system import System


def strategy_of(job: Job, machine: Machine, key: bytes, tell: Tell) -> Strategy:
    """Return the job's strategy, ready to run."""
    return _kind(job)(job, machine, key, tell)


def _kind(job: Job) -> type[Strategy]:
    if job.plan.strategy == "in_place":
        return Online if job.plan.online else InPlace
    if job.plan.strategy == "system":
        return System
    return Move if job.plan.tight else Copy


def prepare(folder: str, machine: Machine, key: bytes, tell: Tell) -> None:
    """Make the final header of a new job; no image is touched. Called again, it does nothing.

    A key that only the memory held goes with a restart. The header that was made with it is then made anew, with the
    key that is escrowed now, as long as it protects nothing.
    """
    job = Job(folder)
    with job.locked():
        strategy = strategy_of(job, machine, key, tell)
        stages = strategy.STAGES
        before = stages[stages.index(strategy.PREPARED) - 1]
        if job.stage == strategy.PREPARED and not luks.opens(machine, strategy.made, key):
            job.record(before)
        if stages.index(job.stage) <= stages.index(before):
            strategy.run(until=strategy.PREPARED)


def carry_out(folder: str, machine: Machine, key: bytes, tell: Tell) -> None:
    """Take a job to its end; after a cut, called again, it goes on. HardeningError says what has to be mended first."""
    job = Job(folder)
    with job.locked():
        strategy_of(job, machine, key, tell).run()


def is_over(job: Job) -> bool:
    """Whether nothing is left to do for a job."""
    return job.stage == _kind(job).STAGES[-1]
