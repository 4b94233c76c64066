# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Programs are stopped for as little as can be, and a boot leaves a volume alone that its job has in hand."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils.migration import cli, job, luks, online
from ansible_collections.radiology.hardening.plugins.module_utils.migration.machine import Machine, Result

SOURCE = job.Device("/dev/disk/by-partuuid/1", 1 << 20, "SERIAL", "UUID")
PLAN = job.Plan("studies", "in_place", "/srv/images", source=SOURCE, services=("orthanc.service",), online=True)


class Recorder(Machine):
    """A machine that does nothing but note what it was asked."""

    def __init__(self, etc: Path) -> None:
        self.etc, self.opened, self.mounts = str(etc), False, {PLAN.mount_point}
        self.asked: list[str] = []

    def run(self, command: Any, *, stdin: bytes = b"") -> Result:
        self.asked.append(" ".join(command))
        return Result(0, b"", b"")

    def device(self, device: job.Device) -> str:
        return "/dev/vdb1"

    def confirm_serial(self, *_: Any) -> None:
        pass

    def confirm_file_system(self, *_: Any) -> None:
        assert not self.opened

    def is_open(self, name: str) -> bool:
        return self.opened

    def open_volume(self, device: str, name: str, key: bytes, *, header: str = "") -> str:
        self.asked.append("open")
        self.opened = True
        return f"/dev/mapper/{name}"

    def mounted(self, where: str) -> bool:
        return where in self.mounts

    def mount(self, source: str, where: str, *, read_only: bool = False) -> None:
        if where not in self.mounts:
            self.asked.append(f"mount {source}")
            self.mounts.add(where)

    def unmount(self, where: str) -> None:
        self.asked.append("unmount")
        self.mounts.discard(where)

    def stop_writers(self, plan: job.Plan) -> None:
        self.asked.append("stop")

    def start_writers(self, plan: job.Plan) -> None:
        self.asked.append("start")


@pytest.fixture
def machine(tmp_path: Path) -> Recorder:
    (tmp_path / "fstab").write_text("UUID=UUID /srv/images ext4 defaults 0 2\n")
    return Recorder(tmp_path)


@pytest.fixture
def begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> job.Job:
    monkeypatch.setattr(job.records, "synchronous_folder", lambda path: Path(path).mkdir())
    return job.Job.create(str(tmp_path / "studies"), PLAN)


def test_what_takes_long_comes_before_the_programs_stop(machine: Recorder, begun: job.Job) -> None:
    begun.record("surveyed")
    told: list[str] = []
    online.Online(begun, machine, b"key", told.append).run(until="switched")
    between = machine.asked[machine.asked.index("stop") : machine.asked.index("start") + 1]
    assert between == ["stop", "unmount", "open", "mount /dev/mapper/studies", "start"]
    assert "systemctl daemon-reload" in machine.asked[: machine.asked.index("stop")]
    assert begun.stage == "switched"
    assert begun.details["seconds_stopped"] < 10
    assert any("stopped for" in sentence for sentence in told)


def test_nothing_can_be_written_where_no_volume_is_mounted(
    machine: Recorder, begun: job.Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guarded: list[str] = []
    monkeypatch.setattr(machine, "make_immutable", guarded.append)
    strategy = online.Online(begun, machine, b"key", lambda _: None)
    folder = tmp_path / "mount-point"
    folder.mkdir()
    strategy.plan = dataclasses.replace(PLAN, mount_point=str(folder))
    machine.mounts = {str(folder)}
    strategy.guard_mount_point()
    machine.mounts = set()
    (folder / "a file").touch()
    strategy.guard_mount_point()
    assert not guarded
    (folder / "a file").unlink()
    strategy.guard_mount_point()
    assert guarded == [str(folder)]


def test_a_switch_that_was_cut_leaves_an_open_volume_alone(machine: Recorder, begun: job.Job) -> None:
    begun.record("surveyed")
    machine.opened = True
    online.Online(begun, machine, b"key", lambda _: None).run(until="switched")
    assert "unmount" not in machine.asked


def test_the_working_header_costs_no_memory_and_no_time(tmp_path: Path, machine: Recorder) -> None:
    with pytest.raises(ValueError, match="Expecting value"):
        luks.initialise(machine, str(tmp_path / "header"), "/dev/vdb1", PLAN, b"key")
    (command,) = [asked for asked in machine.asked if "--init-only" in asked]
    assert "--pbkdf pbkdf2" in command
    assert "argon2id" in " ".join(luks.derivation(PLAN))


@pytest.mark.parametrize(
    ("stage", "marks", "status"),
    [
        ("switched", ("armed",), cli.STILL_RUNNING),
        ("encrypted", ("armed",), cli.STILL_RUNNING),
        ("encrypted", ("armed", "shown"), 0),
        ("done", ("armed",), 0),
        ("done", (), 0),
    ],
)
def test_a_boot_leaves_a_volume_alone_that_its_job_has_in_hand(
    begun: job.Job, monkeypatch: pytest.MonkeyPatch, stage: str, marks: tuple[str, ...], status: int
) -> None:
    begun.record(stage)
    for mark in marks:
        Path(begun.path(mark)).touch()
    opened: list[str] = []
    monkeypatch.setattr(cli.Machine, "shows_volume", lambda *_: "shown" in marks)
    monkeypatch.setattr(cli.Machine, "start_later", lambda *_: None)
    monkeypatch.setattr(cli.unlock, "unlock", lambda found, _: opened.append(found.stage))
    assert cli.open_volume(begun.folder) == status
    assert bool(opened) == (stage == "done")
