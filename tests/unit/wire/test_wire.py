# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The probe against real servers on loopback."""

from __future__ import annotations

import http.server
import json
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import internet_box
from ansible_collections.radiology.hardening.plugins.module_utils.internet_box_words import PortMapping
from ansible_collections.radiology.hardening.plugins.module_utils.wire import dicom, ports, tls, web
from ansible_collections.radiology.hardening.plugins.module_utils.wire.ports import Place
from ansible_collections.radiology.hardening.plugins.module_utils.wire.probe import probe
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pynetdicom import AE, evt

LOOPBACK = "127.0.0.1"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("pair")
    certificate, key = str(folder / "c.pem"), str(folder / "k.pem")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x", "-days", "2"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key


@contextmanager
def dicom_server(
    *, title: str = "PACS", demand_title: bool = False, context: ssl.SSLContext | None = None
) -> Iterator[Place]:
    def find(event: Any) -> Iterator[tuple[int, Dataset]]:
        for number in range(2 if event.identifier.QueryRetrieveLevel == "STUDY" else 5):
            answer = Dataset()
            answer.QueryRetrieveLevel = event.identifier.QueryRetrieveLevel
            answer.StudyInstanceUID = f"1.2.{number}"
            yield 0xFF00, answer

    entity = AE(ae_title=title)
    entity.require_called_aet = demand_title
    entity.add_supported_context(dicom.VERIFICATION)
    entity.add_supported_context(dicom.STUDY_ROOT_FIND)
    server = entity.start_server((LOOPBACK, 0), block=False, evt_handlers=[(evt.EVT_C_FIND, find)], ssl_context=context)
    try:
        yield Place(LOOPBACK, server.socket.getsockname()[1])
    finally:
        server.shutdown()


@contextmanager
def web_server(
    context: ssl.SSLContext | None = None, *, location: str = "", refuse_foreign: bool = False
) -> Iterator[Place]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            foreign = refuse_foreign and self.headers.get("Origin") != f"https://{self.headers['Host']}"
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(403 if foreign else 401)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            if refuse_foreign and not self.headers["Host"].startswith(LOOPBACK):
                self.send_error(421)
                return
            known = self.headers.get("Authorization") == "Basic b3J0aGFuYzpvcnRoYW5j"
            status = 301 if location else 200 if known or self.path == "/app/explorer.html" else 401
            body = json.dumps({"CountStudies": 3, "CountSeries": 7}).encode() if status == 200 else b"no"
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            return

    server = http.server.ThreadingHTTPServer((LOOPBACK, 0), Handler)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Place(LOOPBACK, server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()


def server_context(pair: tuple[str, str], *, weak: bool = False, demand: bool = False) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(*pair)
    if weak:
        made.minimum_version = ssl.TLSVersion.TLSv1
        made.set_ciphers("ALL:@SECLEVEL=0")
    if demand:
        made.verify_mode = ssl.CERT_REQUIRED
        made.load_verify_locations(pair[0])
    return made


def test_a_listener_in_clear_is_found_and_counted() -> None:
    with dicom_server() as place:
        seen = probe({"addresses": [LOOPBACK], "ae_title": "PACS"}, [place.port], default_credentials=False)
    assert str(place) in seen["ports"]["undeclared"]
    assert seen["dicom"]["cleartext_ports"] == [str(place)]
    assert seen["dicom"]["cleartext_association"] == "accepted"
    assert seen["dicom"]["unknown_ae_title"] == "accepted"
    assert (seen["dicom"]["readable_studies"], seen["dicom"]["readable_series"]) == (2, 5)


def test_a_refusal_in_clear_is_dicom_in_clear_all_the_same() -> None:
    with dicom_server(title="OTHER", demand_title=True) as place:
        assert dicom.best(place, "PACS") == ("rejected", "PACS")
        assert dicom.best(place, "OTHER") == ("accepted", "OTHER")


@pytest.mark.usefixtures("impatient")
def test_other_protocols_are_not_dicom() -> None:
    with web_server() as place:
        assert dicom.associate(place, "PACS", "X") in ("", dicom.SILENT)


@given(st.binary(max_size=300))
def test_whatever_answers_is_classified(answer: bytes) -> None:
    assert dicom.outcome(answer) in ("", "accepted", "rejected")
    assert isinstance(tls.is_server_hello(answer), bool)


def test_an_association_reject_is_told_from_noise() -> None:
    assert dicom.outcome(struct.pack(">BBIBBBB", 3, 0, 4, 0, 1, 1, 7)) == "rejected"
    assert dicom.outcome(b"HTTP/1.1 400 Bad Request\r\n") == ""


def test_old_versions_and_weak_suites_are_seen(pair: tuple[str, str]) -> None:
    with dicom_server(context=server_context(pair, weak=True)) as place:
        taken = tls.versions(place)
        assert taken == ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]
        assert "AES128-SHA" in tls.weak(tls.suites(place, ["TLSv1.2"]))
        assert tls.client_certificate(place, dicom.request("PACS", "X")) == "not_demanded"
        assert dicom.best(place, "PACS", tls=tls.context())[0] == "accepted"


