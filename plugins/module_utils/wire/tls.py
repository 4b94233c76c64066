# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which versions and suites of TLS a server takes, and whether it wants a certificate, at OpenSSL security level 0.

A version or suite counts as taken as soon as the server chose it in its ServerHello; that it then closes because no
client certificate came makes no difference.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import warnings
from functools import cache

from ansible_collections.radiology.hardening.plugins.module_utils.wire.ports import Place

VERSIONS = {
    "TLSv1": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}
EVERYTHING = "ALL:COMPLEMENTOFALL:@SECLEVEL=0"
SECONDS = 5
HANDSHAKE = 22
SERVER_HELLO, CERTIFICATE_REQUEST, SERVER_HELLO_DONE = 2, 13, 14


def context(version: ssl.TLSVersion | None = None, suites: str = EVERYTHING) -> ssl.SSLContext:
    """Return a client that trusts anyone and shows no certificate."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # to ask for TLS 1.0 is the purpose
        made.minimum_version = version or ssl.TLSVersion.TLSv1
        made.maximum_version = version or ssl.TLSVersion.TLSv1_3
    made.set_ciphers(suites)
    return made


@cache
def old_suites() -> tuple[str, ...]:
    """Return OpenSSL's names of all suites before TLS 1.3 that this machine can speak."""
    return tuple(
        each["name"] for each in context(ssl.TLSVersion.TLSv1_2).get_ciphers() if each["protocol"] != "TLSv1.3"
    )


def chosen(place: Place, client: ssl.SSLContext) -> bool:
    """Tell whether the server answers this client with a ServerHello."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = client.wrap_bio(incoming, outgoing, server_hostname=None)
    with contextlib.suppress(ssl.SSLError):
        session.do_handshake()
    try:
        with socket.create_connection(place, timeout=SECONDS) as connection:
            connection.sendall(outgoing.read())
            return is_server_hello(connection.recv(64))
    except OSError:
        return False


def is_server_hello(record: bytes) -> bool:
    """Tell whether bytes begin with a TLS handshake record that holds a ServerHello (RFC 5246 7.4.1.3)."""
    return len(record) > 5 and record[0] == HANDSHAKE and record[1] == 3 and record[5] == SERVER_HELLO


def speaks(place: Place) -> bool:
    """Tell whether a port speaks TLS of any version, or answers a ClientHello with a TLS alert."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLError):
        context().wrap_bio(incoming, outgoing).do_handshake()
    try:
        with socket.create_connection(place, timeout=SECONDS) as connection:
            connection.sendall(outgoing.read())
            answer = connection.recv(16)
    except OSError:
        return False
    return len(answer) >= 5 and answer[0] in (21, 22) and answer[1] == 3 and struct.unpack(">H", answer[3:5])[0] < 2**14


def versions(place: Place) -> list[str]:
    """Return the versions that the server takes."""
    return [name for name, version in VERSIONS.items() if chosen(place, context(version))]


def suites(place: Place, taken: list[str]) -> list[str]:
    """Return the suites that the server takes: each alone for TLS 1.2 and older, those of 1.3 as it chooses."""
    found = []
    for name in (name for name in taken if name != "TLSv1.3"):
        version = VERSIONS[name]
        if name == "TLSv1.2" or "TLSv1.2" not in taken:
            found += [suite for suite in old_suites() if chosen(place, context(version, f"{suite}:@SECLEVEL=0"))]
    return sorted(set(found))


def weak(taken: list[str]) -> list[str]:
    """Return the suites without forward secrecy or without authenticated encryption (ANSSI TLS guide, R6 and R10)."""
    return [
        suite
        for suite in taken
        if not suite.startswith(("ECDHE-", "DHE-", "TLS_"))
        or not any(mark in suite for mark in ("GCM", "CHACHA", "CCM"))
    ]


def asks_for_certificate(place: Place) -> bool:
    """Tell whether the server's flight in TLS 1.2 holds a CertificateRequest (RFC 5246 7.4.4)."""
    return CERTIFICATE_REQUEST in handshakes(flight(place))


def flight(place: Place) -> bytes:
    """Return the server's first flight in TLS 1.2, which is in clear; OSError where it does not answer."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLError):
        context(ssl.TLSVersion.TLSv1_2).wrap_bio(incoming, outgoing).do_handshake()
    received = b""
    with socket.create_connection(place, timeout=SECONDS) as connection, contextlib.suppress(TimeoutError):
        connection.sendall(outgoing.read())
        while SERVER_HELLO_DONE not in handshakes(received) and (more := connection.recv(4096)):
            received += more
    return received


def handshakes(records: bytes) -> list[int]:
    """Return the types of the whole handshake messages in a run of TLS records; nothing for anything else."""
    return [kind for kind, _body in messages(records)]


def messages(records: bytes) -> list[tuple[int, bytes]]:
    """Return type and body of the whole handshake messages in a run of TLS records; nothing for anything else."""
    body = b""
    while len(records) >= 5 and records[0] == HANDSHAKE:
        length = int.from_bytes(records[3:5], "big")
        body += records[5 : 5 + length]
        records = records[5 + length :]
    found = []
    while len(body) >= 4 and len(body) >= (size := 4 + int.from_bytes(body[1:4], "big")):
        found.append((body[0], body[4:size]))
        body = body[size:]
    return found


def client_certificate(place: Place, question: bytes) -> str:
    """Tell whether the server wants a client certificate and answers nothing without one.

    In TLS 1.2 the wish itself can be seen. In TLS 1.3 it is encrypted and the refusal comes after the client's
    handshake, so the question alone decides there: an answer means not_demanded.
    """
    try:
        if chosen(place, context(ssl.TLSVersion.TLSv1_2)) and not asks_for_certificate(place):
            return "not_demanded"
        with socket.create_connection(place, timeout=SECONDS) as plain, context().wrap_socket(plain) as connection:
            connection.sendall(question)
            return "not_demanded" if connection.recv(16) else "demanded"
    except TimeoutError:
        return "not_demanded"
    except ConnectionRefusedError:
        return "unreachable"
    except (OSError, ValueError):
        return "demanded"
