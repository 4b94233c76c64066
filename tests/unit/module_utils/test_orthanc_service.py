# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether Orthanc answers, by the server that it was told to run."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import orthanc_service
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host, Result

FORMER = {"Name": "former"}


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


class Restarting(Host):
    """A host whose Orthanc logs a line at each restart, and answers by the configurations that it is told to."""

    def __init__(self, root: Path, said: tuple[str, ...]) -> None:
        super().__init__(str(root))
        self.said, self.ran = iter(said), []  # type: ignore[var-annotated]
        self.show = f"ActiveState=active\nExecStart={{ argv[]={orthanc_service.EXEC_START} ; }}\n"
        self.write(orthanc_service.FILE, json.dumps(FORMER))
        self.write(orthanc_service.LOG, "E0101 00:00:00.0 main.cpp:1] of an earlier process\n")

    def run(self, command: Any, **rest: Any) -> Result:
        self.ran.append(list(command))
        if command[:2] == ["systemctl", "restart"]:
            with open(self.path(orthanc_service.LOG), "a", encoding="utf-8") as log:
                log.write(next(self.said))
        return Result(0, self.show if command[:2] == ["systemctl", "show"] else "", "")

    def write(self, path: str, content: Any, **rest: Any) -> None:
        target = Path(self.path(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """The configurations by which Orthanc answers; it is waited for briefly."""
    known: list[Any] = []
    monkeypatch.setattr(orthanc_service, "answers", lambda config: dict(config) in known)
    monkeypatch.setattr(orthanc_service, "SECONDS", 0.05)
    yield known


NEW = {orthanc_service.FILE: ('{"Name": "new"}', 0o640, "root", "orthanc")}
REFUSAL = "E0102 00:00:00.0 main.cpp:9] Bad file format\nW0102 00:00:00.1 main.cpp:9] stopped\n"


def test_what_answers_stays(tmp_path: Path, answering: list[Any]) -> None:
    answering.append({"Name": "new"})
    host = Restarting(tmp_path, ("",))
    orthanc_service.change(host, NEW, [], {"Name": "new"})
    assert host.text(orthanc_service.FILE) == '{"Name": "new"}'


def test_a_former_configuration_is_in_force_only_once_orthanc_answers_by_it(
    tmp_path: Path, answering: list[Any]
) -> None:
    answering.append(FORMER)
    host = Restarting(tmp_path, (REFUSAL, ""))
    with pytest.raises(HardeningError) as refused:
        orthanc_service.change(host, NEW, [], {"Name": "new"})
    assert str(refused.value) == "Orthanc does not start: Bad file format. The former configuration is back in force."
    assert host.text(orthanc_service.FILE) == json.dumps(FORMER)


def test_a_former_configuration_that_does_not_come_up_again_is_told(tmp_path: Path, answering: list[Any]) -> None:
    host = Restarting(tmp_path, (REFUSAL, REFUSAL))
    with pytest.raises(HardeningError) as refused:
        orthanc_service.change(host, NEW, [], {"Name": "new"})
    assert str(refused.value).endswith(
        f"The former configuration is back in {orthanc_service.FOLDER}, but Orthanc does not answer by it: see "
        "`journalctl -u orthanc`."
    )
    assert "in force" not in str(refused.value)


def test_a_former_configuration_that_cannot_be_put_back_is_told(tmp_path: Path, answering: list[Any]) -> None:
    host = Restarting(tmp_path, (REFUSAL,))
    write = host.write

    def once(path: str, content: Any, **rest: Any) -> None:
        if b"former" in (content if isinstance(content, bytes) else content.encode()):
            raise HardeningError("No space left on device.")
        write(path, content, **rest)

    host.write = once  # type: ignore[method-assign]
    with pytest.raises(HardeningError, match=r"The former configuration is not in force: No space left on device\.$"):
        orthanc_service.change(host, NEW, [], {"Name": "new"})


def test_errors_of_an_earlier_process_are_not_this_one_s(tmp_path: Path, answering: list[Any]) -> None:
    host = Restarting(tmp_path, ("W0102 00:00:00.1 main.cpp:9] hanging\n", ""))
    with pytest.raises(HardeningError) as refused:
        orthanc_service.change(host, NEW, [], {"Name": "new"})
    assert "earlier process" not in str(refused.value)
    assert str(refused.value).startswith("Orthanc does not start: no answer within 0.05 s. ")
    (asked,) = (command for command in host.ran if command[0] == "journalctl")
    assert any(word.startswith("--since=@") for word in asked)
    host.write(orthanc_service.LOG, REFUSAL)
    assert orthanc_service._last_words(host, 10**6, 0) == "Bad file format", "a log emptied meanwhile is read whole"


def test_its_last_words_are_those_of_no_file_that_a_link_leads_to(tmp_path: Path) -> None:
    (tmp_path / "var/log/orthanc").mkdir(parents=True)
    (tmp_path / "key.pem").write_text("ESECRET\n", encoding="ascii")
    (tmp_path / "var/log/orthanc/server.log").symlink_to("../../../key.pem")
    assert "SECRET" not in orthanc_service._last_words(Host(str(tmp_path)), 0, 0.0)
