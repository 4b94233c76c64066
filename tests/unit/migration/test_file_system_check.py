# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a power cut leaves to tidy up is tidied before an encryption; a file system with errors is refused."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.migration.machine import Machine


@pytest.fixture
def device(tmp_path: Path) -> str:
    """A real ext4 of 8 MiB in a file."""
    file = tmp_path / "device"
    with file.open("wb") as opened:
        opened.truncate(8 << 20)
    subprocess.run(("mke2fs", "-q", "-F", "-t", "ext4", str(file)), check=True)
    return str(file)


def change(device: str, request: str) -> None:
    """Change the file system behind its own back."""
    subprocess.run(("debugfs", "-w", "-R", request, device), check=True, capture_output=True)


def checked(device: str) -> int:
    """Return what e2fsck says without changing anything."""
    return subprocess.run(("e2fsck", "-f", "-n", device), check=False, capture_output=True).returncode


def test_a_sound_file_system_passes(device: str) -> None:
    Machine().check_file_system(device, "ext4")
    assert checked(device) == 0


def test_what_is_tidied_passes(device: str) -> None:
    change(device, "setb 5000 3")  # blocks of a file that is deleted are taken still: e2fsck's status is 1
    assert checked(device) != 0
    Machine().check_file_system(device, "ext4")
    assert checked(device) == 0


def test_what_needs_a_person_is_refused(device: str) -> None:
    change(device, "clri <2>")
    with pytest.raises(HardeningError, match=rf"stays stopped.*mend it by hand \(e2fsck -f {device}\)"):
        Machine().check_file_system(device, "ext4")
