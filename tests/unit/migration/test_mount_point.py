# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The empty folder in the place of the one in clear has that one's owner and mode, and is a folder itself."""

from __future__ import annotations

import stat
import types
from pathlib import Path

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.migration.job import Plan
from ansible_collections.radiology.hardening.plugins.module_utils.migration.machine import Machine
from ansible_collections.radiology.hardening.plugins.module_utils.migration.new_volume import IN_CLEAR, Copy


class Still(Machine):
    """A machine on which nothing is mounted, and no folder becomes immutable."""

    def mounted(self, where: str) -> bool:
        return False

    def immutable(self, folder: str) -> bool:
        return False

    def make_immutable(self, folder: str) -> None:
        pass


def clear(folder: Path) -> None:
    plan = Plan("studies", "container", str(folder), container="/nowhere/volume.luks")
    job = types.SimpleNamespace(plan=plan)
    Copy(job, Still(), b"", lambda _: None).clear_mount_point()  # type: ignore[arg-type]


def test_the_folder_keeps_its_mode_and_is_empty(tmp_path: Path) -> None:
    folder = tmp_path / "studies"
    folder.mkdir()
    folder.chmod(0o2750)
    (folder / "image").touch()
    clear(folder)
    clear(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o2750
    assert list(folder.iterdir()) == []
    assert [path.name for path in (tmp_path / f"studies{IN_CLEAR}").iterdir()] == ["image"]


def test_a_link_that_was_put_there_meanwhile_gives_nothing_away(tmp_path: Path) -> None:
    folder, other = tmp_path / "studies", tmp_path / "other"
    (tmp_path / f"studies{IN_CLEAR}").mkdir(mode=0o777)
    other.mkdir(mode=0o700)
    folder.symlink_to(other)
    with pytest.raises(HardeningError, match="became a link"):
        clear(folder)
    assert stat.S_IMODE(other.stat().st_mode) == 0o700
