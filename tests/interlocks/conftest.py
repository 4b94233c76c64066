# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Real block devices for the interlocks, in a mount namespace of the tests' own."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / each) for each in ("tests/interlocks", "tests/powercut", ".ansible/collections")]

import contents
import disks
import storage
from ansible_collections.radiology.hardening.plugins.module_utils.migration import (
    inspection,
    interlocks,
    job,
    luks,
    planning,
)


@pytest.fixture(scope="session", autouse=True)
def _machine() -> Iterator[None]:
    """Give the tests mounts, a system disk and an escrow of their own; nothing of this machine is used but /dev."""
    disks.own_mounts()
    for folder in ("etc", "work", "by-partuuid", "power"):
        (disks.ROOT / folder).mkdir()
    Path(luks.KEY_FOLDER).mkdir(mode=0o700, exist_ok=True)
    contents.run("mount", "-t", "tmpfs", "-o", "mode=0700", "tmpfs", luks.KEY_FOLDER)
    system = storage.system_disk()
    storage.make_escrow(disks.ROOT / "escrow")
    records = str(disks.ROOT / "system" / "records")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planning, "RECORDS", records)
        patch.setattr(planning, "CONTAINERS", f"{records}/volumes")
        patch.setattr(job, "FOLDER", f"{records}/storage")
        patch.setattr(interlocks, "POWER", str(disks.ROOT / "power"))
        patch.setattr(planning, "_memory", lambda: 0)
        patch.setattr(inspection, "STABLE_FOLDERS", (str(storage.NAMES),))
        yield
    contents.run("umount", str(disks.ROOT / "system"))
    system.remove()


@pytest.fixture(autouse=True)
def _no_jobs_left() -> Iterator[None]:
    """Remove each test's jobs, whose headers would fill the system disk."""
    yield
    shutil.rmtree(job.FOLDER, ignore_errors=True)


@pytest.fixture
def practice() -> Iterator[storage.Practice]:
    """Yield a host whose storage is an ext4 on a partition of its own, mounted, with an empty spare partition."""
    with (
        storage.disk(72 * storage.MIB, partition=True) as disk,
        storage.disk(160 * storage.MIB, partition=True) as spare,
    ):
        contents.ext4(disk.device)
        with storage.mounted(disk.device, disks.ROOT / "srv") as folder:
            storage.fill(folder)
            yield storage.Practice(folder, disk, spare, disks.ROOT / "escrow")
