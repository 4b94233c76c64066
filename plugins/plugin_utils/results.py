# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an action says of a plan, in the form of the modules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def succeeded(answer: Mapping[str, Any]) -> bool:
    """Tell whether a module was reached and did not fail."""
    return not answer.get("failed") and not answer.get("unreachable")


def told(plan: list[str]) -> dict[str, Any]:
    """Return changed, plan and diff."""
    diff = {"before": "", "after": "".join(f"{sentence}\n" for sentence in plan)}
    return {"changed": bool(plan), "plan": plan, "diff": diff}
