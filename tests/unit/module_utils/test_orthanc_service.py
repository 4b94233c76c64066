# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether Orthanc answers, by the server that it was told to run."""

from __future__ import annotations

import socket

from ansible_collections.radiology.hardening.plugins.module_utils import orthanc_service


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
