# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A small practice on real block devices: a storage with images, a spare disk, a system disk, an escrow that opens."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import itertools
import os
import random
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import contents
import release
from ansible_collections.radiology.hardening.plugins.module_utils.migration import deliberate, escrow, job, table
from ansible_collections.radiology.hardening.plugins.module_utils.migration.machine import Machine, Result
from contents import run
from disks import LOOPS, ROOT

MIB = 1 << 20
NAMES = ROOT / "by-partuuid"
"""Stands for /dev/disk/by-partuuid, which udev keeps where there is one."""
NUMBERS = itertools.count()


class Host(Machine):
    """The real machine: its commands, with Debian 12's cryptsetup, and a file-system table of its own."""

    work = str(ROOT / "work")
    etc = str(ROOT / "etc")

    def __init__(self) -> None:
        """Take no command's place."""
        self.cryptsetup = release.cryptsetup("bookworm")
        self.instead: dict[str, Result] = {}
        """Answers of programs that no test machine can be made to give: a failing disk's."""

    def run(self, command: Sequence[str], *, stdin: bytes = b"") -> Result:
        """Run a command, or give the answer that stands in for its program."""
        if command[0] in self.instead:
            return self.instead[command[0]]
        return super().run(command, stdin=stdin)

    def put_table(self, plan: job.Plan) -> None:
        """Write the table; there is no systemd to tell."""
        table.put(os.path.join(self.etc, "fstab"), plan)


class Disk:
    """A file with a loop device on it; partitions are devices of their own."""

    def __init__(self, size: int, *, partition: bool = False) -> None:
        """Make a disk of `size` bytes, all of it zeros, or a GPT with one partition that takes it all."""
        self.file = ROOT / f"disk-{next(NUMBERS)}"
        self.file.touch(mode=0o600)
        os.truncate(self.file, size)
        self.whole = LOOPS.attach(str(self.file))
        self.device = self.whole
        self.uuid = ""
        if partition:
            run("sfdisk", "--quiet", "--no-tell-kernel", self.whole, stdin=b"label: gpt\n-\n")
            run("partx", "--add", self.whole)
            self.device = f"{self.whole}p1"
            self.uuid = run("blkid", "-p", "-s", "PART_ENTRY_UUID", "-o", "value", self.device).decode().strip()
            (NAMES / self.uuid).symlink_to(self.device)

    @property
    def name(self) -> str:
        """What survives a reboot."""
        return str(NAMES / self.uuid)

    def digest(self) -> str:
        """Return the SHA-256 of every byte that would be on the disk if the power went now, buffers brought there."""
        for device in (self.device, self.whole):
            run("blockdev", "--flushbufs", device)  # with a mounted file system, its buffers as well
        with self.file.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def remove(self) -> None:
        """Take the disk away."""
        if self.uuid:
            (NAMES / self.uuid).unlink()
            subprocess.run(("partx", "--delete", self.whole), check=False, capture_output=True)
        LOOPS.detach(self.whole)
        self.file.unlink()


@contextlib.contextmanager
def disk(size: int, *, partition: bool = False) -> Iterator[Disk]:
    """Yield a disk for the length of a test."""
    made = Disk(size, partition=partition)
    try:
        yield made
    finally:
        made.remove()


@contextlib.contextmanager
def unchanged(*disks: Disk) -> Iterator[None]:
    """Show that no byte of the disks is another one afterwards."""
    before = [each.digest() for each in disks]
    yield
    assert [each.digest() for each in disks] == before


@contextlib.contextmanager
def mounted(device: str, where: Path, options: str = "noatime") -> Iterator[Path]:
    """Mount a file system; looking at it leaves no trace on its disk."""
    where.mkdir(parents=True, exist_ok=True)
    run("mount", "-o", options, device, str(where))
    try:
        yield where
    finally:
        run("umount", str(where))


def fill(where: Path) -> None:
    """Lay images below a folder."""
    chance = random.Random(4)
    for number in range(12):
        (where / f"{number % 4:02x}").mkdir(exist_ok=True)
        (where / f"{number % 4:02x}" / f"{number:03d}").write_bytes(chance.randbytes(chance.randrange(50_000, 200_000)))


class Practice:
    """A host with a storage, and what its clinic file asks for it."""

    def __init__(self, folder: Path, storage: Disk, spare: Disk, keys: Path) -> None:
        """Take the folder of the images, the disk that holds them, an empty one, and the escrow's key and certificate."""
        self.machine, self.folder, self.storage, self.spare, self.keys = Host(), folder, storage, spare, keys
        self.given: dict[str, Any] = {
            "folder": str(folder),
            "services": ["orthanc.service"],
            "backup": {"accepted_without_by": "Dr Anne Martin"},
        }
        self.name = f"studies{next(NUMBERS)}"
        self.answer = ""

    def ask_for(self, strategy: str, **more: Any) -> None:
        """Ask for a strategy in the clinic file."""
        self.given |= {"strategy": strategy, **({"onto": self.spare.device} if strategy == "volume" else {}), **more}

    @property
    def confirm(self) -> str:
        """The answer that names the device that would be written."""
        return str(self.describe()["uuid"])

    def describe(self) -> dict[str, Any]:
        """Show what would be done."""
        return deliberate.describe(self.machine, self.name, self.given)

    def seal(self) -> None:
        """Make the recovery key, and have the escrow open it."""
        sealed = deliberate.seal(self.machine, self.name, self.given, [(self.keys / "certificate.pem").read_text()])
        options = ("-inform", "DER", "-inkey", str(self.keys / "key.pem"))
        key = run("openssl", "cms", "-decrypt", *options, stdin=base64.b64decode(sealed["sealed"]))
        self.answer = escrow.answer(key, sealed["nonce"])

    def prepare(self, confirm: str) -> Mapping[str, Any]:
        """Make the job and its header."""
        return deliberate.prepare(self.machine, self.name, self.given, confirm, self.answer)


def make_escrow(folder: Path) -> None:
    """Make an escrow's key and certificate."""
    folder.mkdir()
    subject = ("-subj", "/CN=escrow", "-days", "2", "-keyout", str(folder / "key.pem"), "-nodes")
    kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    run("openssl", "req", "-x509", *kind, *subject, "-out", str(folder / "certificate.pem"))


def system_disk() -> Disk:
    """Return a disk for the job's records, its file system mounted at ROOT/system for as long as the tests run."""
    made = Disk(256 * MIB)
    contents.ext4(made.device)
    (ROOT / "system").mkdir()
    run("mount", "-o", "noatime", made.device, str(ROOT / "system"))
    return made
