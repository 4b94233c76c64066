# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Strategy container without room for a second copy: files move into the volume, batch after batch.

A file's original goes only after its copy was flushed to the disk and read back from there, and that was recorded. A
cut leaves every file in the clear folder, or in the volume, or, for one batch, whole in both. An original loses its
name before it is overwritten, so that what bears a file's name is that file, whole, at any moment.
"""

from __future__ import annotations

import dataclasses
import errno
import os
from concurrent.futures import Executor

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.migration import copying, interlocks, records, tree
from ansible_collections.radiology.hardening.plugins.module_utils.migration.manifest import (
    PROVEN,
    READ,
    Manifest,
    Row,
    batches,
    row,
)
from ansible_collections.radiology.hardening.plugins.module_utils.migration.new_volume import NewVolume

BATCH = 256 << 20
"""Bytes that are in both places at most, but for a single larger file."""
LEAVING = ".radiology-hardening-leaving-"
"""How the name of an original begins whose copy is proven, and which may be overwritten in part."""
LOST_AND_FOUND = "lost+found"
"""Comes into a folder with what was copied from a whole disk."""


class Move(NewVolume):
    """The programs are stopped from `surveyed` to `done`."""

    STAGES = ("planned", "claimed", "formatted", "surveyed", "moved", "proven", "switched", "done", "scrubbed")

    def allocate(self, handle: int) -> None:
        """Give the container its size but no blocks yet: they come free only as files move."""
        os.ftruncate(handle, self.plan.container_size)

    def reach_surveyed(self) -> None:
        """Stop the programs and read every file; from here on nothing may appear in the folder.

        What the programs wrote last is brought to the disk first: a cut would take back what was read from memory.
        """
        self.hold_writers()
        source = self.plan.mount_point
        self.machine.sync_tree(source)
        for entry in tree.walk(source):
            if os.path.basename(entry.path).startswith(LEAVING):
                raise HardeningError(
                    f"{os.path.join(source, entry.path)} bears a name that only originals get which are overwritten:"
                    " rename it, or remove what an abandoned job left."
                )
            if entry.is_file and entry.status.st_nlink > 1:
                raise HardeningError(interlocks.SEVERAL_NAMES.format(path=os.path.join(source, entry.path)))
        manifest = self.manifest()
        try:
            manifest.survey(source, self.counted("reading", 0))
        finally:
            manifest.close()

    def reach_moved(self) -> None:
        """Move every file, then give the folders in the volume their owners, modes and times."""
        self.hold_writers()
        source, manifest = self.plan.mount_point, self.manifest()
        total = manifest.count()[1]
        counted = self.counted("moving", total)
        counted(manifest.count(PROVEN)[1])
        target = self.open()
        try:
            with tree.workers() as pool:
                for found in batches(tree.walk(source), size=self.batch_size):
                    leaving = [entry for entry in found if os.path.basename(entry.path).startswith(LEAVING)]
                    self.erase(pool, [os.path.join(source, entry.path) for entry in leaving])
                    batch = [entry for entry in found if entry not in leaving]
                    self.demand_known(manifest, batch)
                    self.make_folders(target, batch)
                    self.move(pool, manifest, target, [entry for entry in batch if not entry.is_folder])
                    counted(sum(entry.status.st_size for entry in batch if entry.is_file))
            self.demand_none_gone(manifest)
            self.finish_folders(manifest, target)
        finally:
            manifest.close()
            self.shut()

    def finish_folders(self, manifest: Manifest, target: str) -> None:
        """Give the folders in the volume owner, mode and attributes as they are now, and the times from before."""
        source = self.plan.mount_point
        for entry in reversed(_folders(source)):
            known = manifest.get(entry.key)
            if known is None and entry.path == LOST_AND_FOUND:
                continue
            time = known.modified if known is not None else entry.status.st_mtime_ns
            found = row(entry, b"", tree.attributes(source, entry), READ)
            manifest.put([dataclasses.replace(found, modified=time)])
            copying.give_metadata(os.path.join(source, entry.path), os.path.join(target, entry.path), entry)
            os.utime(os.path.join(target, entry.path), ns=(time, time))

    def batch_size(self) -> int:
        """Return how many bytes may be in both places now: half of what is free beside the reserve.

        What a cut left of a batch in the container stays allocated there, so each takes from the room of the next.
        """
        return max(1, min(BATCH, (self.free() - self.plan.reserve) // 2))

    def free(self) -> int:
        """Return the bytes free beside the container."""
        found = os.statvfs(os.path.dirname(self.plan.container))
        return found.f_bavail * found.f_frsize

    def demand_known(self, manifest: Manifest, batch: list[tree.Entry]) -> None:
        """HardeningError when a file came, or was changed, since all were read."""
        known = {entry.path: manifest.get(entry.key) for entry in batch}
        self.read_anew(manifest, [entry for entry in batch if _differs(entry, known[entry.path])])

    def read_anew(self, manifest: Manifest, strange: list[tree.Entry]) -> None:
        """HardeningError when there are files that are not as they were read; the next run takes them as they are."""
        if strange:
            manifest.read(self.plan.mount_point, strange)
            more = f" and {len(strange) - 1} more" if len(strange) > 1 else ""
            raise HardeningError(
                f"{os.path.join(self.plan.mount_point, strange[0].path)}{more} came, or changed, after all files were"
                " read, by a program that was not stopped: end that one. Then run the playbook encrypt_storage again,"
                " which moves them as they are now."
            )

    def demand_none_gone(self, manifest: Manifest) -> None:
        """HardeningError when files that were read are gone from the folder unmoved; the next run goes on without."""
        if gone := manifest.unproven():
            manifest.drop(gone)
            raise HardeningError(
                f"{len(gone)} files were removed from {self.plan.mount_point} after all were read, by a program that"
                " was not stopped: see whether the backup holds them. Then run the playbook encrypt_storage again,"
                " which goes on without them."
            )

    def make_folders(self, target: str, batch: list[tree.Entry]) -> None:
        """Make a batch's folders in the volume."""
        for entry in batch:
            if entry.is_folder:
                os.makedirs(os.path.join(target, entry.path), mode=0o700, exist_ok=True)

    def move(self, pool: Executor, manifest: Manifest, target: str, batch: list[tree.Entry]) -> None:
        """Copy, flush, read back, record, and only then take the originals away."""
        source = self.plan.mount_point
        pairs = [(entry, known) for entry in batch if (known := manifest.get(entry.key)) is not None]
        fresh = [(entry, known) for entry, known in pairs if known.progress < PROVEN]
        self.demand_unchanged(pool, [(entry, known) for entry, known in pairs if known.progress >= PROVEN])
        needed = sum(entry.status.st_size for entry, dummy in fresh if entry.is_file)
        least = self.plan.reserve // 2  # the rest of the reserve lets a run end that was cut more than once
        if fresh and self.free() < needed + least:
            raise HardeningError(
                f"The next files need {needed >> 20} MiB beside {self.plan.container}, where {self.free() >> 20} MiB"
                f" are free and {least >> 20} MiB have to stay so: make room and run the playbook encrypt_storage"
                " again; every file is safe."
            )
        list(pool.map(lambda pair: copying.copy_file(source, target, pair[0]), fresh))
        self.machine.sync_tree(target)
        self.forget(target, fresh)
        contents = list(pool.map(lambda pair: tree.content(target, pair[0]), fresh))
        wrong = [
            (entry, known)
            for (entry, known), found in zip(fresh, contents, strict=True)
            if not _is_copy(target, entry, known, found)
        ]
        self.read_anew(manifest, [entry for entry, known in wrong if not _is_as_read(source, entry, known)])
        if wrong:
            raise HardeningError(
                f"The copy of {os.path.join(source, wrong[0][0].path)} is not what the file was; it stays where it is."
            )
        manifest.put([dataclasses.replace(known, progress=PROVEN) for dummy, known in fresh])
        self.take_away(pool, batch)

    def take_away(self, pool: Executor, batch: list[tree.Entry]) -> None:
        """Take originals out of the clear folder whose copies are proven."""
        source, leaving = self.plan.mount_point, []
        for entry in batch:
            path = os.path.join(source, entry.path)
            try:
                if entry.is_file:
                    self.demand_one_name(path)
                    leaving.append(os.path.join(os.path.dirname(path), LEAVING + entry.key.hex()))
                    os.rename(path, leaving[-1])
                else:
                    os.unlink(path)
            except PermissionError as error:
                raise HardeningError(
                    f"{path}, whose copy is right, cannot be removed: it or its folder is immutable or append-only"
                    " (lsattr). Take that from it (chattr -i -a) and run the playbook encrypt_storage again."
                ) from error
        self.machine.sync_tree(source)
        self.erase(pool, leaving)

    def demand_one_name(self, path: str) -> None:
        """HardeningError when a file got a second name since it was read: overwriting it would destroy that one too."""
        if os.lstat(path).st_nlink > 1:
            raise HardeningError(
                f"{path} has got another name (a hard link) since the move began, which would be overwritten too: end"
                " the program that makes such links, a backup perhaps, remove the other name, and run the"
                " playbook encrypt_storage again."
            )

    def erase(self, pool: Executor, leaving: list[str]) -> None:
        """Overwrite files that have lost their names, and remove them once that is on the disk."""
        if not leaving:
            return
        list(pool.map(_overwrite, leaving))
        self.machine.sync_tree(self.plan.mount_point)
        for path in leaving:
            os.unlink(path)
        self.machine.sync_tree(self.plan.mount_point)

    def demand_unchanged(self, pool: Executor, left: list[tuple[tree.Entry, Row]]) -> None:
        """HardeningError when an original, left by a cut beside its proven copy, is no more what it was."""
        source = self.plan.mount_point
        contents = pool.map(lambda pair: tree.content(source, pair[0]), left)
        for (entry, known), found in zip(left, contents, strict=True):
            if found != known.content or not known.same_file(entry):
                raise HardeningError(
                    f"{os.path.join(source, entry.path)} was changed after it was copied, by a program that was not"
                    " stopped. Neither is removed: move this one elsewhere and run the playbook encrypt_storage again."
                )

    def forget(self, target: str, fresh: list[tuple[tree.Entry, Row]]) -> None:
        """Let the copies be read back from the disk, not from memory."""
        for entry in (pair[0] for pair in fresh):
            if entry.is_file:
                tree.forget_cached(os.path.join(target, entry.path))
        self.machine.forget_cached(self.plan.container)

    def reach_proven(self) -> None:
        """Open the volume anew and compare every file with what it was before."""
        self.hold_writers()
        manifest = self.manifest()
        where = self.open(read_only=True)
        try:
            total = manifest.count()[1]
            manifest.prove(where, self.counted("comparing", total), read_again=True)
        finally:
            manifest.close()
            self.shut()

    def reach_switched(self) -> None:
        """Give the container the rest of its blocks, so that it can never run out of them, and mount it."""
        self.hold_writers()
        handle = os.open(self.plan.container, os.O_RDWR)
        try:
            os.posix_fallocate(handle, 0, self.plan.container_size)
            os.fsync(handle)
        finally:
            os.close(handle)
        self.switch()

    def clear_mount_point(self) -> None:
        """Remove the empty folders that the files moved out of; what is no folder stops this."""
        where = self.plan.mount_point
        if self.machine.mounted(where) or self.machine.immutable(where):
            return
        for entry in reversed(_folders(where)):
            if entry.path != ".":
                os.rmdir(os.path.join(where, entry.path))
        if os.listdir(where):
            raise HardeningError(f"{where} holds files that were not there when it was emptied for the volume.")
        records.sync(where)
        self.machine.make_immutable(where)

    def reach_done(self) -> None:
        """Let the programs start."""
        self.switch()
        self.release_writers()

    def reach_scrubbed(self) -> None:
        """Overwrite the free space too: files that were removed before the move may lie in it."""
        self.machine.overwrite_free_space(os.path.dirname(self.plan.container), self.plan.reserve)


