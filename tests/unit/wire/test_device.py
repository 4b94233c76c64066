# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The probe of a device against real servers on a loopback address of their own, on the ports that viewers have."""

from __future__ import annotations

import http.server
import json
import os
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import internet_box
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host, Result
from ansible_collections.radiology.hardening.plugins.module_utils.internet_box_words import PortMapping
from ansible_collections.radiology.hardening.plugins.module_utils.wire import device, dicom, presence, services, shell
from ansible_collections.radiology.hardening.plugins.module_utils.wire.ports import Place
from pydicom.dataset import Dataset
from pynetdicom import AE, evt

ADDRESS = f"127.66.{os.getpid() >> 8 & 255}.{os.getpid() & 255 or 1}"
"""An address of this process: tests that run beside it have the same ports."""
TARGET = {"host": "mac.test", "addresses": [ADDRESS], "ae_title": "LUM_WS1"}
METHODS = b"<?xml version='1.0'?><methodResponse><fault></fault></methodResponse>"


@contextmanager
def horos(title: str = "OSIRIX", context: ssl.SSLContext | None = None, port: int = 11112) -> Iterator[Place]:
    """Listen as Horos does from the factory, but for the called title, which it does not look at."""

    def find(event: Any) -> Iterator[tuple[int, Dataset]]:
        for number in range(2 if event.identifier.QueryRetrieveLevel == "STUDY" else 5):
            answer = Dataset()
            answer.StudyInstanceUID = f"1.2.{number}"
            yield 0xFF00, answer

    entity = AE(ae_title=title)
    entity.require_called_aet = True
    entity.add_supported_context(dicom.VERIFICATION)
    entity.add_supported_context(dicom.STUDY_ROOT_FIND)
    server = entity.start_server(
        (ADDRESS, port), block=False, evt_handlers=[(evt.EVT_C_FIND, find)], ssl_context=context
    )
    try:
        yield Place(ADDRESS, port)
    finally:
        server.shutdown()


@contextmanager
def portal(port: int, *, xml_rpc: bool = False, context: ssl.SSLContext | None = None) -> Iterator[None]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            self.answer(404 if xml_rpc else 200, b"portal")

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.answer(200, METHODS if xml_rpc else b"portal")

        def log_message(self, *_arguments: object) -> None:
            return

    server = http.server.ThreadingHTTPServer((ADDRESS, port), Handler)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    with _serving(server):
        yield


@contextmanager
def answering(*answers: bytes, port: int = 0, first: bytes = b"") -> Iterator[Place]:
    """Serve something of few words: `first` when a connection comes, then one answer to each connection in turn."""
    left = list(answers)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.settimeout(5)
            if first:
                self.request.sendall(first)
                return
            if self.request.recv(256) and left:
                self.request.sendall(left.pop(0))

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address = daemon_threads = True

    server = Server((ADDRESS, port), Handler)
    with _serving(server):
        yield Place(ADDRESS, server.server_address[1])


@contextmanager
def _serving(server: socketserver.BaseServer) -> Iterator[None]:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return two servers' ends of TLS: one that asks for no certificate, and one that demands one."""
    folder = tmp_path_factory.mktemp("pair")
    pair = (str(folder / "c.pem"), str(folder / "k.pem"))
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x", "-days", "2"]
    subprocess.run([*command, "-out", pair[0], "-keyout", pair[1]], check=True, capture_output=True)
    ends = []
    for demands in (False, True):
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(*pair)
        if demands:
            made.verify_mode = ssl.CERT_REQUIRED
            made.load_verify_locations(pair[0])
        ends.append(made)
    return ends[0], ends[1]


def seen(**more: Any) -> dict[str, Any]:
    return device.probe({**TARGET, **more}, [], None)


def test_a_closed_device_shows_nothing() -> None:
    assert seen()["device"] == {"dicom": [], "web": [], "remote_control": [], "file_shares": []}
    assert seen()["ports"]["open"] == []


