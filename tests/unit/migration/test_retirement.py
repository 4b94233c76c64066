# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What wiping is worth is said honestly."""

from __future__ import annotations

import os
import types
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.migration import job, retirement


@pytest.mark.parametrize(("rotational", "said"), [(True, "rotating disk"), (False, "flash keeps spare blocks")])
def test_what_stays_free_was_not_overwritten(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, rotational: bool, said: str
) -> None:
    plan = job.Plan("studies", "container", "/srv/images", container=str(tmp_path / "studies.luks"), tight=True)
    found: Any = types.SimpleNamespace(plan=plan)
    monkeypatch.setattr(retirement.inspection, "place", lambda *_: types.SimpleNamespace(device="/dev/vda2"))
    monkeypatch.setattr(
        retirement.inspection, "block", lambda *_: types.SimpleNamespace(rotational=rotational, path="/dev/vda2")
    )
    space = types.SimpleNamespace(f_bfree=3 << 10, f_bavail=1 << 10, f_frsize=1 << 20)
    monkeypatch.setattr(retirement.os, "statvfs", lambda _: space)
    sentence = retirement.scrubbed(found, object())  # type: ignore[arg-type]
    assert "but for 2112 MiB that stay free" in sentence
    assert said in sentence
    assert sentence.endswith("what snapshots, cloned files (reflinks) and backups hold of the images was not touched")


@pytest.fixture
def in_clear(tmp_path: Path) -> Path:
    folder = tmp_path / "images.in-clear"
    (folder / "study").mkdir(parents=True)
    (folder / "study" / "image").write_bytes(b"DICM")
    return folder


def test_a_backup_by_hard_links_is_not_overwritten_with_the_former_copy(in_clear: Path, tmp_path: Path) -> None:
    os.link(in_clear / "study" / "image", tmp_path / "backup")
    with pytest.raises(HardeningError, match="Nothing was wiped"):
        retirement._overwrite_folder(str(in_clear))
    assert (tmp_path / "backup").read_bytes() == b"DICM"
    assert (in_clear / "study" / "image").exists()


def test_a_former_copy_with_hard_links_of_its_own_goes(in_clear: Path) -> None:
    os.link(in_clear / "study" / "image", in_clear / "again")
    retirement._overwrite_folder(str(in_clear))
    assert not in_clear.exists()


def test_a_file_that_becomes_a_link_meanwhile_has_nothing_else_overwritten(
    in_clear: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other").write_bytes(b"kept")
    image, real = next(path for path in in_clear.rglob("*") if path.is_file()), os.stat

    def swapped(path: str, **how: Any) -> os.stat_result:
        found = real(path, **how)
        if path == image.name and not image.is_symlink():
            image.unlink()
            image.symlink_to(tmp_path / "other")
        return found

    monkeypatch.setattr(os, "stat", swapped)
    with pytest.raises(OSError, match="symbolic link"):
        retirement._overwrite_folder(str(in_clear))
    assert (tmp_path / "other").read_bytes() == b"kept"
