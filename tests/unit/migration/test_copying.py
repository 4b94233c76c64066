# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A copy has everything its original has; what changes under it is copied again; what is wrong is found."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.migration import copying, manifest, tree
from ansible_collections.radiology.hardening.plugins.module_utils.migration.manifest import PROVEN, Manifest


def nothing(dummy: object = None) -> None:
    pass


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Manifest:
    """A manifest beside the trees, for which nothing is unsettled."""
    monkeypatch.setattr(manifest, "UNSETTLED", -1e9)
    return Manifest(str(tmp_path / "job" / "manifest"))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    (root / "ab" / "cd").mkdir(parents=True)
    (root / "ab" / "cd" / "image").write_bytes(os.urandom(300_000))
    (root / "ab" / "holes").write_bytes(b"begin" + bytes(3 << 20) + b"end")
    (root / "empty").write_bytes(b"")
    os.link(root / "ab" / "cd" / "image", root / "second name")
    (root / "link").symlink_to("nowhere")
    os.mkfifo(root / "pipe", 0o640)
    (root / "ab").chmod(0o2750)
    os.utime(root / "ab" / "holes", ns=(10**18, 123_456_789_012_345_678))
    return root


@pytest.fixture
def target(tmp_path: Path) -> Path:
    root = tmp_path / "target"
    root.mkdir()
    return root


def copy(source: Path, target: Path, records: Manifest) -> int:
    """Copy, and return the bytes that were."""
    done: list[int] = []
    copying.copy_tree(str(source), str(target), records, nothing, done.append)
    return sum(done)


def test_everything_is_copied(source: Path, target: Path, records: Manifest) -> None:
    copy(source, target, records)
    here = {each.path: each for each in tree.walk(str(source))}
    there = {each.path: each for each in tree.walk(str(target))}
    assert here.keys() == there.keys()
    for path, entry in here.items():
        assert manifest.metadata(entry) == manifest.metadata(there[path]), path
        assert tree.content(str(source), entry) == tree.content(str(target), there[path]), path
    assert there["second name"].status.st_ino == there["ab/cd/image"].status.st_ino
    assert there["ab/holes"].status.st_blocks * 512 < 2 << 20
    records.prove(str(target), nothing, read_again=True)
    assert records.count(PROVEN)[0] == 4


def test_a_second_run_copies_nothing(source: Path, target: Path, records: Manifest) -> None:
    assert copy(source, target, records) > 0
    assert copy(source, target, records) == 0


def test_only_the_difference_is_copied(source: Path, target: Path, records: Manifest) -> None:
    copy(source, target, records)
    (source / "empty").write_bytes(b"no more")
    (source / "new").mkdir()
    (source / "new" / "image").write_bytes(b"new")
    (source / "ab" / "holes").unlink()
    assert copy(source, target, records) == len(b"no more" + b"new")
    assert not (target / "ab" / "holes").exists()
    records.prove(str(target), nothing, read_again=False)


def test_a_folder_takes_a_file_s_place_and_the_other_way(source: Path, target: Path, records: Manifest) -> None:
    copy(source, target, records)
    (source / "empty").unlink()
    (source / "empty").mkdir()
    (source / "ab" / "cd" / "image").unlink()
    (source / "ab" / "cd").rmdir()
    (source / "ab" / "cd").write_bytes(b"now a file")
    copy(source, target, records)
    assert (target / "empty").is_dir()
    records.prove(str(target), nothing, read_again=True)


def test_what_changed_a_moment_ago_is_read_again(
    source: Path, target: Path, records: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest, "UNSETTLED", 120.0)
    old = time.time() - 3600
    first = copy(source, target, records)
    os.utime(source / "empty", (old, old))
    assert copy(source, target, records) == first  # ctime cannot be set back: all of them are still fresh


@pytest.mark.parametrize("damage", ["content", "mode", "time", "missing", "stranger"])
def test_a_wrong_copy_is_found_and_made_again(source: Path, target: Path, records: Manifest, damage: str) -> None:
    copy(source, target, records)
    image = target / "ab" / "cd" / "image"
    before = image.stat()
    if damage == "content":
        content = bytearray(image.read_bytes())
        content[7] ^= 1
        image.write_bytes(content)
        os.utime(image, ns=(before.st_atime_ns, before.st_mtime_ns))
    elif damage == "mode":
        image.chmod(0o777)
    elif damage == "time":
        os.utime(image, ns=(0, 0))
    elif damage == "missing":
        (target / "empty").unlink()
    else:
        (target / "stranger").write_bytes(b"")
    with pytest.raises(HardeningError):
        records.prove(str(target), nothing, read_again=True)
    for each in ("ab/cd/image", "second name", "empty"):
        records.doubt(tree.Entry(each, before).key)
    copy(source, target, records)
    os.utime(target, ns=(source.stat().st_atime_ns, source.stat().st_mtime_ns))
    records.prove(str(target), nothing, read_again=True)


def test_no_name_is_kept(source: Path, target: Path, records: Manifest, tmp_path: Path) -> None:
    (source / "MARTIN^Anne").write_bytes(b"image")
    copy(source, target, records)
    assert b"MARTIN" not in (tmp_path / "job" / "manifest").read_bytes()
