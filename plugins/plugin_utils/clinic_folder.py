# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The folder beside a clinic file that is written by many: the clinic's hosts are hardened at the same time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError


@contextlib.contextmanager
def locked(folder: str, purpose: str, mode: int = 0o755) -> Iterator[None]:
    """Hold a folder, made where it is missing, against the other processes of this and other runs."""
    try:
        os.makedirs(folder, mode=mode, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise HardeningError(f"{folder} cannot be used for {purpose}: {error.strerror}.") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def read(path: str) -> str:
    """Return the text of a public file of the clinic's folder; empty where there is none."""
    try:
        with open(path, encoding="ascii") as file:
            return file.read()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise HardeningError(f"{path} cannot be read: {error}.") from error


def write(path: str, text: str, mode: int = 0o644) -> None:
    """Replace a file atomically: temporary file in the same folder, fsync, rename."""
    temporary = ""
    try:
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".clinic-", suffix=".tmp")
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)
        raise HardeningError(f"{path} cannot be written: {error.strerror}.") from error


def remove(path: str) -> None:
    """Remove a file of the clinic's folder."""
    try:
        os.unlink(path)
    except OSError as error:
        raise HardeningError(f"{path} cannot be removed: {error.strerror}.") from error
