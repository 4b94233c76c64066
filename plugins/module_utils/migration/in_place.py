# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Strategy in_place: the device is encrypted where it is, under a detached header, chunk after chunk.

The stock commands lose images at five kinds of power cut; each is closed here:

1. A header whose last chunk is done still asks to go on, and going on encrypts everything twice: it is never
   resumed, the final header, made beforehand, takes its place.
2. The journal may reach the disk after the header that refers to it: the job's folder is synchronous.
3. A torn sector: the journal replays whole chunks (resilience `journal`, never `checksum` or `none`).
4. Replaying advances the header before the device is flushed: it is done on a copy, then the device is flushed,
   then the copy is renamed. The volume is never opened before that, since opening replays too.
5. A header being made reads as a finished one: it gets its name, and the stage its record, only when it is whole.
"""

from __future__ import annotations

import shutil
import threading

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.migration import luks, records
from ansible_collections.radiology.hardening.plugins.module_utils.migration.job import Device
from ansible_collections.radiology.hardening.plugins.module_utils.migration.luks import State
from ansible_collections.radiology.hardening.plugins.module_utils.migration.machine import OtherDiskError
from ansible_collections.radiology.hardening.plugins.module_utils.migration.manifest import Difference
from ansible_collections.radiology.hardening.plugins.module_utils.migration.strategy import Counter, Strategy


class InPlace(Strategy):
    """Offline: the programs are stopped from `stopped` to `done`."""

    STAGES: tuple[str, ...] = ("planned", "prepared", "stopped", "encrypted", "proven", "done")
    PREPARED = "prepared"
    WHOLE = "encrypted"

    @property
    def header(self) -> str:
        """The header that opens the device; while the device is being encrypted, the working one."""
        return self.job.path("header")

    @property
    def final(self) -> str:
        """The header for the time when all is encrypted. Never opened before: it would read plaintext as noise."""
        return self.job.path("header.final")

    @property
    def made(self) -> str:
        """The final header; the working one has the same key."""
        return self.final

    def reach_prepared(self) -> None:
        """Make both headers; the device is not written. Whatever a cut left of them is made anew."""
        device = self.device(self.plan.source)
        self.confirm_alone(device)
        for path in (self.header, self.final, self.header + ".new", self.final + ".new"):
            records.remove(path)
        luks.initialise(self.machine, self.header + ".new", device, self.plan, self.key)
        records.commit(self.header + ".new", self.header)
        luks.make_final(self.machine, self.final + ".new", self.header, self.plan, self.key)
        self.secure_header(self.final + ".new")
        records.commit(self.final + ".new", self.final)

    def reach_stopped(self) -> None:
        """Read every file, first beside the running programs, then, once they are stopped, what changed."""
        device = self.device(self.plan.source)
        self.machine.confirm_file_system(device, self.plan.source)
        manifest = self.manifest()
        try:
            if self.machine.mounted(self.plan.mount_point):
                total = shutil.disk_usage(self.plan.mount_point).used
                manifest.survey(self.plan.mount_point, self.counted("reading", total))
            self.hold_writers()
            self.machine.put_table(self.plan)
            self.machine.unmount(self.plan.mount_point)
            self.guard_mount_point()
            self.machine.check_file_system(device, self.plan.file_system)
            self.machine.mount(device, self.work("source"), read_only=True)
            manifest.survey(self.work("source"), self.counted("reading what changed", 0))
        finally:
            manifest.close()
            self.machine.unmount(self.work("source"))
        self.machine.sync_device(device)

    def reach_encrypted(self) -> None:
        """Encrypt to the end, from whatever the last cut left, and install the final header."""
        device = self.device(self.plan.source)
        while (found := self.settle(device)) not in (State.ENDED, State.FINISHED):
            if found not in (State.INITIALISED, State.PARTIAL):
                raise HardeningError(
                    f"{self.header} reads as {found.value}: nothing more is done to {device}. The runbook says how to"
                    " find out how far it came from a copy of the final header."
                )
            with self.watched():
                luks.go_on(self.machine, self.header, device, self.key)
        self.machine.sync_device(device)
        self.install_final()

    def settle(self, device: str) -> State:
        """Replay the chunk that a cut left open, on a copy of the header, and return how the header stands."""
        copy = self.header + ".new"
        records.remove(copy)
        found = luks.state(luks.dump(self.machine, self.header))
        self.tell(f"{self.plan.name}: the header stands at {found.value}")
        if found is State.INITIALISED:
            self.confirm_alone(device)
        elif found in (State.PARTIAL, State.CUT):
            self.machine.confirm_no_other(device, self.plan.source)
        if found is State.CUT:
            self.tell(f"{self.plan.name}: replaying the chunk that was cut")
            records.copy(self.header, copy)
            luks.replay(self.machine, copy, device, self.key)
            records.supersede(copy, self.header)
            found = luks.state(luks.dump(self.machine, self.header))
        return found

    def confirm_alone(self, device: str) -> None:
        """HardeningError unless the device holds the file system that was confirmed, and nothing beside it.

        An initramfs has no wipefs(8) to tell of a second signature.
        """
        self.machine.confirm_file_system(device, self.plan.source)
        found = set(self.machine.run(("wipefs", "--noheadings", "--output", "TYPE", device)).output.decode().split())
        if len(found) > 1:
            raise HardeningError(
                f"{device} holds {', '.join(sorted(found))}; the file system that was confirmed lay there alone."
                " Nothing was written: find out which of them is stale, and wipe that one (wipefs --offset)."
            )

    def install_final(self) -> None:
        """Put the final header in the working one's place, and overwrite that: its journal holds a chunk in clear."""
        copy = self.header + ".new"
        records.copy(self.final, copy)
        records.supersede(copy, self.header)

    def device(self, device: Device | None) -> str:
        """Return the path of a device of the plan; one whose content was copied to another disk can be followed."""
        try:
            return super().device(device)
        except OtherDiskError as error:
            raise HardeningError(
                f"{error} If the confirmed one fails and was copied to this one, whole, run the playbook with"
                " -e confirm=<the serial number of this one>."
            ) from error

    def reach_proven(self) -> None:
        """Open the volume as a boot will, and compare every file with what it was before.

        The volume stays open when that fails, so that what differs can be put back.
        """
        device = self.device(self.plan.source)
        volume = self.machine.open_volume(device, self.plan.name, self.key, header=self.header)
        if "copied_from" in self.job.details:
            self.machine.check_file_system(volume, self.plan.file_system)
        self.machine.unmount(self.plan.mount_point)  # a boot may have mounted what was opened just now
        manifest = self.manifest()
        try:
            self.machine.mount(volume, self.work("volume"), read_only=True)
            files, total = manifest.count()
            counted = self.counted("comparing", total)
            found = manifest.differences(self.work("volume"), counted, read_again=True)
        finally:
            manifest.close()
            self.machine.unmount(self.work("volume"))
        self.answer_for(found, files)

    def answer_for(self, found: list[Difference], files: int) -> None:
        """Name what differs in a file of the job; HardeningError when it is more than a person has accepted.

        Only what a failing disk could not read, when it was copied, ends here.
        """
        where = self.job.path("different")
        if found:
            lines = [each.below(self.plan.mount_point) for each in found]
            records.write(where, "\n".join((*lines, "")).encode())
            if len(found) > int(self.job.details.get("accepted", 0)):
                raise HardeningError(
                    f"{len(found)} of {files} files are not what they were: {lines[0]}{', ...' * (len(found) > 1)};"
                    f" {where} names all. Put them back from the backup (runbook: the disk fails), or go on without"
                    f" them: run the playbook with -e accept_different={len(found)}."
                )
        self.job.record(self.job.stage, different=len(found))

    def reach_done(self) -> None:
        """Mount the volume where the files were, and let the programs start."""
        device = self.device(self.plan.source)
        volume = self.machine.open_volume(device, self.plan.name, self.key, header=self.header)
        self.machine.put_table(self.plan)
        self.machine.mount(volume, self.plan.mount_point)
        records.remove(self.final)
        self.release_writers()

    def watched(self) -> Watch:
        """Return a context that tells how far the header is."""
        return Watch(self)


class Watch:
    """Reads the header now and then while cryptsetup works, and tells percent, rate and time left."""

    def __init__(self, strategy: InPlace) -> None:
        """Watch the strategy's header."""
        self.strategy = strategy
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.look, daemon=True)

    def __enter__(self) -> None:
        """Begin to look."""
        self.thread.start()

    def __exit__(self, *_: object) -> None:
        """End looking."""
        self.over.set()
        self.thread.join()

    def look(self) -> None:
        """Tell, every five seconds, how far the encryption is."""
        plan = self.strategy.plan
        size = plan.source.size if plan.source else 0
        counter = Counter(self.strategy.tell, f"{plan.name}: encrypting", size)
        start = -1
        while not self.over.wait(5):
            metadata = luks.dump(self.strategy.machine, self.strategy.header)
            if metadata is None:
                continue
            done = luks.encrypted_bytes(metadata, size)
            start = done if start < 0 else start
            counter.at(done, start=start)
