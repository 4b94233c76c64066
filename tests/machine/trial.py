# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One strategy on one machine, from studies in clear to studies that open by themselves, and what comes in between."""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable
from typing import Any

from canary import Canary, opened_key, volume_key
from clinic import IMAGE, STORAGE, Clinic, studies
from eyes import LOOK
from sender import Sender
from virtual_disk import size
from virtual_guest import VirtualMachine
from virtual_image import image

STRATEGIES = ("in_place", "online", "volume", "roomy", "tight", "failing")
JOB = "/var/lib/radiology-hardening/storage/studies"
CONTAINER = "/var/lib/radiology-hardening/volumes/studies.luks"
HELD = ("in_place", "online", "volume", "failing")
"""Strategies whose images lie on a disk of their own."""
AT_WORK = {
    "in_place": ("prepared", "stopped", "stopped", "encrypted"),
    "online": ("prepared", "surveyed", "switched", "switched"),
    "volume": ("formatted", "formatted", "copied", "proven"),
    "roomy": ("formatted", "formatted", "copied", "proven"),
    "tight": ("formatted", "surveyed", "surveyed", "moved", "done"),
}
"""Stages in which a strategy works long, the longest ones twice: the power is cut in some of them."""
STAGES = {
    "in_place": ("planned", "prepared", "stopped", "encrypted", "proven", "done"),
    "failing": ("planned", "prepared", "stopped", "encrypted", "proven", "done"),
    "online": ("planned", "prepared", "surveyed", "switched", "encrypted", "proven", "done"),
    "volume": ("planned", "claimed", "formatted", "copied", "proven", "switched", "done"),
    "roomy": ("planned", "claimed", "formatted", "copied", "proven", "switched", "done"),
    "tight": ("planned", "claimed", "formatted", "surveyed", "moved", "proven", "switched", "done", "scrubbed"),
}
DURABLE = f"""
sed -i '\\,{STORAGE},s/defaults/defaults,sync/' /etc/fstab
systemctl daemon-reload
mount -o remount,sync {STORAGE}
"""
"""Orthanc acknowledges an image before its index is on the disk, in clear too: a cut loses acknowledged images whatever
lies below. With writes that are synchronous an image that is lost was lost by us."""
SHUT = f"! mountpoint -q {STORAGE} && ! systemctl is-active --quiet orthanc && ! touch {STORAGE}/x"
CLOSE = f"""
systemctl stop orthanc
umount {STORAGE}
cryptsetup close studies
"""


