# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Count files that hold DICOM objects on file systems in clear, within a bound of time and of files.

A DICOM file has the letters DICM at offset 128 (PS3.10 section 7.1). Only counts leave this file: names of files and
folders may name patients. Images that a server compresses have no such letters: the count is a lower bound.
"""

from __future__ import annotations

import dataclasses
import os
import posixpath
import stat
import time
from collections.abc import Iterator, Sequence

from ansible_collections.radiology.hardening.plugins.module_utils.disk_stack import CLEAR, UNKNOWN, Mount, Stack
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host

MAGIC = b"DICM"
OFFSET = 128
SKIPPED = (
    *("/usr/bin", "/usr/include", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib", "/usr/sbin", "/usr/share"),
    *("/usr/src", "/boot", "/var/cache/apt", "/var/lib/apt", "/var/lib/dpkg", "/proc", "/sys", "/dev", "/run"),
)
"""Folders of programs, of the package manager and of the kernel: most of a system's files, and nobody's images."""
FIRST = ("home", "root", "srv", "data", "opt", "mnt", "media", "var", "tmp")
"""Names below / that are looked at before the others, so that a bound cuts what matters least."""


@dataclasses.dataclass
class Count:
    """What a look found."""

    images: dict[str, int] = dataclasses.field(default_factory=dict)
    """Mount point to the number of files with the magic on it, the file systems without any left out."""
    files: int = 0
    """Files that were opened."""
    unreadable: int = 0
    seconds: float = 0.0
    bound_reached: bool = False
    """The look ended before all files were seen."""

    @property
    def total(self) -> int:
        """The number of files with the magic."""
        return sum(self.images.values())


def in_clear(stack: Stack) -> list[Mount]:
    """Return the local file systems whose files are not encrypted, each once; discs that cannot be written left out."""
    chosen: dict[str, Mount] = {}
    for mount in sorted(stack.mounts, key=lambda mount: (mount.root != "/", len(mount.target))):
        nodes = stack.nodes_of(mount)
        if not nodes or stack.protection(mount) not in (CLEAR, UNKNOWN) or all(node.kind == "rom" for node in nodes):
            continue
        chosen.setdefault(mount.number, mount)
    return list(chosen.values())


def count(host: Host, mounts: Sequence[Mount], seconds: float, files: int) -> Count:
    """Look through file systems for `seconds` and `files` at the most; only reads, and changes no time stamp."""
    found = Count()
    began = time.monotonic()
    for mount in mounts:
        for path in _files(host.path(mount.target), mount.target):
            if found.files >= files or time.monotonic() - began >= seconds:
                found.bound_reached = True
                break
            if path is None:
                continue
            found.files += 1
            told = is_image(path)
            if told is None:
                found.unreadable += 1
            elif told:
                found.images[mount.target] = found.images.get(mount.target, 0) + 1
        if found.bound_reached:
            break
    found.seconds = round(time.monotonic() - began, 1)
    return found


def is_image(path: str) -> bool | None:
    """Tell whether a file has the magic; None when it cannot be read."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        try:
            handle = os.open(path, flags | os.O_NOATIME)
        except PermissionError:  # O_NOATIME is the owner's and root's alone
            handle = os.open(path, flags)
    except FileNotFoundError:
        return False
    except OSError:
        return None
    try:
        return os.pread(handle, len(MAGIC), OFFSET) == MAGIC
    except OSError:
        return None
    finally:
        os.close(handle)


def _files(folder: str, shown: str) -> Iterator[str | None]:
    """Yield regular files below a folder that are long enough, on its file system alone; the likely folders first.

    Yields None for each folder, so that the caller can end a long way without files.
    """
    try:
        device = os.stat(folder).st_dev
    except OSError:
        return
    waiting = [(folder, shown)]
    while waiting:
        where, name = waiting.pop()
        yield None
        try:
            entries = sorted(os.scandir(where), key=lambda entry: _order(entry.name, name), reverse=True)
        except OSError:
            continue
        for entry in entries:
            path = posixpath.join(name, entry.name)
            try:
                known = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            if stat.S_ISREG(known.st_mode) and known.st_size >= OFFSET + len(MAGIC):
                yield entry.path
            elif stat.S_ISDIR(known.st_mode) and known.st_dev == device and path not in SKIPPED:
                waiting.append((entry.path, path))


def _order(entry: str, folder: str) -> tuple[int, str]:
    return (FIRST.index(entry) if folder == "/" and entry in FIRST else len(FIRST), entry)
