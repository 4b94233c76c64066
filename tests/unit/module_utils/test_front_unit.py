# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A front that reads its files anew: no worker of the former ones listens when the step has ended."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import front_unit
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host, Result

WORKER = "nginx: worker process"


class Front(Host):
    """A host whose nginx, of PID 70, has one worker, and which remembers what systemd was asked."""

    def __init__(self, root: Path) -> None:
        super().__init__(str(root))
        self.asked: list[str] = []
        (root / "proc/70/task/70").mkdir(parents=True)
        (root / "proc/70/task/70/children").write_text("71 ", encoding="utf-8")
        self.worker = root / "proc/71/cmdline"
        self.worker.parent.mkdir()
        self.worker.write_text(WORKER, encoding="utf-8")

    def run(self, command: Any, **rest: Any) -> Result:
        if command[1] == "show":
            return Result(0, "MainPID=70\nActiveState=active\n", "")
        self.asked.append(" ".join(command[1:]))
        return Result(0, "", "")

    def must(self, command: Any, **rest: Any) -> str:
        return self.run(command, **rest).output


ENABLING = "--quiet --no-reload enable front.service"


@pytest.fixture
def front(tmp_path: Path) -> Front:
    return Front(tmp_path)


def waited(monkeypatch: pytest.MonkeyPatch, seconds: float, *, then: Any) -> None:
    """Have the clock of front_unit go by its own sleeps, and something happen after so many seconds."""
    clock = [0.0]

    def sleep(length: float) -> None:
        clock[0] += length
        if clock[0] >= seconds:
            then()

    monkeypatch.setattr(front_unit.time, "sleep", sleep)
    monkeypatch.setattr(front_unit.time, "monotonic", lambda: clock[0])


@pytest.mark.parametrize("end", [f"{WORKER} is shutting down", ""])
def test_a_reload_ends_when_the_former_worker_listens_no_more(
    monkeypatch: pytest.MonkeyPatch, front: Front, end: str
) -> None:
    waited(monkeypatch, 3, then=lambda: front.worker.write_text(end, encoding="utf-8"))
    front_unit.start(front, "front.service", restart=False)
    assert front.worker.read_text(encoding="utf-8") == end
    assert front.asked == [ENABLING, "daemon-reload", "reload-or-restart front.service"]


def test_nginx_that_keeps_its_former_files_is_started_anew(monkeypatch: pytest.MonkeyPatch, front: Front) -> None:
    waited(monkeypatch, 60, then=lambda: None)
    front_unit.start(front, "front.service", restart=False)
    assert front.asked[2:] == ["reload-or-restart front.service", "restart front.service"]


def test_a_front_that_starts_for_the_first_time_waits_for_nobody(tmp_path: Path) -> None:
    front = Front(tmp_path)
    (tmp_path / "proc/70/task/70/children").unlink()
    front_unit.start(front, "front.service", restart=True)
    assert front.asked[2:] == ["restart front.service"]
