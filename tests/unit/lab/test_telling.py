# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What `make test` repeats of a stage that failed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from test_lanes import load

WITNESS = (
    'fatal: [localhost]: FAILED! => {"cmd": ["witness.py"], "msg": "non-zero return code", "stdout": "passed  ct'
    " stores\\nFAILED  dmz-practice: ports: [] instead of [443]\\n27 passed, 1 failed"
    '", "stdout_lines": ["passed  ct stores", "FAILED  dmz-practice: ports: [] instead of [443]", "27 passed"]}'
)


@pytest.fixture
def telling(monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str]], list[str]]:
    found: Callable[[list[str]], list[str]] = load("run", monkeypatch).telling
    return found


def test_a_witness_is_repeated_by_the_checks_that_failed(telling: Callable[[list[str]], list[str]]) -> None:
    assert "FAILED  dmz-practice: ports: [] instead of [443]" in telling(["ok: [localhost]", WITNESS])
    assert not [line for line in telling([WITNESS]) if "stores" in line]


def test_a_check_is_repeated_however_much_the_log_has_around_it(telling: Callable[[list[str]], list[str]]) -> None:
    padded = [*["passed  x"] * 500, "E   assert 1 == 2", *["passed  y"] * 500]
    assert telling(padded) == ["E   assert 1 == 2"]
    assert len(telling([f"FAILED  check {number}" for number in range(99)])) == 20
