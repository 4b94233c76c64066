# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The last day of an exception that a clinic file makes: one that nobody lives to see is no day."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

from ansible_collections.radiology.hardening.plugins.plugin_utils.clinic_text import Path, dotted, shown

LONGEST_EXCEPTION = datetime.timedelta(days=731)
"""For two years at most, leap day included, nobody need look at an exception again."""


def of_an_exception(path: Path, expires: str, today: datetime.date) -> Iterator[tuple[Path, str]]:
    """Say what is wrong with `expires` of an exception."""
    said = f"{dotted((*path, 'expires'))} is {shown(expires)}"
    try:
        last = datetime.date.fromisoformat(expires)
    except ValueError:
        yield (*path, "expires"), f"{said}, which is no day; accepted: a date as 2027-01-31"
        return
    if last > today + LONGEST_EXCEPTION:
        yield (*path, "expires"), f"{said}; accepted: a day at most two years ahead"
