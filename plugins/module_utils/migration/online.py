# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Strategy in_place with the programs at work: they stop for the seconds in which the volume takes the device's place.

From then on the file system lies on the opened volume, whose encrypted part grows under it. The volume is opened with
the working header until everything is encrypted: under the final one, plaintext would read as noise, and what was
written over it would be lost.
"""

from __future__ import annotations

import time

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.migration import luks
from ansible_collections.radiology.hardening.plugins.module_utils.migration.in_place import InPlace
from ansible_collections.radiology.hardening.plugins.module_utils.migration.luks import State


class Online(InPlace):
    """The programs stop within `switched` only."""

    STAGES = ("planned", "prepared", "surveyed", "switched", "encrypted", "proven", "done")

    def reach_surveyed(self) -> None:
        """Read every file beside the running programs."""
        self.machine.mount(self.device(self.plan.source), self.plan.mount_point)
        manifest = self.manifest()
        try:
            total = manifest.count()[1]
            manifest.survey(self.plan.mount_point, self.counted("reading", total))
        finally:
            manifest.close()

    def reach_switched(self) -> None:
        """Put the opened volume, of which no byte is encrypted yet, in the device's place.

        What takes long comes before the programs stop: the table (systemd reads all of its units anew), and bringing to
        the disk what they wrote.
        """
        device = self.device(self.plan.source)
        opened = self.machine.is_open(self.plan.name)
        if not opened:
            self.machine.confirm_file_system(device, self.plan.source)
        self.machine.put_table(self.plan)
        if self.machine.mounted(self.plan.mount_point):
            self.machine.sync_tree(self.plan.mount_point)
        begun = time.monotonic()
        self.hold_writers()
        if not opened:
            self.machine.unmount(self.plan.mount_point)
            self.guard_mount_point()
        self.bring_up(device)
        seconds = round(time.monotonic() - begun, 1)
        self.job.record(self.job.stage, seconds_stopped=seconds)
        self.tell(f"{self.plan.name}: the programs were stopped for {seconds} s")

    def bring_up(self, device: str) -> None:
        """Open the volume with the header in force, mount it, and let the programs work."""
        volume = self.machine.open_volume(device, self.plan.name, self.key, header=self.header)
        self.machine.mount(volume, self.plan.mount_point)
        self.release_writers()

    def reach_encrypted(self) -> None:
        """Encrypt to the end under the running programs; after a cut, settle the header before opening anything."""
        device = self.device(self.plan.source)
        while True:
            found = luks.state(luks.dump(self.machine, self.header))
            if found is State.CUT and self.machine.is_open(self.plan.name):
                self.take_down()  # cryptsetup was killed: its half-done chunk can only be replayed on a closed volume
            if not self.machine.is_open(self.plan.name):
                found = self.settle(device)
            if found in (State.ENDED, State.FINISHED):
                break
            if found not in (State.INITIALISED, State.PARTIAL):
                raise HardeningError(f"{self.header} reads as {found.value}: nothing more is done to {device}.")
            self.bring_up(device)
            with self.watched():
                luks.go_on(self.machine, self.header, device, self.key, active=self.plan.name)
        self.machine.sync_device(device)
        self.install_final()
        self.bring_up(device)

    def take_down(self) -> None:
        """Stop the programs and close the volume."""
        self.hold_writers()
        self.machine.unmount(self.plan.mount_point)
        self.machine.close_volume(self.plan.name)

    def reach_proven(self) -> None:
        """Compare every file that the programs did not touch since it was read."""
        self.bring_up(self.device(self.plan.source))
        manifest = self.manifest()
        try:
            total = manifest.count()[1]
            compared, found = manifest.prove_untouched(self.plan.mount_point, self.counted("comparing", total))
            files = manifest.count()[0]
        finally:
            manifest.close()
        self.answer_for(found, files)
        same = compared - len(found)
        self.tell(f"{self.plan.name}: {same} of {files} files were not touched meanwhile, and are the same")
