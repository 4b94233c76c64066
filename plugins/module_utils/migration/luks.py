# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""LUKS2 headers as the migration meets them, and the calls of cryptsetup that it relies on.

Measured with cryptsetup 2.6.1 and 2.7.5. Options: cryptsetup-reencrypt(8), cryptsetup-luksFormat(8).
"""

from __future__ import annotations

import enum
import json
import os
import tempfile
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.migration import records
from ansible_collections.radiology.hardening.plugins.module_utils.migration.job import Plan
from ansible_collections.radiology.hardening.plugins.module_utils.migration.machine import Machine

HEADER_SIZE = 16 << 20
"""Bytes of a LUKS2 header with its keyslots area."""
KEY_FOLDER = "/run/radiology-hardening"
"""Memory-backed; holds a volume key for the fraction of a second in which one header is made from another."""
RECOVERY_TOKEN = "radiology-recovery"  # noqa: S105 - the name of a token type
"""Type of the LUKS2 token that names the recovery key's slot."""

_CIPHER = ("--cipher", "aes-xts-plain64", "--key-size", "512")
_QUICK = ("--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000")
_JOURNAL = ("--resilience", "journal", "--hotzone-size", "16M")


class State(enum.Enum):
    """What a header says of a reencryption (LUKS2 on-disk format 1.1.3, sections 3.3 and 3.6)."""

    NONE = "none"
    """No LUKS2 header can be read."""
    INITIALISED = "initialised"
    """Ready; no byte of the device is encrypted."""
    PARTIAL = "partial"
    """Stopped between two chunks."""
    CUT = "cut"
    """Cut inside a chunk: the journal has to be replayed."""
    ENDED = "ended"
    """Every byte is encrypted, but the header still asks to go on: going on would encrypt everything twice."""
    FINISHED = "finished"
    """An ordinary header."""


def dump(machine: Machine, header: str) -> dict[str, Any] | None:
    """Return a header's metadata; None when there is no readable LUKS2 header."""
    result = machine.run((*machine.cryptsetup, "luksDump", "--dump-json-metadata", header))
    if result.status != 0:
        return None
    found = json.loads(result.output)
    return found if isinstance(found, dict) else None


def state(metadata: dict[str, Any] | None) -> State:
    """Return what a header's metadata say of its reencryption; HardeningError for what cryptsetup never writes."""
    if metadata is None:
        return State.NONE
    flags = metadata.get("config", {}).get("requirements", {}).get("mandatory", [])
    unfinished = any(flag.startswith("online-reencrypt") for flag in flags)
    live = [
        segment
        for segment in metadata["segments"].values()
        if not any(flag.startswith("backup") for flag in segment.get("flags", []))
    ]
    kinds = [segment["type"] for segment in live]
    if any("in-reencryption" in segment.get("flags", []) for segment in live):
        return State.CUT
    if unfinished and kinds == ["linear"]:
        return State.INITIALISED
    if unfinished and kinds == ["crypt"]:
        return State.ENDED
    if unfinished:
        return State.PARTIAL
    if kinds == ["crypt"]:
        return State.FINISHED
    raise HardeningError(f"The header holds segments that are none of ours: {', '.join(kinds) or 'none'}.")


def encrypted_bytes(metadata: dict[str, Any], size: int) -> int:
    """Return how many bytes from the device's start are encrypted, of `size`."""
    found = state(metadata)
    if found is State.INITIALISED:
        return 0
    if found in (State.ENDED, State.FINISHED):
        return size
    ends = [
        int(segment["offset"]) + int(segment["size"])
        for segment in metadata["segments"].values()
        if segment["type"] == "crypt"
        and segment["size"] != "dynamic"
        and not any(flag.startswith(("backup", "in-reencryption")) for flag in segment.get("flags", []))
    ]
    return max(ends, default=0)


def initialise(machine: Machine, header: str, device: str, plan: Plan, key: bytes) -> None:
    """Make the working header of an encryption in place; no byte of the device is written.

    Its keyslot is derived quickly, since it is opened while programs wait: it lasts as long as the job, and a recovery
    key of 256 random bits needs no more.

    cryptsetup writes headers on the way that read as finished ones: the caller gives the file its
    name only after this returned.
    """
    _zeros(header)
    machine.must(
        (*machine.cryptsetup, "reencrypt", "--encrypt", "--type", "luks2", "--header", header, "--init-only",
         *_CIPHER, "--sector-size", str(plan.sector_size), *_JOURNAL, *_QUICK,
         "--key-file", "-", "--batch-mode", device),
        stdin=key,
    )  # fmt: skip
    found = state(dump(machine, header))
    if found is not State.INITIALISED:
        raise HardeningError(f"cryptsetup left the new header {found.value} instead of initialised.")


