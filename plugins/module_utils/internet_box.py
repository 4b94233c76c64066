# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ask the internet boxes of a network which ports they open to machines inside, as an attacker's tools do.

Questions go to the gateways and, where it is wished, to whoever hears multicast; no packet lives longer than one hop.
A box that is silent costs SILENCE seconds, one that begins to talk at most TALK seconds more.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import ipaddress
import select
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from ansible_collections.radiology.hardening.plugins.module_utils import internet_box_words as words
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host

SILENCE = 1.0
"""Seconds until whoever has not answered by UDP counts as silent."""
TALK = 2.0
"""Seconds for the description and the whole list of mappings of one box."""
AGAIN = 0.3
"""Seconds after which a question by UDP is put once more: a packet may be lost."""
LARGEST = 200_000
"""Bytes of one answer."""
MOST = 500
"""Mappings of one box; it has as many as the network makes it take."""
NO_SUCH_ENTRY = (713, 714)
"""SpecifiedArrayIndexInvalid and NoSuchEntryInArray: the end of the list."""
NO_ARP = 0x80
"""IFF_NOARP of an interface's flags: a tunnel, in which no neighbour has a hardware address (netdevice(7))."""

BLOCKED = "this host's own rules drop the question"


class Box(NamedTuple):
    """What one box tells."""

    opens: list[str]
    """Ways by which any machine inside may have it open a port."""
    unread: list[str]
    """What it does not tell, though it says that it opens ports."""
    mappings: list[words.PortMapping]
    services: list[words.Service]


class Unread(Exception):  # noqa: N818 # it is no error of ours
    """Why a box could not be read to the end."""


def gateways(host: Host) -> list[str]:
    """Return the IPv4 addresses that default routes lead to."""
    found = [row[2] for row in _routes(host) if int(row[1], 16) == 0 and int(row[7], 16) == 0 and int(row[2], 16)]
    return list(dict.fromkeys(_dotted(each) for each in found))


def neighbours(host: Host, *, by_arp: bool = False) -> list[ipaddress.IPv4Network]:
    """Return the networks that this machine is on; `by_arp`: those alone in which hosts answer ARP, so of no tunnel."""
    on_link = [row for row in _routes(host) if int(row[2], 16) == 0 and int(row[7], 16)]
    if by_arp:
        flags = {row[0]: host.text(f"/sys/class/net/{row[0]}/flags") or "0" for row in on_link}
        on_link = [row for row in on_link if not int(flags[row[0]], 16) & NO_ARP]
    return [ipaddress.IPv4Network((_dotted(row[1]), _dotted(row[7])), strict=False) for row in on_link]


def ask(host: Host, *, everybody: bool = False, ports: tuple[int, int] = (words.SSDP_PORT, words.PMP_PORT)) -> Box:
    """Return what the boxes of this machine's networks tell, of all of them together.

    `everybody` asks by multicast too, which the firewall of a hardened host does not let in again.
    """
    asked = gateways(host)
    near = neighbours(host)
    told = Box([], [], [], [])
    found: dict[str, str] = {}

    def hear_ssdp(answer: bytes, sender: str) -> None:
        url = words.location(answer, sender)
        if url and (sender in asked or any(ipaddress.IPv4Address(sender) in each for each in near)):
            found.setdefault(sender, url)

    def hear_pmp(answer: bytes, sender: str) -> None:
        if words.takes_pmp(answer):
            told.opens.append(f"NAT-PMP at {sender}")

    def hear_pcp(answer: bytes, sender: str) -> None:
        if words.takes_pcp(answer):
            told.opens.append(f"PCP at {sender}")

    with contextlib.ExitStack() as open_sockets:
        questions = []
        for gateway in asked:
            with contextlib.suppress(_Unreachable):
                for port, packet, hear in (
                    (ports[0], words.SEARCH, hear_ssdp),
                    (ports[1], words.EXTERNAL_ADDRESS, hear_pmp),
                    (ports[1], b"", hear_pcp),
                ):
                    questions.append(_Question(open_sockets, (gateway, port), packet, hear))
        if everybody:
            with contextlib.suppress(_Unreachable):
                questions.append(_Question(open_sockets, (words.MULTICAST, ports[0]), words.SEARCH, hear_ssdp))
        _listen(questions)
    told.unread.extend(
        f"The box at {address} cannot be asked: {BLOCKED}."
        for address in dict.fromkeys(each.place[0] for each in questions if each.is_blocked)
    )
    for url in found.values():
        _read(url, told)
    return told


