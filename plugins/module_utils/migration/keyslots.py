# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keyslots of an ordinary LUKS2 header and the tokens that name them: added, tried, named, destroyed.

cryptsetup writes a new keyslot before the metadata that refers to it, and the metadata twice: a cut leaves the header
as it was or as it is meant to be, but between two calls. Options: cryptsetup-luksAddKey(8), cryptsetup-luksKillSlot(8).
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.migration import luks, records
from ansible_collections.radiology.hardening.plugins.module_utils.migration.job import Plan
from ansible_collections.radiology.hardening.plugins.module_utils.migration.machine import Machine

COUNT = 32
"""Keyslots that a LUKS2 header has room for."""
BOUND = "clevis"
"""Type of the tokens that Clevis writes."""


def used(machine: Machine, header: str) -> list[str]:
    """Return the numbers of the keyslots in use, in their order."""
    return sorted((luks.dump(machine, header) or {}).get("keyslots", {}), key=int)


def free(machine: Machine, header: str) -> str:
    """Return the lowest number of a keyslot that is free."""
    taken = used(machine, header)
    return next(str(number) for number in range(COUNT) if str(number) not in taken)


def tokens(machine: Machine, header: str, kind: str) -> dict[str, dict[str, Any]]:
    """Return a header's tokens of one type, by their numbers."""
    found: dict[str, dict[str, Any]] = (luks.dump(machine, header) or {}).get("tokens", {})
    return {number: token for number, token in found.items() if token.get("type") == kind}


def named(machine: Machine, header: str, kind: str) -> list[str]:
    """Return the keyslots that tokens of one type name."""
    found = tokens(machine, header, kind).values()
    return sorted({str(slot) for token in found for slot in token.get("keyslots", [])}, key=int)


def unnamed(machine: Machine, header: str) -> list[str]:
    """Return the keyslots that no token names."""
    found = (luks.dump(machine, header) or {}).get("tokens", {}).values()
    known = {str(slot) for token in found for slot in token.get("keyslots", [])}
    return [slot for slot in used(machine, header) if slot not in known]


def epoch(header: str) -> int:
    """Return a header's sequence number."""
    with open(header, "rb") as file:
        return luks.epoch(file.read(luks.HEADER_SIZE))


def was_left(machine: Machine, header: str, slot: str, before: int) -> bool:
    """Whether a cut left a keyslot without the token that names it: since epoch `before` nothing else was changed."""
    return slot in unnamed(machine, header) and epoch(header) == before + 1


def opens(machine: Machine, header: str, slot: str, key: bytes) -> bool:
    """Whether the key opens this very keyslot."""
    command = ("open", "--test-passphrase", "--key-slot", slot, "--key-file", "-", header)
    return machine.run((*machine.cryptsetup, *command), stdin=key).status == 0


def add(machine: Machine, header: str, slot: str, plan: Plan, *, opener: bytes, key: bytes) -> None:
    """Add a key to a free keyslot, `opener` being a key that the header has; it reaches the disk as a keyslot only."""
    os.makedirs(luks.KEY_FOLDER, mode=0o700, exist_ok=True)
    folder = tempfile.mkdtemp(dir=luks.KEY_FOLDER)
    path = os.path.join(folder, "key")
    try:
        with open(path, "wb") as file:
            file.write(key)
        machine.must(
            (*machine.cryptsetup, "luksAddKey", *luks.derivation(plan), "--new-key-slot", slot, "--key-file", "-",
             "--batch-mode", header, path),
            stdin=opener,
        )  # fmt: skip
    finally:
        records.remove(path)
        os.rmdir(folder)
    machine.sync_device(header)


def name(machine: Machine, header: str, slot: str) -> None:
    """Write the token that names a keyslot as the recovery key's."""
    token = {"type": luks.RECOVERY_TOKEN, "keyslots": [slot]}
    machine.must((*machine.cryptsetup, "token", "import", header), stdin=json.dumps(token).encode())
    machine.sync_device(header)


def kill(machine: Machine, header: str, slots: Iterable[str], *, sparing: str) -> None:
    """Destroy keyslots, and the tokens that name nothing else; HardeningError where `sparing` is not there to stay.

    A keyslot whose area a cut has wiped already, but which the metadata still list, is destroyed all the same.
    """
    present = used(machine, header)
    doomed = [slot for slot in slots if slot in present]
    if sparing not in present or sparing in doomed:
        raise HardeningError(f"Nothing was changed. {header} has no keyslot {sparing} that could stay.")
    for slot in doomed:
        machine.must((*machine.cryptsetup, "luksKillSlot", "--batch-mode", header, slot))
    for kind in (luks.RECOVERY_TOKEN, BOUND):
        for number, token in tokens(machine, header, kind).items():
            if not token.get("keyslots"):
                machine.must((*machine.cryptsetup, "token", "remove", "--token-id", number, header))
    machine.sync_device(header)