def make_final(machine: Machine, header: str, working: str, plan: Plan, key: bytes) -> None:
    """Make, before any byte is encrypted, the ordinary header that opens the device once all of it is.

    It has the working header's volume key and UUID.
    """
    os.makedirs(KEY_FOLDER, mode=0o700, exist_ok=True)
    folder = tempfile.mkdtemp(dir=KEY_FOLDER)
    volume_key, proof = os.path.join(folder, "volume-key"), os.path.join(folder, "proof")
    try:
        _dump_volume_key(machine, working, volume_key, key)
        uuid = machine.must((*machine.cryptsetup, "luksUUID", working)).decode().strip()
        size = plan.source.size if plan.source else 0
        options = ("--offset", "0", "--uuid", uuid, "--volume-key-file", volume_key)
        _format(machine, header, plan, key, *options, size=size)
        _dump_volume_key(machine, header, proof, key)
        with open(volume_key, "rb") as one, open(proof, "rb") as other:
            if one.read() != other.read():
                raise HardeningError("The final header has another volume key than the working header.")
    finally:
        for path in (volume_key, proof):
            records.remove(path)
        os.rmdir(folder)


def make_new(machine: Machine, header: str, plan: Plan, key: bytes, size: int) -> None:
    """Make, in a file, the header of a new LUKS2 volume of `size` bytes; its data begin after the header."""
    uuid = ("--uuid", plan.luks_uuid) if plan.luks_uuid else ()
    _format(machine, header, plan, key, "--offset", str(HEADER_SIZE // 512), *uuid, size=size)


def _format(machine: Machine, header: str, plan: Plan, key: bytes, *options: str, size: int) -> None:
    """Make an ordinary header in a file.

    cryptsetup formats a sparse file of the device's size in the device's place, so no mistake here, and no device
    that took another's name meanwhile, can be written to.
    """
    _zeros(header)
    dummy = header + ".dummy"
    try:
        with open(dummy, "wb") as file:
            file.truncate(size)
        machine.must(
            (*machine.cryptsetup, "luksFormat", "--type", "luks2", "--header", header, *_CIPHER,
             "--sector-size", str(plan.sector_size), *options, *derivation(plan),
             "--key-file", "-", "--batch-mode", dummy),
            stdin=key,
        )  # fmt: skip
    finally:
        if os.path.exists(dummy):
            os.unlink(dummy)


def name_recovery_slot(machine: Machine, header: str) -> None:
    """Write the token that names slot 0 as the recovery key's, so that no keyslot is unknown."""
    token = {"type": RECOVERY_TOKEN, "keyslots": ["0"]}
    machine.must((*machine.cryptsetup, "token", "import", header), stdin=json.dumps(token).encode())


def replay(machine: Machine, header: str, device: str, key: bytes) -> None:
    """Replay the journal of a chunk that was cut, and flush the device.

    `header` is a copy: cryptsetup advances it without flushing the device, so the original has to stay until then.
    """
    machine.must(
        (*machine.cryptsetup, "repair", "--header", header, "--key-file", "-", "--batch-mode", device), stdin=key
    )
    machine.sync_device(device)


def go_on(machine: Machine, header: str, device: str, key: bytes, *, active: str = "") -> None:
    """Encrypt chunk after chunk to the end. Only for a header that is initialised or partial: see State.ENDED."""
    opened = ("--active-name", active) if active else ()
    machine.must(
        (*machine.cryptsetup, "reencrypt", "--header", header, "--resume-only", *_JOURNAL, *opened,
         "--key-file", "-", "--batch-mode", *(() if active else (device,))),
        stdin=key,
    )  # fmt: skip


def epoch(content: bytes) -> int:
    """Return the sequence number of a header's content: it grows with every change (on-disk format 1.1.3, 2.1)."""
    return int.from_bytes(content[16:24], "big")


def opens(machine: Machine, header: str, key: bytes) -> bool:
    """Whether the key opens a keyslot of the header."""
    result = machine.run((*machine.cryptsetup, "open", "--test-passphrase", "--key-file", "-", header), stdin=key)
    return result.status == 0


def _dump_volume_key(machine: Machine, header: str, path: str, key: bytes) -> None:
    machine.must(
        (*machine.cryptsetup, "luksDump", "--dump-volume-key", "--volume-key-file", path,
         "--key-file", "-", "--batch-mode", header),
        stdin=key,
    )  # fmt: skip


def derivation(plan: Plan) -> tuple[str, ...]:
    """Return how a keyslot's key is derived, in cryptsetup's options."""
    if plan.memory == 0:
        return _QUICK
    return ("--pbkdf", "argon2id", "--pbkdf-memory", str(plan.memory))


def _zeros(path: str) -> None:
    """Write 16 MiB of zeros, so that no block of the header is still to be allocated later."""
    with open(path, "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(bytes(HEADER_SIZE))
        file.flush()
        os.fsync(file.fileno())
