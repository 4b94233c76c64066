# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files that move one batch after the other: an original goes only while its copy is still what it is."""

from __future__ import annotations

import os
import types
from pathlib import Path

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.migration import tree
from ansible_collections.radiology.hardening.plugins.module_utils.migration.job import Plan
from ansible_collections.radiology.hardening.plugins.module_utils.migration.machine import Machine
from ansible_collections.radiology.hardening.plugins.module_utils.migration.manifest import PROVEN, Manifest
from ansible_collections.radiology.hardening.plugins.module_utils.migration.moving import Move


class PowerCutError(Exception):
    """The power goes."""


class Still(Machine):
    """A machine on which nothing has to be synced; `cut` lets the power go before an original is removed."""

    cut = False

    def sync_tree(self, path: str) -> None:
        if self.cut:
            raise PowerCutError


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "image").write_bytes(os.urandom(5000))
    return folder


class Mover:
    def __init__(self, tmp_path: Path, source: Path) -> None:
        self.source, self.target = source, tmp_path / "target"
        self.target.mkdir()
        (tmp_path / "volume.luks").touch()
        plan = Plan("studies", "container", str(source), container=str(tmp_path / "volume.luks"), tight=True, reserve=0)
        self.machine = Still()
        self.manifest = Manifest(str(tmp_path / "job" / "manifest"))
        self.manifest.survey(str(source), lambda _: None)
        self.move = Move(types.SimpleNamespace(plan=plan), self.machine, b"", lambda _: None)  # type: ignore[arg-type]

    def go_on(self) -> None:
        files = [entry for entry in tree.walk(str(self.source)) if entry.is_file]
        with tree.workers() as pool:
            self.move.move(pool, self.manifest, str(self.target), files)

    def copy_only(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Come as far as the record that the copies are proven."""
        with monkeypatch.context() as patched:
            patched.setattr(os, "unlink", _cut)
            with pytest.raises(PowerCutError):
                self.go_on()


def _cut(path: str) -> None:
    if "partial" not in path:
        raise PowerCutError
    raise FileNotFoundError


@pytest.fixture
def mover(tmp_path: Path, source: Path) -> Mover:
    return Mover(tmp_path, source)


def test_a_file_moves(mover: Mover, source: Path) -> None:
    content = (source / "image").read_bytes()
    mover.go_on()
    assert (mover.target / "image").read_bytes() == content
    assert not (source / "image").exists()


def test_nothing_is_removed_before_its_copy_is_synced(mover: Mover, source: Path) -> None:
    mover.machine.cut = True
    with pytest.raises(PowerCutError):
        mover.go_on()
    assert (source / "image").exists()
    assert mover.manifest.count(PROVEN)[0] == 0


def test_an_original_left_beside_its_proven_copy_goes(
    mover: Mover, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mover.copy_only(monkeypatch)
    assert mover.manifest.count(PROVEN)[0] == 1
    assert (source / "image").exists()
    mover.go_on()
    assert not (source / "image").exists()


@pytest.mark.parametrize("same_time", [False, True])
def test_an_original_changed_after_its_copy_was_proven_stays(
    mover: Mover, source: Path, monkeypatch: pytest.MonkeyPatch, same_time: bool
) -> None:
    mover.copy_only(monkeypatch)
    before = (source / "image").stat()
    (source / "image").write_bytes(os.urandom(5000))
    if same_time:
        os.utime(source / "image", ns=(before.st_atime_ns, before.st_mtime_ns))
    changed = (source / "image").read_bytes()
    with pytest.raises(HardeningError, match="was changed after it was copied"):
        mover.go_on()
    assert (source / "image").read_bytes() == changed