def test_a_strict_server_is_seen_as_strict(pair: tuple[str, str]) -> None:
    with dicom_server(context=server_context(pair, demand=True)) as place:
        assert tls.speaks(place)
        assert tls.versions(place) == ["TLSv1.2", "TLSv1.3"]
        assert tls.client_certificate(place, dicom.request("PACS", "X")) == "demanded"
        assert dicom.best(place, "PACS", tls=tls.context()) == ("", "")


def test_weak_means_without_forward_secrecy_or_authenticated_encryption() -> None:
    good = ["ECDHE-RSA-AES128-GCM-SHA256", "TLS_AES_128_GCM_SHA256", "DHE-RSA-CHACHA20-POLY1305"]
    bad = ["AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA", "ADH-AES128-GCM-SHA256", "NULL-SHA256"]
    assert tls.weak(good + bad) == bad


def test_default_credentials_and_open_paths_are_found() -> None:
    with web_server() as place:
        assert web.default_credentials(place, secure=False) == "orthanc:orthanc"
        assert web.open_paths(place, secure=False) == ["/app/explorer.html"]
        assert web.readable(place, secure=False, credentials="orthanc:orthanc") == (3, 7)
        assert web.in_clear(web.get(place, "/", secure=False))


@pytest.mark.usefixtures("impatient")
def test_what_is_asked_in_another_site_s_name_is_seen(pair: tuple[str, str]) -> None:
    for secure in (False, True):
        context = server_context(pair) if secure else None
        with web_server(context) as place:
            seen = probe({"addresses": [LOOPBACK]}, [place.port], default_credentials=False)["http"]
        assert (seen["foreign_names"], seen["foreign_origins"]) == ([str(place)], [str(place)])
        with web_server(context, refuse_foreign=True) as place:
            seen = probe({"addresses": [LOOPBACK]}, [place.port], default_credentials=False)["http"]
            assert web.get(place, "/studies", secure=secure).status == 401  # type: ignore[union-attr]
        assert (seen["foreign_names"], seen["foreign_origins"]) == ([], [])


def test_a_redirect_to_https_is_not_http_in_clear() -> None:
    with web_server(location="https://pacs/") as place:
        assert not web.in_clear(web.get(place, "/", secure=False))
    with web_server(location="http://elsewhere/") as place:
        assert web.in_clear(web.get(place, "/", secure=False))


def test_https_is_seen_as_https(pair: tuple[str, str]) -> None:
    with web_server(server_context(pair)) as place:
        assert tls.speaks(place)
        answer = web.get(place, "/system", secure=True)
        assert answer is not None
        assert answer.status == 401


def test_closed_ports_are_closed_and_ipv6_is_written_in_brackets() -> None:
    with closing(socket.create_server((LOOPBACK, 0))) as listener:
        place = Place(LOOPBACK, listener.getsockname()[1])
        assert ports.scan([LOOPBACK], [place.port]) == ([place], [LOOPBACK], {"open"})
        assert ports.answering([str(place), f"[fe80::1]:{place.port}"]) == [str(place)]
    assert ports.scan([LOOPBACK, "fe80::1"], [place.port]) == ([], [LOOPBACK], {"refused", "no route"})
    assert ports.answering([str(place)]) == []
    assert ports.answering([]) == []
    target = {"addresses": [LOOPBACK, "fe80::1"], "expected_ports": [str(place.port)]}
    assert ports.told(target, [LOOPBACK], [80, 22, 23, 22], [place]) == {
        "looked_at": [LOOPBACK],
        "no_way": ["fe80::1"],
        "tried": "22-23, 80",
        "open": [str(place)],
        "undeclared": [],
    }
    assert str(Place("2001:db8::1", 104)) == "[2001:db8::1]:104"


