# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The controller's side of the escrow: opening the sealed key, and keeping it with the header's copies twice."""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import json
import os
import subprocess
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.migration import luks, restoring
from ansible_collections.radiology.hardening.plugins.plugin_utils import clinic_folder

SEALED, HEADER, ABOUT = "recovery-key.p7m", "header.img.gz", "about.json"
README = """\
What lies here opens an encrypted disk when nothing else does, made by radiology.hardening: the recovery key of one
volume, sealed to the certificates that the clinic file names, and a copy of the disk's header. about.json says whose
they are. Keep them off that host, and in your backup.
"""
NEXT = "recovery-key.next.p7m"
"""A new recovery key until it takes the former one's place."""
FORMER = ".former"
"""Added to the name of a file for the moment in which it is replaced and overwritten."""


def certificates(escrow: Mapping[str, Any], directory: str) -> list[str]:
    """Return the certificates (PEM) that the clinic file names; HardeningError names one that cannot be read."""
    found = []
    for given in escrow.get("certificates") or []:
        path = os.path.join(directory, str(given))
        try:
            with open(path, encoding="ascii") as file:
                text = file.read()
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", "") or "it is not ASCII"
            raise HardeningError(f"escrow.certificates names {path}, which cannot be read as PEM: {why}.") from error
        if "BEGIN CERTIFICATE" not in text:
            raise HardeningError(f"escrow.certificates names {path}; accepted is an X.509 certificate as PEM.")
        found.append(text)
    if not found:
        raise HardeningError(
            "The clinic file names no certificate under escrow.certificates: without one the recovery key cannot be"
            " sealed, and nothing is encrypted."
        )
    return found


def fingerprint(certificate: str) -> str:
    """Return the SHA-256 of a certificate (PEM), in hexadecimal."""
    body = certificate.split("-----BEGIN CERTIFICATE-----", 1)[1].split("-----END CERTIFICATE-----", 1)[0]
    return hashlib.sha256(base64.b64decode(body)).hexdigest()


def folders(escrow: Mapping[str, Any], directory: str, host: str, name: str) -> list[str]:
    """Return the two or more folders for one host's volume; HardeningError when the clinic file names fewer."""
    given = [os.path.join(directory, str(folder)) for folder in escrow.get("folders") or []]
    if len({os.path.realpath(folder) for folder in given}) < 2:
        raise HardeningError(
            "The clinic file names fewer than two places under escrow.folders: the sealed recovery key and the header's"
            " copies have to lie in two, off the host."
        )
    return [os.path.join(folder, host, name) for folder in given]


def keep(places: Sequence[str], file_name: str, content: bytes) -> None:
    """Write a file (0600) to every place, by a rename, and read it back; the former one is overwritten.

    An old header copy and an old sealed key together open the volume again once they were revoked. On flash, and in
    backups of these folders, they may survive all the same.
    """
    for place in places:
        path = os.path.join(place, file_name)
        try:
            clinic_folder.made(place, 0o700, README)
            temporary = path + ".new"  # a fixed name: what a cut leaves there is overwritten by the next run
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            _wipe_former(path)
            with contextlib.suppress(FileNotFoundError):
                os.link(path, path + FORMER)
            os.replace(temporary, path)
            sync(place)
            with open(path, "rb") as file:
                if file.read() != content:
                    raise HardeningError(f"{path} does not read back as it was written.")
            _wipe_former(path)
        except OSError as error:
            raise HardeningError(f"{path} cannot be written: {error.strerror}. The act ended there.") from error


def about(places: Sequence[str], told: Mapping[str, Any]) -> None:
    """Write beside sealed key and header what they belong to, for whoever finds them."""
    keep(places, ABOUT, json.dumps(told, indent=1, sort_keys=True).encode())


def open_sealed(path: str, private_key: str, passphrase: str) -> bytes:
    """Return the recovery key from its envelope; HardeningError when this private key does not open it."""
    command = ["openssl", "cms", "-decrypt", "-binary", "-inform", "DER", "-in", path, "-inkey", private_key]
    done = subprocess.run(
        [*command, "-passin", "stdin"], input=passphrase.encode() + b"\n", capture_output=True, check=False
    )
    if done.returncode != 0:  # with a damaged envelope there is output all the same: it is not to be used
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise HardeningError(f"{private_key} does not open {path}: {said[0] if said else 'no reason told'}")
    return done.stdout


def answer(path: str, private_key: str, passphrase: str, nonce: str) -> str:
    """Return the answer to the host's challenge: SHA-256 of nonce and opened key, in hexadecimal."""
    return hashlib.sha256(nonce.encode() + open_sealed(path, private_key, passphrase)).hexdigest()


def how_to_answer(path: str, nonce: str) -> str:
    """Return the one line that whoever holds a private key runs to answer."""
    opened = f"openssl cms -decrypt -binary -inform DER -in {path} -inkey PRIVATE_KEY.pem"
    return f"(printf %s {nonce}; {opened}) | sha256sum"


def told(places: Sequence[str]) -> dict[str, Any]:
    """Return what `about` wrote last; an empty one where nothing can be read."""
    for place in places:
        with contextlib.suppress(OSError, ValueError):
            with open(os.path.join(place, ABOUT), encoding="utf-8") as file:
                found = json.load(file)
            if isinstance(found, dict):
                return found
    return {}


def newest_header(places: Sequence[str]) -> tuple[str, bytes]:
    """Return the copy of the header with the highest epoch, and where it lies; HardeningError when there is none."""
    found: list[tuple[int, str, bytes]] = []
    for path in (os.path.join(place, HEADER) for place in places):
        with contextlib.suppress(OSError, EOFError, zlib.error), gzip.open(path) as file:
            copy = file.read(luks.HEADER_SIZE + 1)
            if copy.startswith(restoring.MAGIC):
                found.append((luks.epoch(copy), path, copy))
    if not found:
        raise HardeningError(f"No copy of a header that can be read lies in {' or '.join(places)}.")
    return max(found, key=lambda each: each[0])[1:]


def forget(places: Sequence[str], file_name: str) -> None:
    """Overwrite and remove a file in every place; nothing happens where there is none."""
    for place in places:
        _wipe_former(os.path.join(place, file_name))
        for each in (file_name + ".new", file_name):
            _wipe(os.path.join(place, each))


def sync(folder: str) -> None:
    """Bring a folder's names to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _wipe_former(path: str) -> None:
    """Overwrite what a file replaced; where a cut left it before it was replaced, it is the file itself, and stays."""
    with contextlib.suppress(FileNotFoundError):
        if os.path.samefile(path, path + FORMER):
            os.unlink(path + FORMER)
    _wipe(path + FORMER)


def _wipe(path: str) -> None:
    try:
        size = os.path.getsize(path)
        with open(path, "r+b") as file:
            file.write(bytes(size))
            file.flush()
            os.fsync(file.fileno())
        os.unlink(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise HardeningError(f"{path} cannot be overwritten and removed: {error.strerror}.") from error
    sync(os.path.dirname(path))
