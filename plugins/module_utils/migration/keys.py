# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The keys of a volume after its encryption: what opens it now, and opening it with a key that was brought.

A key comes from the controller through a pipe into a file in memory, which is read once and wiped: it is in no
argument, no environment, and on no disk.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.migration import (
    escrow,
    evidence,
    job,
    luks,
    records,
    unlock,
)
from ansible_collections.radiology.hardening.plugins.module_utils.migration.luks import State
from ansible_collections.radiology.hardening.plugins.module_utils.migration.machine import Machine

ENCRYPT = "radiology-encrypt-storage@{}.service"
UNLOCK = "radiology-unlock@{}.service"
ROTATION, SEALED = "rotation.json", "rotation.p7m"
"""In the job's folder while a recovery key is replaced: how far that is, and the new key, sealed."""

DAMAGED = "header.damaged-"
"""In the job's folder, with a number: what lay in a header's place before a copy was written there."""


SYSTEM = "system"
"""The job's name where the whole system is encrypted: its keys are changed by hand, as docs/disk-runbook.md says."""


def handed(name: str) -> str:
    """Return where the controller puts what must not touch a disk: {"keys": [...], "header": "<base 64, gzip>"}."""
    return f"{luks.KEY_FOLDER}/{name}.handed"


def take(name: str) -> tuple[list[bytes], bytes]:
    """Return the keys, and the copy of a header, that were handed over; nothing is left of them there."""
    path = handed(name)
    try:
        with open(path, "rb") as file:
            found = json.load(file)
    except FileNotFoundError:
        return [], b""
    finally:
        records.remove(path)
    header = gzip.decompress(base64.b64decode(found["header"])) if found.get("header") else b""
    return [str(key).encode() for key in found.get("keys", [])], header


def describe(machine: Machine, name: str) -> dict[str, Any]:
    """Return how a volume, its header and its keys stand. Changes nothing and asks for no key."""
    folder = os.path.join(job.FOLDER, name)
    if records.read_json(os.path.join(folder, "plan.json")) is None:
        system = records.read_json(os.path.join(job.FOLDER, SYSTEM, "plan.json"))
        return {"begun": False, "system": system is not None}
    found = job.Job(folder)
    device, header = unlock.header_of(found, machine)
    metadata = luks.dump(machine, header or device)
    content = evidence.content(header or device)
    known = records.read_json(found.path("escrow.json")) or {}
    confirmed = found.plan.target or found.plan.source
    return {
        "begun": True,
        "stage": found.stage,
        "armed": is_armed(found),
        "whole": unlock.openable(found, machine),
        "open": machine.is_open(name),
        "up": machine.is_up(found.plan),
        "device": device,
        "detached": bool(header),
        "header": header or device,
        "serial": confirmed.serial if confirmed else "",
        "luks_uuid": str(known.get("luks_uuid", "")),
        "state": luks.state(metadata).value,
        "epoch": luks.epoch(content) if metadata else 0,
        "current": bool(metadata) and known.get("header_digest") == hashlib.sha256(content).hexdigest(),
        "keyslots": sorted((metadata or {}).get("keyslots", {}), key=int),
        "bindings": unlock.slots(machine, header or device),
        "mount_point": found.plan.mount_point,
        "services": list(found.plan.services),
        "unlock": str(found.plan.unlock.get("pin", "a person")),
        "rotation": str((records.read_json(found.path(ROTATION)) or {}).get("stage", "")),
    }


def is_armed(found: job.Job) -> bool:
    """Whether the volume's encryption has begun and is not over."""
    return os.path.exists(found.path("armed"))


@contextlib.contextmanager
def at_rest(machine: Machine, name: str) -> Iterator[job.Job]:
    """Hold the job of a volume that is wholly encrypted: under a running encryption no key is changed."""
    found = job.Job(os.path.join(job.FOLDER, name))
    if is_armed(found) or not unlock.openable(found, machine):
        raise HardeningError(
            f"Nothing was changed. {name} is still being encrypted ({found.stage}): its keys, and its header, are"
            " left alone until that is done."
        )
    with found.locked():
        yield found


def ordinary_header(machine: Machine, found: job.Job) -> str:
    """Return where the volume's header lies; HardeningError unless it is an ordinary one."""
    device, header = unlock.header_of(found, machine)
    state = luks.state(luks.dump(machine, header or device))
    if state is not State.FINISHED:
        raise HardeningError(
            f"Nothing was changed. The header of {found.plan.name} in {header or device} reads as {state.value}: if it"
            " is damaged, use the playbook restore_header."
        )
    return header or device


def opening(machine: Machine, header: str, keys: Sequence[bytes]) -> bytes | None:
    """Return the first of the keys that opens a header; None when none does."""
    return next((key for key in keys if luks.opens(machine, header, key)), None)


def any_key(machine: Machine, header: str, keys: Sequence[bytes]) -> bytes | None:
    """Return a key that opens a header: one that was brought, or what TPM or Tang give; None when there is none."""
    found = opening(machine, header, keys)
    if found is None:
        bound = (passed(machine, header, slot) for slot in unlock.slots(machine, header))
        found = next((key for key in bound if key is not None and luks.opens(machine, header, key)), None)
    return found


def passed(machine: Machine, header: str, slot: str) -> bytes | None:
    """Return the key of a bound keyslot; None when the TPM or Tang does not give it now."""
    found = machine.run(("clevis", "luks", "pass", "-d", header, "-s", slot))
    return found.output if found.status == 0 else None


def open_with(machine: Machine, name: str, keys: Sequence[bytes]) -> dict[str, Any]:
    """Open the volume with a key that was brought, or else by TPM or Tang, mount it and start its services.

    A volume that is still being encrypted is never opened here: its job gets the key, and does it after its own rules.
    """
    found = job.Job(os.path.join(job.FOLDER, name))
    if is_armed(found):
        told = wake(machine, found, keys)
        if unlock.is_the_jobs(found, machine):
            return told
    if not unlock.openable(found, machine):
        raise HardeningError(
            f"Nothing was changed. {name} stands at {found.stage}, not yet encrypted: use the playbook encrypt_storage."
        )
    if not machine.is_open(name):
        header = ordinary_header(machine, found)
        key = any_key(machine, header, keys)
        if key is None:
            raise HardeningError(
                f"{name} stays locked: neither a key from the escrow, nor TPM or Tang, opens {header}."
            )
        device, detached = unlock.header_of(found, machine)
        machine.must(
            ("systemctl", "stop", UNLOCK.format(name))
        )  # it may be asking a TPM that knows nothing, for minutes
        machine.open_volume(device, name, key, header=detached)
    machine.start_now(found.plan)
    services = f"; {', '.join(found.plan.services)} started" if found.plan.services else ""
    return {"sentence": f"{name} is open and mounted at {found.plan.mount_point}{services}"}


def wake(machine: Machine, found: job.Job, keys: Sequence[bytes]) -> dict[str, Any]:
    """Give the key to the job that encrypts the volume, in memory, where it looks for it, and see that it runs."""
    name = found.plan.name
    key = opening(machine, evidence.final_header(found, machine), keys)
    if key is None:
        raise HardeningError(f"{name} goes on waiting for its key: no key from the escrow opens its header.")
    path = escrow.in_memory(found.folder)
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    records.write(path, key)
    machine.must(("systemctl", "--no-block", "start", ENCRYPT.format(name)))
    return {"sentence": f"The encryption of {name} has its key and goes on; the playbook encrypt_storage follows it"}
