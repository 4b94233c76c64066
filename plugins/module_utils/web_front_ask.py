# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the web servers of this host really answer, asked from the host itself."""

from __future__ import annotations

import base64
import http.client
import socket
import ssl
import warnings

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


def basic(login: str, password: str) -> dict[str, str]:
    """Return the header of HTTP Basic authentication (RFC 7617)."""
    return {"Authorization": "Basic " + base64.b64encode(f"{login}:{password}".encode()).decode("ascii")}


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
    connection = (
        http.client.HTTPSConnection(address, port, timeout=SECONDS, context=_context())
        if tls
        else http.client.HTTPConnection(address, port, timeout=SECONDS)
    )
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


def known_pair_accepted(address: str, port: int) -> bool:
    """Tell whether a login and password that everybody knows is let in; tried on this host's own server only."""
    return any(status(address, port, "/system", headers=basic(*pair)) == 200 for pair in KNOWN_PAIRS)


def tls_versions(address: str, port: int) -> list[str]:
    """Return the TLS versions that a server of this host completes a handshake in, with any suite."""
    return [name for name, version in VERSIONS.items() if _handshake(address, port, version)]


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