def test_what_is_declared_for_this_place_is_told_apart() -> None:
    with answering(port=22, first=b"SSH-2.0-x\r\n"):
        assert seen()["ports"]["undeclared"] == [f"{ADDRESS}:22"]
        found = seen(expected_ports=[22])
    assert (found["ports"]["open"], found["ports"]["undeclared"]) == ([f"{ADDRESS}:22"], [])


@pytest.mark.parametrize("title", ["OSIRIX", "HOROS", "LUM_WS1", "MAC"])
def test_a_viewer_s_listener_is_named_with_the_title_that_it_takes(title: str) -> None:
    with horos(title):
        found = seen()
    assert found["device"]["dicom"] == [f"{ADDRESS}:11112 answers DICOM in clear: accepts a stranger who calls {title}"]
    assert found["dicom"]["cleartext_association"] == "accepted"
    assert (found["dicom"]["readable_studies"], found["dicom"]["readable_series"]) == (2, 5)


def test_a_listener_that_rejects_is_a_listener_and_one_without_words_on_a_port_of_dicom_is_told() -> None:
    with horos("SECRET"), answering(port=4242):
        found = seen()
    assert found["device"]["dicom"] == [
        f"{ADDRESS}:4242 takes connections in clear, and says nothing to a stranger",
        f"{ADDRESS}:11112 answers DICOM in clear: rejects a stranger who calls LUM_WS1",
    ]
    assert found["dicom"]["readable_series"] == 0


def test_the_declared_port_is_tried_wherever_it_is() -> None:
    with horos(port=10104):
        assert seen()["device"]["dicom"] == []
        (told,) = seen(ports=[10104])["device"]["dicom"]
    assert told.startswith(f"{ADDRESS}:10104 answers DICOM in clear: accepts")


