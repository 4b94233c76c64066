# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files that are replaced and removed: what bore their name is overwritten, and never while a name leads to it."""

from __future__ import annotations

import errno
import os
import types
from pathlib import Path

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils.migration import records


@pytest.fixture
def header(tmp_path: Path) -> Path:
    """A working header of more than one block of overwriting, and its successor beside it."""
    (tmp_path / "header").write_bytes(b"plain" * 300_000)
    (tmp_path / "header.new").write_bytes(b"final")
    return tmp_path / "header"


def test_what_bore_the_name_is_overwritten(header: Path) -> None:
    with header.open("rb") as former:
        records.supersede(f"{header}.new", str(header))
        assert former.read() == bytes(1_500_000)
    assert header.read_bytes() == b"final"
    assert os.listdir(header.parent) == ["header"]


def test_what_another_name_leads_to_is_left_alone(header: Path) -> None:
    os.link(header, header.parent / "copy")
    records.supersede(f"{header}.new", str(header))
    assert (header.parent / "copy").read_bytes() == b"plain" * 300_000


def test_nothing_is_overwritten_before_the_successor_has_its_name_for_good(
    header: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_path: str) -> None:
        raise OSError(28, "the disk is full")

    monkeypatch.setattr(records, "sync", fail)
    with pytest.raises(OSError, match="full"):
        records.supersede(f"{header}.new", str(header))
    assert header.read_bytes() == b"plain" * 300_000


def test_a_removed_file_is_overwritten_first(header: Path) -> None:
    with header.open("rb") as former:
        records.remove(str(header))
        assert former.read() == bytes(1_500_000)
    assert not header.exists()
    records.remove(str(header))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_what_fills_free_space_never_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def fail(dummy: int) -> None:
        raise OSError(number, os.strerror(number))

    space = types.SimpleNamespace(f_bavail=0, f_frsize=4096)
    with monkeypatch.context() as patched:
        patched.setattr(os, "fstatvfs", lambda _: space)
        patched.setattr(os, "fchmod", lambda handle, _: fail(handle))
        if number == errno.ENOSPC:
            records.fill(str(tmp_path / "zeros"), 0)
        else:
            with pytest.raises(OSError, match=os.strerror(number)):
                records.fill(str(tmp_path / "zeros"), 0)
    assert not os.listdir(tmp_path)
