# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils.expectation import (
    MISSING,
    OPERATORS,
    dictated,
    holds,
    lookup,
    unmet,
)
from hypothesis import given
from hypothesis import strategies as st

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize(
    ("operator", "observed", "expected", "verdict"),
    [
        ("is", True, True, True),
        ("is", 1, True, False),
        ("is", "no", False, False),
        ("is", ["a"], ["a"], True),
        ("in", "no", ["no", "prohibit-password"], True),
        ("in", "yes", ["no", "prohibit-password"], False),
        ("at_least", 30, 30, True),
        ("at_least", 29, 30, False),
        ("at_least", True, 1, False),
        ("at_most", 100, 100, True),
        ("at_most", "5", 100, False),
        ("matches", "1.12.7", r"1\.12\..*", True),
        ("matches", "x1.12.7", r"1\.12\..*", False),
        ("subset_of", ["TLSv1.3"], ["TLSv1.2", "TLSv1.3"], True),
        ("subset_of", ["TLSv1"], ["TLSv1.2", "TLSv1.3"], False),
        ("empty", [], True, True),
        ("empty", ["x"], True, False),
        ("empty", 0, True, False),
        ("present", "x", True, True),
        ("present", MISSING, False, True),
        ("present", None, True, False),
    ],
)
def test_operator(operator: str, observed: object, expected: object, verdict: bool) -> None:
    assert holds(operator, observed, expected) is verdict


@given(st.sampled_from([name for name in OPERATORS if name != "present"]), ANYTHING)
def test_what_was_not_observed_meets_nothing(operator: str, expected: object) -> None:
    assert not holds(operator, MISSING, expected)
    assert not holds(operator, None, expected)


@given(ANYTHING)
def test_is_is_never_met_by_another_type(value: object) -> None:
    assert holds("is", value, value) is (value is not None)
    assert not holds("is", [value], value)


def test_an_unknown_operator_is_an_error() -> None:
    with pytest.raises(ValueError, match="Unknown operator"):
        holds("like", "a", "a")


def test_lookup_and_unmet_follow_dots() -> None:
    facts = {"orthanc": {"config": {"WebDavEnabled": True}, "installed": True}}
    assert lookup(facts, "orthanc.config.WebDavEnabled") is True
    assert lookup(facts, "orthanc.config.None") is MISSING
    assert lookup(facts, "orthanc.installed.deeper") is MISSING
    wanted = {"orthanc.config.WebDavEnabled": {"is": False}, "orthanc.installed": {"is": True}}
    assert unmet(facts, wanted) == ["orthanc.config.WebDavEnabled"]
    assert dictated(wanted, "orthanc.config") == {"WebDavEnabled": False}
