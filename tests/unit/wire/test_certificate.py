# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When the certificates that servers show end, read on the wire: real servers on loopback, and bytes of any kind."""

from __future__ import annotations

import datetime
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from socket import create_server

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils.wire import certificate, tls
from ansible_collections.radiology.hardening.plugins.module_utils.wire.ports import Place
from ansible_collections.radiology.hardening.plugins.module_utils.wire.probe import probe
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

LOOPBACK = "127.0.0.1"
NOW = datetime.datetime.now(tz=datetime.UTC).replace(microsecond=0)
DAY = datetime.timedelta(days=1)
PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER


def made(ends: datetime.datetime, *, by_rsa: bool = False) -> tuple[x509.Certificate, bytes]:
    """Return a certificate that ends then, and its key (PEM)."""
    key = rsa.generate_private_key(65537, 2048) if by_rsa else ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pacs")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(min(NOW, ends) - DAY)
    signed = builder.not_valid_after(ends).sign(key, hashes.SHA256())
    private = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return signed, key.private_bytes(PEM, *private)


@contextmanager
def front(
    folder: Path, ends: datetime.datetime, *, version: str = "TLSv1.3", http: bool = False, demand: bool = False
) -> Iterator[Place]:
    """Serve one version of TLS: answer as a web server or not at all, and take nobody without a certificate or all."""
    shown, key = made(ends)
    (folder / "server.pem").write_bytes(key + shown.public_bytes(PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    context.minimum_version = context.maximum_version = tls.VERSIONS[version]
    if demand:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(folder / "server.pem")

    def serve() -> None:
        while True:
            try:
                plain, _address = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(plain,), daemon=True).start()

    def answer(plain: ssl.socket) -> None:
        with suppress(OSError), plain, context.wrap_socket(plain, server_side=True) as connection:
            connection.settimeout(2)
            if connection.recv(4096) and http:
                connection.sendall(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    with closing(create_server((LOOPBACK, 0))) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield Place(LOOPBACK, listener.getsockname()[1])


@pytest.mark.parametrize("days", [-400, 1, 30, 400, 365 * 40], ids=lambda days: f"{days} days")
@pytest.mark.parametrize("by_rsa", [True, False], ids=["rsa", "ec"])
def test_the_end_of_a_certificate_is_read_from_its_bytes(days: int, *, by_rsa: bool) -> None:
    ends = NOW + days * DAY
    signed, _key = made(ends, by_rsa=by_rsa)
    assert certificate.end(signed.public_bytes(DER)) == ends == signed.not_valid_after_utc


@given(st.binary(max_size=300))
def test_whatever_bytes_come_are_no_traceback(noise: bytes) -> None:
    assert certificate.end(noise) is None
    assert isinstance(certificate.first(noise), bytes)


@given(st.integers(0, 400), st.integers(0, 255))
def test_a_certificate_with_a_wrong_byte_is_read_or_not_but_never_a_traceback(at: int, byte: int) -> None:
    shown = bytearray(KNOWN)
    shown[at % len(shown)] = byte
    assert isinstance(certificate.end(bytes(shown)), (datetime.datetime, type(None)))
    assert certificate.end(KNOWN[: at % len(KNOWN)]) is None


KNOWN = made(NOW + 10 * DAY)[0].public_bytes(DER)


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
@pytest.mark.parametrize("demand", [True, False], ids=["certificate demanded", "anybody"])
def test_a_server_s_certificate_is_seen_also_by_whom_it_refuses(tmp_path: Path, version: str, *, demand: bool) -> None:
    with front(tmp_path, NOW + 10 * DAY, version=version, demand=demand) as place:
        assert certificate.end(certificate.presented(place)) == NOW + 10 * DAY
        soon, unread = certificate.ending([place])
    assert (soon, unread) == ([f"{place}: 9 days left, {(NOW + 10 * DAY).date()}"], [])


def test_one_that_lasts_a_month_is_not_told_and_one_that_expired_is(tmp_path: Path) -> None:
    hour = datetime.timedelta(hours=1)
    for ends, told in ((NOW + 30 * DAY + hour, ""), (NOW + 30 * DAY - hour, "29 days left"), (NOW - hour, "expired")):
        with front(tmp_path, ends) as place:
            soon, _unread = certificate.ending([place])
        assert soon == ([f"{place}: {told}, {ends.date()}"] if told else [])


def test_a_port_that_answers_no_more_is_told_and_passes_nothing() -> None:
    place = Place(LOOPBACK, 1)
    assert certificate.ending([place]) == ([], [f"{place} speaks TLS, but shows no certificate that can be read."])


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(("http", "kind", "other"), [(True, "web", "dicom"), (False, "dicom", "web")])
def test_the_probe_tells_it_of_dicom_and_of_https_apart(tmp_path: Path, http: bool, kind: str, other: str) -> None:
    for days, told in ((10, True), (40, False)):
        with front(tmp_path, NOW + days * DAY, http=http, demand=not http) as place:
            target = {"addresses": [LOOPBACK], "expected_ports": [place.port]}
            seen = probe(target, [], default_credentials=False)
        assert bool(seen[kind]["certificates_ending"]) is told
        assert all(text.startswith(f"{place}: ") for text in seen[kind]["certificates_ending"])
        assert not any(text.startswith(f"{place}: ") for text in seen[other]["certificates_ending"])


@pytest.mark.usefixtures("impatient")
def test_what_cannot_be_read_is_an_error_and_no_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificate, "presented", lambda _place: b"")
    with front(tmp_path, NOW + 10 * DAY, demand=True) as place:
        target = {"addresses": [LOOPBACK], "expected_ports": [place.port]}
        seen = probe(target, [], default_credentials=False)
    assert "certificates_ending" not in seen["dicom"]
    assert any(text.startswith(f"{place} speaks TLS, but shows no certificate") for text in seen["errors"])
