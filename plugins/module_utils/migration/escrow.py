# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The recovery key: made on the host, sealed to certificates, proven to open before anything is encrypted.

Sealing is CMS (RFC 5652) with AES-256-GCM (RFC 5084), because a flipped bit under CBC gives a wrong key and no error.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import os
import secrets
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.migration import records
from ansible_collections.radiology.hardening.plugins.module_utils.migration.machine import Machine

BOUND = "run.jwe"
"""In the job's folder: the recovery key, bound to the TPM or to Tang, for as long as the job runs."""
CHALLENGE = "challenge.json"
_RSA = ("-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256")


def make_key() -> bytes:
    """Return a recovery key of 256 random bits, as people can read it out: 13 groups of 4 letters and digits."""
    text = base64.b32encode(secrets.token_bytes(32)).decode().rstrip("=")
    return "-".join(text[at : at + 4] for at in range(0, len(text), 4)).encode()


def seal(machine: Machine, key: bytes, certificates: Sequence[str]) -> bytes:
    """Return the key in one CMS envelope (DER) that the private key of each certificate (PEM) opens alone."""
    if not certificates:
        raise HardeningError("No certificate is declared to seal the recovery key to: no escrow, no encryption.")
    with tempfile.TemporaryDirectory() as folder:
        recipients: list[str] = []
        for number, certificate in enumerate(certificates):
            path = os.path.join(folder, f"{number}.pem")
            with open(path, "w", encoding="ascii") as file:
                file.write(certificate)
            shown = machine.must(("openssl", "x509", "-in", path, "-noout", "-text", "-checkend", "0"), accepted=(0, 1))
            if b"will expire" in shown:
                raise HardeningError("A certificate to seal the recovery key to has expired.")
            recipients += ["-recip", path, *(_RSA if b"rsaEncryption" in shown else ())]
        return machine.must(
            ("openssl", "cms", "-encrypt", "-binary", "-aes-256-gcm", "-outform", "DER", *recipients), stdin=key
        )


def answer(key: bytes, nonce: str) -> str:
    """Return what only somebody who opened the envelope can: SHA-256 (hexadecimal) of nonce and key.

    It says nothing of a key of 256 random bits, and two pipes make it, so that the key is in no process list.
    """
    return hashlib.sha256(nonce.encode() + key).hexdigest()


def pose(folder: str) -> str:
    """Return the challenge of a job, made once."""
    path = os.path.join(folder, CHALLENGE)
    found = records.read_json(path)
    if found is None:
        found = {"nonce": secrets.token_hex(16)}
        records.write_json(path, found)
    return str(found["nonce"])


def is_proven(folder: str, key: bytes, given: str) -> bool:
    """Whether the answer shows that the sealed copy was opened."""
    return hmac.compare_digest(answer(key, pose(folder)).encode(), given.strip().lower().split(" ")[0].encode())


def bind(machine: Machine, folder: str, key: bytes, unlock: Mapping[str, Any]) -> None:
    """Keep the key for the length of the job: bound by Clevis, or, where a person unlocks, in memory alone."""
    if unlock:
        command = ("clevis", "encrypt", str(unlock["pin"]), json.dumps(unlock["config"]))
        bound = machine.must(command, stdin=key)
        records.write(os.path.join(folder, BOUND), bound)
        if bound_key(machine, folder) != key:
            raise HardeningError(f"The key that was bound with {unlock['pin']} does not come back.")
        return
    path = in_memory(folder)
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    records.write(path, key)


def bound_key(machine: Machine, folder: str) -> bytes | None:
    """Return the key of a job that runs; None when neither the memory, the TPM nor Tang gives it (now).

    The memory holds it where a person unlocks, and where the playbook unlock brought it because TPM or Tang failed.
    """
    with contextlib.suppress(FileNotFoundError), open(in_memory(folder), "rb") as file:
        return file.read()
    with contextlib.suppress(FileNotFoundError):
        with open(os.path.join(folder, BOUND), "rb") as file:
            result = machine.run(("clevis", "decrypt"), stdin=file.read())
        return result.output if result.status == 0 else None
    return None


def forget(folder: str) -> None:
    """Remove the key from the host: the job needs it no more."""
    records.remove(os.path.join(folder, BOUND))
    records.remove(in_memory(folder))


def in_memory(folder: str) -> str:
    """Return where a key without a binding lies until the next boot."""
    return f"/run/radiology-hardening/{os.path.basename(folder)}.key"
