# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What ICMP said of a connection that did not come about: that nothing is there, or that somebody forbids it.

Linux gives a caller `No route to host` for both (icmp_err_convert), and ICMP's own words in the socket's error queue:
IP_RECVERR and IPV6_RECVERR, ip(7); of a TCP connection that is being opened since Linux 5.8.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Collection, Iterable

QUEUES = {socket.AF_INET: (socket.IPPROTO_IP, 11), socket.AF_INET6: (socket.IPPROTO_IPV6, 25)}
"""Family -> level and option (linux/in.h, linux/in6.h), for which socket(3) of Python 3.11 has no names."""
QUEUED = getattr(socket, "MSG_ERRQUEUE", 0)
"""None but Linux has it: elsewhere nothing more is known than what connect(2) says."""
ERROR = struct.Struct("=IBBBBII")
"""sock_extended_err: errno, origin, type, code, padding, two numbers; the sender's socket address follows."""
SENDER = {2: slice(4, 8), 3: slice(8, 24)}
"""Origin (2 ICMP, 3 ICMPv6) -> where the sender's address stands in its sockaddr_in or sockaddr_in6."""
FORBIDDEN = {(2, 3): (9, 10, 13), (3, 1): (1, 5, 6)}
"""Origin and type `destination unreachable` -> codes of who forbids it (RFC 792, RFC 1812 5.2.7.1, RFC 4443 3.1)."""
LARGEST = 512

Message = tuple[int, int, bytes]
"""Level, type and data, as recvmsg gives them."""


def ask(connection: socket.socket) -> None:
    """Have the kernel keep ICMP's words for this socket, before it connects."""
    if QUEUED and connection.family in QUEUES:
        connection.setsockopt(*QUEUES[connection.family], 1)


def heard(connection: socket.socket) -> list[Message]:
    """Return what was kept; nothing where ICMP said nothing."""
    connection.settimeout(0)
    try:
        return connection.recvmsg(LARGEST, LARGEST, QUEUED)[1] if QUEUED else []
    except OSError:  # an empty queue
        return []


def tells_of_it(messages: Iterable[Message], target: str, own: Collection[str] = ()) -> bool:
    """Tell whether the target itself answered, or somebody forbids to call it, which this machine (`own`) may not be.

    Who forbids a call may be a firewall on the way, for a target that is off: it hides whether it is, so nobody may
    take the answer for its absence.
    """
    called = ipaddress.ip_address(target.partition("%")[0])
    return any(_tells(message, called, own) for message in messages)


def _tells(message: Message, target: ipaddress.IPv4Address | ipaddress.IPv6Address, own: Collection[str]) -> bool:
    level, kind, data = message
    if (level, kind) not in QUEUES.values() or len(data) < ERROR.size:
        return False
    _errno, origin, about, code, *_rest = ERROR.unpack_from(data)
    packed = data[ERROR.size :][SENDER.get(origin, slice(0))]
    if len(packed) not in (4, 16):
        return False  # the kernel's own word, which no packet brought
    sender = ipaddress.ip_address(packed)
    return sender == target or (code in FORBIDDEN.get((origin, about), ()) and str(sender) not in own)
