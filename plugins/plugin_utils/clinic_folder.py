# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The folder beside a clinic file that is written by many: the clinic's hosts are hardened at the same time.

Ansible reads what lies below an inventory folder, and refuses all of it where a folder there has no file to read. So
none is there without a file: a run may be killed between the two.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError

README = "README"
ABOUT = """\
What lies here was made by radiology.hardening for one clinic, whose file is named after this folder or one above.
Keep all of it, and back it up: without it the clinic's devices have to be given new certificates. Passwords and keys in
it are encrypted, and open with the password that your runs of Ansible are given for the vault.
"""


def made(folder: str, mode: int = 0o755, about: str = ABOUT) -> None:
    """Make a folder where it is missing, with a file in it that says what it is; OSError where that cannot be."""
    if os.path.isdir(folder):
        return
    above, name = os.path.split(folder)
    made(above, about=about)
    fresh = os.path.join(above, f".{name}.{secrets.token_hex(4)}.tmp")
    os.mkdir(fresh, mode)
    try:
        with open(os.path.join(fresh, README), "w", encoding="ascii") as file:
            file.write(about)
        os.rename(fresh, folder)
    except OSError:
        shutil.rmtree(fresh)
        if not os.path.isdir(folder):
            raise


@contextlib.contextmanager
def locked(folder: str, purpose: str, mode: int = 0o755) -> Iterator[None]:
    """Hold a folder, made where it is missing, against the other processes of this and other runs."""
    try:
        made(folder, mode)
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
        made(os.path.dirname(path))
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


def lay(directory: str, path: str, text: str, about: str) -> None:
    """Write a file into a folder of its own in the clinic's, made where it is missing; `about`: its README."""
    folder = os.path.dirname(path)
    try:
        made(directory)
        made(folder, about=about)
    except OSError as error:
        raise HardeningError(f"{folder} cannot be made: {error.strerror}.") from error
    write(path, text)


def remove(path: str) -> None:
    """Remove a file of the clinic's folder."""
    try:
        os.unlink(path)
    except OSError as error:
        raise HardeningError(f"{path} cannot be removed: {error.strerror}.") from error
