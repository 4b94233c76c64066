# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Open what a path names, and nothing that another account could have put in its place.

Root gives files and folders an owner and a mode also where the account of a service may write, such as in Orthanc's
logs and its storage. A link, a second name of another's file or a device there must not have root give away that.
The way is walked from folder to folder by handles (openat(2)), so that what was looked at is what is changed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import stat
from collections.abc import Iterator

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError

LOOK = getattr(os, "O_PATH", 0) | os.O_NOFOLLOW | os.O_CLOEXEC  # a controller that is no Linux imports this too
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""Neither follows a link, nor waits for who writes to a FIFO."""
LINKS = 40
"""How many links the kernel follows on one way (path_resolution(7))."""


@dataclasses.dataclass(frozen=True)
class Opened:
    """A file or folder that is open: its handle, its path without links, and what fstat says of it."""

    handle: int
    path: str
    status: os.stat_result


@dataclasses.dataclass(frozen=True)
class _Level:
    """One name on the way: its handle, what fstat says of it, and whether only root can have put it there."""

    name: str
    handle: int
    status: os.stat_result
    sure: bool


@contextlib.contextmanager
def opened(root: str, path: str, uid: int, *, make: int | None = None) -> Iterator[Opened]:
    """Open a file or folder of the host below `root`, which is to be of the account `uid`.

    With `make`, missing folders are made, the last one with this mode. Links count where root made them, and nobody
    else can have moved them. OSError as of open(2); HardeningError when the path leads over another's link, to neither
    a file nor a folder, or to a file with further names that is not yet of the account.
    """
    with contextlib.ExitStack() as handles:
        way = _way(handles, root, path, make)
        last = way[-1]
        if stat.S_ISDIR(last.status.st_mode):
            handle = os.open(".", READ | os.O_DIRECTORY, dir_fd=last.handle)
        elif stat.S_ISREG(last.status.st_mode):
            _demand_one_name(path, last.status, uid)
            handle = os.open(last.name, READ, dir_fd=way[-2].handle)
        else:
            raise HardeningError(f"{path} is neither a file nor a folder: remove it.")
        handles.callback(os.close, handle)
        found = os.fstat(handle)
        if (found.st_dev, found.st_ino) != (last.status.st_dev, last.status.st_ino):
            raise HardeningError(f"{path} was replaced while it was looked at: run this again.")
        yield Opened(handle, "/" + "/".join(level.name for level in way[1:]), found)


def is_own_file(root: str, path: str, uid: int | None) -> bool:
    """Tell whether a path names a file itself, no link, which has no further name, or is of the account `uid`."""
    try:
        found = os.lstat(os.path.join(root, path.lstrip("/")))
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise HardeningError(f"{path} cannot be examined: {error.strerror}.") from error
    return stat.S_ISREG(found.st_mode) and (found.st_nlink == 1 or found.st_uid == uid)


def _way(handles: contextlib.ExitStack, root: str, path: str, make: int | None) -> list[_Level]:
    """Return what lies on the way from the root to what the path names, links resolved below the root."""
    way = [_level(handles, "", os.open(root, LOOK | os.O_DIRECTORY), None)]
    names, links = _names(path), 0
    while names:
        name = names.pop(0)
        if name == "..":
            way[1:] = way[1:-1]
            continue
        level = _below(handles, way[-1], name, None if make is None else 0o755 if names else make)
        if stat.S_ISLNK(level.status.st_mode):
            links += 1
            if links > LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            to = _target(path, level)
            names[:0] = _names(to)
            way[1:] = [] if to.startswith("/") else way[1:]
        elif names and not stat.S_ISDIR(level.status.st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        else:
            way.append(level)
    return way


def _names(path: str) -> list[str]:
    return [name for name in path.split("/") if name not in ("", ".")]


def _below(handles: contextlib.ExitStack, folder: _Level, name: str, make: int | None) -> _Level:
    try:
        handle = os.open(name, LOOK, dir_fd=folder.handle)
    except FileNotFoundError:
        if make is None:
            raise
        os.mkdir(name, make, dir_fd=folder.handle)
        handle = os.open(name, LOOK, dir_fd=folder.handle)
    return _level(handles, name, handle, folder)


def _level(handles: contextlib.ExitStack, name: str, handle: int, folder: _Level | None) -> _Level:
    handles.callback(os.close, handle)
    return _Level(name, handle, os.fstat(handle), folder is None or (folder.sure and _is_roots_alone(folder.status)))


def _target(path: str, link: _Level) -> str:
    """Return where a link leads; HardeningError when another account than root can have made or moved it."""
    to = os.readlink("", dir_fd=link.handle)
    unmoved = link.sure or (link.status.st_nlink == 1 and to.startswith("/"))
    if not (_is_roots(link.status) and unmoved):
        raise HardeningError(
            f"{path} leads over {link.name}, a link to {to} that another account than root may have put there: remove "
            "it, or have root make it, with a whole path."
        )
    return to


def _demand_one_name(path: str, found: os.stat_result, uid: int) -> None:
    if found.st_nlink > 1 and (found.st_uid != uid or _is_roots(found)):
        raise HardeningError(
            f"{path} has another name (a hard link), so that it may be another's file: remove it, or lay a copy there."
        )


def _is_roots(found: os.stat_result) -> bool:
    return found.st_uid in (0, os.geteuid())


def _is_roots_alone(found: os.stat_result) -> bool:
    """Tell whether nobody but root may write to a folder."""
    by_group = found.st_mode & stat.S_IWGRP and found.st_gid not in (0, os.getegid())
    return _is_roots(found) and not by_group and not found.st_mode & stat.S_IWOTH