def test_tls_closes_a_listener_only_where_it_demands_a_certificate(
    tls: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    with horos(port=2762, context=tls[0]):
        (told,) = seen()["device"]["dicom"]
    assert told == (f"{ADDRESS}:2762 answers DICOM over TLS without a certificate: accepts a stranger who calls OSIRIX")
    with horos(port=2762, context=tls[1]):
        strict = seen()
    assert strict["device"]["dicom"] == []
    assert strict["dicom"]["tls_ports"] == [f"{ADDRESS}:2762"]


@pytest.mark.usefixtures("impatient")
def test_the_web_servers_of_viewers_are_named_in_clear_or_not(tls: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    with portal(3333, context=tls[0]), portal(8080, xml_rpc=True), portal(8443, context=tls[0]):
        found = seen()
    assert found["device"]["web"] == [
        f"{ADDRESS}:3333 answers HTTPS with 200, the port of the web portal of Horos and OsiriX",
        f"{ADDRESS}:8080 answers HTTP in clear with 404 and speaks XML-RPC, the port of XML-RPC of Horos and OsiriX",
    ]
    assert found["http"]["cleartext_ports"] == [f"{ADDRESS}:8080"]
    assert found["device"]["dicom"] == []


def test_a_vnc_server_is_known_by_its_word_and_others_by_their_port() -> None:
    with answering(port=5900, first=b"RFB 003.008\n"), answering(port=7070), answering(port=2049):
        found = seen()["device"]
    assert found["remote_control"] == [
        f"{ADDRESS}:5900 VNC, protocol 003.008",
        f"{ADDRESS}:7070 the port of AnyDesk takes connections",
    ]
    assert found["file_shares"] == [f"{ADDRESS}:2049 the port of NFS takes connections"]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (bytes.fromhex("030000130ed000001234000200080002000000"), True),
        (b"HTTP/1.1 400 Bad Request\r\n", False),
        (b"\x03\x00", False),
        (b"", False),
    ],
)
def test_rdp_is_told_from_what_only_listens_there(
    answer: bytes, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(answer, answer) as place:
        assert services.speaks_rdp(place) is expected
        monkeypatch.setattr(services, "RDP", place.port)
        words = "RDP" if expected else "the port of RDP takes connections"
        assert services.named(place, b"") == services.Service(words, controls=True)


def test_an_ssh_server_is_asked_whether_it_takes_passwords_and_one_that_does_not_tell_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def told(place: Place) -> bool:
        if place.port == 2222:
            raise shell.UnansweredError("it does not tell")
        return place.port == 22

    monkeypatch.setattr(shell, "offers_password", told)
    door, other, silent = (Place(ADDRESS, port) for port in (22, 2200, 2222))
    assert shell.passwords([door, other]) == (
        {"ports": [str(door), str(other)], "password_offered": [str(door)]},
        [],
    )
    assert shell.passwords([door, silent]) == ({"ports": [str(door), str(silent)]}, ["it does not tell"])
    with answering(port=0, first=b"SSH-2.0-test\r\n") as place:
        monkeypatch.setattr(shell, "offers_password", lambda _place: True)
        found = device.probe(TARGET, [place.port], None)
    assert found["ssh"] == {"ports": [str(place)], "password_offered": [str(place)]}


@pytest.mark.parametrize(
    ("answers", "version"),
    [
        ((b"\0\0\0\x20\xffSMB\x72" + bytes(27),), "1"),
        ((b"", b"\0\0\0\x40\xfeSMB" + bytes(60)), "2 or newer"),
        ((b"", b"SSH-2.0-x\r\n"), ""),
    ],
)
def test_smb_tells_its_version(answers: tuple[bytes, ...], version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(*answers) as place:
        assert services.smb_version(place) == version
    with answering(*answers) as place:
        monkeypatch.setattr(services, "SMB", place.port)
        words = f"SMB, version {version}" if version else "the port of SMB takes connections"
        assert services.named(place, b"") == services.Service(words, controls=False)


def test_questions_have_the_lengths_that_they_name() -> None:
    assert int.from_bytes(services.RDP_REQUEST[2:4], "big") == len(services.RDP_REQUEST)
    for offer in services.DIALECTS:
        message = services.smb_negotiate(offer)
        assert int.from_bytes(message[:4], "big") == len(message) - 4
        assert len(message) == 4 + 32 + 1 + 2 + sum(len(dialect) + 2 for dialect in offer)


def test_what_the_box_leads_to_the_device_is_told() -> None:
    leads, other = (PortMapping("TCP", "", 11112, target, 11112, "Viewer", 0) for target in (ADDRESS, "10.0.1.10"))
    box = internet_box.Box([], [], [leads, other], [])
    assert device.probe(TARGET, [], box)["box"]["mappings"] == [str(leads)]


ROUTES = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\neth0 0001000A 0 0001 0 0 0 00FFFFFF\n"
NEAR = "10.0.1.20"


class Vantage(Host):
    """A machine whose kernel says of its neighbour one state after the other, and then the last one."""

    def __init__(self, root: Path, *states: str) -> None:
        super().__init__(str(root))
        (root / "proc" / "net").mkdir(parents=True)
        (root / "proc" / "net" / "route").write_text(ROUTES, encoding="ascii")
        self.states = list(states)

    def run(self, command: Sequence[str], *, stdin: str | None = None, timeout: float = 120) -> Result:
        assert tuple(command) == ("ip", "-json", "-4", "neighbour", "show")
        if not self.states:
            return Result(127, "", "not found")
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        told = [{"dst": NEAR, "dev": "eth0", "state": [state]}] if state else []
        return Result(0, json.dumps(told), "")


@pytest.mark.parametrize(
    ("states", "answered"),
    [
        (("REACHABLE",), True),
        (("PERMANENT",), True),
        (("FAILED",), False),
        (("",), False),
        (("DELAY", "PROBE", "FAILED"), False),
        (("DELAY", "PROBE", "REACHABLE"), True),
        (("INCOMPLETE", "FAILED"), False),
        (("STALE",), False),
    ],
)
def test_a_device_that_is_off_is_told_from_one_that_is_closed(
    states: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, answered: bool
) -> None:
    monkeypatch.setattr(presence, "PAUSE", 0)
    found = presence.answering(Vantage(tmp_path, *states), [NEAR, "10.0.2.20", "2001:db8::20"], patience=0.2)
    assert found == {NEAR: answered}


def test_nothing_is_told_of_presence_where_the_kernel_cannot_be_asked(tmp_path: Path) -> None:
    assert presence.answering(Vantage(tmp_path), [NEAR]) == {}


def test_nothing_is_told_of_presence_in_a_tunnel_where_nobody_answers_arp(tmp_path: Path) -> None:
    here = Vantage(tmp_path, "")
    flags = tmp_path / "sys" / "class" / "net" / "eth0" / "flags"
    flags.parent.mkdir(parents=True)
    for told, found in (("0x1003", {NEAR: False}), ("0x10d1", {})):
        flags.write_text(f"{told}\n", encoding="ascii")
        assert presence.answering(here, [NEAR]) == found


def test_a_device_that_answered_one_of_two_network_cards_is_there(tmp_path: Path) -> None:
    class Two(Vantage):
        def run(self, command: Sequence[str], *, stdin: str | None = None, timeout: float = 120) -> Result:
            cable, radio = ({"dst": NEAR, "dev": dev, "state": [state]} for dev, state in self.known)
            return Result(0, json.dumps([cable, radio]), "")

        known = (("eth0", "REACHABLE"), ("wlan0", "FAILED"))

    assert presence.answering(Two(tmp_path), [NEAR], patience=0.2) == {NEAR: True}


@pytest.mark.parametrize(
    ("heard", "answer", "udp", "present"),
    [
        ({ADDRESS: True}, "closed", [], True),
        ({}, "refused", [], True),
        ({}, "closed", [f"{ADDRESS}:161"], True),
        ({}, "closed", [], False),
    ],
)
def test_a_closed_device_is_there_where_it_answered_in_any_way(
    monkeypatch: pytest.MonkeyPatch, heard: dict[str, bool], answer: str, udp: list[str], *, present: bool
) -> None:
    monkeypatch.setattr(presence, "answering", lambda dummy, addresses: heard)
    monkeypatch.setattr(device.ports, "scan", lambda addresses, tried: ([], [ADDRESS], {answer}))
    monkeypatch.setattr(device.datagrams, "answered", lambda addresses: udp)
    assert (seen()["reachable"], seen()["present"]) == (True, present)


@pytest.mark.parametrize(
    ("heard", "answer", "present"),
    [({ADDRESS: True}, "no host", True), ({}, "no host", False), ({}, "no route", None)],
    ids=["its firewall says so", "a router says so", "the vantage point has no network"],
)
def test_where_there_is_no_way_it_is_told_what_that_shows(
    monkeypatch: pytest.MonkeyPatch, heard: dict[str, bool], answer: str, *, present: bool | None
) -> None:
    monkeypatch.setattr(device.ports, "scan", lambda addresses, tried: ([], [], {answer}))
    monkeypatch.setattr(presence, "answering", lambda dummy, addresses: heard)
    assert (seen()["reachable"], seen().get("present")) == (False, present)


def test_a_device_with_one_address_that_answers_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device.ports, "scan", lambda addresses, tried: ([], [ADDRESS], {"closed"}))
    monkeypatch.setattr(presence, "answering", lambda dummy, addresses: {ADDRESS: True, NEAR: False})
    assert (seen()["reachable"], seen()["present"]) == (False, True)


def test_a_device_that_is_off_is_not_called_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "answering", lambda dummy, addresses: dict.fromkeys(addresses, False))
    monkeypatch.setattr(device.ports, "scan", lambda addresses, tried: ([], [ADDRESS], {"closed"}))
    assert seen() == {
        "reachable": False,
        "present": False,
        "errors": [f"{ADDRESS} does not answer on its own network: it is switched off, or has another address."],
    }
    monkeypatch.undo()
    with horos():
        assert seen()["device"]["dicom"]
