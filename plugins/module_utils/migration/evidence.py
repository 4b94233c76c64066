# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What shows that a volume's recovery key and header lie in other hands: a copy of the header, and the record of it."""

from __future__ import annotations

import base64
import datetime
import gzip
import hashlib
import os
from collections.abc import Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.migration import job, luks, records, unlock
from ansible_collections.radiology.hardening.plugins.module_utils.migration.machine import Machine


def final_header(found: job.Job, machine: Machine) -> str:
    """Return where the header lies that opens the volume once it is whole. A job's working header is never copied."""
    device, header = unlock.header_of(found, machine)
    final = found.path("header.final")
    return device if not header else final if os.path.exists(final) else header


def content(path: str) -> bytes:
    """Return the 16 MiB of a header; nothing where there is no such file."""
    try:
        with open(path, "rb") as file:
            return file.read(luks.HEADER_SIZE)
    except FileNotFoundError:
        return b""


def collect(found: job.Job, machine: Machine) -> dict[str, Any]:
    """Return the header, to be kept at two other places, compressed and in base 64, with its digest and UUID."""
    path = final_header(found, machine)
    copy = content(path)
    return {
        "header": base64.b64encode(gzip.compress(copy)).decode(),
        "digest": hashlib.sha256(copy).hexdigest(),
        "luks_uuid": machine.must((*machine.cryptsetup, "luksUUID", path)).decode().strip(),
    }


def record(found: job.Job, machine: Machine, told: Mapping[str, Any]) -> None:
    """Record where header and sealed key are kept, and who was shown to open it; HardeningError for another header.

    Where nothing is told of recipients the sealed key is the former one, and so is its proof.
    """
    path = final_header(found, machine)
    copy = content(path)
    if hashlib.sha256(copy).hexdigest() != told["digest"]:
        raise HardeningError("The header changed since its copies were taken: run the playbook again.")
    metadata = luks.dump(machine, path) or {}
    former = records.read_json(found.path("escrow.json")) or {}
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    records.write_json(
        found.path("escrow.json"),
        {
            "luks_uuid": str(told["luks_uuid"]),
            "proven_at": now if told.get("recipients") else str(former.get("proven_at", "")),
            "recipients": list(told.get("recipients") or former.get("recipients", [])),
            "header_epoch": luks.epoch(copy),
            "header_copies": list(told["places"]),
            "header_digest": told["digest"],
            "keyslots": sorted(metadata.get("keyslots", {}), key=int),
        },
    )
