# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A damaged header, replaced by the newest copy from the escrow, and only then.

A wrong header under a whole volume is as bad as none: a copy of another volume opens nothing, a stale one brings back
keys that were revoked, and under a running encryption any copy mistakes plaintext for ciphertext.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.migration import (
    evidence,
    job,
    luks,
    records,
    unlock,
)
from ansible_collections.radiology.hardening.plugins.module_utils.migration.keys import (
    DAMAGED,
    ROTATION,
    SEALED,
    any_key,
    at_rest,
    opening,
)
from ansible_collections.radiology.hardening.plugins.module_utils.migration.luks import State
from ansible_collections.radiology.hardening.plugins.module_utils.migration.machine import Machine

SECTOR = 4096
"""Bytes of a header that are written last; they hold its magic."""
MAGIC = b"LUKS\xba\xbe\x00\x02"
"""Begins a LUKS2 header: the magic and the version (on-disk format 1.1.3, 2.1)."""


def restore(machine: Machine, name: str, copy: bytes, confirm: str, keys: Sequence[bytes]) -> dict[str, Any]:
    """Write the copy in the damaged header's place, the damaged one kept beside; HardeningError says what forbids it.

    `keys` are recovery keys from the escrow: they tell a damaged keyslot from a healthy one, and prove the result.
    """
    with at_rest(machine, name) as found:
        device, detached = unlock.header_of(found, machine)
        demand_damage(machine, found, detached or device, keys)
        demand_copy(found, copy)
        if not detached:
            demand_place(machine, found, device, confirm)
        kept = keep_damaged(found, detached or device)
        if detached:
            records.write(detached, copy)
        else:
            write(device, copy)
        for leftover in (ROTATION, SEALED):
            records.drop(found.path(leftover))
        header = detached or device
        if evidence.content(header) != copy or luks.state(luks.dump(machine, header)) is not State.FINISHED:
            raise HardeningError(
                f"{header} does not read back as the copy that was written; what was there is in {kept}."
            )
        if keys and opening(machine, header, keys) is None:
            raise HardeningError(
                f"The header in {header} is the copy of epoch {luks.epoch(copy)}, but the recovery key does not open"
                f" it; what was there before is in {kept}."
            )
        opened = "the recovery key opens it" if keys else "no key was given to try it with"
        return {
            "sentence": f"The header of {name} is again the one of epoch {luks.epoch(copy)}: {opened}; what was damaged"
            f" is kept in {kept}"
        }


def demand_damage(machine: Machine, found: job.Job, header: str, keys: Sequence[bytes]) -> None:
    """HardeningError unless the present header is shown to be damaged: unreadable, or without a keyslot that opens."""
    metadata = luks.dump(machine, header)
    if metadata is None:
        return
    name, known = found.plan.name, records.read_json(found.path("escrow.json")) or {}
    uuid = machine.must((*machine.cryptsetup, "luksUUID", header)).decode().strip()
    if uuid != known.get("luks_uuid"):
        raise HardeningError(
            f"Nothing was changed. {header} holds the header of another volume ({uuid}), which can be read: if it may"
            " go, wipe it yourself (wipefs) and run the playbook again."
        )
    state = luks.state(metadata)
    if state is not State.FINISHED:
        raise HardeningError(
            f"Nothing was changed. {header} reads as {state.value}: it is the header of an encryption under way, which"
            " no copy can replace."
        )
    if any_key(machine, header, keys) is not None:
        raise HardeningError(
            f"Nothing was changed. The header of {name} in {header} is healthy: it can be read, and a key opens it."
        )
    if not keys:
        raise HardeningError(
            f"Nothing was changed. The header of {name} in {header} can be read; whether its keyslots are damaged only"
            " the recovery key tells: give -e escrow_private_key=<path>."
        )


def demand_copy(found: job.Job, copy: bytes) -> None:
    """HardeningError unless the copy is the newest that is known of this very volume, bit by bit."""
    known = records.read_json(found.path("escrow.json"))
    if not known:
        raise HardeningError(
            f"Nothing was changed. {found.path('escrow.json')} is missing, so nobody can tell which copy is the newest."
        )
    if len(copy) != luks.HEADER_SIZE or not copy.startswith(MAGIC):
        raise HardeningError("Nothing was changed. The copy from the escrow is no LUKS2 header of 16 MiB.")
    if uuid_of(copy) != known["luks_uuid"]:
        raise HardeningError(
            f"Nothing was changed. The copy is of another volume ({uuid_of(copy)}); this one is {known['luks_uuid']}."
        )
    if luks.epoch(copy) < known["header_epoch"]:
        raise HardeningError(
            f"Nothing was changed. The copy is of epoch {luks.epoch(copy)}, the header was last at"
            f" {known['header_epoch']}: a stale copy would bring back keys that were revoked."
        )
    collected = (records.read_json(found.path("collected.json")) or {}).get("digest")
    if hashlib.sha256(copy).hexdigest() not in (known["header_digest"], collected):
        raise HardeningError("Nothing was changed. The copy is not the one whose digest was recorded: it was altered.")


def demand_place(machine: Machine, found: job.Job, device: str, confirm: str) -> None:
    """HardeningError unless the device (or container) was named, and nothing else has been put on it since."""
    known = records.read_json(found.path("escrow.json")) or {}
    confirmed = found.plan.target or found.plan.source
    names = [each for each in (confirmed.serial if confirmed else "", str(known.get("luks_uuid", ""))) if each]
    if confirm not in names or not confirm:
        wrong = f"The answer {confirm} names another device. " if confirm else ""
        raise HardeningError(
            f"Nothing was changed. {wrong}To write the first 16 MiB of {device}, run the playbook again with"
            f" -e confirm={names[0]}"
        )
    if found.plan.target is not None:
        machine.confirm_serial(device, found.plan.target)
    held = [each for each in machine.signatures(device) if each != "crypto_LUKS"]
    if held:
        raise HardeningError(
            f"Nothing was changed. {device} holds {', '.join(held)} now: if that may go, wipe it yourself (wipefs) and"
            " run the playbook again."
        )


def write(device: str, copy: bytes) -> None:
    """Write a header to the start of a device or container, its first sector last: until then it reads as damaged."""
    handle = os.open(device, os.O_WRONLY)
    try:
        for begin, end in ((SECTOR, len(copy)), (0, SECTOR)):
            at = begin
            while at < end:
                at += os.pwrite(handle, copy[at:end], at)
            os.fsync(handle)
    finally:
        os.close(handle)


def keep_damaged(found: job.Job, header: str) -> str:
    """Keep what lies in the header's place under a name of its own, and return the name; the same is kept once."""
    present = evidence.content(header)
    number = 1
    while os.path.exists(path := found.path(f"{DAMAGED}{number}")):
        if evidence.content(path) == present:
            return path
        number += 1
    records.write(path, present)
    return path


def uuid_of(copy: bytes) -> str:
    """Return a header's UUID (on-disk format 1.1.3, 2.1: 40 bytes at 168)."""
    return copy[168:208].rstrip(b"\0").decode("ascii", "replace")
