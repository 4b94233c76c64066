# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the web servers of this host really answer, asked from the host itself."""

from __future__ import annotations

import http.client
import math
import socket
import ssl
import time
import warnings
from collections.abc import Mapping

from ansible_collections.radiology.hardening.plugins.module_utils import web_roles

SECONDS = 5.0
"""How long a server of this host may take to answer."""

VERSIONS = {
    "TLSv1": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}

KNOWN_PAIRS = (("orthanc", "orthanc"), ("admin", "admin"), ("admin", "orthanc"), ("demo", "demo"), ("orthanc", ""))
"""Logins and passwords from documentation and images; orthanc:orthanc is made by Orthanc itself (before 1.12.9)."""

BEYOND_A_READER = (
    ("POST", "/instances"),
    ("DELETE", "/queries/0"),
    ("GET", "/modalities"),
    ("POST", "/modalities/0/store"),
    ("POST", "/dicom-web/studies"),
    ("GET", "/app/../tools/log-level"),
)
BEYOND_A_TECHNICIAN = (
    ("DELETE", "/instances/0"),
    ("DELETE", "/instances/0/attachments/dicom"),
    ("PUT", "/instances/0/attachments/1024"),
    ("PUT", "/modalities/0"),
    ("POST", "/tools/execute-script"),
    ("GET", "/tools/log-level"),
    ("GET", "/instances/0?_method=DELETE"),
    ("GET", "/instances/%2e%2e/tools/log-level"),
    ("GET", "//tools/log-level"),
    ("PROPFIND", "/webdav/"),
    ("GET", "/nobody-has-heard-of-this"),
)
"""Method and path of what a front with roles refuses. None has an effect on a server that knows no image named 0."""

REFUSED = (400, 403, 405)

GUESSED_AT = (
    ("GET", "/system"),
    ("DELETE", "/instances/0"),
    ("POST", "/tools/find"),
    ("PUT", "/modalities/0"),
    ("GET", "/dicom-web/studies?PatientName={name}"),
    ("GET", "/app/explorer.html"),
    ("POST", "/instances"),
    ("GET", "/nobody-has-heard-of-this"),
) * 2
"""Method and path of what is asked with a wrong password, one after another."""

GUESSER = "127.0.0.77"
"""Where the guesses come from: an address of this host's own, so that nobody else's are counted with them."""


def basic(login: str, password: str) -> dict[str, str]:
    """Return the header of HTTP Basic authentication (RFC 7617)."""
    return {"Authorization": web_roles.header(login, password)}


def status(
    address: str,
    port: int,
    path: str,
    *,
    tls: bool = False,
    method: str = "GET",
    headers: dict[str, str] | None = None,
) -> int | None:
    """Return the status of an answer; None when nothing answers in HTTP. The certificate is not judged here."""
    connection = _connection(address, port, tls=tls)
    try:
        connection.request(method, path, headers=headers or {})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def refusals(address: str, port: int, largest: int, *, tls: bool = True) -> dict[str, int | None]:
    """Return what a front answers to what it should not take, which nobody whom it knows asks.

    No body is sent: `largest` is the number of bytes that it says to take, and one more is announced to it.
    """
    stranger = basic("nobody-here", "nothing")
    foreign = "elsewhere.example"
    asked = {
        "foreign_name_status": ("GET", {"Host": foreign}),
        "foreign_origin_status": ("POST", {**stranger, "Origin": f"https://{foreign}"}),
        "compressed_body_status": ("POST", {**stranger, "Content-Encoding": "gzip"}),
        "large_body_status": ("POST", {"Content-Length": str(largest + 1)}),
    }
    return {
        fact: status(address, port, "/instances", tls=tls, method=method, headers=headers)
        for fact, (method, headers) in asked.items()
    }


def role_breaches(address: str, port: int, headers: Mapping[str, str], *, tls: bool = True) -> list[str] | None:
    """Return what a front lets a role ask beyond its rights, as `reader DELETE /instances/0`; None: it cannot be asked.

    `headers`: the Authorization header of a login of each role that Orthanc does not know.
    """
    tried = {
        web_roles.READER: (*BEYOND_A_READER, *BEYOND_A_TECHNICIAN),
        web_roles.TECHNICIAN: BEYOND_A_TECHNICIAN,
    }
    if not set(web_roles.ROLES) <= headers.keys():
        return None
    connection = _connection(address, port, tls=tls)
    try:
        # Let through to Orthanc, whatever that says: what is refused below is refused for its role.
        if _answer(connection, "DELETE", "/instances/0", headers[web_roles.ADMINISTRATOR]) in REFUSED:
            return None
        return [
            f"{role} {method} {path}"
            for role, attempts in tried.items()
            for method, path in attempts
            if _answer(connection, method, path, headers[role]) not in REFUSED
        ]
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def guesses_a_second(address: str, port: int, name: str, *, tls: bool = True) -> int | None:
    """Guess passwords of `probe <name>`, whom nobody knows, and search for the name.

    Returns how many guesses a second a front looks at of one source; a second that has begun counts whole.
    429 (RFC 6585) says that it did not look. None: it gives no answer.
    """
    source = (address if ":" in address else GUESSER, 0)
    began = time.monotonic()
    connection = _connection(address, port, tls=tls, source=source)
    try:
        answers = [
            _answer(connection, method, path.format(name=name), web_roles.header(f"probe {name}", str(number)))
            for number, (method, path) in enumerate(GUESSED_AT)
        ]
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return math.ceil((len(answers) - answers.count(429)) / max(1.0, time.monotonic() - began))


def known_pair_accepted(address: str, port: int) -> bool:
    """Tell whether a login and password that everybody knows is let in; tried on this host's own server only."""
    return any(status(address, port, "/system", headers=basic(*pair)) == 200 for pair in KNOWN_PAIRS)


def tls_versions(address: str, port: int) -> list[str]:
    """Return the TLS versions that a server of this host completes a handshake in, with any suite."""
    return [name for name, version in VERSIONS.items() if _handshake(address, port, version)]


def _connection(
    address: str, port: int, *, tls: bool, source: tuple[str, int] | None = None
) -> http.client.HTTPConnection:
    if tls:
        context = _context()
        return http.client.HTTPSConnection(address, port, timeout=SECONDS, source_address=source, context=context)
    return http.client.HTTPConnection(address, port, timeout=SECONDS, source_address=source)


def _answer(connection: http.client.HTTPConnection, method: str, path: str, header: str) -> int:
    """Ask on a connection that goes on to serve, and return the status; the path is sent as it is."""
    connection.request(method, path, headers={"Authorization": header})
    answer = connection.getresponse()
    answer.read()
    return answer.status


def _handshake(address: str, port: int, version: ssl.TLSVersion) -> bool:
    context = _context()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # naming TLS 1.0 is the purpose here
        context.minimum_version = context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")
    try:
        with (
            socket.create_connection((address, port), timeout=SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=address),
        ):
            return True
    except OSError:
        return False


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
