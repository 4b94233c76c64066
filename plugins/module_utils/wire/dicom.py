# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Speak DICOM as a stranger would: associations, and how many studies and series can be listed.

An A-ASSOCIATE-RQ is sent by hand (PS3.8 9.3.2), so that any DICOM answer tells, a refusal too; counting is
pynetdicom's. No patient data is kept: answers are counted, never returned.
"""

from __future__ import annotations

import secrets
import socket
import ssl
import struct
from collections.abc import Iterable, Iterator
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.wire.ports import Place

VERIFICATION = "1.2.840.10008.1.1"
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
IMPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2"
APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
IMPLEMENTATION_CLASS = "1.2.826.0.1.3680043.10.1511"
ANSWERS = {0x02: "accepted", 0x03: "rejected", 0x07: "rejected"}
"""PDU types A-ASSOCIATE-AC, A-ASSOCIATE-RJ and A-ABORT (PS3.8 9.3)."""

CALLED_BY_HABIT = ("ANY-SCP", "ORTHANC", "HOROS", "OSIRIX", "STORESCP")
SECONDS = 10
SILENT = "silent"
"""A connection that was taken, and then nothing."""

LISTED_AT_MOST = 20000
"""Answers to one C-FIND after which counting stops."""


def stranger() -> str:
    """Return an AE title that nobody has declared."""
    return "X" + secrets.token_hex(5).upper()


def request(called: str, calling: str) -> bytes:
    """Return an A-ASSOCIATE-RQ that proposes the verification service (PS3.8 9.3.2)."""
    context = _item(
        0x20, struct.pack(">BBBB", 1, 0, 0, 0) + _item(0x30, VERIFICATION) + _item(0x40, IMPLICIT_LITTLE_ENDIAN)
    )
    user = _item(0x50, _item(0x51, struct.pack(">I", 16384)) + _item(0x52, IMPLEMENTATION_CLASS))
    body = struct.pack(">HH", 1, 0) + _title(called) + _title(calling) + bytes(32)
    body += _item(0x10, APPLICATION_CONTEXT) + context + user
    return struct.pack(">BBI", 0x01, 0, len(body)) + body


def outcome(answer: bytes) -> str:
    """Return accepted or rejected for a DICOM PDU; nothing for anything else."""
    if len(answer) < 10 or answer[0] not in ANSWERS or answer[1] != 0:
        return ""
    (length,) = struct.unpack(">I", answer[2:6])
    plausible = length == 4 if answer[0] in (0x03, 0x07) else 68 <= length <= 0x20000
    return ANSWERS[answer[0]] if plausible else ""


def associate(place: Place, called: str, calling: str, tls: ssl.SSLContext | None = None) -> str:
    """Ask for an association and return how a DICOM server answered; silent where nothing came, else nothing."""
    try:
        with socket.create_connection(place, timeout=SECONDS) as plain:
            connection = tls.wrap_socket(plain) if tls else plain
            connection.settimeout(SECONDS)
            connection.sendall(request(called, calling))
            return outcome(_header(connection))
    except TimeoutError:
        return SILENT
    except (OSError, ValueError):
        return ""


def _header(connection: socket.socket) -> bytes:
    """Return the first ten bytes, which tell a PDU, however they are cut into segments; fewer at the end."""
    received = b""
    while len(received) < 10:
        more = connection.recv(10 - len(received))
        if not more:
            break
        received += more
    return received


SPOKEN = ("accepted", "rejected")
"""Outcomes that only what speaks DICOM gives; it speaks nothing else on that port."""


def titles(*own: str) -> tuple[str, ...]:
    """Return the called AE titles that a stranger would try: the machine's own, and those used by habit."""
    return tuple(dict.fromkeys(filter(None, (*own, *CALLED_BY_HABIT))))


def worst(outcomes: Iterable[str]) -> str:
    """Return the outcome that says most against a host: accepted, rejected, or refused where nothing answered."""
    given = set(outcomes)
    return next((word for word in SPOKEN if word in given), "refused")


def best(place: Place, *own: str, tls: ssl.SSLContext | None = None) -> tuple[str, str]:
    """Return the best outcome for a stranger and the called AE title that gave it."""
    found = ("", "")
    for called in titles(*own):
        ended = associate(place, called, stranger(), tls)
        if ended == "accepted":
            return ended, called
        if ended == SILENT:
            break
        found = (ended, called) if ended and not found[0] else found
    return found


def readable(place: Place, called: str, tls: ssl.SSLContext | None = None) -> tuple[int, int]:
    """Return how many studies and series a stranger can list by C-FIND."""
    from pydicom.dataset import Dataset  # noqa: PLC0415 # the module says first which library is missing
    from pynetdicom import AE  # noqa: PLC0415

    def ask(**keys: str) -> Iterator[Any]:
        entity = AE(ae_title=stranger())
        entity.add_requested_context(STUDY_ROOT_FIND)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 4 * SECONDS
        association = entity.associate(*place, ae_title=called, **({"tls_args": (tls, None)} if tls else {}))
        if not association.is_established:
            return
        question = Dataset()
        for keyword, value in keys.items():
            setattr(question, keyword, value)
        for number, (status, answer) in enumerate(association.send_c_find(question, STUDY_ROOT_FIND)):
            if number >= LISTED_AT_MOST:
                break
            if status and status.Status in (0xFF00, 0xFF01) and answer is not None:
                yield answer
        association.abort()

    studies = sum(1 for _answer in ask(QueryRetrieveLevel="STUDY", StudyInstanceUID=""))
    series = sum(1 for _answer in ask(QueryRetrieveLevel="SERIES", StudyInstanceUID="", SeriesInstanceUID=""))
    return studies, max(series, studies)


def _item(kind: int, content: bytes | str) -> bytes:
    raw = content.encode("ascii") if isinstance(content, str) else content
    return struct.pack(">BBH", kind, 0, len(raw)) + raw


def _title(title: str) -> bytes:
    return title.encode("ascii", "replace")[:16].ljust(16)