def leading_to(box: Box, addresses: Iterable[str]) -> list[words.PortMapping]:
    """Return the mappings that lead to one of these addresses."""
    wanted = set(addresses)
    return [mapping for mapping in box.mappings if mapping.target in wanted]


def facts(box: Box, addresses: Iterable[str]) -> dict[str, list[str]]:
    """Return what a box is judged by, of the mappings those that lead to one of these addresses."""
    return {
        "mappings": [str(mapping) for mapping in leading_to(box, addresses)],
        "opens_ports": sorted(box.opens),
        "unread": box.unread,
    }


def drop(box: Box, unwanted: Iterable[words.PortMapping]) -> None:
    """Ask the box to close ports; what it refuses stays, and shows when it is asked again (2.4.17)."""
    deadline = time.monotonic() + TALK
    for mapping in unwanted:
        for service in box.services:
            given = {"NewRemoteHost": mapping.remote, "NewExternalPort": mapping.port, "NewProtocol": mapping.protocol}
            with contextlib.suppress(Unread):
                _call(service, "DeletePortMapping", given, deadline)


def marked(kind: socket.SocketKind) -> socket.socket:
    """Return an IPv4 socket whose packets carry words.MARK, where this process may set it, and die at the first router.

    Multicast lives for one hop by itself (ip(7), IP_MULTICAST_TTL).
    """
    made = socket.socket(socket.AF_INET, kind)
    with contextlib.suppress(PermissionError):
        made.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, words.MARK)
    made.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 1)
    return made


class _Unreachable(Exception):  # noqa: N818
    """There is no way to this address."""


class _Question:
    """A packet to one place, put twice, and what hears the answer; to a multicast group many may answer."""

    def __init__(
        self,
        opened: contextlib.ExitStack,
        place: tuple[str, int],
        packet: bytes,
        hear: Callable[[bytes, str], None],
    ) -> None:
        self.place, self.hear = place, hear
        self.is_done = self.is_blocked = False
        self.socket = opened.enter_context(marked(socket.SOCK_DGRAM))
        self.socket.setblocking(False)
        self.is_for_many = ipaddress.IPv4Address(place[0]).is_multicast
        try:
            if not self.is_for_many:
                self.socket.connect(place)
        except OSError as error:
            raise _Unreachable from error
        self.packet = packet or words.announce(self.socket.getsockname()[0])

    def put(self) -> None:
        """Send; whoever refuses, or whose machine says that nothing listens, is done."""
        try:
            self.socket.sendto(self.packet, self.place) if self.is_for_many else self.socket.send(self.packet)
        except PermissionError:
            self.is_done = self.is_blocked = True
        except OSError:
            self.is_done = True

    def take(self) -> None:
        """Hear one answer."""
        try:
            answer, sender = self.socket.recvfrom(4096)
        except BlockingIOError:
            return
        except OSError:
            self.is_done = True
            return
        self.hear(answer, sender[0])
        self.is_done = not self.is_for_many


