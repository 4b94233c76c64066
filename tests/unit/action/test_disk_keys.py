# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A key reaches the host through a pipe, into memory: in no command, and in no argument of the module."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible_collections.radiology.hardening.plugins.action.disk_keys import ActionModule
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.migration import keys, luks

KEY = "ABCD-EFGH"


class Task:
    """As much of a task as the action asks for."""

    async_val = 0
    check_mode = False
    diff = False

    def __init__(self, **args: Any) -> None:
        self.args = args


@pytest.fixture
def action() -> ActionModule:
    made: ActionModule = ActionModule.__new__(ActionModule)
    made.name, made.volume, made.variables = "pacs", "studies", {}
    return made


def test_a_key_goes_through_the_pipe_and_is_read_once(
    action: ActionModule, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(luks, "KEY_FOLDER", str(tmp_path / "run with a space"))
    commands: list[str] = []

    def low_level(command: str, in_data: bytes, sudoable: bool) -> dict[str, Any]:
        commands.append(command)
        done = subprocess.run(["sh", "-c", command], input=in_data, capture_output=True, check=False)
        return {"rc": done.returncode, "stderr": done.stderr.decode()}

    monkeypatch.setattr(action, "_low_level_execute_command", low_level, raising=False)
    action.hand(json.dumps({"keys": [KEY], "header": ""}).encode())
    assert KEY not in commands[0]
    assert Path(keys.handed("studies")).stat().st_mode & 0o777 == 0o600
    assert Path(keys.handed("studies")).parent.stat().st_mode & 0o777 == 0o700
    assert keys.take("studies") == ([KEY.encode()], b"")
    assert not Path(keys.handed("studies")).exists()
    (tmp_path / "file").touch()
    monkeypatch.setattr(luks, "KEY_FOLDER", str(tmp_path / "file"))
    with pytest.raises(HardeningError, match="cannot be written on pacs"):
        action.hand(b"{}")


def test_what_the_host_answers_is_told_apart(action: ActionModule, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([{"begun": True}, {"failed": True, "msg": "A sentence."}, {"unreachable": True, "msg": "away"}])
    given: list[dict[str, Any]] = []

    def execute(module_name: str, module_args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        given.append(module_args)
        return next(answers)

    monkeypatch.setattr(action, "_execute_module", execute, raising=False)
    assert action.call("describe") == {"begun": True}
    assert given == [{"call": "describe", "name": "studies"}]
    with pytest.raises(HardeningError, match=r"^A sentence\.$"):
        action.call("unlock")
    with pytest.raises(AnsibleConnectionFailure, match="away"):
        action.call("unlock")


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ({"storage": {"folder": "/srv"}}, "fewer than two places"),
        ({"storage": {"folder": "/srv"}, "act": "format", "escrow": {"folders": ["a", "b"]}}, "none of unlock, rotate"),
        ({}, None),
    ],
)
def test_a_host_without_storage_is_passed_by_and_a_mistake_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, args: dict[str, Any], sentence: str | None
) -> None:
    action = ActionModule(Task(**args), None, None, None, None, None)
    monkeypatch.setattr(ActionModule.__mro__[1], "run", lambda *given: {})
    variables = {"inventory_hostname": "pacs", "clinic": {"file": str(tmp_path / "clinic.yml")}}
    if sentence:
        with pytest.raises(AnsibleActionFail, match=sentence):
            action.run(None, variables)
        return
    assert action.run(None, variables) == {
        "sentence": "pacs: the clinic file declares no storage here; nothing to do",
        "changed": False,
    }
