# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files that move one batch after the other: an original goes only while its copy is still what it is, overwritten."""

from __future__ import annotations

import errno
import os
import types
from pathlib import Path

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.migration import copying, records, tree
from ansible_collections.radiology.hardening.plugins.module_utils.migration.job import Plan
from ansible_collections.radiology.hardening.plugins.module_utils.migration.machine import Machine
from ansible_collections.radiology.hardening.plugins.module_utils.migration.manifest import PROVEN, Manifest, batches
from ansible_collections.radiology.hardening.plugins.module_utils.migration.moving import LEAVING, Move

IMAGE = os.urandom(5000)


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
    (folder / "image").write_bytes(IMAGE)
    return folder


class Mover:
    def __init__(self, tmp_path: Path, source: Path) -> None:
        self.source, self.target = source, tmp_path / "target"
        self.target.mkdir()
        (tmp_path / "volume.luks").touch()
        self.free = 1 << 30
        self.plan = plan = types.SimpleNamespace(
            **vars(Plan("studies", "container", str(source), container=str(tmp_path / "volume.luks"), tight=True))
        )
        self.machine = Still()
        self.manifest = Manifest(str(tmp_path / "job" / "manifest"))
        self.manifest.survey(str(source), lambda _: None)
        self.move = Move(types.SimpleNamespace(plan=plan), self.machine, b"", lambda _: None)  # type: ignore[arg-type]

    def go_on(self) -> None:
        self.move.reach_moved()

    def cut_at(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Come as far as the first call of a function of `os` that takes an original away."""
        real = getattr(os, name)

        def call(*paths: str) -> None:
            if LEAVING in "".join(paths):
                raise PowerCutError
            real(*paths)

        with monkeypatch.context() as patched:
            patched.setattr(os, name, call)
            with pytest.raises(PowerCutError):
                self.go_on()

    def copy_only(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Come as far as the record that the copies are proven."""
        self.cut_at("rename", monkeypatch)


@pytest.fixture
def mover(tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> Mover:
    made = Mover(tmp_path, source)
    for name, stand_in in {
        "hold_writers": lambda _: None,
        "manifest": lambda _: Manifest(str(tmp_path / "job" / "manifest")),
        "open": lambda _: str(made.target),
        "shut": lambda _: None,
        "free": lambda _: made.free,
    }.items():
        monkeypatch.setattr(Move, name, stand_in)
    return made


def test_a_file_moves(mover: Mover, source: Path) -> None:
    mover.go_on()
    assert (mover.target / "image").read_bytes() == IMAGE
    assert not os.listdir(source)


def test_an_original_is_overwritten_before_it_is_removed(mover: Mover, source: Path) -> None:
    with open(source / "image", "rb") as original:
        mover.go_on()
        assert original.read() == bytes(len(IMAGE))


def test_an_original_is_overwritten_under_another_name(
    mover: Mover, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mover.cut_at("unlink", monkeypatch)
    assert not (source / "image").exists()
    (left,) = source.iterdir()
    assert left.name.startswith(LEAVING)
    assert left.read_bytes() == bytes(len(IMAGE))


def test_an_original_that_a_cut_left_half_overwritten_goes(
    mover: Mover, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mover.cut_at("unlink", monkeypatch)
    (left,) = source.iterdir()
    left.write_bytes(bytes(1000) + IMAGE[1000:])
    with open(left, "rb") as half:
        mover.go_on()
        assert half.read() == bytes(len(IMAGE))
    assert not os.listdir(source)
    assert (mover.target / "image").read_bytes() == IMAGE


def test_a_hole_takes_no_room_when_it_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(64 << 20)
        file.seek(32 << 20)
        file.write(IMAGE)
    handle = os.open(path, os.O_WRONLY)
    try:
        records.overwrite(handle)
    finally:
        os.close(handle)
    assert path.stat().st_blocks * 512 < 1 << 20
    assert path.read_bytes() == bytes(64 << 20)


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


def test_what_the_programs_wrote_last_is_on_the_disk_before_it_is_read(mover: Mover, source: Path) -> None:
    (source / "last").write_bytes(IMAGE)
    mover.machine.cut = True
    with pytest.raises(PowerCutError):
        mover.move.reach_surveyed()
    assert mover.manifest.count()[0] == 1


@pytest.mark.parametrize("is_folder", [False, True])
def test_a_file_named_like_an_original_that_goes_is_never_overwritten(
    mover: Mover, source: Path, is_folder: bool
) -> None:
    path = source / f"{LEAVING}image"
    if is_folder:
        path.mkdir()
    else:
        path.write_bytes(IMAGE)
    with pytest.raises(HardeningError, match="rename it"):
        mover.move.reach_surveyed()
    assert path.exists()


def test_an_original_that_got_another_name_is_not_overwritten(mover: Mover, source: Path, tmp_path: Path) -> None:
    os.link(source / "image", tmp_path / "backup")
    with pytest.raises(HardeningError, match="another name"):
        mover.go_on()
    assert (tmp_path / "backup").read_bytes() == IMAGE
    os.unlink(tmp_path / "backup")
    mover.go_on()
    assert not os.listdir(source)


def test_an_original_that_cannot_be_removed_is_told_of(
    mover: Mover, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*dummy: str) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    with monkeypatch.context() as patched:
        patched.setattr(os, "rename", lambda *paths: refuse() if LEAVING in paths[1] else os.replace(*paths))
        with pytest.raises(HardeningError, match="chattr -i -a"):
            mover.go_on()
    assert (source / "image").read_bytes() == IMAGE
    mover.go_on()
    assert not os.listdir(source)


def test_shared_blocks_that_find_no_room_do_not_stop_the_move(
    mover: Mover, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(dummy: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(records, "overwrite", no_room)
    mover.go_on()
    assert not os.listdir(source)
    assert (mover.target / "image").read_bytes() == IMAGE


@pytest.mark.parametrize("held", [False, True])
def test_a_lost_and_found_that_came_with_the_files_goes_too(
    mover: Mover, source: Path, monkeypatch: pytest.MonkeyPatch, held: bool
) -> None:
    (mover.target / "lost+found").mkdir()
    (source / "lost+found").mkdir()
    if held:
        (source / "lost+found" / "#12").write_bytes(IMAGE)
        os.utime(source / "lost+found", (1, 1))
    mover.manifest.survey(str(source), lambda _: None)
    mover.go_on()
    mover.manifest.prove(str(mover.target), lambda _: None, read_again=True)
    monkeypatch.setattr(Still, "immutable", lambda *_: False)
    monkeypatch.setattr(Still, "make_immutable", lambda *_: None)
    mover.move.clear_mount_point()
    assert not os.listdir(source)


def test_a_file_that_came_after_the_survey_stops_once_and_moves_then(mover: Mover, source: Path) -> None:
    (source / "late").mkdir()
    (source / "late" / "image").write_bytes(IMAGE)
    with pytest.raises(HardeningError, match=r"late and 1 more came, or changed, after all files"):
        mover.go_on()
    mover.go_on()
    assert (mover.target / "late" / "image").read_bytes() == IMAGE
    assert os.listdir(source) == ["late"]


@pytest.mark.parametrize("same_time", [False, True])
def test_a_file_that_changed_before_it_moved_stops_once_and_moves_as_it_is(
    mover: Mover, source: Path, same_time: bool
) -> None:
    before = (source / "image").stat()
    changed = os.urandom(len(IMAGE))
    (source / "image").write_bytes(changed)
    if same_time:
        os.utime(source / "image", ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(HardeningError, match="image came, or changed, after all files were read"):
        mover.go_on()
    assert (source / "image").read_bytes() == changed
    mover.go_on()
    assert (mover.target / "image").read_bytes() == changed


def test_a_copy_that_is_wrong_is_made_again(mover: Mover, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(copying, "_copy_bytes", lambda here, there: Path(there).write_bytes(bytes(len(IMAGE))))
        with pytest.raises(HardeningError, match="is not what the file was; it stays where it is"):
            mover.go_on()
    assert (source / "image").read_bytes() == IMAGE
    mover.go_on()
    assert (mover.target / "image").read_bytes() == IMAGE


def test_attributes_that_changed_before_the_move_stop_once_and_go_with_the_file(mover: Mover, source: Path) -> None:
    os.setxattr(source / "image", "user.station", b"CT1")
    with pytest.raises(HardeningError, match="image came, or changed"):
        mover.go_on()
    assert (source / "image").exists()
    mover.go_on()
    assert os.getxattr(mover.target / "image", "user.station") == b"CT1"


def test_a_file_that_was_removed_before_it_moved_stops_once(mover: Mover, source: Path) -> None:
    (source / "image").unlink()
    with pytest.raises(HardeningError, match=r"^1 files were removed from"):
        mover.go_on()
    mover.go_on()
    assert not os.listdir(mover.target)


def test_a_folder_whose_mode_changed_before_the_move_keeps_it(mover: Mover, source: Path) -> None:
    source.chmod(0o750)
    mover.go_on()
    assert mover.target.stat().st_mode & 0o777 == 0o750
    mover.manifest.prove(str(mover.target), lambda _: None, read_again=True)


def test_a_cut_that_took_from_the_reserve_lets_the_move_end(mover: Mover, source: Path) -> None:
    """What a cut left of a batch stays allocated in the container; the next batches are of one file each."""
    (source / "second").write_bytes(IMAGE)
    mover.manifest.survey(str(source), lambda _: None)
    mover.plan.reserve, mover.free = 64 << 10, 40 << 10
    mover.go_on()
    assert sorted(os.listdir(mover.target)) == ["image", "second"]


def test_room_for_a_file_and_half_the_reserve_is_demanded(mover: Mover, source: Path) -> None:
    mover.plan.reserve, mover.free = 64 << 10, 33 << 10
    with pytest.raises(HardeningError, match="make room and run the playbook encrypt_storage again"):
        mover.go_on()
    assert (source / "image").read_bytes() == IMAGE
    mover.free = 64 << 10
    mover.go_on()
    assert not os.listdir(source)


def test_a_batch_is_as_large_as_the_room_is_then() -> None:
    sizes = iter([2, 1, 5])
    status = os.stat_result((0o100644, 0, 0, 1, 0, 0, 1, 0, 0, 0))
    entries = [tree.Entry(str(number), status) for number in range(5)]
    assert [len(batch) for batch in batches(iter(entries), size=lambda: next(sizes))] == [2, 1, 2]
