# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files that Orthanc reads beside ours: seen whether they can be read or not, and named before they go."""

from __future__ import annotations

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import orthanc_configuration, orthanc_service
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from test_agreement import hardened
from test_orthanc import Answering, planned, put

STRAY = [f"{orthanc_service.FOLDER}/00-plugin.JSON", f"{orthanc_service.FOLDER}/broken.json"]


@pytest.fixture(name="host")
def _host(tmp_path) -> Host:
    put(tmp_path, orthanc_service.FILE, "{}")
    put(tmp_path, STRAY[0], '{"Name": "another\'s"}')
    put(tmp_path, STRAY[1], "{")
    put(tmp_path, f"{orthanc_service.FOLDER}/README", "Orthanc does not read this.")
    said = f"ExecStart={{ argv[]={orthanc_service.EXEC_START} ; }}\nActiveState=inactive\n"
    return Answering(tmp_path, systemctl=said)


def test_files_beside_ours_are_facts_whether_they_can_be_read_or_not(host: Host) -> None:
    found = orthanc_configuration.observe(host)
    assert found["stray_files"] == STRAY
    assert "broken.json" in found["unreadable_configuration"]


def test_the_step_names_what_it_removes() -> None:
    steps, left = planned(stray_files=STRAY)
    does = "Configure Orthanc to keep orthanc.stray_files: restart it with its newest configuration; "
    assert steps == [f"{does}what is not ours goes, kept for an undo: {', '.join(STRAY)}"]
    assert left == []


def test_the_step_removes_what_it_names(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    removed: list[str] = []
    monkeypatch.setattr(Host, "folder", lambda *_given, **_how: None)
    monkeypatch.setattr(orthanc_service, "change", lambda _host, _files, stray, _meaning: removed.extend(stray))
    known = hardened("orthanc", "debian13")["facts"]["orthanc"]
    (step,) = orthanc_configuration.configure({"orthanc": {**known, "stray_files": STRAY}}, {}, "end this")
    step.do(host)
    assert removed == STRAY
