# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A TPM is told after each use, so that it takes no power cut for an attempt to guess."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils.migration import machine


@pytest.mark.parametrize(
    ("command", "has_tpm", "told"), [("clevis", True, True), ("clevis", False, False), ("cryptsetup", True, False)]
)
def test_a_tpm_is_told_after_each_use(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str, has_tpm: bool, told: bool
) -> None:
    asked: list[tuple[str, ...]] = []

    def run(_self: Any, words: tuple[str, ...], _stdin: bytes) -> machine.Result:
        asked.append(words)
        return machine.Result(len(asked) - 1, b"", b"")

    monkeypatch.setattr(machine, "TPM", str(tmp_path if has_tpm else tmp_path / "none"))
    monkeypatch.setattr(machine.Machine, "_run", run)
    assert machine.Machine().run((command, "decrypt")).status == 0
    assert asked == [(command, "decrypt"), *([machine.TELL_TPM] if told else [])]
