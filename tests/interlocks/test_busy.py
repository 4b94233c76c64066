# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A device that a boot checks is waited for; one that is mounted elsewhere is not."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import contents
import disks
import pytest
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.migration.machine import Machine


@pytest.fixture
def device(tmp_path: Path) -> Iterator[str]:
    """A file system on a block device."""
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(16 << 20)
    contents.run("mkfs.ext4", "-q", "-F", str(image))
    with disks.loop(str(image)) as made:
        yield made


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """A machine without a table of file systems; what is mounted below `tmp_path` is taken away."""
    monkeypatch.setattr(Machine, "etc", str(tmp_path / "etc"))
    yield Machine()
    for where in ("second", "first"):
        with contextlib.suppress(HardeningError):
            Machine().unmount(str(tmp_path / where))


def test_a_mount_waits_for_whoever_checks_the_file_system(machine: Machine, device: str, tmp_path: Path) -> None:
    checking = os.open(device, os.O_RDWR | os.O_EXCL)
    begun = time.monotonic()
    threading.Timer(2.5, os.close, [checking]).start()
    machine.mount(device, str(tmp_path / "first"), read_only=True)
    assert os.path.ismount(tmp_path / "first") and time.monotonic() - begun >= 2


def test_a_mount_does_not_wait_for_what_is_mounted_elsewhere(machine: Machine, device: str, tmp_path: Path) -> None:
    machine.mount(device, str(tmp_path / "first"))
    with pytest.raises(HardeningError, match="already mounted on"):
        machine.mount(device, str(tmp_path / "second"), read_only=True)
