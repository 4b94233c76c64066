# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""`make trouble` meets as much as it promises, and its verdict can fail."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[3]
FOLDERS = [str(ROOT / "tests" / "trouble"), str(ROOT / "molecule" / "resources")]


@pytest.fixture
def trouble(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(sys, "path", [*FOLDERS, *sys.path])
    spec = importlib.util.spec_from_file_location("trouble_run", ROOT / "tests" / "trouble" / "run.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_kill_points_cover_every_task_in_each_way_and_each_is_met_once(trouble: ModuleType) -> None:
    kills = trouble.kills
    points = list(kills.cases())
    assert len(points) == len(kills.KINDS) * kills.tasks() >= 40
    assert [sum(kills.mine(case, number) for number in trouble.CLINICS) for case in points] == [1] * len(points)


def test_there_are_fifty_bad_configurations_and_each_differs_from_what_works(trouble: ModuleType) -> None:
    known = trouble.daemons.known()
    assert len(known) >= 50
    assert len({bad.name for bad in known}) == len(known)
    assert {bad.daemon for bad in known} == {"firewall", "sshd"}
    assert all(any(bad.refused is way for bad in known) for way in (True, False))


def test_no_two_cases_of_a_server_share_a_name(trouble: ModuleType) -> None:
    for number in trouble.CLINICS:
        names = [case.name for case in trouble.cases(number, "")]
        assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("sentences", "status", "wrong"),
    [
        (["Write /etc/one: /etc/one cannot be written: [Errno 28] No space left on device."], 2, ""),
        (["No space left on device."], 0, ""),
        ([], 2, "it says 0 sentences"),
        (["No space left on device. "] * 2, 2, "it says 2 sentences"),
        (["line one\nline two, No space left on device."], 2, "no clear sentence"),
        (["The disk is somehow not what it should be."], 2, "lacks"),
    ],
)
def test_what_a_run_says_is_judged(trouble: ModuleType, sentences: list[str], status: int, wrong: str) -> None:
    run = SimpleNamespace(sentences=sentences, output="", status=status)
    case = importlib.import_module("case")
    found = case.unsaid("No space left on device", run)
    assert (found == "") is (wrong == "")
    assert wrong in found


def test_a_service_that_is_gone_is_named_and_another_way_to_it_is_none_the_worse(trouble: ModuleType) -> None:
    look = importlib.import_module("witness").Look
    former = look(("clear",), ("LAN", "loopback"))
    assert look(("TLS",), ("HTTPS",)).falls_short_of(former) == []
    assert look((), ("loopback",)).falls_short_of(former) == ["DICOM", "web"]
    assert look(("clear",), ("loopback",)).falls_short_of(look(("clear",), ("loopback",))) == []


def test_a_role_is_struck_at_its_own_work(trouble: ModuleType) -> None:
    of_role = sys.modules["place"].of_role
    assert of_role("orthanc", "radiology.hardening.orthanc : Keep Orthanc configured, confined and running")
    assert not of_role("orthanc", "radiology.hardening.orthanc : Validating arguments against arg spec 'main' - x")
    assert not of_role("orthanc", "radiology.hardening.dicom_tls : Take DICOM over TLS only")
