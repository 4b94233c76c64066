# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The simulated machine without the engine: where things lie, its disks and images, how it boots and shuts down."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import random
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from disks import LOOPS, ROOT, Disks

KEY = b"RECO-VERY-KEYO-FTHE-SIMU-LATO-R"
SYSTEM, IMAGES = ROOT / "system", ROOT / "system" / "srv"
JOB = SYSTEM / "storage" / "studies"
TABLE = SYSTEM / "etc" / "fstab"
CONTAINER = SYSTEM / "volumes" / "studies.luks"
UUID = "5d0f4c6e-0000-4000-8000-000000000001"
MIB = 1 << 20
KEYSLOTS = 3 * MIB
"""Bytes of a header's keyslots area. It bounds the journal, and so the chunk: the data are five chunks."""
HEADER = 4 * MIB
"""Bytes of a header, and where the data of a new volume begin."""
DISKS = {
    "in_place": {"system": 28 * MIB, "data": 12 * MIB},
    "volume": {"system": 20 * MIB, "data": 12 * MIB, "target": 16 * MIB},
    "roomy": {"system": 40 * MIB},
    "tight": {"system": 32 * MIB},
    "wiped": {"system": 40 * MIB},
    "stock": {"system": 20 * MIB, "data": 12 * MIB},
}
"""Bytes of each scene's disks."""


@functools.cache
def images_on(disk: str) -> dict[str, bytes]:
    """Return the images that a disk begins with (`data`, or the smaller ones on `system`): the same each time."""
    chance = random.Random(disk)
    least, most = (60_000, 200_000) if disk == "data" else (40_000, 150_000)
    return {f"{number % 8:02x}/{number:03d}": chance.randbytes(chance.randrange(least, most)) for number in range(40)}


def lay(disks: Disks, sizes: Mapping[str, int]) -> None:
    """Lay disks of these sizes with a system and images in clear, everything flushed."""
    disks.load({disk: bytes(size) for disk, size in sizes.items()})
    run("mkfs.ext4", "-q", "-F", disks.devices["system"])
    SYSTEM.mkdir(exist_ok=True)
    run("mount", disks.devices["system"], str(SYSTEM))
    for folder in (IMAGES, TABLE.parent):
        folder.mkdir()
    where = "data" if "data" in sizes else "system"
    TABLE.write_text(f"data {IMAGES} ext4 defaults 0 2\n" if where == "data" else "", encoding="utf-8")
    if where == "data":
        run("mkfs.ext4", "-q", "-F", "-b", "4096", "-U", UUID, disks.devices["data"])
        run("mount", disks.devices["data"], str(IMAGES))
    for path, content in images_on(where).items():
        (IMAGES / path).parent.mkdir(exist_ok=True)
        (IMAGES / path).write_bytes(content)
    shut_down(disks)
    for device in disks.devices.values():
        run("sync", device)


def boot(disks: Disks) -> None:
    """Mount as a boot does: the system disk, and the images where the file-system table still has them in clear."""
    SYSTEM.mkdir(exist_ok=True)
    check(disks.devices["system"])
    run("mount", disks.devices["system"], str(SYSTEM))
    if any(line.startswith("data ") for line in TABLE.read_text(encoding="utf-8").splitlines()):
        check(disks.devices["data"])
        run("mount", disks.devices["data"], str(IMAGES))


def shut_down(disks: Disks, volumes: Iterable[str] = ()) -> None:
    """Unmount everything, close the volumes, and wait until the disks are free of them.

    A volume may lie in a file of the system's, which ends being mounted only after it; and the kernel puts off what
    somebody looks at just then.
    """
    for line in reversed(Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()):
        where = line.split()[1]
        if where.startswith(f"{ROOT}/") and where != str(disks.folder):
            run("umount", "--lazy", where)
    for volume in volumes:
        LOOPS.detach(volume)
    until = time.monotonic() + 120
    while taken := [device for device in disks.devices.values() if not _free(device)]:
        assert time.monotonic() < until, f"{taken} are still mounted"
        time.sleep(0.01)


def _free(device: str) -> bool:
    """Whether nothing has a device mounted."""
    try:
        os.close(os.open(device, os.O_RDONLY | os.O_EXCL))
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        return False
    return True


def run(*command: str) -> None:
    """Run a command that has to succeed."""
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise AssertionError(f"{' '.join(command)}: {done.stderr.decode().strip()}")


def check(device: str) -> None:
    """Check a file system as a boot does; it may be corrected (1), not be beyond repair (4, 8).

    ext4 writes its superblock in place, and no journal mends one that was torn: the boot then stops, and whoever is
    called has it restored from its backup. So it is here, for that alone.
    """
    done = subprocess.run(("e2fsck", "-p", device), capture_output=True, check=False)
    if b"uperblock checksum" in done.stdout + done.stderr:
        done = subprocess.run(("e2fsck", "-y", device), capture_output=True, check=False)
    if done.returncode not in (0, 1):
        raise AssertionError(f"e2fsck {device}: {done.returncode} {done.stdout.decode()} {done.stderr.decode()}")


@contextlib.contextmanager
def mounted(device: str, name: str = "look") -> Iterator[Path]:
    """Mount a device read-only for a look, and yield where."""
    where = ROOT / name
    where.mkdir(exist_ok=True)
    run("mount", "-o", "ro", device, str(where))
    try:
        yield where
    finally:
        run("umount", str(where))


def wrong(where: Path, images: Mapping[str, bytes]) -> list[str]:
    """Return the images that are not below a folder, byte by byte as they were."""
    return [path for path, content in images.items() if _read(where / path) != content]


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
