# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Encrypted volumes for the tests of their keys; each is made once, and copied for each test."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils.migration import escrow, job, luks, records
from locked_volume import Lay, Volume, build


@pytest.fixture(scope="session")
def in_memory() -> Iterator[Path]:
    """A folder in memory, where the many flushes of headers and records cost nothing."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        yield Path(folder)


@pytest.fixture
def lay(in_memory: Path, monkeypatch: pytest.MonkeyPatch) -> Lay:
    """Return a function that gives a test an encrypted volume of its own; called again, it lays it anew."""
    root, run = in_memory / "host", in_memory / "run"
    monkeypatch.setattr(job, "FOLDER", str(root / "storage"))
    monkeypatch.setattr(luks, "KEY_FOLDER", str(run))
    monkeypatch.setattr(escrow, "in_memory", lambda folder: str(run / f"{os.path.basename(folder)}.key"))
    monkeypatch.setattr(records, "synchronous_folder", lambda path: os.makedirs(path, exist_ok=True))

    def one(strategy: str) -> Volume:
        shutil.rmtree(root, ignore_errors=True)
        shutil.rmtree(run, ignore_errors=True)
        run.mkdir()
        if not (in_memory / strategy).exists():
            build(root, strategy)
            root.rename(in_memory / strategy)
        shutil.copytree(in_memory / strategy, root)
        return Volume(root, strategy)

    return one
