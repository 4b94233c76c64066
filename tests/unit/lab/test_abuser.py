# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The kinds of malformed PDUs: enough of them, each its own, and the same for one seed."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "molecule" / "resources" / "devices"))

import abuser


def kinds(seed: int = 1, most: int = 0) -> list[tuple[str, bytes, bool]]:
    return abuser.Kinds("LUMIERE", "LUM_CT1", seed).chosen(most)


def test_there_are_more_than_500_kinds_and_hardly_two_are_alike() -> None:
    found = kinds()
    assert len(found) >= 500
    assert len({(sent, within) for dummy, sent, within in found}) >= 0.95 * len(found)
    assert sum(within for dummy, sent, within in found) >= 150


def test_one_seed_makes_the_same_and_another_makes_others() -> None:
    assert kinds() == kinds()
    assert kinds(most=50) == kinds(most=50)
    assert len(kinds(most=50)) == 50
    assert kinds() != kinds(seed=2)


def test_what_is_sent_before_them_is_well_formed() -> None:
    valid = abuser.Kinds("LUMIERE", "LUM_CT1", 1).valid
    assert valid[4:20] == b"LUMIERE         "
    place, found = 68, []
    while place < len(valid):
        found.append(valid[place])
        place += 4 + int.from_bytes(valid[place + 2 : place + 4], "big")
    assert place == len(valid)
    assert found == [0x10, 0x20, 0x20, 0x50]
