# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a header says decides what is done next; one wrong answer costs every image."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.migration import luks
from ansible_collections.radiology.hardening.plugins.module_utils.migration.luks import State

SIZE = 24 << 20


def segment(kind: str, offset: int, size: int | str, *flags: str) -> dict[str, Any]:
    return {"type": kind, "offset": str(offset), "size": str(size), "flags": list(flags)}


def header(*segments: dict[str, Any], unfinished: bool) -> dict[str, Any]:
    requirements = {"requirements": {"mandatory": ["online-reencrypt-v2"]}} if unfinished else {}
    return {"segments": {str(n): each for n, each in enumerate(segments)}, "config": requirements}


BACKUPS = (
    segment("crypt", 0, "dynamic", "backup-final"),
    segment("linear", 0, "dynamic", "backup-previous"),
)
INITIALISED = header(segment("linear", 0, SIZE), *BACKUPS, unfinished=True)
PARTIAL = header(segment("crypt", 0, 6 << 20), segment("linear", 6 << 20, 18 << 20), *BACKUPS, unfinished=True)
CUT = header(
    segment("crypt", 0, 6 << 20),
    segment("crypt", 6 << 20, 6 << 20, "in-reencryption"),
    segment("linear", 12 << 20, "dynamic"),
    *BACKUPS,
    unfinished=True,
)
ENDED = header(segment("crypt", 0, "dynamic"), *BACKUPS, unfinished=True)
FINISHED = header(segment("crypt", 0, "dynamic"), unfinished=False)


@pytest.mark.parametrize(
    ("metadata", "state", "encrypted"),
    [
        (INITIALISED, State.INITIALISED, 0),
        (PARTIAL, State.PARTIAL, 6 << 20),
        (CUT, State.CUT, 6 << 20),
        (ENDED, State.ENDED, SIZE),
        (FINISHED, State.FINISHED, SIZE),
    ],
)
def test_state(metadata: dict[str, Any], state: State, encrypted: int) -> None:
    assert luks.state(metadata) is state
    assert luks.encrypted_bytes(metadata, SIZE) == encrypted


def test_no_header_is_no_state_of_a_reencryption() -> None:
    assert luks.state(None) is State.NONE


def test_what_cryptsetup_never_writes_is_refused() -> None:
    with pytest.raises(HardeningError, match="none of ours: linear, crypt"):
        luks.state(header(segment("linear", 0, 1), segment("crypt", 1, 1), unfinished=False))


def test_epoch_is_read_where_the_format_keeps_it() -> None:
    assert luks.epoch(b"LUKS\xba\xbe" + b"\0\2" + (16384).to_bytes(8, "big") + (7).to_bytes(8, "big")) == 7
