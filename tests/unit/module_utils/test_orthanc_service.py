# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether Orthanc answers, by the server that it was told to run."""

from __future__ import annotations

import os
import socket

from ansible_collections.radiology.hardening.plugins.module_utils import orthanc_service
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host


def test_an_orthanc_without_http_answers_by_its_dicom_port() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        told = {"HttpServerEnabled": False, "DicomPort": listener.getsockname()[1]}
        assert not orthanc_service.answers(told)
        listener.listen()
        assert orthanc_service.answers(told)
        assert not orthanc_service.answers({**told, "HttpServerEnabled": True, "HttpPort": 1})
    assert not orthanc_service.answers(told)
    assert orthanc_service.answers({**told, "DicomServerEnabled": False})


def test_what_has_to_be_mounted_before_a_start_asks_for_no_restart(monkeypatch, tmp_path) -> None:
    folder = tmp_path / orthanc_service.DROP_INS.lstrip("/")
    folder.mkdir(parents=True)
    for name in (orthanc_service.MOUNTS_DROP_IN, "zz-other.conf"):
        (folder / name).touch()
    asked: list[str] = []
    monkeypatch.setattr(orthanc_service.unit_state, "is_older", lambda _host, _found, files: asked.extend(files))
    orthanc_service.is_older(Host(str(tmp_path)), {}, {}, ["/etc/orthanc/hardened/orthanc.json"])
    assert asked == ["/etc/orthanc/hardened/orthanc.json", f"{orthanc_service.DROP_INS}/zz-other.conf"]


def test_its_last_words_are_those_of_its_newest_log_and_of_no_file_that_a_link_leads_to(tmp_path) -> None:
    folder = tmp_path / "var/log/orthanc"
    folder.mkdir(parents=True)
    for number, name in enumerate(("first", "newest")):
        (folder / name).write_text(f"I0101 01:01:01 main.cpp:1] starts\nE0101 01:01:02 main.cpp:2] the {name} one\n")
        os.utime(folder / name, (number, number))
    (tmp_path / "key.pem").write_text("ESECRET\n")
    (folder / "Orthanc.log").symlink_to("../../../key.pem")
    assert orthanc_service._last_words(Host(str(tmp_path))) == "the newest one"
