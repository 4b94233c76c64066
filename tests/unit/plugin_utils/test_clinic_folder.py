# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""No folder of a clinic is ever without a file: Ansible would refuse the whole inventory above it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.plugin_utils import clinic_folder

ROOT = Path(__file__).resolve().parents[3]
CLINIC = ROOT / "inventories" / "example" / "rue-lumiere.yml"


class KilledError(BaseException):
    """Stands for the end of the process: nothing tidies up after it."""


def shown_and_empty(folder: Path) -> list[str]:
    """Return the folders below one that Ansible reads, and that hold nothing for it to read."""
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        if not [name for name in (*folders, *files) if not name.startswith(".")]:
            found.append(place)
    return found


def killed_at(monkeypatch: pytest.MonkeyPatch, call: str, *, after: bool) -> None:
    """Have the process end just before or after one of its calls."""
    real: Callable[..., Any] = getattr(os, call)

    def end(*given: Any, **more: Any) -> None:
        if after:
            real(*given, **more)
        raise KilledError

    monkeypatch.setattr(clinic_folder.os, call, end)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("call", ["mkdir", "rename"])
def test_a_run_that_is_killed_leaves_no_folder_without_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, *, after: bool
) -> None:
    (tmp_path / "clinic.yml").write_text("x", encoding="ascii")
    with monkeypatch.context() as patched:
        killed_at(patched, call, after=after)
        with pytest.raises(KilledError):
            clinic_folder.made(str(tmp_path / "clinic" / "authority"), 0o700)
    assert shown_and_empty(tmp_path) == []
    clinic_folder.made(str(tmp_path / "clinic" / "authority"), 0o700)
    assert [path.name for path in (tmp_path / "clinic" / "authority").iterdir()] == ["README"]
    assert shown_and_empty(tmp_path) == []


def test_who_comes_second_takes_the_folder_of_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "clinic"

    def first_is_quicker(fresh: str, mode: int) -> None:
        real(fresh, mode)
        if not folder.exists():
            real(folder, 0o755)
            (folder / "vault.yml").write_text("x", encoding="ascii")

    real = os.mkdir
    monkeypatch.setattr(clinic_folder.os, "mkdir", first_is_quicker)
    clinic_folder.made(str(folder))
    assert [path.name for path in tmp_path.iterdir()] == ["clinic"]
    assert [path.name for path in folder.iterdir()] == ["vault.yml"]


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "clinic").write_text("a file in its place", encoding="ascii")
    with pytest.raises(OSError, match="clinic"):
        clinic_folder.made(str(tmp_path / "clinic"))
    assert [path.name for path in tmp_path.iterdir()] == ["clinic"]


def test_ansible_reads_an_inventory_in_which_a_folder_was_only_just_made(tmp_path: Path) -> None:
    (tmp_path / CLINIC.name).write_bytes(CLINIC.read_bytes())
    with clinic_folder.locked(str(tmp_path / "rue-lumiere" / "authority"), "a test"):
        pass
    command = [str(Path(sys.executable).with_name("ansible-inventory")), "-i", str(tmp_path), "--graph"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, "@clinic_rue_lumiere" in done.stdout) == (0, True), done.stderr
