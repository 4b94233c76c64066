# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A new recovery key in the place of the former one, step by step, so that at every cut a proven key opens the volume.

`rotation.json` in the job's folder holds the step, and `rotation.p7m` the new key, sealed:

- `making`: the keyslot's number is chosen. A cut loses the new key: its keyslot, if there is one, is destroyed again.
- `added`: the new key opens its keyslot. The former one opens too, and is the one that is proven.
- `proven`: somebody opened the sealed new key. From here on the former one may go.
- `revoked`: the former keyslots and their tokens are gone. Copies of the header, and the sealed new key, have to take
  the place of the former ones; then the record goes.

The host forgets the new key as soon as it is sealed and added. What proves it later is its answer to a challenge, of
which the host keeps the digest alone.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.migration import (
    escrow,
    evidence,
    job,
    keyslots,
    luks,
    records,
)
from ansible_collections.radiology.hardening.plugins.module_utils.migration.keys import (
    DAMAGED,
    ROTATION,
    SEALED,
    any_key,
    at_rest,
    ordinary_header,
)
from ansible_collections.radiology.hardening.plugins.module_utils.migration.machine import Machine


def renew(
    machine: Machine, name: str, certificates: Sequence[str], recipients: Sequence[str], keys: Sequence[bytes]
) -> dict[str, Any]:
    """Make, seal and add a new recovery key, unless that was done; return it sealed, with a challenge and its step.

    `recipients` are the digests of the certificates, `keys` what opens the volume where neither TPM nor Tang does.
    """
    with at_rest(machine, name) as found:
        header = ordinary_header(machine, found)
        begun = records.read_json(found.path(ROTATION))
        if begun and not resumes(machine, header, begun, recipients):
            abandon(machine, found, header, begun)
            begun = None
        if not begun:
            opener = any_key(machine, header, keys)
            if opener is None:
                raise HardeningError(
                    f"Nothing was changed. Neither TPM nor Tang opens {name} now, and no key from the escrow does: a"
                    " keyslot can only be added with a key that opens; give -e escrow_private_key=<path>."
                )
            begun = begin(machine, found, opener, certificates, recipients)
        return {
            "sealed": base64.b64encode(sealed(found)).decode(),
            "nonce": begun["nonce"],
            "step": begun["stage"],
            "recipients": begun["recipients"],
        }


def resumes(machine: Machine, header: str, begun: Mapping[str, Any], recipients: Sequence[str]) -> bool:
    """Whether a rotation that was begun can go on: its key is in the header, and sealed to whom it has to be."""
    if begun["slot"] not in keyslots.named(machine, header, luks.RECOVERY_TOKEN):
        return False
    return begun["stage"] in ("proven", "revoked") or (
        begun["stage"] == "added" and list(begun["recipients"]) == list(recipients)
    )


def abandon(machine: Machine, found: job.Job, header: str, begun: Mapping[str, Any]) -> None:
    """Destroy the keyslot of a new key that was never proven, and forget the rotation; the former key stays."""
    former = [slot for slot in keyslots.named(machine, header, luks.RECOVERY_TOKEN) if slot != begun["slot"]] or begun[
        "former"
    ]
    named = begun["slot"] in keyslots.named(machine, header, luks.RECOVERY_TOKEN)
    ours = named or keyslots.was_left(machine, header, begun["slot"], begun["epoch"])
    if begun["stage"] in ("making", "added") and ours and former:
        keyslots.kill(machine, header, [begun["slot"]], sparing=former[0])
    forget(found)


def begin(
    machine: Machine, found: job.Job, opener: bytes, certificates: Sequence[str], recipients: Sequence[str]
) -> dict[str, Any]:
    """Bring a new recovery key to the step `added`; `opener` is a key that the header has."""
    header = ordinary_header(machine, found)
    key, nonce, slot = escrow.make_key(), secrets.token_hex(16), keyslots.free(machine, header)
    records.write(found.path(SEALED), escrow.seal(machine, key, certificates))
    begun = {
        "stage": "making",
        "slot": slot,
        "epoch": keyslots.epoch(header),
        "former": keyslots.named(machine, header, luks.RECOVERY_TOKEN),
        "recipients": list(recipients),
        "nonce": nonce,
        "answer": _digest(escrow.answer(key, nonce)),
    }
    records.write_json(found.path(ROTATION), begun)
    keyslots.add(machine, header, slot, found.plan, opener=opener, key=key)
    keyslots.name(machine, header, slot)
    if not keyslots.opens(machine, header, slot, key):
        raise HardeningError(f"The new recovery key does not open keyslot {slot} of {header}: the former one stays.")
    return advance(found, begun, "added")


