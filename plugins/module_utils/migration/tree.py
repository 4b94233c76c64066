# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The files of one file system: walking them, reading them once on every core, telling two of them apart."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

BLOCK = 1 << 20
"""Bytes read at once."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """A file, folder, link or device below a root, as `lstat` tells it."""

    path: str
    """Relative to the root; the root itself is `.`."""
    status: os.stat_result

    @property
    def key(self) -> bytes:
        """What stands for the path in records: a name may be a patient's, 16 bytes of its SHA-256 are not."""
        return hashlib.sha256(os.fsencode(self.path)).digest()[:16]

    @property
    def kind(self) -> int:
        """The file type bits of the mode."""
        return stat.S_IFMT(self.status.st_mode)

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return stat.S_ISREG(self.status.st_mode)

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return stat.S_ISDIR(self.status.st_mode)


def walk(root: str) -> Iterator[Entry]:
    """Yield everything on the file system that `root` lies on, folders before what they hold, in one fixed order.

    Other file systems mounted below are left out, and so is a file system's own lost+found when it is empty.
    A file that vanishes meanwhile is passed over; any other error is raised.
    """
    device = os.lstat(root).st_dev
    yield Entry(".", os.lstat(root))
    folders = ["."]
    while folders:
        folder = folders.pop()
        below = []
        try:
            names = sorted(os.listdir(os.path.join(root, folder)))
        except FileNotFoundError:
            if folder == ".":
                raise
            continue
        for name in names:
            path = name if folder == "." else os.path.join(folder, name)
            try:
                entry = Entry(path, os.lstat(os.path.join(root, path)))
            except FileNotFoundError:
                continue
            if entry.status.st_dev != device:
                continue
            if path == "lost+found" and entry.is_folder and not os.listdir(os.path.join(root, path)):
                continue
            yield entry
            if entry.is_folder:
                below.append(path)
        folders.extend(reversed(below))


def workers() -> ThreadPoolExecutor:
    """Return a pool with a thread for every core; hashing and reading both let the others run."""
    return ThreadPoolExecutor(max_workers=len(os.sched_getaffinity(0)))


def content(root: str, entry: Entry) -> bytes:
    """Return the SHA-256 of a file's bytes, of a link's target, or of a device's number; empty for a folder."""
    path = os.path.join(root, entry.path)
    if entry.is_file:
        digest = hashlib.sha256()
        buffer = memoryview(bytearray(BLOCK))
        with open(path, "rb", buffering=0) as file:
            while count := file.readinto(buffer):
                digest.update(buffer[:count])
        return digest.digest()
    if stat.S_ISLNK(entry.status.st_mode):
        return hashlib.sha256(os.fsencode(os.readlink(path))).digest()
    return b"" if entry.is_folder else str(entry.status.st_rdev).encode()


def attributes(root: str, entry: Entry) -> bytes:
    """Return 16 bytes of the SHA-256 over all extended attributes (access lists among them)."""
    path = os.path.join(root, entry.path)
    names = sorted(os.listxattr(path, follow_symlinks=False))
    if not names:
        return b""
    digest = hashlib.sha256()
    for name in names:
        value = os.getxattr(path, name, follow_symlinks=False)
        digest.update(f"{name}={len(value)}:".encode() + value)
    return digest.digest()[:16]


def forget_cached(path: str) -> None:
    """Let the next reading of a file come from below, not from memory. The file has to be synced."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(handle)
