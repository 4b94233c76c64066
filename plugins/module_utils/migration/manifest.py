# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What every file was before, as checksums, so that it can be shown to be the same after."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sqlite3
import time
from collections.abc import Callable, Iterator

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.migration import records, tree

UNSETTLED = 120.0
"""Seconds: a file that changed so shortly before it was read is read again once its writers are stopped. Clocks of
file systems are coarse, and a page written through a memory map changes no time until it was written back."""

READ, COPIED, PROVEN = 0, 1, 2
"""How far a file has come: its checksum is known; a copy of it was synced; the copy was read back, right."""


ANOTHER_CONTENT = "has another content than before"
OTHER_METADATA = "has other metadata than before (times, owner, mode, attributes)"
NAMELESS = "misses a file that was there before"
"""Names are not kept: one may be a patient's."""


@dataclasses.dataclass(frozen=True)
class Row:
    """What the manifest holds of one entry. Times in nanoseconds, sizes in bytes; folders and links have no size."""

    key: bytes
    kind: int
    mode: int
    user: int
    group: int
    size: int
    modified: int
    inode: int
    changed: int
    content: bytes
    attributes: bytes
    progress: int

    def names(self, entry: tree.Entry) -> bool:
        """Whether the entry is the very file that was read, not touched since."""
        return self.same_file(entry) and (self.inode, self.changed) == (entry.status.st_ino, entry.status.st_ctime_ns)

    def same_file(self, entry: tree.Entry) -> bool:
        """Whether the entry has the recorded type, mode, owner, size and time."""
        return (self.kind, self.mode, self.user, self.group, self.size, self.modified) == metadata(entry)


def metadata(entry: tree.Entry) -> tuple[int, int, int, int, int, int]:
    """Return what a copy has to have in common with its original, beside the content."""
    found = entry.status
    is_file = entry.is_file
    time_matters = is_file or entry.is_folder
    return (
        entry.kind,
        found.st_mode & 0o7777,
        found.st_uid,
        found.st_gid,
        found.st_size if is_file else 0,
        found.st_mtime_ns if time_matters else 0,
    )


def row(entry: tree.Entry, content: bytes, attributes: bytes, progress: int) -> Row:
    """Return the manifest's row of an entry that was just read."""
    found = entry.status
    changed = found.st_ctime_ns
    if entry.is_file and time.time() - max(found.st_mtime, found.st_ctime) < UNSETTLED:
        changed = 0
    return Row(entry.key, *metadata(entry), found.st_ino, changed, content, attributes, progress)


def _read(root: str, entry: tree.Entry) -> Row | None:
    """Return an entry's row; None when it vanished meanwhile, as files of a running server may."""
    try:
        return row(entry, tree.content(root, entry), tree.attributes(root, entry), READ)
    except FileNotFoundError:
        return None


def _is_still(known: Row, root: str, entry: tree.Entry) -> bool:
    """Whether nobody touched the file while it was read."""
    try:
        return known.names(tree.Entry(entry.path, os.lstat(os.path.join(root, entry.path))))
    except FileNotFoundError:
        return False


@dataclasses.dataclass(frozen=True)
class Difference:
    """A file that is not what it was: its path below the root, and what is different."""

    path: str
    what: str

    def below(self, root: str) -> str:
        """Return the whole as a sentence without a stop, for a root of that name; bytes that are no text escaped."""
        return f"{os.path.join(root, self.path)} {self.what}".encode("utf-8", "backslashreplace").decode()


def _what(root: str, entry: tree.Entry, known: Row | None) -> str:
    """Return what is different but for the content; an empty string when nothing is."""
    if known is None:
        return "was not there before"
    if not known.same_file(entry) or known.attributes != tree.attributes(root, entry):
        return OTHER_METADATA
    return ""