def revoke(machine: Machine, name: str, answer: str, keys: Sequence[bytes]) -> dict[str, Any]:
    """Destroy the keyslots of the former recovery keys, once the answer shows that the sealed new one was opened.

    `keys` may hold the new key as it was opened: then its keyslot is tried once more first.
    """
    with at_rest(machine, name) as found:
        header = ordinary_header(machine, found)
        begun = records.read_json(found.path(ROTATION))
        if not begun or begun["stage"] == "making":
            raise HardeningError(f"No new recovery key of {name} waits for its proof: run rotate_disk_keys again.")
        if begun["stage"] == "added":
            if not hmac.compare_digest(_digest(answer), begun["answer"]):
                raise HardeningError(
                    "The former recovery key stays. The sealed new one was not shown to open: what was answered is not"
                    " the answer to the challenge."
                )
            new = [key for key in keys if _digest(escrow.answer(key, begun["nonce"])) == begun["answer"]]
            if new and not keyslots.opens(machine, header, begun["slot"], new[0]):
                raise HardeningError(f"The former recovery key stays. The new one does not open {header}.")
            begun = advance(found, begun, "proven")
        recovery = keyslots.named(machine, header, luks.RECOVERY_TOKEN)
        if begun["slot"] not in recovery:
            raise HardeningError(
                f"{header} has no keyslot of the new recovery key any more: run rotate_disk_keys again."
            )
        doomed = [slot for slot in (*recovery, *begun["former"]) if slot != begun["slot"]]
        keyslots.kill(machine, header, dict.fromkeys(doomed), sparing=begun["slot"])
        advance(found, begun, "revoked")
        return {"sentence": f"The former recovery key of {name} opens it no more"}


def collect(machine: Machine, name: str) -> dict[str, Any]:
    """Return a copy of the header and, where a new recovery key took the former one's place, that key, sealed."""
    with at_rest(machine, name) as found:
        ordinary_header(machine, found)
        begun = records.read_json(found.path(ROTATION)) or {}
        renewed = begun.get("stage") == "revoked"
        taken = evidence.collect(found, machine)
        records.write_json(found.path("collected.json"), {"digest": taken["digest"]})
        return {
            **taken,
            "sealed": base64.b64encode(sealed(found)).decode() if renewed else "",
            "recipients": list(begun["recipients"]) if renewed else [],
        }


def record(machine: Machine, name: str, told: Mapping[str, Any]) -> dict[str, Any]:
    """Record where the copies lie that were just kept; a rotation is over with that.

    What `restore` kept of a damaged header may still hold the former key's slot, so it goes too.
    """
    with at_rest(machine, name) as found:
        evidence.record(found, machine, told)
        if (records.read_json(found.path(ROTATION)) or {}).get("stage") == "revoked":
            for each in os.listdir(found.folder):
                if each.startswith(DAMAGED):
                    records.remove(found.path(each))
            forget(found)
        records.drop(found.path("collected.json"))
        return {"sentence": f"Copies of the header of {name} lie in {' and '.join(told['places'])}"}


def sealed(found: job.Job) -> bytes:
    """Return the new recovery key, sealed."""
    with open(found.path(SEALED), "rb") as file:
        return file.read()


def advance(found: job.Job, begun: dict[str, Any], stage: str) -> dict[str, Any]:
    """Record that a rotation has come to a step."""
    following = {**begun, "stage": stage}
    records.write_json(found.path(ROTATION), following)
    return following


def forget(found: job.Job) -> None:
    """Forget a rotation that is over or abandoned; the record goes first, so that it names no key that is not there."""
    for name in (ROTATION, SEALED):
        records.drop(found.path(name))


def _digest(answer: str) -> str:
    return hashlib.sha256(answer.strip().lower().split(" ")[0].encode()).hexdigest()
