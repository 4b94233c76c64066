# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""After a change that could lock the engineer out, a new connection stops the undo; one that is refused is tried again."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.ssh_undo import UNDO
from ansible_collections.radiology.hardening.plugins.plugin_utils import guarded

REFUSED = "connect to host 10.0.0.10 port 22: Connection refused"
ARMED = {"plan": [UNDO.armed, "Reload sshd, which keeps sessions open"]}


class Changing(guarded.GuardedAction):
    """An action on a host that answers each new connection as it is told to, and at last as the last time."""

    def __init__(self, *answers: dict[str, Any] | str, check_mode: bool = False) -> None:
        self.answers, self.tries, self.fresh = list(answers), 0, 0
        self._task = SimpleNamespace(check_mode=check_mode)
        self._connection = SimpleNamespace(reset=self.reset)

    def reset(self) -> None:
        self.fresh += 1

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        raise AssertionError

    def _execute_module(self, **dummy: Any) -> dict[str, Any]:
        self.tries += 1
        assert self.fresh == self.tries, "each try takes a connection of its own"
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, str):
            raise AnsibleConnectionFailure(answer)
        return answer


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarded, "PAUSE", 0)
    monkeypatch.setattr(guarded, "PATIENCE", 0.2)


@pytest.mark.parametrize(
    ("answers", "tries"),
    [
        (({},), 1),
        ((REFUSED, REFUSED, {}), 3),
        (({"unreachable": True, "msg": REFUSED}, {}), 2),
    ],
)
def test_a_connection_that_is_refused_for_a_moment_is_tried_again(
    answers: tuple[dict[str, Any] | str, ...], tries: int
) -> None:
    action = Changing(*answers)
    action.confirm(dict(ARMED), UNDO, {})
    assert action.tries == tries


def test_one_that_stays_refused_is_told() -> None:
    action = Changing(REFUSED)
    with pytest.raises(HardeningError, match=rf"to sshd no new connection got through \({REFUSED}\); the host puts"):
        action.confirm(dict(ARMED), UNDO, {})
    assert action.tries > 1


def test_who_came_in_too_late_does_not_try_again() -> None:
    action = Changing({"failed": True, "msg": "the new connection came after more than 45 s"})
    with pytest.raises(HardeningError, match="came after more than 45 s"):
        action.confirm(dict(ARMED), UNDO, {})
    assert action.tries == 1


@pytest.mark.parametrize(
    ("answer", "check_mode"),
    [({"plan": ["Another step"]}, False), (dict(ARMED), True), ({**ARMED, "failed": True}, False)],
)
def test_nobody_comes_in_anew_where_nothing_was_armed(answer: dict[str, Any], *, check_mode: bool) -> None:
    action = Changing(REFUSED, check_mode=check_mode)
    action.confirm(answer, UNDO, {})
    assert action.tries == 0
