# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When somebody last looked from the internet, and what answered: kept by the controller, for nobody sees it from here.

The host is told of it in its scope, so that it is judged, and left to a person, as all else is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import deliberate
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step

FACTS: dict[str, str] = {
    "scan.age_days": "int: days since the internet was last looked in from; null: never, or by no evidence that counts",
    "scan.undeclared": "list of str: address:port that answered then, undeclared",
    "scan.wanting": "list of str: why what is kept of that look proves nothing, or not all",
    "scan.advice": "list of str: what it lacks, and what a person runs",
}
UNTOLD = "the controller tells of no look from the internet"
LOOK = "run the playbook probe with a vantage point of kind internet in the clinic file"


def observe(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts below `scan` of what the lookup internet_scan told."""
    return {
        "age_days": told.get("age_days"),
        "undeclared": list(told.get("undeclared") or []),
        "wanting": list(told.get("wanting") or []) if told else [UNTOLD],
        "advice": list(told.get("advice") or []),
    }


def plan(scan: Mapping[str, Any]) -> list[Step]:
    """Return what a person does: no run of a role on a server looks from the internet."""
    return [deliberate(sentence) for sentence in scan["advice"] or [f"{LOOK[0].upper()}{LOOK[1:]}."]]
