# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where things lie on the simulated machine, how big its disks are, and its images. No code of the engine."""

from __future__ import annotations

import contextlib
import random
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from disks import ROOT

KEY = b"RECO-VERY-KEYO-FTHE-SIMU-LATO-R"
SYSTEM, IMAGES = ROOT / "system", ROOT / "system" / "srv"
JOB = SYSTEM / "storage" / "studies"
TABLE = SYSTEM / "etc" / "fstab"
CONTAINER = SYSTEM / "volumes" / "studies.luks"
UUID = "5d0f4c6e-0000-4000-8000-000000000001"
MIB = 1 << 20
SIZES = {"system": 96 * MIB, "data": 24 * MIB, "target": 48 * MIB}
DATA_OFFSET = 16 * MIB
"""Where LUKS2 puts the data of a new volume by default."""


def images_on(disk: str) -> dict[str, bytes]:
    """Return the images that a disk begins with (`data`, or the smaller ones on `system`): the same each time."""
    chance = random.Random(disk)
    least, most = (200_000, 500_000) if disk == "data" else (100_000, 350_000)
    return {f"{number % 8:02x}/{number:03d}": chance.randbytes(chance.randrange(least, most)) for number in range(40)}


def run(*command: str) -> None:
    """Run a command that has to succeed."""
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise AssertionError(f"{' '.join(command)}: {done.stderr.decode().strip()}")


def check(device: str) -> None:
    """Check a file system as a boot does; it may be corrected (1), not be beyond repair (4)."""
    done = subprocess.run(("e2fsck", "-p", device), capture_output=True, check=False)
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
