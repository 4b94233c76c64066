# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The packages of a release are fetched once, however many stages of the tests want them at the same moment."""

from __future__ import annotations

import concurrent.futures
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

SIMULATOR = Path(__file__).resolve().parents[3] / "tests" / "powercut"
MMDEBSTRAP = """#!/bin/sh
echo fetched >>{count}
for folder; do :; done
mkdir "$folder" || exit 25
sleep 0.2
mkdir -p "$folder/usr/sbin" "$folder/lib/x86_64-linux-gnu"
touch "$folder/usr/sbin/cryptsetup" "$folder/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"
"""


@pytest.fixture
def release(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    monkeypatch.setattr(sys, "path", [str(SIMULATOR), *sys.path])
    import release

    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "mmdebstrap").write_text(MMDEBSTRAP.format(count=tmp_path / "count"))
    (programs / "mmdebstrap").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setattr(release, "REPOSITORY", tmp_path)
    return release


def test_stages_that_want_them_at_once_wait_for_the_first(release: ModuleType, tmp_path: Path) -> None:
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        called = list(pool.map(release.cryptsetup, ["bookworm"] * 3))
    assert called[0][-1] == str(tmp_path / "build" / "powercut" / "bookworm" / "usr" / "sbin" / "cryptsetup")
    assert called[1:] == called[:1] * 2
    assert (tmp_path / "count").read_text() == "fetched\n"


def test_what_was_fetched_in_part_is_fetched_again(release: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "build" / "powercut" / "bookworm" / "usr").mkdir(parents=True)
    release.cryptsetup("bookworm")
    assert (tmp_path / "count").read_text() == "fetched\n"
