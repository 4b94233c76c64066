# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""`make sabotage` forgets no role, and counts what the hosts tell."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from ansible_collections.radiology.hardening.plugins.plugin_utils import catalogue

ROOT = Path(__file__).resolve().parents[3]
LINE = '"msg": "{} controls: {} broken, {} named, {} repaired"\n'


@pytest.fixture
def sabotage(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(sys, "path", list(sys.path))
    spec = importlib.util.spec_from_file_location("sabotage", ROOT / "tools" / "sabotage.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_control_is_broken_in_one_place(sabotage: ModuleType) -> None:
    roles = [*sabotage.IN_CONTAINERS, *sabotage.IN_MACHINE]
    assert sorted(roles) == sorted({control.role for control in catalogue.load()})


def test_what_concerns_a_workstation_alone_is_said_alike_everywhere(sabotage: ModuleType) -> None:
    lines = yaml.safe_load((ROOT / "tests" / "sabotage" / "disk_encryption.yml").read_text(encoding="utf-8"))
    scenario = yaml.safe_load((ROOT / "molecule" / "disk_encryption" / "molecule.yml").read_text(encoding="utf-8"))
    wanted = [control for control, entry in lines.items() if entry.get("workstation")]
    assert wanted == sabotage.ON_A_WORKSTATION.split(",")
    assert wanted == scenario["ansible"]["env"]["RADIOLOGY_NOT_APPLICABLE"].split(",")
    assert all("prepare" in lines[control] and "restore" in lines[control] for control in wanted)


def test_the_last_line_is_one_tally_over_containers_and_machine(
    sabotage: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = []
    for place, figures in (("in_containers", (42, 42, 42, 42)), ("in_machine", (10, 10, 10, 9))):
        monkeypatch.setattr(
            sabotage, place, lambda roles, chosen, figures=figures: given.append((roles, chosen)) or figures
        )
    assert sabotage.main([]) == 1
    assert capsys.readouterr().out == "52 controls: 52 broken, 52 named, 51 repaired\n"
    given.clear()
    assert sabotage.main(["orthanc.webdav_off"]) == 0
    assert given == [(sabotage.IN_CONTAINERS, ["orthanc.webdav_off"])]
    given.clear()
    sabotage.main(["disk_encryption.swap_encrypted"])
    assert given == [(sabotage.IN_MACHINE, ["disk_encryption.swap_encrypted"])]
    assert sabotage.main(["disk_encryption.swap"]) == 2


def test_hosts_that_tell_differently_or_nothing_end_it(sabotage: ModuleType) -> None:
    assert sabotage.tally(2 * LINE.format(3, 3, 3, 3)) == (3, 3, 3, 3)
    for told in ("", LINE.format(3, 3, 3, 3) + LINE.format(3, 3, 2, 3)):
        with pytest.raises(SystemExit, match="different tallies"):
            sabotage.tally(told)
