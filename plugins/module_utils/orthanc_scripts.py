# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The scripts that Orthanc runs at each image: Lua (LuaScripts), and Python where that plugin is loaded (PythonScript).

Such a script sends images on, removes them, or lets people in, and no other setting tells of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import deliberate
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step


def observe(config: Mapping[str, Any], declared: Sequence[str]) -> dict[str, list[str]]:
    """Return the scripts that Orthanc is told to run and that nobody declared, as its configuration names them."""
    listed = config.get("LuaScripts") or []
    named = [*(listed if isinstance(listed, list) else [listed]), config.get("PythonScript") or ""]
    found = sorted({str(script) for script in named if script} - set(declared))
    advice = (
        f"Orthanc runs {', '.join(found)} at each image, which orthanc_scripts does not name: add the clinic's own "
        "ones there, once you have read them, and take others out of LuaScripts"
    )
    return {"undeclared": found, "advice": [advice] if found else []}


def steps(found: Mapping[str, Sequence[str]]) -> list[Step]:
    """Return what only a person can decide: whether a script is the clinic's own."""
    return [deliberate(advice) for advice in found["advice"] or found["undeclared"]]