def test_a_host_without_a_way_to_it_shows_nothing_that_could_pass() -> None:
    for addresses in ([], ["fe80::1"]):  # a link-local address without its link leads nowhere
        seen = probe({"addresses": addresses, "ae_title": "PACS"}, [], default_credentials=False)
        assert set(seen) == {"reachable", "errors"}
        assert "no route" in seen["errors"][0]


@contextmanager
def saying(*pieces: bytes, wait: float = 0.05) -> Iterator[Place]:
    """Answer every connection with these pieces, one after another, and close."""

    def serve() -> None:
        while True:
            try:
                connection, _address = listener.accept()
            except OSError:
                return
            with connection:
                for piece in pieces:
                    try:
                        connection.sendall(piece)
                    except OSError:
                        break
                    time.sleep(wait)

    with closing(socket.create_server((LOOPBACK, 0))) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield Place(LOOPBACK, listener.getsockname()[1])


def test_a_refusal_in_pieces_is_dicom_all_the_same() -> None:
    refusal = struct.pack(">BBIBBBB", 3, 0, 4, 0, 1, 1, 7)
    with saying(refusal[:4], refusal[4:]) as place:
        assert dicom.associate(place, "PACS", "X") == "rejected"


def test_an_ssh_server_that_breaks_off_is_an_error_and_no_pass() -> None:
    with saying(b"SSH-2.0-broken\r\n") as place:
        seen = probe({"addresses": [LOOPBACK], "expected_ports": []}, [place.port], default_credentials=False)
    assert str(place) in seen["ssh"]["ports"]
    assert "password_offered" not in seen["ssh"]
    assert seen["errors"]


def test_a_server_that_asks_for_no_certificate_and_closes_demands_none(pair: tuple[str, str]) -> None:
    with dicom_server(context=server_context(pair)) as place:
        assert not tls.asks_for_certificate(place)
        assert tls.client_certificate(place, b"not a PDU at all") == "not_demanded"
    with dicom_server(context=server_context(pair, demand=True)) as place:
        assert tls.asks_for_certificate(place)


def test_what_is_declared_in_clear_is_told_apart_where_it_is_due_and_found_from_everywhere() -> None:
    with dicom_server() as place:
        target = {"addresses": [LOOPBACK], "cleartext_ports": [place.port]}
        due = probe({**target, "expected_ports": [place.port]}, [], default_credentials=False)
        seen = probe(target, [], default_credentials=False)
    told = {name: due["dicom"][name] for name in ("cleartext_declared", "cleartext_ports", "cleartext_association")}
    assert told == {
        "cleartext_declared": [str(place)],
        "cleartext_ports": [],
        "cleartext_association": "refused",
    }
    assert due["ports"]["undeclared"] == []
    assert seen["dicom"]["cleartext_declared"] == []
    assert str(place) in seen["dicom"]["cleartext_ports"]
    assert seen["dicom"]["cleartext_association"] != "refused"


@given(st.binary(max_size=200))
def test_whatever_flight_is_read(flight: bytes) -> None:
    assert isinstance(tls.handshakes(flight), list)


def test_the_box_is_told_of_where_it_was_asked() -> None:
    mapping = PortMapping("TCP", "", 8042, LOOPBACK, 8042, "Viewer", 0)
    box = internet_box.Box(["UPnP at 192.0.2.1:5000"], [], [mapping, mapping._replace(target="192.0.2.7")], [])
    with saying(b"x") as place:
        target = {"addresses": [LOOPBACK]}
        assert "box" not in probe(target, [place.port], default_credentials=False)
        assert probe(target, [place.port], default_credentials=False, box=box)["box"] == {
            "mappings": [f"TCP port 8042 from anywhere to {LOOPBACK}:8042, 'Viewer', for ever"],
            "opens_ports": ["UPnP at 192.0.2.1:5000"],
            "unread": [],
        }
