# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The stock commands, as their manual gives them: a check on the check. Under the same power cuts they lose images."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

from disks import Disks
from places import IMAGES, KEY, KEYSLOTS, SYSTEM, TABLE, boot, run, shut_down


class Stock:
    """Encryption in place with a detached header, by cryptsetup alone."""

    header = SYSTEM / "stock" / "header"

    def __init__(self, scene: str, disks: Disks, cryptsetup: tuple[str, ...]) -> None:
        """Take the disks, and how a release's cryptsetup is called."""
        self.scene, self.disks, self.cryptsetup = scene, disks, cryptsetup

    def begin(self) -> None:
        """Initialise: the scene begins with a header that is whole and flushed."""
        boot(self.disks)
        run("umount", str(IMAGES))
        TABLE.write_text("", encoding="utf-8")
        self.header.parent.mkdir()
        options = ("--type", "luks2", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", "--sector-size", "4096")
        size = ("--luks2-keyslots-size", str(KEYSLOTS))
        self.call("reencrypt", "--encrypt", "--init-only", "--resilience", "journal", *options, *size, must=True)
        run("umount", str(SYSTEM))
        for device in self.disks.devices.values():
            run("sync", device)

    def go_on(self, reached: Callable[[str], None]) -> None:
        """Repair and resume, as the manual says for an interrupted run."""
        self.call("repair")
        self.call("reencrypt", "--resume-only", "--resilience", "journal")
        reached("encrypted")

    def call(self, *words: str, must: bool = False) -> None:
        """Call cryptsetup on the device."""
        command = (*self.cryptsetup, *words, "--batch-mode", "--key-file", "-", "--header", str(self.header))
        subprocess.run((*command, self.disks.devices["data"]), input=KEY, check=must, capture_output=True)

    def shut_down(self) -> None:
        """Unmount everything."""
        shut_down(self.disks)
