# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an action says of a plan, in the form of the modules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import LEFT


def succeeded(answer: Mapping[str, Any]) -> bool:
    """Tell whether a module was reached and did not fail."""
    return not answer.get("failed") and not answer.get("unreachable")


def told(plan: list[str], answer: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return changed, plan and diff; with what the module's answer leaves to a person, which check mode counts too."""
    said = str(((answer or {}).get("diff") or {}).get("after", "")).splitlines()
    shown = [*plan, *(sentence for sentence in said if sentence.startswith(LEFT))]
    diff = {"before": "", "after": "".join(f"{sentence}\n" for sentence in shown)}
    return {"changed": bool(shown), "plan": plan, "diff": diff}


def after(made: Sequence[str], answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return a module's answer with what was done before it; where the module failed, as a warning each."""
    if not made:
        return dict(answer)
    if succeeded(answer):
        return {**answer, **told([*made, *answer["plan"]], answer)}
    warnings = (f"Done before this failed: {sentence}" for sentence in made)
    return {**answer, "warnings": [*answer.get("warnings", ()), *warnings]}
