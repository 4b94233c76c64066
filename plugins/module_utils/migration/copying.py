# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Copying a tree to an encrypted volume: every file is read once, and hashed as it is copied."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
from collections.abc import Callable

from ansible_collections.radiology.hardening.plugins.module_utils.migration import tree
from ansible_collections.radiology.hardening.plugins.module_utils.migration.manifest import (
    COPIED,
    Manifest,
    Row,
    batches,
    row,
)

PARTIAL = ".radiology-hardening-partial-"
"""How the name of an unfinished copy begins."""


def copy_tree(
    source: str, target: str, manifest: Manifest, sync: Callable[[], None], tell: Callable[[int], None]
) -> None:
    """Make `target` equal to `source`, leaving out what was copied before and not touched since.

    `sync` brings the target to its disk; only then a copy is recorded. `tell` is called with bytes copied.
    Called again after a cut, it goes on; called again once the writers are stopped, it copies the difference.
    """
    gone = manifest.keys()
    links: dict[tuple[int, int], str] = {}
    with tree.workers() as pool:
        for batch in batches(tree.walk(source)):
            gone.difference_update(entry.key for entry in batch)
            others = {entry.path for entry in batch if not entry.is_folder and not _is_first(entry, links)}
            fresh = [entry for entry in batch if not _copied(manifest.get(entry.key), entry)]
            for entry in fresh:
                if entry.is_folder:
                    make_folder(os.path.join(target, entry.path))
            first = [entry for entry in fresh if not entry.is_folder and entry.path not in others]
            copied = pool.map(lambda entry: _copy(source, target, entry), first)
            contents = dict(zip((entry.path for entry in first), copied, strict=True))
            for entry in fresh:
                if entry.path in others:
                    _link(target, links[entry.status.st_dev, entry.status.st_ino], entry.path)
                    contents[entry.path] = tree.content(source, entry)
            rows = [_row(source, entry, contents.get(entry.path, b"")) for entry in fresh]
            sync()
            manifest.put([each for each in rows if each is not None])
            tell(sum(entry.status.st_size for entry in fresh if entry.is_file))
    manifest.drop(gone | _remove_strangers(source, target))
    manifest.put(_finish_folders(source, target))
    sync()


def make_folder(path: str) -> None:
    """Make a folder, in the place of whatever else bears its name; its metadata follow when it is filled."""
    if os.path.lexists(path) and (os.path.islink(path) or not os.path.isdir(path)):
        os.unlink(path)
    os.makedirs(path, mode=0o700, exist_ok=True)


def copy_file(source: str, target: str, entry: tree.Entry) -> bytes:
    """Copy one entry that is no folder, with its metadata, by a rename; return what `tree.content` says of it."""
    there = os.path.join(target, entry.path)
    here = os.path.join(source, entry.path)
    partial = os.path.join(os.path.dirname(there), PARTIAL + entry.key.hex())
    with contextlib.suppress(FileNotFoundError):
        os.unlink(partial)
    if entry.is_file:
        content = _copy_bytes(here, partial)
    elif stat.S_ISLNK(entry.status.st_mode):
        os.symlink(os.readlink(here), partial)
        content = tree.content(source, entry)
    else:
        os.mknod(partial, entry.status.st_mode, entry.status.st_rdev)
        content = tree.content(source, entry)
    give_metadata(here, partial, entry)
    if os.path.isdir(there) and not os.path.islink(there):
        shutil.rmtree(there)
    os.rename(partial, there)
    return content


def _copy(source: str, target: str, entry: tree.Entry) -> bytes | None:
    """As `copy_file`; None when the original vanished meanwhile, as files of a running server may."""
    try:
        return copy_file(source, target, entry)
    except FileNotFoundError:
        if os.path.lexists(os.path.join(source, entry.path)):
            raise
        return None


def _row(source: str, entry: tree.Entry, content: bytes | None) -> Row | None:
    if content is None:
        return None
    try:
        return row(entry, content, tree.attributes(source, entry), COPIED)
    except FileNotFoundError:
        return None


def _copied(known: Row | None, entry: tree.Entry) -> bool:
    return known is not None and known.progress >= COPIED and known.names(entry)


def _is_first(entry: tree.Entry, links: dict[tuple[int, int], str]) -> bool:
    """Whether this is the first name of its inode that this pass meets."""
    if entry.status.st_nlink < 2:
        return True
    return links.setdefault((entry.status.st_dev, entry.status.st_ino), entry.path) == entry.path


def _link(target: str, first: str, path: str) -> None:
    there = os.path.join(target, path)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(there)
    os.link(os.path.join(target, first), there, follow_symlinks=False)


def _copy_bytes(source: str, target: str) -> bytes:
    """Copy a file's bytes, holes left as holes, and return their SHA-256."""
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(tree.BLOCK))
    zeros = bytes(tree.BLOCK)
    with open(source, "rb", buffering=0) as reader, open(target, "xb", buffering=0) as writer:
        os.fchmod(writer.fileno(), 0o600)
        size = 0
        while count := reader.readinto(buffer):
            digest.update(buffer[:count])
            if buffer[:count] == zeros[:count]:
                writer.seek(count, os.SEEK_CUR)
            else:
                _write_all(writer.fileno(), buffer[:count])
            size += count
        writer.truncate(size)
    return digest.digest()


def _write_all(handle: int, data: memoryview) -> None:
    while data:
        data = data[os.write(handle, data) :]


def give_metadata(source: str, target: str, entry: tree.Entry) -> None:
    """Give a copy its original's owner, mode, extended attributes and times."""
    found = entry.status
    os.chown(target, found.st_uid, found.st_gid, follow_symlinks=False)
    wanted = set(os.listxattr(source, follow_symlinks=False))
    for name in set(os.listxattr(target, follow_symlinks=False)) - wanted:
        os.removexattr(target, name, follow_symlinks=False)
    for name in wanted:
        os.setxattr(target, name, os.getxattr(source, name, follow_symlinks=False), follow_symlinks=False)
    if not stat.S_ISLNK(found.st_mode):
        os.chmod(target, stat.S_IMODE(found.st_mode))
    os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns), follow_symlinks=False)


def _finish_folders(source: str, target: str) -> list[Row]:
    """Give the folders their metadata, which every file made in them changed; return their rows."""
    rows = []
    for entry in tree.walk(source):
        there = os.path.join(target, entry.path)
        if not entry.is_folder or not os.path.isdir(there):
            continue
        with contextlib.suppress(FileNotFoundError):
            give_metadata(os.path.join(source, entry.path), there, entry)
            rows.append(row(entry, b"", tree.attributes(source, entry), COPIED))
    return rows


def _remove_strangers(source: str, target: str) -> set[bytes]:
    """Remove from the target what the source does not hold (any more); return the keys of it."""
    removed = set()
    for entry in list(tree.walk(target)):
        there = os.path.join(target, entry.path)
        here = os.path.join(source, entry.path)
        if os.path.lexists(here) or not os.path.lexists(there):
            continue
        removed.add(entry.key)
        if entry.is_folder:
            shutil.rmtree(there)
        else:
            os.unlink(there)
    return removed
