# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the strategies have in common that bring files into a new encrypted volume: a device, or a container file.

The files in clear are only read, and their file system is not written, until a copy of every one was read back
from the volume, closed and opened again in between, and found right. Until the switch is recorded both are whole.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Iterator

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.migration import copying, luks, records
from ansible_collections.radiology.hardening.plugins.module_utils.migration.strategy import Strategy

IN_CLEAR = ".in-clear"
"""Added to the name of a folder whose files were copied; it stays until it is retired."""


class NewVolume(Strategy):
    """Stages up to an empty encrypted file system, and the switch to it."""

    PREPARED = "formatted"
    WHOLE = "proven"

    def reach_claimed(self) -> None:
        """Show, before the first byte is written to it, that the place of the new volume holds nothing."""
        if self.plan.target is not None:
            self.machine.confirm_empty(self.device(self.plan.target))
            return
        if os.path.lexists(self.plan.container):
            raise HardeningError(f"{self.plan.container} is there already; a container is never made over a file.")

    def reach_formatted(self) -> None:
        """Make the volume and its file system; a cut here leaves nothing that is worth keeping."""
        if self.plan.target is None:
            self.make_container()
        place, header, ours = self.place, self.job.path("header.new"), self.plan.luks_uuid
        with self.machine.claimed(place, but_for=ours) as handle:
            luks.make_new(self.machine, header, self.plan, self.key, os.lseek(handle, 0, os.SEEK_END))
            self.machine.write_new_header(handle, place, header, but_for=ours)
        records.remove(header)
        self.secure_header(place)
        volume = self.machine.open_volume(place, self.plan.name, self.key)
        self.machine.make_file_system(volume, self.plan.file_system)
        self.machine.sync_device(volume)
        self.machine.close_volume(self.plan.name)

    @property
    def place(self) -> str:
        """What the volume lies in: the target device, or the container file."""
        return self.plan.container if self.plan.target is None else self.device(self.plan.target)

    @property
    def made(self) -> str:
        """The volume, whose header is its own."""
        return self.place

    def make_container(self) -> None:
        """Make the file that becomes the volume, with all of its blocks."""
        folder = os.path.dirname(self.plan.container)
        os.makedirs(folder, mode=0o700, exist_ok=True)
        if os.path.lexists(self.plan.container):
            self.machine.confirm_empty(self.plan.container, but_for=self.plan.luks_uuid)
        handle = os.open(self.plan.container, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb") as file:
            self.allocate(file.fileno())
            os.fsync(file.fileno())
        records.sync(folder)

    def allocate(self, handle: int) -> None:
        """Give the container its size and blocks."""
        os.posix_fallocate(handle, 0, self.plan.container_size)

    def open(self, *, read_only: bool = False) -> str:
        """Open the volume, mount its file system for this stage, and return where."""
        volume = self.machine.open_volume(self.place, self.plan.name, self.key)
        self.machine.mount(volume, self.work("volume"), read_only=read_only)
        return self.work("volume")

    def shut(self) -> None:
        """Unmount and close the volume, so that the next reading comes from the disk."""
        self.machine.unmount(self.work("volume"))
        self.machine.close_volume(self.plan.name)
        records.sync(self.place)
        if self.plan.target is None:
            self.machine.forget_cached(self.place)

    def switch(self) -> None:
        """Mount the volume where the programs look for their files, now and at every boot."""
        where = self.plan.mount_point
        if self.plan.source is None:
            self.clear_mount_point()
        elif not self.machine.shows_volume(where, self.plan.name):
            self.machine.unmount(where)
            self.guard_mount_point()
        volume = self.machine.open_volume(self.place, self.plan.name, self.key)
        self.machine.unmount(self.work("volume"))
        self.machine.put_table(self.plan)
        self.machine.mount(volume, where)

    def clear_mount_point(self) -> None:
        """Put an empty folder, which nothing can be written to, in the place of the folder in clear."""
        where = self.plan.mount_point
        if self.machine.mounted(where):
            return
        if not os.path.lexists(where + IN_CLEAR):
            os.rename(where, where + IN_CLEAR)
            records.sync(os.path.dirname(where))
        former = os.lstat(where + IN_CLEAR)
        if os.path.islink(where):
            raise HardeningError(f"{where} became a link when its folder was set aside: remove it, and run this again.")
        os.makedirs(where, mode=0o700, exist_ok=True)
        if os.listdir(where):
            raise HardeningError(f"{where} holds files that were not there when it was emptied for the volume.")
        if not self.machine.immutable(where):
            handle = os.open(where, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                os.fchown(handle, former.st_uid, former.st_gid)
                os.fchmod(handle, stat.S_IMODE(former.st_mode))
            finally:
                os.close(handle)
            records.sync(os.path.dirname(where))
            self.machine.make_immutable(where)


class Copy(NewVolume):
    """Everything is copied, the programs at work but for the last difference."""

    STAGES = ("planned", "claimed", "formatted", "copied", "proven", "switched", "done")

    def reach_copied(self) -> None:
        """Copy every file beside the running programs, then read the copies back from the volume opened anew."""
        if self.plan.source is not None:
            self.machine.mount(self.device(self.plan.source), self.plan.mount_point)
        self.copy(self.plan.mount_point)
        self.read_back()

    def reach_proven(self) -> None:
        """Stop the programs, copy the difference, and show that every file is there and right."""
        self.hold_writers()
        with self.source() as source:
            self.copy(source)
        self.read_back()

    def reach_switched(self) -> None:
        """From here on the encrypted copy is the one that counts."""
        self.hold_writers()
        self.switch()

    def reach_done(self) -> None:
        """Let the programs start."""
        self.switch()
        self.release_writers()

    @contextlib.contextmanager
    def source(self) -> Iterator[str]:
        """Yield where the files in clear lie; their device is mounted read-only there."""
        if self.plan.source is None:
            yield self.plan.mount_point
            return
        device = self.device(self.plan.source)
        self.machine.confirm_file_system(device, self.plan.source)
        self.machine.unmount(self.plan.mount_point)
        self.machine.mount(device, self.work("source"), read_only=True)
        try:
            yield self.work("source")
        finally:
            self.machine.unmount(self.work("source"))

    def copy(self, source: str) -> None:
        """Copy what is not copied yet from `source`."""
        manifest = self.manifest()
        total = shutil.disk_usage(source).used
        target = self.open()
        try:
            copying.copy_tree(
                source, target, manifest, lambda: self.machine.sync_tree(target), self.counted("copying", total)
            )
        finally:
            manifest.close()
            self.shut()

    def read_back(self) -> None:
        """Compare with the manifest every copy that was not read back yet, and the metadata of all."""
        manifest = self.manifest()
        where = self.open(read_only=True)
        try:
            total = manifest.count()[1]
            manifest.prove(where, self.counted("comparing", total), read_again=False)
        finally:
            manifest.close()
            self.shut()