class Trial:
    """One strategy on one machine."""

    def __init__(self, strategy: str, release: str, given: argparse.Namespace) -> None:
        """Make the machine, with Orthanc and its studies."""
        self.strategy, self.seed, self.kills, self.short = strategy, given.seed, given.kills, given.short
        self.count = given.mib * (1 << 20) // IMAGE
        self.chance = random.Random(f"{given.seed} {strategy} {release}")
        self.pause = 2 + given.mib / 32
        self.lost = 0
        self.patience = 600 + 8 * given.mib
        self.held, self.release = strategy in HELD, release
        self.aim = strategy == "online"
        self.machine = VirtualMachine(machine_name(strategy, release), release)
        self.machine.create(**self.room(given.mib))
        self.noted = self.machine.folder / "stages"
        self.canary = Canary(self.machine, self.machine.folder / "processes")
        self.canary.processes.touch()
        self.start()
        self.machine.tang().start()
        self.clinic = Clinic(self.machine, self.storage())
        self.clinic.prepare(f"{self.machine.disks['data'].device}-part1" if self.held else "")
        self.stored = self.clinic.store(given.mib, given.seed)
        self.sender = Sender(self.clinic, given.seed + 1)
        self.say(f"{len(self.stored)} images stored")

    def room(self, mib: int) -> dict[str, int]:
        """Return the sizes of the machine's disks.

        An image of the lab has some 330 MiB free, and the engine leaves 256 MiB of a system disk free: with half as
        much beside the studies as they take, there is no room for both; with one and a half times as much there is.
        """
        if self.held:
            data = mib * 5 // 4 + 128
            return {"data_mib": data, "spare_mib": data + 64 if self.strategy == "volume" else 0}
        more = mib * 8 // 5 - 72 if self.strategy == "tight" else mib * 5 // 2 + 128
        return {"data_mib": 0, "spare_mib": 0, "system_mib": (size(image(self.release).disk) >> 20) + max(0, more)}

    def storage(self) -> dict[str, Any]:
        """Return what the clinic file says of the storage."""
        tang = self.machine.tang()
        unlock: dict[str, Any] = {"tpm2": {}}
        if self.strategy == "volume":  # one of them by Tang
            unlock = {"tang": {"url": tang.url, "thumbprint": tang.thumbprint()}}
        found: dict[str, Any] = {"unlock": unlock, "backup": {"accepted_without_by": "The test"}}
        if self.strategy == "online":
            found |= {"strategy": "in_place", "online": True}
        if self.strategy == "volume":
            found["onto"] = self.machine.disks["spare"].serial
        return found

    def say(self, sentence: str) -> None:
        """Print a sentence with the trial's name and time."""
        print(f"  {self.machine.name} {time.strftime('%H:%M:%S')}: {sentence}", flush=True)

    def start(self) -> None:
        """Switch the machine on, and look on; see `eyes.LOOK`."""
        self.machine.start()
        self.machine.wait_for_ssh()
        command = ["python3", "-u", "-c", LOOK, JOB, "cryptsetup" if self.aim else "-"]
        self.machine.begin(command, self.canary.processes, self.noted)

    def seen(self) -> list[str]:
        """Return what was told since the machine was switched on."""
        return self.noted.read_text(encoding="utf-8").splitlines()

    def stage(self) -> str:
        """Return the job's stage as it was last seen."""
        return next((line[6:] for line in reversed(self.seen()) if line.startswith("stage ")), "")

    def reached(self, stage: str) -> bool:
        """Whether the job has come so far."""
        order = STAGES[self.strategy]
        found = self.stage()
        return found in order and order.index(found) >= order.index(stage)

    def over(self) -> bool:
        """Whether the job is done."""
        return self.stage() == STAGES[self.strategy][-1]

    def images_are_right(self) -> None:
        """AssertionError unless every image that was acknowledged comes back over DICOM as it was."""
        sent = dict(self.sender.acknowledged)
        wanted = studies(self.count, self.seed) | studies(len(sent) + 1, self.sender.seed)
        found = self.clinic.fetch(wanted)
        different = [uid for uid, digest in {**self.stored, **sent}.items() if found.get(uid) != digest]
        total = len(self.stored) + len(sent)
        assert len(different) == self.lost, f"{len(different)} of {total} images are missing or different"
        self.say(f"{total - self.lost} of {total} images are as they were")

    def refusals(self) -> None:
        """With another device's name nothing is done."""
        said = self.clinic.refused("encrypt_storage", "confirm=NOT-THE-DISK")
        assert "names another device" in said, said[-2000:]

    def play(self) -> None:
        """Run the playbook to its end through the power cuts."""
        if self.strategy == "online":
            self.machine.run(DURABLE)
            self.sender.start()
        disk = "spare" if self.strategy == "volume" else "data" if self.held else "system"
        key = f"escrow_private_key={self.clinic.folder}/escrow/clinic.key"
        run = self.clinic.play("encrypt_storage", f"confirm={self.machine.disks[disk].serial}", key)
        try:
            self.wait_until(lambda: "armed" in self.seen() or run.poll() is not None, 1200, "the job to begin")
            assert "armed" in self.seen(), self.clinic.said("encrypt_storage")[-3000:]
            if self.strategy == "online":
                self.cut_online()
            else:
                self.cut()
            self.wait_until(lambda: self.over() or self.failed(), self.patience, "the job to end")
            assert run.wait(timeout=900) == 0, self.clinic.said("encrypt_storage")[-3000:]
        finally:
            run.kill()
            self.sender.stop()

    def failed(self) -> bool:
        """AssertionError when the job's unit waits for a person."""
        unit = "radiology-encrypt-storage@studies"
        state = self.machine.run(["systemctl", "show", "-P", "ExecMainStatus", unit], check=False).stdout.strip()
        time.sleep(3)
        if state == "3":
            raise AssertionError(f"the job stopped at {self.stage()}: {self.journal(unit)}")
        return False

    def cut(self) -> None:
        """Cut the power at random moments of random stages."""
        at_work = AT_WORK[self.strategy]
        drawn = (
            [at_work[1]]
            if self.kills == 1
            else sorted(self.chance.choices(at_work, k=self.kills), key=STAGES[self.strategy].index)
        )
        for number, stage in enumerate(drawn, 1):
            self.wait_until(lambda stage=stage: self.reached(stage), self.patience, f"stage {stage}")
            self.wait_in(stage, self.chance.uniform(0, self.pause))
            assert not self.over(), "the job was over before the power was cut"
            self.cut_once(number)
            self.start()

    def wait_in(self, stage: str, seconds: float) -> None:
        """Wait so long, but not past the stage."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and self.stage() == stage and "ended" not in self.seen():
            time.sleep(0.05)

    def cut_once(self, number: int) -> None:
        """Cut the power now."""
        stage = self.stage()
        self.machine.power_cut()
        self.say(f"power cut {number} at stage {stage}{', at its very end' * ('ended' in self.seen())}")

    def cut_online(self) -> None:
        """Cut the power of a machine that takes images: at random moments, and once when all but the end is done."""
        drawn = sorted(self.chance.choices(AT_WORK["online"], k=self.kills - 1), key=STAGES["online"].index)
        for number in range(1, self.kills + 1):
            if drawn:
                stage = drawn.pop(0)
                self.wait_until(lambda stage=stage: self.reached(stage), self.patience, f"stage {stage}")
                self.wait_in(stage, self.chance.uniform(0, self.pause))
            elif self.aim:
                self.wait_until(lambda: "ended" in self.seen(), self.patience, "the end of the encryption")
            assert not self.over(), "the job was over before the power was cut"
            at_the_end = "ended" in self.seen()
            self.aim = self.aim and not at_the_end
            self.cut_once(number)
            self.start()
            if at_the_end:
                self.wait_until(lambda: self.reached("encrypted"), 1200, "the final header")
                journal = self.journal("radiology-encrypt-storage@studies", "-b")
                assert "the header stands at ended" in journal, f"the end was not met: {journal}"
        assert not self.aim, "the power was never cut at the end"

    def stopped_seconds(self) -> None:
        """Print for how long the programs were stopped, and AssertionError unless it was less than 10 s."""
        recorded = json.loads(self.machine.run(["cat", f"{JOB}/stage.json"]).stdout)
        seconds = recorded["seconds_stopped"]
        sent = len(self.sender.acknowledged)
        self.say(f"{sent} images were acknowledged meanwhile; the programs were stopped for {seconds} s in all")
        assert seconds < 10, f"the server was without its storage for {seconds} s"
        options = self.machine.run(["findmnt", "-n", "-o", "OPTIONS", STORAGE]).stdout
        assert "sync" in options.strip().split(","), options

    def journal(self, unit: str, *options: str) -> str:
        """Return the last that a unit said."""
        return self.machine.run(["journalctl", "--no-pager", "-n", "30", "-u", unit, *options], check=False).stdout

    def wait_until(self, holds: Callable[[], bool], seconds: float, what: str) -> None:
        """Wait until something holds."""
        until = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > until:
                raise AssertionError(
                    f"waited {seconds:.0f} s for {what}: {self.stage()}\n{self.journal('radiology-*')}"
                )
            time.sleep(0.2)

    def look(self) -> None:
        """Look at the result with other eyes: the device tree, the mount; then retire the former copy, or do nothing."""
        kinds = self.machine.run(["lsblk", "-s", "-n", "-o", "TYPE", "/dev/mapper/studies"]).stdout.split()
        assert "crypt" in kinds, kinds
        source = self.machine.run(["findmnt", "-n", "-o", "SOURCE", STORAGE]).stdout.strip()
        assert source == "/dev/mapper/studies", source
        header = f"{JOB}/header" if self.strategy in ("in_place", "online", "failing") else CONTAINER
        if self.strategy == "volume":
            header = self.machine.disks["spare"].device
        self.unbound = self.machine.run(["clevis", "luks", "pass", "-d", header, "-s", "1"]).stdout.encode()
        assert len(self.unbound) > 20, "Clevis gives no passphrase"
        if self.strategy in ("volume", "roomy"):
            self.clinic.must("encrypt_storage", "retire=true")
        elif not self.short:
            self.clinic.must("encrypt_storage")

    def boots(self) -> None:
        """It opens by itself after a reboot and after a power cut, and not when what it is bound to is away."""
        if not self.short:
            self.machine.shut_down(600)
            self.start()
            self.opened("a clean reboot")
        self.machine.power_cut()
        self.start()
        self.opened("a power cut")
        if self.strategy == "volume":
            self.without_tang()
        else:
            self.with_another_tpm()
        self.images_are_right()

    def opened(self, after: str) -> None:
        """Wait until the storage is mounted and Orthanc runs, with nobody's help."""
        both = f"mountpoint -q {STORAGE} && systemctl is-active --quiet orthanc"
        self.wait_until(lambda: not self.machine.run(both, check=False).returncode, 600, f"the storage after {after}")
        self.say(f"opened after {after}")

    def stays_shut(self) -> None:
        """The machine is up and reachable, the storage shut, Orthanc not started, nothing written under it."""
        unit = "radiology-unlock@studies"
        self.wait_until(lambda: "stays locked" in self.journal(unit, "-b"), 600, "the refusal")
        self.machine.run(SHUT)

    def unlock(self) -> None:
        """Open it with the key from the escrow."""
        self.clinic.must("unlock", f"escrow_private_key={self.clinic.folder}/escrow/provider.key")
        self.opened("the playbook unlock with the key from the escrow")

    def with_another_tpm(self) -> None:
        """Another TPM does not open it; the key from the escrow does."""
        self.machine.power_cut()
        self.machine.new_tpm()
        self.start()
        self.stays_shut()
        self.say("refused with another TPM")
        self.unlock()

    def without_tang(self) -> None:
        """Without Tang it stays shut; once Tang is back it opens by itself; without it the key from the escrow does."""
        self.machine.tang().stop()
        self.machine.power_cut()
        self.start()
        self.stays_shut()
        self.say("refused while Tang is away")
        self.machine.tang().start()
        self.opened("Tang's return")
        self.machine.tang().stop()
        self.machine.run(CLOSE)
        self.unlock()

    def secrets(self) -> dict[str, bytes]:
        """Return what must lie nowhere in clear: recovery key, volume key, and what TPM or Tang give for a keyslot."""
        kept = self.clinic.folder / "escrow" / "one" / "pacs.machine" / "studies"
        key = opened_key(kept / "recovery-key.p7m", self.clinic.folder / "escrow" / "clinic.key")
        volume = volume_key(kept / "header.img.gz", key)
        return {"the recovery key": key, "the volume key": volume, "the bound key": self.unbound}

    def nothing_in_clear(self) -> None:
        """No secret and no image in clear is left anywhere. The machine is off afterwards."""
        self.canary.plant()
        places = self.canary.search(self.secrets())
        left = {place: found["an image"] for place, found in places.items() if found["an image"]}
        assert not left, f"images in clear are left: {left}"
        self.say("no key and no image lies in clear on disks, in memory-backed file systems, journal, process lists")


def machine_name(strategy: str, release: str) -> str:
    """Return the name of a trial's machine."""
    return f"machine-{strategy.replace('_', '-')}-{release}"


def run(kind: type[Trial], strategy: str, release: str, given: argparse.Namespace) -> None:
    """Try one strategy on one release; AssertionError, MachineError or OSError when it falls short."""
    trial = kind(strategy, release, given)
    if not given.short:
        trial.refusals()
    trial.play()
    trial.images_are_right()
    if strategy == "online":
        trial.stopped_seconds()
    trial.look()
    trial.boots()
    trial.nothing_in_clear()
