# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""LUKS2 headers and ciphertext as a witness reads them: by cryptsetup's dump and its own AES. No code of the engine."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from collections.abc import Sequence

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from disks import ROOT
from places import KEY


@dataclasses.dataclass(frozen=True)
class Header:
    """A finished, ordinary header: one segment, encrypted, nothing left to do."""

    key: bytes
    """The volume key."""
    sector: int
    """Bytes of an encryption sector."""
    offset: int
    """Where the data begins in its device, in bytes."""


def read(cryptsetup: Sequence[str], path: str) -> Header:
    """Return the header in a file or at a device's begin.

    CalledProcessError when it is none, or the recovery key opens no keyslot of it; AssertionError when it is not
    finished, or not of the cipher that was asked for.
    """
    dumped = subprocess.check_output((*cryptsetup, "luksDump", "--dump-json-metadata", path), stderr=subprocess.DEVNULL)
    metadata = json.loads(dumped)
    assert not metadata["config"].get("requirements", {}).get("mandatory"), metadata["config"]
    (segment,) = metadata["segments"].values()
    assert (segment["type"], segment["encryption"]) == ("crypt", "aes-xts-plain64"), segment
    assert int(segment["iv_tweak"]) == 0, segment
    return Header(volume_key(cryptsetup, path), int(segment["sector_size"]), int(segment["offset"]))


def volume_key(cryptsetup: Sequence[str], path: str) -> bytes:
    """Return the volume key that the recovery key opens."""
    key = ROOT / "volume-key"
    key.unlink(missing_ok=True)
    command = (*cryptsetup, "luksDump", "--dump-volume-key", "--volume-key-file", str(key), "--key-file", "-")
    subprocess.run((*command, "--batch-mode", path), input=KEY, check=True, capture_output=True)
    return key.read_bytes()


def decrypt(content: bytes, header: Header) -> bytes:
    """Return AES-XTS plain64 of the content, its sectors numbered in units of 512 bytes."""
    parts = []
    for offset in range(0, len(content), header.sector):
        tweak = (offset // 512).to_bytes(16, "little")
        decryptor = Cipher(algorithms.AES(header.key), modes.XTS(tweak)).decryptor()
        parts.append(decryptor.update(content[offset : offset + header.sector]) + decryptor.finalize())
    return b"".join(parts)
