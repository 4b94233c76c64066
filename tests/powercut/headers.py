# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""LUKS2 headers and ciphertext as a witness reads them: by cryptsetup's dump and its own AES. No code of the engine."""

from __future__ import annotations

import dataclasses
import functools
import json
import subprocess

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from disks import ROOT
from places import HEADER, KEY


@dataclasses.dataclass(frozen=True)
class Header:
    """A finished, ordinary header: one segment, encrypted, nothing left to do."""

    key: bytes
    """The volume key."""
    sector: int
    """Bytes of an encryption sector."""
    offset: int
    """Where the data begins in its device, in bytes."""


def read(cryptsetup: tuple[str, ...], path: str) -> Header:
    """Return the header in a file or at a device's begin; it is looked at on a copy.

    CalledProcessError when it is none, or the recovery key opens no keyslot of it; AssertionError when it is not
    finished, or not of the cipher that was asked for.
    """
    with open(path, "rb") as file:
        return _read(cryptsetup, file.read(HEADER))


@functools.lru_cache(maxsize=4)
def _read(cryptsetup: tuple[str, ...], content: bytes) -> Header:
    copy, key = ROOT / "header", ROOT / "volume-key"
    copy.write_bytes(content)
    key.unlink(missing_ok=True)
    dumped = subprocess.check_output((*cryptsetup, "luksDump", "--dump-json-metadata", copy), stderr=subprocess.DEVNULL)
    metadata = json.loads(dumped)
    assert not metadata["config"].get("requirements", {}).get("mandatory"), metadata["config"]
    (segment,) = metadata["segments"].values()
    assert (segment["type"], segment["encryption"]) == ("crypt", "aes-xts-plain64"), segment
    assert int(segment["iv_tweak"]) == 0, segment
    command = (*cryptsetup, "luksDump", "--dump-volume-key", "--volume-key-file", str(key), "--key-file", "-")
    subprocess.run((*command, "--batch-mode", copy), input=KEY, check=True, capture_output=True)
    return Header(key.read_bytes(), int(segment["sector_size"]), int(segment["offset"]))


@functools.lru_cache(maxsize=2)
def decrypt(content: bytes, header: Header) -> bytes:
    """Return AES-XTS plain64 of the content, its sectors numbered in units of 512 bytes."""
    cipher, parts = algorithms.AES(header.key), []
    for offset in range(0, len(content), header.sector):
        decryptor = Cipher(cipher, modes.XTS((offset // 512).to_bytes(16, "little"))).decryptor()
        parts.append(decryptor.update(content[offset : offset + header.sector]))
    return b"".join(parts)
