# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files that a power cut leaves either as they were or as they are meant to be."""

from __future__ import annotations

import array
import contextlib
import errno
import fcntl
import json
import os
import stat
from typing import Any

_GET_FLAGS, _SET_FLAGS = 0x80086601, 0x40086602
"""FS_IOC_GETFLAGS and FS_IOC_SETFLAGS of linux/fs.h on 64-bit machines."""
_AT_ONCE = 16 << 20
"""Bytes that are overwritten at once, a whole header: in a synchronous folder each write waits for the disk."""
FILL = 16 << 20
"""Bytes that free space is overwritten with at once."""
_SYNCHRONOUS, _IMMUTABLE = 0x00000008, 0x00000010
"""FS_SYNC_FL and FS_IMMUTABLE_FL of linux/fs.h."""


def synchronous_folder(path: str) -> None:
    """Make a folder (0700) in which every write reaches the disk before it returns, as `chattr +S` does.

    Files made in it inherit the flag, and keep it through a rename. Without it cryptsetup's journal may be
    on the disk later than the header that refers to it. Raises OSError where the file system has no such flag.
    """
    os.makedirs(path, mode=0o700, exist_ok=True)
    os.chmod(path, 0o700)
    _change_flags(path, _SYNCHRONOUS)
    sync(os.path.dirname(path))


def ordinary_folder(path: str) -> None:
    """Make a folder (0700) inside a synchronous one that is not so itself: for what syncs its writes by itself."""
    os.makedirs(path, mode=0o700, exist_ok=True)
    _change_flags(path, 0, without=_SYNCHRONOUS)
    sync(os.path.dirname(path))


def make_immutable(path: str) -> None:
    """Let nothing be made, renamed or removed in a folder, as `chattr +i` does."""
    _change_flags(path, _IMMUTABLE)


def is_immutable(path: str) -> bool:
    """Whether a folder is immutable."""
    return bool(_change_flags(path, 0) & _IMMUTABLE)


def _change_flags(path: str, flags: int, *, without: int = 0) -> int:
    """Set and clear inode flags of a folder, durably; return what it has now."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        found = array.array("l", [0])
        fcntl.ioctl(handle, _GET_FLAGS, found)
        wanted = (found[0] | flags) & ~without
        if wanted != found[0]:
            fcntl.ioctl(handle, _SET_FLAGS, array.array("l", [wanted]))
            os.fsync(handle)
    finally:
        os.close(handle)
    return wanted


def sync(path: str) -> None:
    """Bring a file, a folder or a block device to the disk, its write cache flushed."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def copy(source: str, target: str) -> None:
    """Copy a file (0600), synced, in one write: in a synchronous folder each write waits for the disk."""
    with open(source, "rb") as file:
        content = file.read()
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def write(path: str, content: bytes) -> None:
    """Replace a file (0600) by a rename, the commit point; durable when this returns."""
    temporary = path + ".new"
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    commit(temporary, path)


def commit(temporary: str, path: str) -> None:
    """Give a finished file its name, in place of what bears it; durable when this returns."""
    sync(temporary)
    os.rename(temporary, path)
    sync(os.path.dirname(path))


def supersede(temporary: str, path: str) -> None:
    """As `commit`, then overwrite what bore the name: a journal in clear may be in it.

    It is overwritten once no name leads to it any more, so a cut at no point harms what the name stands for.
    """
    former = os.open(path, os.O_WRONLY)
    try:
        commit(temporary, path)
        found = os.fstat(former)
        if found.st_nlink == 0:
            overwrite(former)
            os.fsync(former)
    finally:
        os.close(former)


def remove(path: str, folder: int | None = None) -> None:
    """Overwrite a file once and remove it; nothing happens when there is none. No link is followed.

    `folder` is the handle of the folder that a relative path counts from. On flash the overwritten blocks may survive:
    what must not, must not be written in clear.
    """
    try:
        found = os.stat(path, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return
    if stat.S_ISREG(found.st_mode):
        handle = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
        try:
            overwrite(handle)
            os.fsync(handle)
        finally:
            os.close(handle)
    os.unlink(path, dir_fd=folder)
    if folder is None:
        sync(os.path.dirname(path))
    else:
        os.fsync(folder)


def overwrite(handle: int) -> None:
    """Write zeros over every block that an open file has, its holes left as they are; the caller syncs it."""
    end = 0
    while (begin := _next_block(handle, end)) is not None:
        end = os.lseek(handle, begin, os.SEEK_HOLE)
        while begin < end:
            begin += os.pwrite(handle, bytes(min(_AT_ONCE, end - begin)), begin)


def fill(path: str, reserve: int) -> None:
    """Fill the free space of a file system with zeros, but for `reserve` bytes, by a file that goes again at once.

    Other programs write meanwhile, and may take the last of it: then it is filled.
    """
    block = bytes(FILL)
    try:
        with open(path, "wb", buffering=0) as file:
            os.fchmod(file.fileno(), 0o600)
            while (found := os.fstatvfs(file.fileno())).f_bavail * found.f_frsize > reserve + len(block):
                file.write(block)
            os.fsync(file.fileno())
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
    sync(os.path.dirname(path))


def _next_block(handle: int, begin: int) -> int | None:
    """Return where an open file's next data begins; None behind the last."""
    try:
        return os.lseek(handle, begin, os.SEEK_DATA)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return None


def drop(path: str) -> None:
    """Remove a record at once, without the moment in which it reads as noise; nothing happens when there is none."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
        sync(os.path.dirname(path))


def write_json(path: str, content: dict[str, Any]) -> None:
    """Replace a record; see `write`."""
    write(path, json.dumps(content, indent=1, sort_keys=True).encode())


def read_json(path: str) -> dict[str, Any] | None:
    """Return a record; None when there is none. ValueError when it is none of ours."""
    try:
        with open(path, "rb") as file:
            found = json.load(file)
    except FileNotFoundError:
        return None
    if not isinstance(found, dict):
        raise ValueError(f"{path} does not hold a JSON object")
    return found
