# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which certificate a TLS server shows to a stranger, and when it ends. Nobody's signature is judged here.

Days are counted by the clock of the machine that asks: where that is wrong, so is what it tells.
"""

from __future__ import annotations

import contextlib
import datetime
import socket
from collections.abc import Iterator, Sequence

from ansible_collections.radiology.hardening.plugins.module_utils.wire import tls
from ansible_collections.radiology.hardening.plugins.module_utils.wire.ports import Place

LEAST_DAYS = 30
"""A certificate with fewer days left is told of: what renews it had a month, and did not (ANSSI TLS guide, R25)."""
CERTIFICATE = 11
"""The handshake message of TLS 1.2 that holds the server's certificates (RFC 5246 7.4.2)."""
SEQUENCE, VERSION, UTC_TIME, GENERALIZED_TIME = 0x30, 0xA0, 0x17, 0x18
"""Tags of DER (X.690), and the one of a certificate's version (RFC 5280 4.1)."""
CENTURY = 50
"""From this year on, two digits stand for the twentieth century (RFC 5280 4.1.2.5.1)."""


def ending(places: Sequence[Place]) -> tuple[list[str], list[str]]:
    """Return `address:port: how long` of the certificates that end within LEAST_DAYS, and what could not be read."""
    soon, unread = [], []
    for place in places:
        shown = presented(place)
        ends = end(shown) if shown else None
        if ends is None:
            unread.append(f"{place} speaks TLS, but shows no certificate that can be read.")
            continue
        days = (ends - datetime.datetime.now(tz=datetime.UTC)).days
        if days < LEAST_DAYS:
            soon.append(f"{place}: {'expired' if days < 0 else f'{days} days left'}, {ends.date().isoformat()}")
    return soon, unread


def presented(place: Place) -> bytes:
    """Return the certificate (DER) that a server shows, also where it takes nobody without one; nothing: none came.

    In TLS 1.3 such a server refuses after the handshake, in TLS 1.2 within it: there it has shown its own in clear.
    """
    with (
        contextlib.suppress(OSError, ValueError),
        socket.create_connection(place, timeout=tls.SECONDS) as plain,
        tls.context().wrap_socket(plain) as connection,
    ):
        return connection.getpeercert(binary_form=True) or b""
    with contextlib.suppress(OSError):
        return first(tls.flight(place))
    return b""


def first(flight: bytes) -> bytes:
    """Return the first certificate (DER) in a server's flight of TLS 1.2; nothing where there is none."""
    for kind, body in tls.messages(flight):
        if kind == CERTIFICATE and len(body) >= 6:
            return body[6 : 6 + int.from_bytes(body[3:6], "big")]
    return b""


def end(der: bytes) -> datetime.datetime | None:
    """Return when a certificate (X.509, DER) ends; None where it cannot be read (RFC 5280 4.1).

    Its validity is the fourth part of what is signed, after number, algorithm and issuer; a version stands before them.
    """
    with contextlib.suppress(ValueError, IndexError, StopIteration):
        signed = _inside(_inside(der, SEQUENCE), SEQUENCE)
        parts = [part for part in _parts(signed) if part[0] != VERSION]
        (_before, _since), (tag, until) = _parts(parts[3][1])
        return _time(tag, until)
    return None


def _time(tag: int, text: bytes) -> datetime.datetime:
    """Return a time as certificates have it: to the second, in UTC, years of two digits until 2049."""
    told = text.decode("ascii")
    if tag == UTC_TIME:
        told = ("19" if int(told[:2]) >= CENTURY else "20") + told
    elif tag != GENERALIZED_TIME:
        raise ValueError(tag)
    return datetime.datetime.strptime(told, "%Y%m%d%H%M%SZ").replace(tzinfo=datetime.UTC)


def _inside(der: bytes, tag: int) -> bytes:
    """Return what the first element holds; ValueError where it is of another kind."""
    found, content = next(_parts(der))
    if found != tag:
        raise ValueError(found)
    return content


def _parts(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and content of each element, one after the other (X.690 8.1, 10.1); ValueError where one is cut off."""
    while der:
        if len(der) < 2:
            raise ValueError(len(der))
        tag, size, head = der[0], der[1], 2
        if size & 0x80:
            head += size & 0x7F
            size = int.from_bytes(der[2:head], "big")
        if len(der) < head + size:
            raise ValueError(len(der))
        yield tag, der[head : head + size]
        der = der[head + size :]
