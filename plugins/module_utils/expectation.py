# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The eight operators of a control, and the one predicate that plan and judge share."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

OPERATORS = ("is", "in", "at_least", "at_most", "matches", "subset_of", "empty", "present")

MISSING = object()
"""What `lookup` returns for a fact that was not observed; no operator holds for it."""

Wanted = "Mapping[str, Mapping[str, Any]]"
"""Fact name -> operator -> expected value, for instance {"orthanc.config.WebDavEnabled": {"is": False}}."""


def lookup(facts: Mapping[str, Any], name: str) -> Any:
    """Return the fact of this dotted name (`<surface>.<path>`), or MISSING."""
    found: Any = facts
    for part in name.split("."):
        if not isinstance(found, dict) or part not in found:
            return MISSING
        found = found[part]
    return found


def holds(operator: str, observed: Any, expected: Any) -> bool:
    """Tell whether an observed value meets an expectation. A missing or null fact meets only `present: false`."""
    if operator == "present":
        return (observed is not MISSING and observed is not None) is bool(expected)
    if observed is MISSING or observed is None:
        return False
    if operator == "is":
        return type(observed) is type(expected) and bool(observed == expected)
    if operator == "in":
        return observed in expected
    if operator == "at_least":
        return _is_number(observed) and observed >= expected
    if operator == "at_most":
        return _is_number(observed) and observed <= expected
    if operator == "matches":
        return isinstance(observed, str) and re.fullmatch(expected, observed) is not None
    if operator == "subset_of":
        return isinstance(observed, list) and all(item in expected for item in observed)
    if operator == "empty":
        return isinstance(observed, (list, dict, str)) and (len(observed) == 0) is bool(expected)
    raise ValueError(f"Unknown operator {operator!r}; accepted: {', '.join(OPERATORS)}.")


def unmet(facts: Mapping[str, Any], wanted: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the sorted names of the facts that do not meet what is wanted of them."""
    return sorted(
        name
        for name, demands in wanted.items()
        if not all(holds(operator, lookup(facts, name), value) for operator, value in demands.items())
    )


def dictated(wanted: Mapping[str, Mapping[str, Any]], prefix: str) -> dict[str, Any]:
    """Return the values that `is` dictates for the facts below `prefix`, keyed by the rest of the name.

    `dictated(wanted, "orthanc.config")` gives {"WebDavEnabled": False, ...}.
    """
    start = prefix + "."
    return {
        name[len(start) :]: demands["is"]
        for name, demands in wanted.items()
        if name.startswith(start) and "is" in demands
    }


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