def _differs(entry: tree.Entry, known: Row | None) -> bool:
    """Whether an entry is new, or was changed before its copy was proven; folders change as files leave them."""
    return known is None or (not entry.is_folder and known.progress < PROVEN and not known.same_file(entry))


def _is_copy(target: str, entry: tree.Entry, known: Row, content: bytes) -> bool:
    """Whether the copy in the volume, which was read as this content, is what was read of the original."""
    copy = tree.Entry(entry.path, os.lstat(os.path.join(target, entry.path)))
    return content == known.content and known.same_file(copy) and tree.attributes(target, copy) == known.attributes


def _is_as_read(source: str, entry: tree.Entry, known: Row) -> bool:
    """Whether an original is what was read of it before, content and attributes."""
    found = tree.Entry(entry.path, os.lstat(os.path.join(source, entry.path)))
    attributes = tree.attributes(source, found)
    return known.same_file(found) and attributes == known.attributes and tree.content(source, found) == known.content


def _folders(root: str) -> list[tree.Entry]:
    """Return the folders below a root, those that hold them first; lost+found too, which `tree.walk` omits if empty."""
    found = [each for each in tree.walk(root) if each.is_folder]
    path = os.path.join(root, LOST_AND_FOUND)
    if os.path.isdir(path) and not os.path.islink(path) and LOST_AND_FOUND not in [each.path for each in found]:
        found.append(tree.Entry(LOST_AND_FOUND, os.lstat(path)))
    return found


def _overwrite(path: str) -> None:
    """Write zeros over a file; its caller syncs the file system.

    Blocks that it shares with another file (a reflink) take new ones to write to. Where there are none, it is removed
    as it is: what it leaves in free blocks is overwritten with the free space.
    """
    handle = os.open(path, os.O_WRONLY | os.O_NOFOLLOW)
    try:
        records.overwrite(handle)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
    finally:
        os.close(handle)