class Manifest:
    """A database in the job's folder; every commit is durable."""

    def __init__(self, path: str) -> None:
        """Open or make the manifest at `path`."""
        records.ordinary_folder(os.path.dirname(path))
        self.database = sqlite3.connect(path, isolation_level=None)
        self.database.execute("PRAGMA synchronous = EXTRA")
        self.database.execute(
            "CREATE TABLE IF NOT EXISTS entry (key BLOB PRIMARY KEY, kind INTEGER, mode INTEGER, user INTEGER,"
            " owner_group INTEGER, size INTEGER, modified INTEGER, inode INTEGER, changed INTEGER, content BLOB,"
            " attributes BLOB, progress INTEGER) WITHOUT ROWID"
        )

    def close(self) -> None:
        """Close the database; what was not committed is forgotten."""
        self.database.close()

    def get(self, key: bytes) -> Row | None:
        """Return what is known of an entry."""
        found = self.database.execute("SELECT * FROM entry WHERE key = ?", (key,)).fetchone()
        return None if found is None else Row(*found)

    def put(self, rows: list[Row]) -> None:
        """Record entries, all or none, durably."""
        with self.transaction():
            self.database.executemany(
                "INSERT OR REPLACE INTO entry VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
                [dataclasses.astuple(each) for each in rows],
            )

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what is done inside at its end; roll it back when an error ends it."""
        self.database.execute("BEGIN")
        try:
            yield
        except BaseException:
            self.database.execute("ROLLBACK")
            raise
        self.database.execute("COMMIT")

    def keys(self) -> set[bytes]:
        """Return the keys of all entries."""
        return {key for (key,) in self.database.execute("SELECT key FROM entry")}

    def drop(self, keys: set[bytes]) -> None:
        """Forget entries that are no more."""
        with self.transaction():
            self.database.executemany("DELETE FROM entry WHERE key = ?", [(key,) for key in keys])

    def count(self, least: int = READ) -> tuple[int, int]:
        """Return how many files have come at least so far, and their bytes."""
        found = self.database.execute(
            "SELECT COUNT(*), COALESCE(SUM(size), 0) FROM entry WHERE kind = ? AND progress >= ?", (0o100000, least)
        ).fetchone()
        return int(found[0]), int(found[1])

    def unproven(self) -> set[bytes]:
        """Return the keys of the entries, folders left out, of which no copy was proven."""
        found = self.database.execute("SELECT key FROM entry WHERE kind != ? AND progress < ?", (0o040000, PROVEN))
        return {key for (key,) in found}

    def read(self, root: str, entries: list[tree.Entry]) -> None:
        """Read entries anew, whatever is known of them."""
        self.put([each for entry in entries if (each := _read(root, entry)) is not None])

    def survey(self, root: str, tell: Callable[[int], None]) -> None:
        """Read every file below `root` that is new or changed since it was last read, and forget those gone.

        `tell` is called with the bytes read, now and then.
        """
        gone = self.keys()
        with tree.workers() as pool:
            for batch in batches(tree.walk(root)):
                gone.difference_update(entry.key for entry in batch)
                fresh = [entry for entry in batch if (known := self.get(entry.key)) is None or not known.names(entry)]
                self.put([each for each in pool.map(lambda entry: _read(root, entry), fresh) if each is not None])
                tell(sum(each.status.st_size for each in fresh if each.is_file))
        self.drop(gone)

    def prove(self, root: str, tell: Callable[[int], None], *, read_again: bool) -> None:
        """Compare the files below `root` with the manifest; HardeningError names the first that differs, and counts."""
        found = self.differences(root, tell, read_again=read_again)
        if found:
            more = f" ({len(found)} differ in all)" if len(found) > 1 else ""
            raise HardeningError(f"{found[0].below(root)}{more}.")

    def differences(self, root: str, tell: Callable[[int], None], *, read_again: bool) -> list[Difference]:
        """Return what below `root` is not as the manifest has it, and take back what it says of their copies.

        Every entry's metadata is compared; the content of those not proven yet, or of all with `read_again`. A file of
        which metadata and content differ is told of by its content.
        """
        missing = self.keys()
        different: list[Difference] = []
        with tree.workers() as pool:
            for batch in batches(tree.walk(root)):
                pairs = [(entry, self.get(entry.key)) for entry in batch]
                missing.difference_update(entry.key for entry in batch)
                to_read = [
                    (entry, known)
                    for entry, known in pairs
                    if known is not None and (read_again or known.progress < PROVEN)
                ]
                contents = pool.map(lambda pair: tree.content(root, pair[0]), to_read)
                wrong = {
                    entry.key: Difference(entry.path, what)
                    for entry, known in pairs
                    if (what := _what(root, entry, known))
                }
                proven = []
                for (entry, known), found in zip(to_read, contents, strict=True):
                    if found != known.content:
                        wrong[entry.key] = Difference(entry.path, ANOTHER_CONTENT)
                    elif entry.key not in wrong:
                        proven.append(dataclasses.replace(known, progress=PROVEN))
                self.put(proven)
                for key in wrong:
                    self.doubt(key)
                different += wrong.values()
                tell(sum(entry.status.st_size for entry, dummy in to_read if entry.is_file))
        return [*different, *[Difference("", NAMELESS)] * len(missing)]

    def prove_untouched(self, root: str, tell: Callable[[int], None]) -> tuple[int, list[Difference]]:
        """Compare the content of the files that nobody touched since they were read.

        Return how many those are, and what of them differs.
        """
        compared = 0
        different: list[Difference] = []
        with tree.workers() as pool:
            for batch in batches(tree.walk(root)):
                pairs = [(entry, known) for entry in batch if entry.is_file and (known := self.get(entry.key))]
                untouched = [(entry, known) for entry, known in pairs if known.names(entry)]
                contents = pool.map(lambda pair: _read(root, pair[0]), untouched)
                for (entry, known), found in zip(untouched, contents, strict=True):
                    if found is not None and found.content != known.content and _is_still(known, root, entry):
                        different.append(Difference(entry.path, ANOTHER_CONTENT))
                compared += len(untouched)
                tell(sum(entry.status.st_size for entry, dummy in untouched))
        return compared, different

    def doubt(self, key: bytes) -> None:
        """Take back what was recorded of a copy, so that the next run makes it again."""
        with self.transaction():
            self.database.execute("UPDATE entry SET progress = ?, changed = 0 WHERE key = ?", (READ, key))


def batches(
    entries: Iterator[tree.Entry], *, files: int = 512, size: Callable[[], int] = lambda: 256 << 20
) -> Iterator[list[tree.Entry]]:
    """Group entries so that a group has at most so many files and, but for its last one, so many bytes.

    `size` is asked anew for each group.
    """
    batch: list[tree.Entry] = []
    held, bound = 0, size()
    for entry in entries:
        batch.append(entry)
        held += entry.status.st_size if entry.is_file else 0
        if len(batch) >= files or held >= bound:
            yield batch
            batch, held, bound = [], 0, size()
    if batch:
        yield batch
