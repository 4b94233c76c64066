# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the controller did before a module is told, whatever came of the module."""

from __future__ import annotations

from typing import Any

from ansible_collections.radiology.hardening.plugins.plugin_utils import results

MADE = ["Make a first password for c.moreau in vault.yml"]


def test_what_was_done_before_comes_first_in_the_plan() -> None:
    answer: dict[str, Any] = {"changed": False, "plan": ["Write a file"], "diff": {"after": "Left to you: x\n"}}
    told = results.after(MADE, answer)
    assert told["plan"] == [*MADE, "Write a file"]
    assert told["changed"] is True
    assert told["diff"]["after"] == f"{MADE[0]}\nWrite a file\nLeft to you: x\n"
    assert results.after([], answer) == answer


def test_where_the_module_failed_it_is_a_warning() -> None:
    answer = {"failed": True, "msg": "dconf-cli cannot be installed", "warnings": ["before"]}
    told = results.after(MADE, answer)
    assert told["warnings"] == ["before", f"Done before this failed: {MADE[0]}"]
    assert (told["failed"], told["msg"]) == (True, answer["msg"])
