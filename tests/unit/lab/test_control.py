# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When the lab of `make control` is made anew, hardened again, or taken as it stands."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def control(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    monkeypatch.setattr(sys, "path", [str(ROOT / "tools"), *sys.path])
    monkeypatch.setenv("RADIOLOGY_LAB", "trial")
    module = importlib.import_module("control")
    monkeypatch.setattr(module, "STAMPS", tmp_path)
    monkeypatch.setattr(module, "digest", lambda patterns: states["recipe" if patterns is module.RECIPE else "sources"])
    states = {"recipe": "a", "sources": "a"}
    module.states = states  # type: ignore[attr-defined]
    return module


def test_a_lab_stands_until_its_recipe_changes_and_is_hardened_when_the_sources_did(control: ModuleType) -> None:
    done: list[str] = []
    tally, runs = [(1, 1, 1, 1)], [False]

    def make(_inventory: Path) -> None:
        done.append("made")
        runs[0] = True

    place = control.Place(
        "trial",
        ("orthanc",),
        lambda: runs[0],
        make,
        lambda _inventory: done.append("hardened"),
        lambda _inventory, _roles, _controls: tally[0],
        lambda: done.append("removed"),
    )

    def proven() -> list[str]:
        done.clear()
        place.prove(["orthanc.webdav_off"])
        return list(done)

    assert proven() == ["made", "hardened"]
    assert proven() == []
    control.states["sources"] = "b"
    assert proven() == ["hardened"]
    control.states["recipe"] = "b"
    assert proven() == ["made", "hardened"]
    runs[0] = False
    assert proven() == ["made", "hardened"]
    tally[0] = (1, 1, 1, 0)
    assert proven() == []
    assert proven() == ["made", "hardened"]  # the proof before left the host broken


def test_what_a_hardened_host_depends_on_is_found(control: ModuleType) -> None:
    for pattern in (*control.SOURCES, *control.RECIPE):
        assert list(ROOT.glob(pattern)), pattern
