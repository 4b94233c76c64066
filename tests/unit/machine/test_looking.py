# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the trials of real machines look with: the search for secrets, the watch for a header's end."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
SECRET = b"ABCD-EFGH-IJKL-MNOP-QRST-UVWX-YZ23"


@pytest.fixture
def canary(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    for folder in ("tests/machine", "molecule/resources"):
        monkeypatch.syspath_prepend(str(ROOT / folder))
    import canary

    return canary


@pytest.mark.parametrize("before", [b"", b"x", b"xy", b"xyz"])
def test_a_secret_is_found_in_whatever_form(canary: ModuleType, before: bytes) -> None:
    bare = SECRET.replace(b"-", b"")
    for each in (SECRET, bare, bare.lower()):
        whole = before + each + b"\n"
        for hidden in (whole, whole.hex().encode(), whole.hex().upper().encode(), base64.b64encode(whole)):
            assert any(form in hidden for form in canary.forms(each)), hidden
    raw = bytes(range(248, 256)) * 4
    assert any(form in base64.urlsafe_b64encode(before + raw + b"z") for form in canary.forms(raw))
    assert min(map(len, canary.forms(SECRET))) > 20


def test_nothing_is_missed_between_two_blocks_or_beside_a_hole(
    canary: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(canary, "BLOCK", 4096)
    disk = tmp_path / "disk"
    with disk.open("wb") as file:
        file.truncate(1 << 20)
        for at in (4096 - 10, 8192 - 3, 400_000, (1 << 20) - len(SECRET)):
            file.seek(at)
            file.write(SECRET)
    assert canary.count(disk, {"it": SECRET, "a part": SECRET[:9], "else": b"elsewhere"}) == {
        "it": 4,
        "a part": 4,
        "else": 0,
    }


def header(segments: dict[str, Any], requirements: list[str]) -> bytes:
    """Return what begins a LUKS2 header, its second copy being of an earlier time."""
    text = json.dumps({"segments": segments, "config": {"requirements": {"mandatory": requirements}}}).encode()
    both = ((7, text), (6, b"{}"))
    return b"".join(
        (b"LUKS\xba\xbe\0\2" + (16384).to_bytes(8, "big") + number.to_bytes(8, "big")).ljust(4096, b"\0")
        + content.ljust(12288, b"\0")
        for number, content in both
    )


CRYPT, CLEAR = {"type": "crypt", "size": "dynamic"}, {"type": "linear", "size": "dynamic"}
BACKUP = {"type": "linear", "size": "dynamic", "flags": ["backup-previous"]}
GOES_ON = ["online-reencrypt-v2"]


@pytest.mark.parametrize(
    ("segments", "requirements", "told"),
    [
        ({"0": CRYPT, "1": BACKUP}, GOES_ON, True),
        ({"0": CRYPT}, [], False),
        ({"0": CLEAR, "1": BACKUP}, GOES_ON, False),
        ({"0": CRYPT, "1": CLEAR, "2": BACKUP}, GOES_ON, False),
        ({"0": {**CRYPT, "flags": ["in-reencryption"]}, "1": BACKUP}, GOES_ON, False),
    ],
)
def test_the_end_of_a_header_is_told_from_all_before_and_after(
    canary: ModuleType, tmp_path: Path, segments: dict[str, Any], requirements: list[str], told: bool
) -> None:
    import eyes

    (tmp_path / "stage.json").write_text('{"stage": "switched"}')
    (tmp_path / "header").write_bytes(header(segments, requirements))
    said = tmp_path / "said"
    with said.open("wb") as file:
        command = (sys.executable, "-u", "-c", eyes.LOOK, str(tmp_path), "no-such-one")
        looking = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=file)
    try:
        until = time.monotonic() + (20 if told else 1)
        while time.monotonic() < until and "ended" not in said.read_text():
            time.sleep(0.05)
        assert ("ended" in said.read_text()) == told
    finally:
        looking.kill()
        looking.wait()
