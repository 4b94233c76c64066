# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which services answer a stranger over UDP: each is asked in its own words, since others get no answer.

A port that stays silent may be open all the same, as WireGuard's is by design; what answers gives something away, and
may be made to flood others with its answers.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Sequence
from typing import NamedTuple

from ansible_collections.radiology.hardening.plugins.module_utils.wire.ports import Place

ROUNDS, SECONDS = 2, 1.5
"""How often everything is asked, since a datagram may be lost, and how long answers are waited for each time."""
ROOT = b"\x00"
SERVICES = b"\x09_services\x07_dns-sd\x04_udp\x05local\x00"
ANY_NAME = b"\x20CK" + b"A" * 30 + b"\x00"
"""Names as DNS (RFC 1035 3.1) and NetBIOS (`*`, RFC 1001 14.1) write them."""
PTR, NS, NODE_STATUS = 12, 2, 0x21
SEARCH = (
    'M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: "ssdp:discover"\r\nMX: 1\r\nST: upnp:rootdevice\r\n\r\n'
)
PROBE = (
    '<?xml version="1.0" encoding="utf-8"?><e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope" '
    'xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery">'
    "<e:Header><a:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</a:Action>"
    "<a:MessageID>urn:uuid:6f1c5b1e-2f5c-4a53-9d0c-0d1c0a9e7b11</a:MessageID>"
    "<a:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</a:To></e:Header><e:Body><d:Probe/></e:Body></e:Envelope>"
)


class Question(NamedTuple):
    """What is sent to a UDP port, and what answers it."""

    port: int
    service: str
    words: bytes


def _ber(tag: int, *parts: bytes) -> bytes:
    """Return a BER element of less than 128 bytes (X.690 8.1)."""
    body = b"".join(parts)
    return bytes((tag, len(body))) + body


def _integer(value: int) -> bytes:
    return _ber(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _name_question(name: bytes, kind: int, *, flags: int = 0) -> bytes:
    return struct.pack(">6H", 0x5241, flags, 1, 0, 0, 0) + name + struct.pack(">2H", kind, 1)


def _snmp() -> bytes:
    """Return a discovery of the engine, which every SNMPv3 agent answers without a password (RFC 3414 4)."""
    header = _ber(0x30, _integer(1), _integer(65507), _ber(0x04, b"\x04"), _integer(3))
    security = _ber(0x30, _ber(0x04), _integer(0), _integer(0), _ber(0x04), _ber(0x04), _ber(0x04))
    scoped = _ber(0x30, _ber(0x04), _ber(0x04), _ber(0xA0, _integer(1), _integer(0), _integer(0), _ber(0x30)))
    return _ber(0x30, _integer(3), header, _ber(0x04, security), scoped)


def _snmp_with_community() -> bytes:
    """Return a request for sysDescr under the community that makers set, `public` (RFC 3416, RFC 1213)."""
    descr = _ber(0x30, _ber(0x06, bytes((0x2B, 6, 1, 2, 1, 1, 1, 0))), _ber(0x05))
    asked = _ber(0xA0, _integer(1), _integer(0), _integer(0), _ber(0x30, descr))
    return _ber(0x30, _integer(1), _ber(0x04, b"public"), asked)


def _ldap() -> bytes:
    """Return a search of the root entry without a connection (RFC 4511 4.5.1, [MS-ADTS] 6.3.3)."""
    scope = (_ber(0x0A, b"\x00"), _ber(0x0A, b"\x00"), _integer(0), _integer(0), _ber(0x01, b"\x00"))
    return _ber(0x30, _integer(1), _ber(0x63, _ber(0x04), *scope, _ber(0x87, b"objectClass"), _ber(0x30)))


QUESTIONS = (
    Question(53, "DNS", _name_question(ROOT, NS, flags=0x0100)),
    Question(69, "TFTP", struct.pack(">H", 1) + b"radiology.hardening\x00octet\x00"),
    Question(111, "rpcbind", struct.pack(">10I", 0x52414449, 0, 2, 100000, 2, 0, 0, 0, 0, 0)),
    Question(123, "NTP", b"\x23" + bytes(47)),
    Question(137, "NetBIOS", _name_question(ANY_NAME, NODE_STATUS)),
    Question(161, "SNMP", _snmp()),
    Question(161, "SNMP", _snmp_with_community()),
    Question(389, "LDAP", _ldap()),
    Question(623, "IPMI", bytes.fromhex("0600ff06 000011be 80000000")),
    Question(1434, "SQL Server Browser", b"\x03"),
    Question(1900, "UPnP", SEARCH.encode()),
    Question(3702, "WS-Discovery", PROBE.encode()),
    Question(5351, "NAT-PMP", bytes(2)),
    Question(5353, "mDNS", _name_question(SERVICES, PTR)),
    Question(11211, "memcached", bytes((0, 1, 0, 0, 0, 1, 0, 0)) + b"version\r\n"),
)
"""RFC 1035, 1350, 5531 (a call of nothing), 5905 (a client), 1002; IPMI 2.0 13.2.3 (presence ping); [MC-SQLR] 2.2.2;
UPnP Device Architecture 1.3.2; WS-Discovery 5.2.2; RFC 6886 3.2; RFC 6762 6.7; memcached's protocol.txt."""


def answered(addresses: Sequence[str], questions: Sequence[Question] = QUESTIONS) -> list[str]:
    """Return what answers at these addresses, as `10.0.0.10:161 SNMP`; nothing where there is no way to one of them.

    Any datagram of that address counts, from whatever port: TFTP answers from another.
    """
    waiting: dict[socket.socket, tuple[str, Question]] = {}
    for address in dict.fromkeys(addresses):
        for question in questions:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            waiting[socket.socket(family, socket.SOCK_DGRAM)] = (address, question)
    found: set[tuple[str, int, str]] = set()
    try:
        for _round in range(ROUNDS):
            for each, (address, question) in waiting.items():
                if (address, question.port, question.service) not in found:
                    _send(each, address, question)
            found |= _heard(waiting)
    finally:
        for each in waiting:
            each.close()
    told = {(question.port, question.service): number for number, question in enumerate(questions)}
    listed = sorted(found, key=lambda one: (list(dict.fromkeys(addresses)).index(one[0]), told[one[1:]]))
    return [f"{Place(address, port)} {service}" for address, port, service in listed]


def _send(through: socket.socket, address: str, question: Question) -> None:
    try:
        through.sendto(question.words, (address, question.port))
    except OSError:  # no way from here, which the scan of TCP ports tells; or refused, which is no answer
        return


def _heard(waiting: dict[socket.socket, tuple[str, Question]]) -> set[tuple[str, int, str]]:
    found: set[tuple[str, int, str]] = set()
    deadline = time.monotonic() + SECONDS
    while (left := deadline - time.monotonic()) > 0:
        for each in select.select(list(waiting), [], [], left)[0]:
            address, question = waiting[each]
            try:
                _words, (by, *_rest) = each.recvfrom(2048)
            except OSError:
                continue
            if by.partition("%")[0] == address:
                found.add((address, question.port, question.service))
    return found