def _listen(questions: Sequence[_Question]) -> None:
    began = time.monotonic()
    for question in questions:
        question.put()
    again = list(questions)
    while (waiting := [each for each in questions if not each.is_done]) and time.monotonic() < began + SILENCE:
        if again and time.monotonic() > began + AGAIN:
            for question in again:
                if not question.is_done:
                    question.put()
            again = []
        until = began + (AGAIN if again else SILENCE) - time.monotonic()
        ready, _writable, _failed = select.select([each.socket for each in waiting], [], [], max(until, 0.01))
        for question in waiting:
            if question.socket in ready:
                question.take()


def _read(url: str, told: Box) -> None:
    """Add the services that a description names, and their mappings."""
    deadline = time.monotonic() + TALK
    try:
        parts = url.partition("//")[2].partition("/")[0].partition(":")
        description = _exchange(parts[0], int(parts[2] or 80), words.look_up(url), deadline)
        listed = words.services(description, url)
        if not listed:
            raise Unread("its description names no service that opens ports, or cannot be read")
        told.services.extend(listed)
        for service in listed:
            told.opens.append(f"UPnP at {service.address}:{service.port}{_outside(service, deadline)}")
            _walk(service, told, deadline)
    except Unread as why:
        told.unread.append(f"The box at {url} does not tell its port mappings: {why}.")


def _outside(service: words.Service, deadline: float) -> str:
    answer = _call(service, "GetExternalIPAddress", {}, deadline)
    addresses = words.elements(answer, "GetExternalIPAddressResponse")
    with contextlib.suppress(ValueError, IndexError, KeyError):
        return f", outside {ipaddress.ip_address(addresses[0]['NewExternalIPAddress'])}"
    return ""


def _walk(service: words.Service, told: Box, deadline: float) -> None:
    for number in range(MOST):
        answer = _call(service, "GetGenericPortMappingEntry", {"NewPortMappingIndex": number}, deadline)
        mapping = words.port_mapping(answer)
        if mapping is None:
            if words.fault(answer) not in NO_SUCH_ENTRY:
                raise Unread(f"it answers number {number} with error {words.fault(answer) or 'none that can be read'}")
            return
        told.mappings.append(mapping)
    raise Unread(f"it has more than {MOST}")


def _call(service: words.Service, action: str, given: dict[str, object], deadline: float) -> bytes:
    return _exchange(service.address, service.port, words.order(service, action, given), deadline)


def _exchange(address: str, port: int, question: bytes, deadline: float) -> bytes:
    """Return the body of the answer to a whole HTTP request, of any status, no redirect followed."""
    received = bytearray()
    try:
        with marked(socket.SOCK_STREAM) as connection:
            connection.settimeout(_left(deadline))
            connection.connect((address, port))
            connection.sendall(question)
            while len(received) <= LARGEST and (more := connection.recv(65536)):
                received += more
                connection.settimeout(_left(deadline))
    except TimeoutError as error:
        raise Unread(f"it has not answered within {TALK:g} s") from error
    except OSError as error:
        if not received:
            raise Unread(f"it takes no connection ({error.strerror or error})") from error
    if len(received) > LARGEST:
        raise Unread(f"an answer is longer than {LARGEST} bytes")
    return body(bytes(received))


def body(received: bytes) -> bytes:
    """Return the body of an HTTP answer; nothing where it is no such answer."""

    class Received:
        def makefile(self, *dummy: object) -> io.BytesIO:
            return io.BytesIO(received)

    try:
        answer = http.client.HTTPResponse(Received())  # type: ignore[arg-type]
        answer.begin()
        return answer.read()
    except (http.client.HTTPException, ValueError, OSError):
        return b""


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _routes(host: Host) -> list[list[str]]:
    """Return the rows of the kernel's IPv4 routes that are up: interface, destination, gateway, flags, ..., mask."""
    rows = [line.split() for line in (host.text("/proc/net/route") or "").splitlines()[1:]]
    return [row for row in rows if len(row) > 7 and int(row[3], 16) & 1]


def _dotted(word: str) -> str:
    return str(ipaddress.IPv4Address(int.from_bytes(bytes.fromhex(word), "little")))
