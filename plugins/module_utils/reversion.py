# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Take our changes out of a file that others changed after us. Pure functions."""

from __future__ import annotations

import difflib


def revert(present: bytes, ours: bytes, former: bytes) -> bytes | None:
    """Return the present content without what made `ours` of `former`; None when the two cannot be told apart.

    Line by line: each place where ours differs from the former has to stand unchanged between the lines around it,
    and once only. What is no text has no lines.
    """
    if present in (ours, former):
        return former
    if any(b"\0" in content for content in (present, ours, former)):
        return None
    new, old = ours.splitlines(keepends=True), former.splitlines(keepends=True)
    lines = present.splitlines(keepends=True)
    changes = [
        code for code in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes() if code[0] != "equal"
    ]
    for _tag, old_from, old_to, new_from, new_to in reversed(changes):
        place = _place(lines, new, new_from, new_to)
        if place is None:
            return None
        lines[place : place + new_to - new_from] = old[old_from:old_to]
    return b"".join(lines)


def _place(lines: list[bytes], new: list[bytes], start: int, end: int) -> int | None:
    """Return where new[start:end] stands in lines: where it is unique, else where the line before or after it is."""
    for before, after in ((0, 0), (1, 0), (0, 1), (1, 1)):
        first, last = start - before, end + after
        if first < 0 or last > len(new) or first == last:
            continue
        block = new[first:last]
        found = [at for at in range(len(lines) - len(block) + 1) if lines[at : at + len(block)] == block]
        if len(found) == 1:
            return found[0] + before
    return None
