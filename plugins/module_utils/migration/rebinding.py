# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Another TPM or Tang server: the header is bound to it, tried, and only then the former bindings go.

`rebinding.json` in the job's folder names the keyslot that is being made, so that what a cut left half made is found.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.migration import (
    escrow,
    evidence,
    job,
    keyslots,
    records,
)
from ansible_collections.radiology.hardening.plugins.module_utils.migration.keys import (
    any_key,
    at_rest,
    is_armed,
    opening,
    ordinary_header,
    passed,
)
from ansible_collections.radiology.hardening.plugins.module_utils.migration.machine import Machine

RECORD = "rebinding.json"


def rebind(machine: Machine, name: str, declared: Mapping[str, Any], keys: Sequence[bytes]) -> dict[str, Any]:
    """Bind the header to what the clinic file declares (a Clevis pin and its configuration), as it answers now.

    Of a volume that is still being encrypted only the job's own key is bound anew: its header comes last.
    """
    found = job.Job(f"{job.FOLDER}/{name}")
    wanted = dict(declared) or found.plan.unlock
    if not wanted:
        raise HardeningError(f"The clinic file declares neither TPM nor Tang (storage.unlock) to bind {name} to.")
    if is_armed(found):
        key = opening(machine, evidence.final_header(found, machine), keys)
        if key is None:
            raise HardeningError(f"No key from the escrow opens {name}: its job was not bound anew.")
        escrow.bind(machine, found.folder, key, wanted)
        return {"rebound": False, "sentence": f"The job that encrypts {name} finds its key at the next boot again"}
    with at_rest(machine, name) as found:
        header = ordinary_header(machine, found)
        clear_leftovers(machine, found, header)
        before = keyslots.named(machine, header, keyslots.BOUND)
        good = next((slot for slot in before if answers(machine, header, slot, wanted)), None)
        if good is None:
            good = add(machine, found, header, wanted, keys)
        keyslots.kill(machine, header, [slot for slot in before if slot != good], sparing=good)
        records.drop(found.path(RECORD))
        if found.plan.unlock != wanted:
            plan = dataclasses.replace(found.plan, unlock=wanted)
            records.write_json(found.path("plan.json"), dataclasses.asdict(plan))
            machine.put_table(plan)
        return {"rebound": True, "sentence": f"{name} opens by the present {wanted['pin']}, and by no former binding"}


def clear_leftovers(machine: Machine, found: job.Job, header: str) -> None:
    """Destroy the keyslot that a cut left without its token: nobody knows its key."""
    begun = records.read_json(found.path(RECORD))
    if begun and keyslots.was_left(machine, header, begun["slot"], begun["epoch"]):
        staying = [slot for slot in keyslots.used(machine, header) if slot != begun["slot"]]
        keyslots.kill(machine, header, [begun["slot"]], sparing=staying[0])


def add(machine: Machine, found: job.Job, header: str, wanted: Mapping[str, Any], keys: Sequence[bytes]) -> str:
    """Make a binding, and return its keyslot once it was shown to give a key that opens."""
    key = any_key(machine, header, keys)
    if key is None:
        raise HardeningError(
            f"Nothing was changed. Neither TPM nor Tang opens {found.plan.name} now: the recovery key is needed to bind"
            " it anew; give -e escrow_private_key=<path>."
        )
    before = keyslots.used(machine, header)
    records.write_json(found.path(RECORD), {"slot": keyslots.free(machine, header), "epoch": keyslots.epoch(header)})
    machine.bind(header, wanted, key)
    machine.sync_device(header)
    made = [slot for slot in keyslots.used(machine, header) if slot not in before]
    good = next((slot for slot in made if answers(machine, header, slot, wanted)), None)
    if good is None:
        keyslots.kill(machine, header, made, sparing=before[0])
        raise HardeningError(
            f"The new binding of {found.plan.name} to {wanted['pin']} gave no key and was removed; the former ones"
            " stay."
        )
    return good


def answers(machine: Machine, header: str, slot: str, wanted: Mapping[str, Any]) -> bool:
    """Whether a keyslot is bound to what is wanted, and what it is bound to gives a key that opens it now."""
    bound = [token for token in keyslots.tokens(machine, header, keyslots.BOUND).values() if slot in token["keyslots"]]
    if not any(is_bound_to(token, wanted) for token in bound):
        return False
    key = passed(machine, header, slot)
    return key is not None and keyslots.opens(machine, header, slot, key)


def is_bound_to(token: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether Clevis' token (RFC 7516, its protected header) names the wanted pin with the wanted configuration.

    Of a TPM the registers are compared, of Tang the address, and that it advertised the key with the thumbprint.
    """
    protected = str(token.get("jwe", {}).get("protected", ""))
    try:
        clevis = json.loads(base64.urlsafe_b64decode(protected + "=" * (-len(protected) % 4)))["clevis"]
    except (ValueError, KeyError, TypeError):
        return False
    pin, config = str(wanted["pin"]), wanted["config"]
    told = clevis.get(pin)
    if clevis.get("pin") != pin or not isinstance(told, dict):
        return False
    if pin == "tpm2":
        return str(told.get("pcr_ids", "")) == str(config.get("pcr_ids", ""))
    thumbprints = [each for key in told.get("adv", {}).get("keys", []) for each in thumbprints_of(key)]
    return told.get("url") == config.get("url") and (not config.get("thp") or config["thp"] in thumbprints)


def thumbprints_of(key: Mapping[str, Any]) -> list[str]:
    """Return the thumbprints of a key on an elliptic curve (RFC 7638): with SHA-256, and with SHA-1 as older Tang."""
    members = json.dumps({name: key.get(name) for name in ("crv", "kty", "x", "y")}, separators=(",", ":")).encode()
    digests = (hashlib.sha256(members).digest(), hashlib.sha1(members, usedforsecurity=False).digest())
    return [base64.urlsafe_b64encode(digest).decode().rstrip("=") for digest in digests]
