# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Encrypt the storage of a real machine with each strategy, its power cut at random moments, and look at every image.

    run.py [--strategy in_place|online|volume|roomy|tight]... [--release bookworm|trixie]... [--mib N] [--kills N]
           [--seed N] [--short]

Of each: studies are stored over DICOM; the playbook refuses without the device's name, then runs; the machine's power
is cut while it works, and the machine goes on by itself after the boot; every study comes back over DICOM as it was;
the disk, read from outside, holds no image in clear; it opens by itself after a reboot and a power cut, not with
another TPM, nor with Tang away, then with the key from the escrow. The last line is `N machines, N proven`.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clinic import IMAGE, MARK, REPOSITORY, STORAGE, Clinic, studies

sys.path.insert(0, str(REPOSITORY / ".ansible" / "collections"))

from virtual_guest import VirtualMachine

STRATEGIES = ("in_place", "online", "volume", "roomy", "tight")
JOB = "/var/lib/radiology-hardening/storage/studies"
STAGE = f'python3 -c \'import json;print(json.load(open("{JOB}/stage.json"))["stage"])\''
LAST = {"tight": "scrubbed"}
"""The last stage, where it is not `done`."""


class Trial:
    """One strategy on one machine."""

    def __init__(self, strategy: str, release: str, given: argparse.Namespace) -> None:
        """Make the machine, with Orthanc and its studies."""
        self.strategy, self.mib, self.seed = strategy, given.mib, given.seed
        self.chance = random.Random(f"{given.seed} {strategy} {release}")
        self.kills = given.kills
        self.machine = VirtualMachine(f"{strategy.replace('_', '-')}-{release}", release)
        own = strategy in ("in_place", "online", "volume")
        room = {"data_mib": given.mib * 5 // 4 + 128 if own else 0, "spare_mib": 0, "system_mib": 0}
        if strategy == "volume":
            room["spare_mib"] = room["data_mib"] + 64
        if not own:
            room["system_mib"] = 1700 + given.mib * (3 if strategy == "roomy" else 1) + given.mib // 4
        self.machine.create(**room)
        self.machine.start()
        self.machine.wait_for_ssh()
        self.machine.wait_for_boot()
        self.machine.tang().start()
        self.clinic = Clinic(self.machine, self.storage())
        self.clinic.prepare(f"{self.machine.disks['data'].device}-part1" if own else "")
        self.stored = self.clinic.store(self.mib, self.seed)
        self.images_are_right()

    def storage(self) -> dict[str, Any]:
        """Return what the clinic file says of the storage."""
        tang = self.machine.tang()
        unlock: dict[str, Any] = {"tpm2": {}}
        if self.strategy == "volume":  # one of them by Tang
            unlock = {"tang": {"url": tang.url, "thumbprint": tang.thumbprint()}}
        found: dict[str, Any] = {"unlock": unlock, "backup": {"accepted_without_by": "The test"}}
        if self.strategy == "online":
            found["online"] = True
        if self.strategy == "volume":
            found["onto"] = self.machine.disks["spare"].serial
        return found

    def say(self, sentence: str) -> None:
        """Print a sentence with the trial's name and time."""
        print(f"  {self.machine.name} {time.strftime('%H:%M:%S')}: {sentence}", flush=True)

    def images_are_right(self) -> None:
        """AssertionError unless every image that was acknowledged comes back over DICOM as it was."""
        found = self.clinic.fetch(studies(self.mib, self.seed))
        different = [uid for uid, digest in self.stored.items() if found.get(uid) != digest]
        assert not different, f"{len(different)} of {len(self.stored)} images are missing or different"

    def play(self) -> None:
        """Run the playbook to its end through the power cuts."""
        said = self.clinic.refused("encrypt_storage")
        assert "-e confirm=" in said, said[-2000:]
        disk = {"volume": "spare"}.get(self.strategy, "data" if "data" in self.machine.disks else "system")
        serial = self.machine.disks[disk].serial
        said = self.clinic.refused("encrypt_storage", "confirm=NOT-THE-DISK")
        assert "names another device" in said, said[-2000:]
        key = f"escrow_private_key={self.clinic.folder}/escrow/clinic.key"
        run = self.clinic.play("encrypt_storage", f"confirm={serial}", key)
        self.wait_until(lambda: "armed" in self.listed(), 600, "the job to begin")
        for number in range(self.kills):
            time.sleep(self.chance.uniform(1, 12 + self.mib / 16))
            stage = self.stage()
            if stage == LAST.get(self.strategy, "done"):
                break
            self.machine.power_cut()
            self.say(f"power cut {number + 1} at stage {stage}")
            self.machine.start()
            self.machine.wait_for_ssh()
        self.wait_until(lambda: self.stage() == LAST.get(self.strategy, "done"), 2400, "the job to end")
        assert run.wait(timeout=900) == 0, self.clinic.said("encrypt_storage")[-3000:]
        self.clinic.must("encrypt_storage")

    def stage(self) -> str:
        """Return the job's stage, or nothing when the machine does not answer now."""
        return self.machine.run(STAGE, check=False).stdout.strip()

    def listed(self) -> str:
        """Return the names in the job's folder."""
        return self.machine.run(["ls", JOB], check=False).stdout

    def wait_until(self, holds: Callable[[], bool], seconds: float, what: str) -> None:
        """Wait until something holds."""
        until = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > until:
                journal = self.machine.run("journalctl -u 'radiology-*' --no-pager | tail -n 30", check=False).stdout
                raise AssertionError(f"waited {seconds:.0f} s for {what}: {self.stage()}\n{journal}")
            time.sleep(2)

    def look(self) -> None:
        """Look at the result with other eyes: the device tree, and the disk read from outside."""
        below = self.machine.run(["lsblk", "-s", "-n", "-o", "TYPE", "/dev/mapper/studies"]).stdout.split()
        assert below[0] == "crypt", below
        source = self.machine.run(["findmnt", "-n", "-o", "SOURCE", STORAGE]).stdout.strip()
        assert source == "/dev/mapper/studies", source
        if self.strategy == "volume":
            self.machine.run("! mountpoint -q /mnt")
            assert self.in_clear("data"), "the former copy is gone before it was retired"
            self.clinic.must("encrypt_storage", "retire=true")
        if self.strategy in ("in_place", "online", "volume"):
            assert self.in_clear("data") == 0, "the data disk still holds images in clear"

    def in_clear(self, disk: str) -> int:
        """Return how many images a raw disk of the machine holds in clear."""
        self.machine.run(["sync"])
        found, rest = 0, b""
        with (self.machine.folder / self.machine.disks[disk].file).open("rb") as file:
            while block := file.read(64 << 20):
                found += (rest + block).count(MARK)
                rest = block[-len(MARK) + 1 :]
        return found

    def boots(self) -> None:
        """It opens by itself after a reboot and after a power cut, and not when what it is bound to is away."""
        self.machine.reboot()
        self.opened("a clean reboot")
        self.machine.power_cut()
        self.machine.start()
        self.machine.wait_for_ssh()
        self.opened("a power cut")
        self.images_are_right()
        if self.strategy == "volume":
            self.without_tang()
        else:
            self.with_another_tpm()

    def opened(self, after: str) -> None:
        """Wait until the storage is mounted and Orthanc runs, with nobody's help."""
        self.wait_until(self.is_up, 300, f"the storage after {after}")
        self.say(f"opened by itself after {after}")

    def is_up(self) -> bool:
        """Whether the volume is mounted and Orthanc runs."""
        both = f"mountpoint -q {STORAGE} && systemctl is-active --quiet orthanc"
        return self.machine.run(both, check=False).returncode == 0

    def stays_shut(self) -> None:
        """The machine is up and reachable, the storage shut, Orthanc not started, nothing written under it."""
        failed = "systemctl show -P ActiveState,NRestarts radiology-unlock@studies; journalctl -b -u radiology-unlock@studies"
        self.wait_until(lambda: "stays locked" in self.machine.run(failed, check=False).stdout, 300, "the refusal")
        assert not self.is_up()
        self.machine.run(f"! mountpoint -q {STORAGE}; ! systemctl is-active --quiet orthanc; ! touch {STORAGE}/x")

    def with_another_tpm(self) -> None:
        """Another TPM does not open it; the key from the escrow does."""
        self.machine.power_cut()
        self.machine.new_tpm()
        self.machine.start()
        self.machine.wait_for_ssh()
        self.stays_shut()
        self.say("refused with another TPM")
        self.clinic.must("unlock", f"escrow_private_key={self.clinic.folder}/escrow/provider.key")
        self.opened("the key from the escrow")
        self.images_are_right()

    def without_tang(self) -> None:
        """Without Tang it stays shut; once Tang is back it opens by itself."""
        self.machine.tang().stop()
        self.machine.reboot()
        self.stays_shut()
        self.say("refused while Tang is away")
        self.clinic.must("unlock", f"escrow_private_key={self.clinic.folder}/escrow/provider.key")
        self.opened("the key from the escrow")
        self.machine.reboot()
        self.stays_shut()
        self.machine.tang().start()
        self.opened("Tang's return")
        self.images_are_right()


def main() -> int:
    """Try each strategy on each release; 1 unless all are proven."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strategy", choices=STRATEGIES, action="append")
    parser.add_argument("--release", choices=("bookworm", "trixie"), action="append")
    parser.add_argument("--mib", type=int, default=512)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--seed", type=int, default=20261124)
    parser.add_argument("--short", action="store_true", help="one strategy, 32 MiB, one power cut")
    given = parser.parse_args()
    if given.short:
        given.strategy, given.release, given.mib, given.kills = ["in_place"], ["bookworm"], 32, 1
    assert given.mib * (1 << 20) % IMAGE == 0
    asked = [
        (each, release) for release in given.release or ("bookworm", "trixie") for each in given.strategy or STRATEGIES
    ]
    proven = 0
    for strategy, release in asked:
        proven += one(strategy, release, given)
    print(f"{len(asked)} machines, {proven} proven")
    return 0 if proven == len(asked) else 1


def one(strategy: str, release: str, given: argparse.Namespace) -> bool:
    """Try one strategy on one release, and say what came of it."""
    began = time.monotonic()
    machine = VirtualMachine(f"{strategy.replace('_', '-')}-{release}")
    try:
        trial = Trial(strategy, release, given)
        trial.say(f"{len(trial.stored)} images stored")
        trial.play()
        trial.images_are_right()
        trial.say("encrypted, every image as it was")
        trial.look()
        trial.boots()
    except AssertionError as error:
        print(f"{strategy} on {release}: FAILED: {error}", flush=True)
        return False
    finally:
        machine.destroy()
    print(f"{strategy} on {release}: proven in {time.monotonic() - began:.0f} s", flush=True)
    return True


if __name__ == "__main__":
    Path(REPOSITORY / "build").mkdir(exist_ok=True)
    sys.exit(main())
