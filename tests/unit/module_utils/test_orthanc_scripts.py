# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which scripts Orthanc runs that nobody declared."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import orthanc_scripts


@pytest.mark.parametrize(
    ("config", "declared", "undeclared"),
    [
        ({}, [], []),
        ({"LuaScripts": [], "PythonScript": ""}, [], []),
        ({"LuaScripts": ["b.lua", "/etc/a.lua"], "PythonScript": "c.py"}, [], ["/etc/a.lua", "b.lua", "c.py"]),
        ({"LuaScripts": ["b.lua", "/etc/a.lua"]}, ["b.lua", "other.lua"], ["/etc/a.lua"]),
        ({"LuaScripts": "b.lua"}, [], ["b.lua"]),
    ],
)
def test_every_script_that_is_not_declared_is_told(
    config: dict[str, Any], declared: list[str], undeclared: list[str]
) -> None:
    found = orthanc_scripts.observe(config, declared)
    assert found["undeclared"] == undeclared
    told = [step.does for step in orthanc_scripts.steps(found)]
    assert told == found["advice"]
    assert [", ".join(undeclared) in each for each in told] == ([True] if undeclared else [])
