# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The deliberate act, call by call, as the playbook encrypt_storage makes them on the host."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.migration import (
    cli,
    engine,
    escrow,
    evidence,
    interlocks,
    job,
    planning,
    records,
    system,
    units,
)
from ansible_collections.radiology.hardening.plugins.module_utils.migration.machine import Machine

ENCRYPT = "radiology-encrypt-storage@{}.service"
RETIRE = "radiology-retire-storage@{}.service"


def describe(machine: Machine, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what would be done to which device, or how far the job is that was begun. Changes nothing."""
    folder = os.path.join(job.FOLDER, name)
    if job.begun(folder):
        return {"begun": True, **status(machine, name)}
    found = planning.propose(machine, name, given)
    plan, device = found.plan, found.device
    return {
        "begun": False,
        "strategy": plan.strategy + (", file by file" if plan.tight else ", online" if plan.online else ""),
        "folder": found.place.folder,
        "mount_point": plan.mount_point,
        "device": device.called,
        "serial": device.serial,
        "uuid": device.uuid or device.partition_uuid,
        "rotational": device.rotational,
        "files": found.content.files,
        "bytes": found.content.size,
        "studies": found.studies,
        "minutes": found.minutes,
        "services": list(plan.services),
        "unlock": str(plan.unlock.get("pin", "a person")),
        "refusals": list(found.refusals),
        "notes": list(found.notes),
    }


def seal(machine: Machine, name: str, given: Mapping[str, Any], certificates: Sequence[str]) -> dict[str, Any]:
    """Make the recovery key, bind it for the length of the job, and return it sealed, with a challenge."""
    folder = os.path.join(job.FOLDER, name)
    begun = job.begun(folder)
    interlocks.demand(
        planning.still_forbids(machine, begun.plan, given)
        if begun
        else list(planning.propose(machine, name, given).refusals)
    )
    escrow.seal(machine, b"", certificates)  # what cannot be sealed to stops this before a key is made
    if given.get("strategy") == "system":
        system.lay_folder(folder)
    records.synchronous_folder(folder)
    key = escrow.bound_key(machine, folder)
    if key is None:
        key = escrow.make_key()
        escrow.bind(machine, folder, key, given.get("unlock") or {})
    sealed = escrow.seal(machine, key, certificates)
    return {"sealed": base64.b64encode(sealed).decode(), "nonce": escrow.pose(folder)}


def prepare(machine: Machine, name: str, given: Mapping[str, Any], confirm: str, answer: str) -> dict[str, Any]:
    """Make the job and its final header; HardeningError unless device and escrow are what they have to be.

    Returns the header, to be kept at two other places, compressed and in base 64.
    """
    folder = os.path.join(job.FOLDER, name)
    key = escrow.bound_key(machine, folder)
    if key is None:
        raise HardeningError(f"The recovery key of {name} is not to be had on the host: run the playbook again.")
    if not escrow.is_proven(folder, key, answer):
        raise HardeningError(
            "Nothing was changed. The sealed recovery key was not shown to open: no escrow, no encryption."
        )
    begun = job.begun(folder)
    if begun:
        interlocks.demand(planning.still_forbids(machine, begun.plan, given))
    else:
        found = planning.propose(machine, name, given)
        interlocks.demand(list(found.refusals))
        if not found.device.is_called(confirm):
            raise HardeningError(f"Nothing was changed. {confirm or 'No answer'} does not name {found.device.called}.")
        job.Job.create(folder, found.plan)
    engine.prepare(folder, machine, key, cli.tell_nobody)
    return evidence.collect(job.Job(folder), machine)


def start(
    machine: Machine, name: str, told: Mapping[str, Any], confirm: str = "", accept_different: int = 0
) -> dict[str, Any]:
    """Let the job run from now on, through reboots. `told` says where header and sealed key are kept.

    `confirm` names the disk that a failing one was copied to, `accept_different` how many files the copy may have lost.

    The file `armed` is the commit point: from it on a boot goes on with the job, so the unit is enabled before it.
    Called again, it starts a job that was never started, or that stopped and waited for a person. A job may end, and
    lose that file, between the look at it and this call: then nothing is left to start.
    """
    folder, unit = os.path.join(job.FOLDER, name), ENCRYPT.format(name)
    found, armed = job.Job(folder), os.path.join(folder, "armed")
    if not engine.is_over(found):
        answer(found, machine, confirm, accept_different)
        begins = not os.path.exists(armed)
        if begins:
            evidence.record(found, machine, told)
            units.install(found.plan)
            machine.must(("systemctl", "daemon-reload"))
        machine.must(("systemctl", "enable", unit))
        if begins:
            records.sync(os.path.join(units.UNITS, "multi-user.target.wants"))
            records.write(armed, b"")
    if (records.read_json(cli.progress_path(name)) or {}).get("failed"):
        records.drop(cli.progress_path(name))
    machine.must(("systemctl", "start", unit))
    return status(machine, name)


def answer(found: job.Job, machine: Machine, confirm: str, accept_different: int) -> None:
    """Record what a person answers to a job that stopped: the disk that it goes on with, the files that are lost."""
    source, follows = found.plan.source, False
    if found.plan.strategy not in ("in_place", "system") or source is None:
        return
    if source.serial:
        serials = machine.serials(machine.device(source))
        follows = source.serial not in serials and confirm in serials
    if follows or accept_different:
        with found.locked():
            if follows:
                found.follow(confirm)
            if accept_different:
                found.record(found.stage, accepted=accept_different)


def status(machine: Machine, name: str) -> dict[str, Any]:
    """Return how far the job is: stage, last sentence, and whether it runs, is done, or waits for a person."""
    folder = os.path.join(job.FOLDER, name)
    found = job.Job(folder)
    stages = engine.strategy_of(found, machine, b"", cli.tell_nobody).STAGES
    said = records.read_json(cli.progress_path(name)) or {}
    done = found.stage == stages[-1] or found.stage.startswith("retir")
    return {
        "stage": found.stage,
        "device": (found.plan.target or found.plan.source or job.Device(found.plan.container, 0)).path,
        "armed": os.path.exists(os.path.join(folder, "armed")),
        "done": done,
        "waiting": found.plan.strategy == "system" and found.stage == "installed",
        "stopped": bool(said.get("failed")) and found.stage != "retired",
        "sentence": str(said.get("sentence", "")),
        "worth": str(found.details.get("worth", "")),
        "different": int(found.details.get("different", 0)),
    }


def retire(machine: Machine, name: str) -> dict[str, Any]:
    """Start the wiping of the former copy, as a unit of its own."""
    records.drop(cli.progress_path(name))
    machine.must(("systemctl", "start", RETIRE.format(name)))
    return status(machine, name)
