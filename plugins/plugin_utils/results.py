# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an action says of a plan, in the form of the modules."""

from __future__ import annotations

from typing import Any


def told(plan: list[str]) -> dict[str, Any]:
    """Return changed, plan and diff."""
    diff = {"before": "", "after": "".join(f"{sentence}\n" for sentence in plan)}
    return {"changed": bool(plan), "plan": plan, "diff": diff}
