# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the report reads of hosts is rendered once, however often it is looked at."""

from __future__ import annotations

from typing import Any

from ansible_collections.radiology.hardening.plugins.plugin_utils import report_document


def test_each_variable_of_a_host_is_rendered_once() -> None:
    class Counting(dict[str, Any]):
        def __getitem__(self, name: str) -> Any:
            read.append(name)
            return super().__getitem__(name)

    read: list[str] = []
    known = report_document.Rendered(Counting(clinic="a practice"))
    assert [known["clinic"], known.get("clinic"), known.get("absent")] == ["a practice", "a practice", None]
    assert read.count("clinic") == 1
    assert ("clinic" in known, "absent" in known, list(known), len(known)) == (True, False, ["clinic"], 1)
