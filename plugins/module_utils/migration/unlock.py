# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Opening encrypted volumes at a boot: by TPM or Tang, never by a key file."""

from __future__ import annotations

import os
import time

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.migration import luks
from ansible_collections.radiology.hardening.plugins.module_utils.migration.engine import strategy_of
from ansible_collections.radiology.hardening.plugins.module_utils.migration.job import Job
from ansible_collections.radiology.hardening.plugins.module_utils.migration.machine import Machine

PATIENCE = 60.0
"""Seconds for which Tang may be late, as it is when a whole practice boots after a power cut."""


def header_of(job: Job, machine: Machine) -> tuple[str, str]:
    """Return what the job's volume lies in, and its detached header (empty: in the volume itself)."""
    plan = job.plan
    if plan.strategy in ("in_place", "system"):
        if plan.source is None:
            raise HardeningError(f"The plan of {plan.name} names no device.")
        return machine.device(plan.source), job.path("header")
    return (plan.container if plan.target is None else machine.device(plan.target)), ""


def openable(job: Job, machine: Machine) -> bool:
    """Whether the volume is whole, so that opening it cannot do harm."""
    strategy = strategy_of(job, machine, b"", lambda _: None)
    stages = strategy.STAGES
    return job.stage not in stages or stages.index(job.stage) >= stages.index(strategy.WHOLE)


def is_the_jobs(job: Job, machine: Machine) -> bool:
    """Whether the job has yet to hand the volume over: it opens it itself, and may have it mounted elsewhere."""
    stages = strategy_of(job, machine, b"", lambda _: None).STAGES
    running = os.path.exists(job.path("armed")) and job.stage in stages
    return running and stages.index(job.stage) < stages.index("done")


def unlock(job: Job, machine: Machine, *, patience: float = PATIENCE) -> str:
    """Open the job's volume with what its header is bound to, and return its path. HardeningError when that fails."""
    opened = f"/dev/mapper/{job.plan.name}"
    if machine.is_open(job.plan.name):
        return opened
    if not openable(job, machine):
        raise HardeningError(f"{job.plan.name} is still being encrypted ({job.stage}): it is opened when that is done.")
    device, header = header_of(job, machine)
    bindings = slots(machine, header or device)
    if not bindings:
        raise HardeningError(f"{job.plan.name} is bound to no TPM and no Tang server: a person has to unlock it.")
    until = time.monotonic() + patience
    while not machine.is_open(job.plan.name):  # meanwhile the playbook unlock may have opened it
        for slot in bindings:
            found = machine.run(("clevis", "luks", "pass", "-d", header or device, "-s", slot))
            if found.status == 0:
                return machine.open_volume(device, job.plan.name, found.output, header=header)
        if time.monotonic() > until and not machine.is_open(job.plan.name):
            said = found.errors.decode("utf-8", "replace").strip().splitlines()
            raise HardeningError(
                f"{job.plan.name} stays locked: neither TPM nor Tang gave its key"
                f" ({said[-1] if said else 'no reason told'}). Use the playbook unlock with the recovery key."
            )
        time.sleep(5)
    return opened


def slots(machine: Machine, header: str) -> list[str]:
    """Return the keyslots that a Clevis token of the header names."""
    metadata = luks.dump(machine, header) or {}
    tokens = metadata.get("tokens", {}).values()
    return sorted(slot for token in tokens if token.get("type") == "clevis" for slot in token.get("keyslots", []))
