# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A disk that fails in the middle: its copy is followed once it is named, and what it lost is accepted by number."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.migration import cli, deliberate, in_place, job, tree
from ansible_collections.radiology.hardening.plugins.module_utils.migration import manifest as manifests
from ansible_collections.radiology.hardening.plugins.module_utils.migration.manifest import Difference, Manifest


class Disks:
    """A machine whose device lies on the disk of one serial number."""

    def __init__(self, serial: str) -> None:
        self.serial = serial

    def device(self, device: job.Device) -> str:
        return device.path

    def serials(self, dummy: str) -> tuple[str, ...]:
        return (self.serial,)


@pytest.fixture
def stopped(tmp_path: Path) -> job.Job:
    """A job whose disk failed in the middle."""
    source = job.Device("/dev/disk/by-partuuid/1234", 1 << 30, "OLD", "uuid-in-clear")
    made = job.Job.create(str(tmp_path / "studies"), job.Plan("studies", "in_place", "/srv/images", source))
    made.record("stopped")
    return made


def test_the_disk_that_it_was_copied_to_is_followed_once_it_is_named(stopped: job.Job) -> None:
    deliberate.answer(stopped, Disks("NEW"), "NEW", 0)
    again = job.Job(stopped.folder)
    assert again.plan.source is not None
    assert (again.plan.source.serial, again.plan.source.path) == ("NEW", "/dev/disk/by-partuuid/1234")
    assert again.details == {"stage": "stopped", "copied_from": "OLD"}


@pytest.mark.parametrize(("lies_on", "confirm"), [("NEW", ""), ("NEW", "OLD"), ("NEW", "THIRD"), ("OLD", "NEW")])
def test_no_other_answer_moves_a_job_to_another_disk(stopped: job.Job, lies_on: str, confirm: str) -> None:
    deliberate.answer(stopped, Disks(lies_on), confirm, 0)
    again = job.Job(stopped.folder)
    assert again.plan.source is not None and again.plan.source.serial == "OLD"
    assert again.details == {"stage": "stopped"}


def test_a_copy_of_another_strategy_is_not_followed(tmp_path: Path) -> None:
    source = job.Device("/dev/disk/by-partuuid/1234", 1 << 30, "OLD", "uuid-in-clear")
    made = job.Job.create(str(tmp_path / "studies"), job.Plan("studies", "volume", "/srv/images", source))
    deliberate.answer(made, Disks("NEW"), "NEW", 0)
    assert job.Job(made.folder).plan.source == source


def test_a_job_at_work_is_not_moved(stopped: job.Job) -> None:
    with stopped.locked(), pytest.raises(HardeningError, match="runs already"):
        deliberate.answer(job.Job(stopped.folder), Disks("NEW"), "NEW", 0)
    assert job.Job(stopped.folder).details == {"stage": "stopped"}


def test_what_is_lost_stops_the_job_until_as_much_is_accepted(stopped: job.Job) -> None:
    strategy = in_place.InPlace(stopped, Any, b"", lambda _: None)
    lost = [Difference(f"{number}.dcm", manifests.ANOTHER_CONTENT) for number in range(3)]
    deliberate.answer(stopped, Disks("OLD"), "OLD", 2)
    with pytest.raises(HardeningError, match=r"3 of 90 files .*0\.dcm has another content.*-e accept_different=3"):
        strategy.answer_for(lost, 90)
    assert Path(stopped.path("different")).read_text().splitlines() == [
        f"/srv/images/{number}.dcm has another content than before" for number in range(3)
    ]
    deliberate.answer(stopped, Disks("OLD"), "OLD", 3)
    strategy.answer_for(lost, 90)
    assert stopped.details["different"] == 3


def test_nothing_lost_needs_no_answer(stopped: job.Job) -> None:
    in_place.InPlace(stopped, Any, b"", lambda _: None).answer_for([], 90)
    assert stopped.details["different"] == 0 and not os.path.exists(stopped.path("different"))


def progress(known: Manifest, root: Path, name: str) -> int:
    """Return how far a file has come."""
    found = known.get(tree.Entry(name, os.lstat(root / name)).key)
    assert found is not None
    return found.progress


def test_every_difference_is_found_in_one_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifests, "UNSETTLED", -1e9)
    root = tmp_path / "images"
    root.mkdir()
    for name in ("content", "metadata", "missing", "same"):
        (root / name).write_text(name)
        os.utime(root / name, (1, 1))
    known = Manifest(str(tmp_path / "job" / "manifest"))
    known.survey(str(root), lambda _: None)
    folder = os.stat(root)
    (root / "content").write_text("CONTENT")  # and another time than before
    (root / "metadata").chmod(0o600)
    (root / "missing").unlink()
    (root / os.fsdecode(b"not-there\xff")).write_text("")
    os.utime(root, ns=(folder.st_atime_ns, folder.st_mtime_ns))
    found = known.differences(str(root), lambda _: None, read_again=True)
    assert sorted(each.below("/srv") for each in found) == [
        "/srv/ misses a file that was there before",
        "/srv/content has another content than before",
        "/srv/metadata has other metadata than before (times, owner, mode, attributes)",
        "/srv/not-there\\udcff was not there before",
    ]
    assert progress(known, root, "same") == manifests.PROVEN
    assert {progress(known, root, name) for name in ("content", "metadata")} == {manifests.READ}
    with pytest.raises(HardeningError, match=r"\(4 differ in all\)"):
        known.prove(str(root), lambda _: None, read_again=True)


@pytest.mark.parametrize(("number", "status"), [(errno.EIO, 3), (errno.EUCLEAN, 3), (errno.ENOSPC, 1)])
def test_a_disk_that_fails_is_not_read_again_and_again(
    monkeypatch: pytest.MonkeyPatch, number: int, status: int
) -> None:
    def fail(dummy: str) -> int:
        raise OSError(number, os.strerror(number), "/srv/images/1.dcm")

    noted: list[str] = []
    monkeypatch.setattr(cli, "run", fail)
    monkeypatch.setattr(cli, "note", lambda _, sentence, **__: noted.append(sentence))
    assert cli.main(["run", "studies"]) == status
    assert noted == [f"{os.strerror(number)}: /srv/images/1.dcm"]


def test_how_a_job_stands_is_no_answer_of_a_failed_call(stopped: job.Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "FOLDER", os.path.dirname(stopped.folder))
    monkeypatch.setattr(cli, "progress_path", lambda name: os.path.join(stopped.folder, f"{name}.progress"))
    cli.note("studies", "The device is gone", failed=True)
    found = deliberate.status(Any, "studies")
    assert found["stopped"] and found["sentence"] == "The device is gone"
    stopped.record("retiring")
    assert deliberate.status(Any, "studies")["stopped"], "a wiping can stop too"
    stopped.record("retired")
    assert not deliberate.status(Any, "studies")["stopped"]
    reserved = {"failed", "changed", "skipped", "unreachable", "msg", "rc", "exception", "warnings", "invocation"}
    assert not set(found) & reserved, "Ansible takes such a key for the call's own end"
