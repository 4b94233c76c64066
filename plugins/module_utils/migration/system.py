# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Strategy system: the installed root file system is encrypted where it is, by a boot, before anything is mounted.

Up to `installed` the system runs and nothing of its device changes; then a boot's initramfs takes the same stages on.
Its folder lies on /boot, which stays in clear, because nothing else can be read before the root is open. The first
byte is written only after that initramfs has shown, on the device in clear, that it will be able to open it.
"""

from __future__ import annotations

import os

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.migration import luks, records, system_files
from ansible_collections.radiology.hardening.plugins.module_utils.migration.in_place import InPlace
from ansible_collections.radiology.hardening.plugins.module_utils.migration.luks import State
from ansible_collections.radiology.hardening.plugins.module_utils.migration.manifest import Manifest

BOOT = "/boot"
FOLDER = "/boot/radiology-hardening"
"""Holds the folders of jobs of this strategy, so that an initramfs finds them."""
SURVEY = "/var/lib/radiology-hardening/survey"
"""Holds the manifest: on the root itself, which is read while it runs, and shut with it."""


class AwaitedBootError(Exception):
    """All is ready; the next boot encrypts."""


class System(InPlace):
    """Up to `installed` and from `proven` on in the running system, between them in an initramfs."""

    STAGES = ("planned", "prepared", "surveyed", "installed", "encrypted", "proven", "done")

    def is_before(self, stage: str) -> bool:
        """Whether the job has not reached a stage."""
        return self.STAGES.index(self.job.stage) < self.STAGES.index(stage)

    def needs_key(self) -> bool:
        """Whether the running system has anything to do yet that opens a keyslot."""
        return self.is_before("installed")

    def manifest(self) -> Manifest:
        """Open the manifest."""
        return Manifest(os.path.join(SURVEY, self.plan.name, "manifest"))

    def reach_surveyed(self) -> None:
        """Read every file of the root beside the running programs."""
        manifest = self.manifest()
        try:
            total = manifest.count()[1]
            manifest.survey("/", self.counted("reading", total))
        finally:
            manifest.close()

    def reach_installed(self) -> None:
        """Give every kernel an initramfs that carries this job on, and opens the root at every boot after it."""
        self.write_files()

    def reach_encrypted(self) -> None:
        """In an initramfs: encrypt to the end. In the running system the device is mounted, so nothing is done."""
        device = self.device(self.plan.source)
        if self.machine.uses(device):
            raise AwaitedBootError(f"{self.plan.name}: restart the machine; it encrypts itself before it comes up")
        if self.settle(device) is State.INITIALISED:
            self.machine.confirm_file_system(device, self.plan.source)
            self.machine.check_file_system(device, self.plan.file_system)
            self.rehearse(device)
        super().reach_encrypted()

    def rehearse(self, device: str) -> None:
        """Open and close the device read-only as every boot after this one will; HardeningError when that fails.

        The final header is an ordinary one, so nothing is replayed; what the volume shows is noise still.
        """
        name = f"{self.plan.name}_rehearsal"
        self.machine.close_volume(name)
        self.machine.open_volume(device, name, self.key, header=self.final, read_only=True)
        self.machine.close_volume(name)

    def reach_proven(self) -> None:
        """In the running system: compare every file that nobody touched since it was read."""
        root = self.machine.source_of("/")
        if root != f"/dev/mapper/{self.plan.name}":
            raise HardeningError(f"The root lies on {root}, not on the encrypted volume {self.plan.name}.")
        manifest = self.manifest()
        try:
            files, total = manifest.count()
            compared, different = manifest.prove_untouched("/", self.counted("comparing", total))
        finally:
            manifest.close()
        if not compared:
            raise HardeningError("No file of the root is as it was when it was read: nothing is proven.")
        self.answer_for(different, files)
        same = compared - len(different)
        self.tell(f"{self.plan.name}: {same} of {files} files were not touched meanwhile, and are the same")
        self.job.record(self.job.stage, compared=compared, surveyed=files)

    def reach_done(self) -> None:
        """Leave in the initramfs only what opens the root."""
        records.remove(self.final)
        self.write_files()

    def write_files(self) -> None:
        """Write hook and script, and make the initramfs of every kernel anew."""
        boot = self.machine.file_system_uuid(self.machine.source_of(BOOT))
        folder = os.path.relpath(os.path.realpath(self.job.folder), BOOT)
        system_files.install(self.machine.etc, self.plan, boot, folder)
        self.machine.make_initramfs()
        self.machine.sync_tree(BOOT)


def lay_folder(folder: str) -> None:
    """Make a job's folder on /boot, and a link to it where jobs are looked for."""
    target = os.path.join(FOLDER, os.path.basename(folder))
    records.synchronous_folder(target)
    os.makedirs(os.path.dirname(folder), mode=0o700, exist_ok=True)
    if not os.path.lexists(folder):
        os.symlink(target, folder)
        records.sync(os.path.dirname(folder))


def opens(strategy: System, key: bytes) -> bool:
    """Whether a key that a person typed is the recovery key."""
    return luks.opens(strategy.machine, strategy.final, key)
