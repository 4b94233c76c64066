# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Encrypt the root of a real, installed machine at its next boot, its power cut while it does; called by run.py.

The machine starts with the kernel and the initramfs of its own /boot, as GRUB would start it; /boot is a partition of
its second disk. What happens before there is SSH is read from its serial console, and a person types there.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import subprocess
import time

from clinic import MARK, Clinic
from trial import machine_name
from virtual_disk import size
from virtual_guest import VirtualMachine
from virtual_image import image
from virtual_process import MachineError

JOB = "/boot/radiology-hardening/system"
IMAGES = "/srv/images"
MOVE_BOOT = """
device=$(readlink -f {device})
mount "$device" /mnt
cp -a /boot/. /mnt/
umount /mnt /boot
sed -i "s|^LABEL=boot .*|UUID=$(blkid -p -s UUID -o value "$device") /boot ext4 x-systemd.device-timeout=600 0 2|" /etc/fstab
systemctl daemon-reload
mount /boot
"""
SUMS = f"find /usr/bin {IMAGES} -xdev -type f -print0 | sort -z | xargs -0 sha256sum"
STAGE = f'sed -n \'s/^ *"stage": "\\(.*\\)".*/\\1/p\' {JOB}/stage.json'


class SystemTrial:
    """The whole of it on one machine."""

    def __init__(self, strategy: str, release: str, given: argparse.Namespace) -> None:
        """Make the machine, with /boot of its own and a folder of images on its root."""
        self.chance = random.Random(f"{given.seed} {strategy} {release}")
        self.kills, self.mib = given.kills, given.mib
        self.machine = VirtualMachine(machine_name(strategy, release), release)
        # An image of the lab has some 300 MiB free.
        system_mib = (size(image(release).disk) >> 20) + max(0, self.mib - 128)
        self.machine.create(data_mib=640, spare_mib=0, system_mib=system_mib)
        self.machine.start()
        self.machine.wait_for_ssh()
        self.machine.wait_for_boot()
        self.machine.run(MOVE_BOOT.format(device=f"{self.machine.disks['data'].device}-part1"))
        unlock = {"unlock": {"tpm2": {}}, "backup": {"accepted_without_by": "The test"}}
        self.clinic = Clinic(self.machine, {"folder": "/", "strategy": "system", **unlock})
        self.stored = [self.store(number) for number in range(self.mib // 2)]

    def say(self, sentence: str) -> None:
        """Print a sentence with the machine's name and the time."""
        print(f"  {self.machine.name} {time.strftime('%H:%M:%S')}: {sentence}", flush=True)

    def store(self, number: int) -> str:
        """Put an image of 2 MiB into the folder, and return the SHA-256 of what was sent."""
        text = MARK.decode() + self.chance.randbytes(1 << 20).hex()
        path = f"{IMAGES}/{number}.dcm"
        self.machine.run(f"mkdir -p {IMAGES}; cat >{path}; sync {path}", stdin=text)
        return hashlib.sha256(text.encode()).hexdigest()

    def sums(self) -> dict[str, str]:
        """Return the checksum of each program and image by its path, as the machine reads them."""
        lines = self.machine.run(SUMS, seconds=900).stdout.splitlines()
        return {path: digest for digest, path in (line.split(maxsplit=1) for line in lines)}

    def images_are_right(self) -> None:
        """AssertionError unless every program and every image is what it was."""
        found = self.sums()
        changed = [path for path in {**self.before, **found} if self.before.get(path) != found.get(path)]
        assert not changed, f"{len(changed)} programs or images are not what they were, such as {changed[:5]}"
        missing = set(self.stored) - set(found.values())
        assert not missing, f"{len(missing)} images are not what was sent"

    def play(self) -> None:
        """Arm it, restart it, cut its power while it encrypts itself, and see it come up by itself."""
        said = self.clinic.refused("encrypt_storage")
        assert "-e confirm=" in said and "encrypts itself" in said, said[-2000:]
        self.before = self.sums()  # from here on no package is installed any more
        said = self.clinic.refused("encrypt_storage", "confirm=NOT-THE-DISK")
        assert "names another device" in said, said[-2000:]
        key = f"escrow_private_key={self.clinic.folder}/escrow/clinic.key"
        self.clinic.must("encrypt_storage", f"confirm={self.machine.disks['system'].serial}", key)
        assert "restart it" in self.clinic.said("encrypt_storage")
        assert self.stage() == "installed", self.stage()
        self.machine.use_own_kernel()
        self.say("armed")
        self.machine.shut_down()
        for number in range(self.kills + 1):
            self.start()
            self.wait_for("encrypting", 900)
            if number == self.kills:
                break
            time.sleep(self.chance.uniform(0, 15))
            if "login:" in self.heard():
                raise AssertionError("the encryption was over before its power was cut: give it more to do")
            self.machine.power_cut()
            self.say(f"power cut {number + 1} at {self.heard().rpartition('encrypting')[2].split('%')[0].strip()} %")
        self.machine.wait_for_ssh(2400)
        self.say("came up by itself")
        self.clinic.must("encrypt_storage")
        assert self.stage() == "done", self.stage()

    def stage(self) -> str:
        """Return the job's stage."""
        return self.machine.run(STAGE).stdout.strip()

    def start(self) -> None:
        """Switch the machine on, and listen to what its console says from now on."""
        self.mark = self.machine.console.stat().st_size
        self.machine.start()

    def heard(self) -> str:
        """Return what the console said since the machine was started."""
        return self.machine.console.read_bytes()[self.mark :].decode("utf-8", "replace")

    def wait_for(self, words: str, seconds: float, times: int = 1) -> None:
        """Wait until the console says something, so many times."""
        until = time.monotonic() + seconds
        while self.heard().count(words) < times:
            if time.monotonic() > until:
                raise AssertionError(f"waited {seconds:.0f} s for {words!r}:\n{self.heard()[-2000:]}")
            time.sleep(0.5)

    def look(self) -> None:
        """Look at the result with other eyes: the device tree, and the disk read from outside."""
        below = self.machine.run(["lsblk", "-s", "-n", "-o", "TYPE", "/dev/mapper/system"]).stdout.split()
        assert below[:2] == ["crypt", "part"] or "crypt" in below[0], below
        assert self.machine.run(["findmnt", "-n", "-o", "SOURCE", "/"]).stdout.strip() == "/dev/mapper/system"
        self.machine.use_own_kernel()
        self.machine.shut_down()
        raw = self.machine.folder / "look.raw"
        command = ["qemu-img", "convert", "-O", "raw", str(self.machine.folder / "system.qcow2"), str(raw)]
        subprocess.run(command, check=True)
        found = 0
        with raw.open("rb") as file:
            while block := file.read(64 << 20):
                found += block.count(MARK)
        raw.unlink()
        assert not found, f"the disk still holds {found} images in clear"

    def boots(self) -> None:
        """It opens by its TPM after a start and a power cut; with another TPM, by the key that a person types."""
        self.machine.start()
        self.machine.wait_for_ssh()
        self.say("opened by itself after a start")
        self.machine.power_cut()
        self.machine.start()
        self.machine.wait_for_ssh()
        self.say("opened by itself after a power cut")
        self.images_are_right()
        self.machine.power_cut()
        self.machine.new_tpm()
        self.start()
        self.wait_for("Recovery key of system:", 600)
        self.machine.type("WRONG-KEY")
        self.wait_for("does not open it", 300)
        self.wait_for("Recovery key of system:", 60, times=2)
        try:
            self.machine.wait_for_ssh(20)
        except MachineError:
            self.say("refused with another TPM, and with a wrong key")
        else:
            raise AssertionError("the machine came up with another TPM")
        self.machine.type(self.recovery_key())
        self.machine.wait_for_ssh()
        self.say("opened by the key from the escrow")
        self.images_are_right()

    def recovery_key(self) -> str:
        """Return the recovery key, opened from the escrow by the provider's private key."""
        sealed = next((self.clinic.folder / "escrow" / "one").rglob("*.p7m"))
        command = ["openssl", "cms", "-decrypt", "-binary", "-inform", "DER", "-in", str(sealed), "-inkey"]
        command.append(str(self.clinic.folder / "escrow" / "provider.key"))
        return subprocess.run(command, capture_output=True, check=True, text=True).stdout


def run(strategy: str, release: str, given: argparse.Namespace) -> None:
    """Try it; AssertionError says what was not as it has to be."""
    trial = SystemTrial(strategy, release, given)
    trial.say(f"{len(trial.stored)} images stored")
    trial.play()
    trial.images_are_right()
    trial.look()
    trial.boots()
