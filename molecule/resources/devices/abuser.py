# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Be a device that does harm over DICOM: by associations that it leaves idle, and by PDUs that are malformed.

    abuser.py idle --connections N --seconds N ...   hold associations that say nothing, print how many were accepted
    abuser.py silent --connections N --seconds N ... hold connections that begin no handshake, print how many it has
    abuser.py linger --seconds N ...                 ask for echoes in one association for as long as they are answered
    abuser.py echo ...                               ask for an echo like any other device, print the seconds it took
    abuser.py malformed --seed N [--kinds N] ...     send kinds of PDUs that the standard forbids, each in a connection
                                                     of its own, print how many, and how many had no connection

The standard library alone, so that it runs on a server as well. A kind is a place in a message and what is wrong there;
the seed makes the random ones, and chooses where --kinds asks for fewer than all.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import resource
import select
import socket
import ssl
import struct
import sys
import time
from collections.abc import Iterator

VERIFICATION = b"1.2.840.10008.1.1"
STORAGE = b"1.2.840.10008.5.1.4.1.1.2"
IMPLICIT = b"1.2.840.10008.1.2"
LENGTHS = (0, 1, 2, 255, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
RANDOM = 60
PATIENCE = 0.15
"""Seconds to wait for an answer to what is malformed."""


def item(kind: int, content: bytes, length: int | None = None) -> bytes:
    """Return an item of an A-ASSOCIATE-RQ (PS3.8 section 9.3.2), with a wrong length where one is given."""
    return struct.pack(">BBH", kind, 0, (len(content) if length is None else length) & 0xFFFF) + content


def pdu(kind: int, content: bytes, length: int | None = None) -> bytes:
    """Return a PDU (PS3.8 section 9.3.1), with a wrong length where one is given."""
    return struct.pack(">BBI", kind, 0, len(content) if length is None else length) + content


def context(number: int, syntax: bytes, *transfers: bytes) -> bytes:
    """Return a presentation context."""
    body = bytes((number & 0xFF, 0, 0, 0)) + item(0x30, syntax)
    return item(0x20, body + b"".join(item(0x40, each) for each in transfers))


def associate(titles: tuple[bytes, bytes], *items: bytes, version: int = 1) -> bytes:
    """Return the content of an A-ASSOCIATE-RQ; `titles` are called and calling, 16 bytes each."""
    return struct.pack(">HH", version, 0) + titles[0] + titles[1] + bytes(32) + b"".join(items)


def user(*more: bytes, largest: int = 16384) -> bytes:
    """Return the user information."""
    own = item(0x51, struct.pack(">I", largest)) + item(0x52, b"1.2.3.4") + item(0x55, b"ABUSER")
    return item(0x50, own + b"".join(more))


def element(tag: tuple[int, int], value: bytes, length: int | None = None) -> bytes:
    """Return an element in Implicit VR Little Endian."""
    return struct.pack("<HHI", *tag, len(value) if length is None else length) + value


SUCCESS = element((0, 0x900), b"\0\0")
"""The end of a response that says that all went well."""


def command(*elements: bytes, size: int | None = None) -> bytes:
    """Return a command set with its group length."""
    body = b"".join(elements)
    return element((0, 0), struct.pack("<I", len(body) if size is None else size)) + body


def value(number: int, content: bytes, control: int, length: int | None = None) -> bytes:
    """Return a presentation data value."""
    return struct.pack(">IBB", len(content) + 2 if length is None else length, number, control) + content


def request(kind: int, syntax: bytes, *more: bytes) -> tuple[bytes, ...]:
    """Return the elements of a request: C-ECHO 0x30, C-STORE 0x01, C-FIND 0x20."""
    with_data = b"\x01\x01" if kind == 0x30 else b"\x00\x00"
    named = (element((0, 2), syntax + b"\0" * (len(syntax) % 2)), element((0, 0x100), struct.pack("<H", kind)))
    return (*named, element((0, 0x110), b"\x01\x00"), *more, element((0, 0x800), with_data))


class Kinds:
    """Every kind, by name: what is sent before an association is asked for, and what in one."""

    def __init__(self, called: str, calling: str, seed: int) -> None:
        """Take the AE titles, padded, and the seed."""
        self.titles = (called.encode().ljust(16), calling.encode().ljust(16))
        self.random = random.Random(seed)
        both = (context(1, VERIFICATION, IMPLICIT), context(3, STORAGE, IMPLICIT))
        self.valid = associate(self.titles, item(0x10, b"1.2.840.10008.3.1.1.1"), *both, user())

    def before(self) -> Iterator[tuple[str, bytes]]:
        """Yield what is wrong in the first PDU."""
        name, whole = item(0x10, b"1.2.840.10008.3.1.1.1"), pdu(1, self.valid)
        for kind in range(256):
            if kind != 1:
                yield f"first PDU of type {kind:02X}", pdu(kind, b"\0" * 4)
        for length in LENGTHS:
            yield f"A-ASSOCIATE-RQ of length {length}", pdu(1, self.valid, length)
            yield (
                f"application context of length {length}",
                pdu(1, associate(self.titles, item(0x10, b"1.2", length), user())),
            )
            yield (
                f"user information of length {length}",
                pdu(1, associate(self.titles, name, item(0x50, b"\x51\0", length))),
            )
            yield (
                f"presentation context of length {length}",
                pdu(1, associate(self.titles, name, item(0x20, b"\x01\0\0\0", length), user())),
            )
            yield (
                f"largest PDU of {length}",
                pdu(1, associate(self.titles, name, context(1, VERIFICATION, IMPLICIT), user(largest=length))),
            )
        for end in (*range(12), *range(12, len(whole), 7)):
            yield f"A-ASSOCIATE-RQ cut at {end}", whole[:end]
        for kind in range(0, 256, 4):
            yield f"item of type {kind:02X}", pdu(1, associate(self.titles, name, item(kind, b"\0" * 8), user()))
        for content in (
            b"\0" * 16,
            b"\xff" * 16,
            b"%n%s%n%s%n%s%n%s",
            b"\x1b[2J" * 4,
            b" " * 16,
            b"\\" * 16,
            b"../" * 5 + b"x",
        ):
            yield f"called AE title {content!r}", pdu(1, associate((content, self.titles[1]), name, user()))
            yield f"calling AE title {content!r}", pdu(1, associate((self.titles[0], content), name, user()))
        for version in (0, 2, 0x8000, 0xFFFF):
            yield f"protocol version {version}", pdu(1, associate(self.titles, name, user(), version=version))
        for number in (128, 129, 255, 1000):
            many = b"".join(context(2 * each + 1, VERIFICATION, IMPLICIT) for each in range(number))
            yield f"{number} presentation contexts", pdu(1, associate(self.titles, name, many, user()))
        for number in (0, 2, 254):
            yield (
                f"presentation context {number}",
                pdu(1, associate(self.titles, name, context(number, VERIFICATION, IMPLICIT), user())),
            )
        for size in (0, 65, 4096, 60000):
            yield (
                f"abstract syntax of {size} bytes",
                pdu(1, associate(self.titles, name, context(1, b"1" * size, IMPLICIT), user())),
            )
            yield (
                f"transfer syntax of {size} bytes",
                pdu(1, associate(self.titles, name, context(1, VERIFICATION, b"1" * size), user())),
            )
        yield "no transfer syntax", pdu(1, associate(self.titles, name, context(1, VERIFICATION), user()))
        yield (
            "1000 transfer syntaxes",
            pdu(1, associate(self.titles, name, context(1, VERIFICATION, *[IMPLICIT] * 1000), user())),
        )
        yield "no item at all", pdu(1, associate(self.titles))
        for kind in (0x53, 0x54, 0x56, 0x57, 0x58, 0x59):
            for content in (b"", b"\xff" * 2, b"\xff" * 64):
                more = item(kind, content)
                yield (
                    f"user item {kind:02X} of {content[:2]!r} {len(content)}",
                    pdu(1, associate(self.titles, name, user(more))),
                )
        for number in range(RANDOM):
            yield f"random bytes {number}", self.random.randbytes(self.random.choice((1, 6, 74, 500, 20000)))
        for number in range(RANDOM):
            spoilt = bytearray(whole)
            for _each in range(self.random.choice((1, 2, 8))):
                spoilt[self.random.randrange(len(spoilt))] = self.random.randrange(256)
            yield f"A-ASSOCIATE-RQ spoilt {number}", bytes(spoilt)

    def within(self) -> Iterator[tuple[str, bytes]]:
        """Yield what is wrong in an association that was accepted."""
        echo = command(*request(0x30, VERIFICATION))
        store = command(*request(0x01, STORAGE, element((0, 0x1000), b"1.2.3.4\0"), element((0, 0x700), b"\0\0")))
        yield "A-ASSOCIATE-RQ again", pdu(1, self.valid)
        for kind in (0, 2, 3, 8, 9, 0x44, 0xFF):
            yield f"PDU of type {kind:02X} within", pdu(kind, b"\0" * 4)
        for length in LENGTHS:
            yield f"P-DATA of length {length}", pdu(4, value(1, echo, 3), length)
            yield f"value of length {length}", pdu(4, value(1, echo, 3, length))
            yield f"group length {length}", pdu(4, value(1, command(*request(0x30, VERIFICATION), size=length), 3))
            yield f"element of length {length}", pdu(4, value(1, command(element((0, 2), b"1.2", length)), 3))
            yield (
                f"data set element of length {length}",
                pdu(4, value(3, store, 3)) + pdu(4, value(3, element((0x10, 0x10), b"x", length), 2)),
            )
            yield f"A-RELEASE-RQ of length {length}", pdu(5, b"\0" * 4, length)
        for control in (*range(8), 0x10, 0x80, 0xFF):
            yield f"control header {control:02X}", pdu(4, value(1, echo, control))
        for number in (0, 2, 5, 255):
            yield f"value of context {number}", pdu(4, value(number, echo, 3))
        for kind in (0, 0x02, 0x10, 0x21, 0x100, 0x8001, 0x8030, 0xFFF, 0xFFFF):
            yield f"command {kind:04X}", pdu(4, value(1, command(*request(kind, VERIFICATION)), 3))
        for end in range(0, len(echo), 5):
            yield f"command cut at {end}", pdu(4, value(1, echo[:end], 3))
        for depth in (10, 1000, 3000):
            nested = b"".join(
                struct.pack("<HHIHHI", 8, 0x1115, 0xFFFFFFFF, 0xFFFE, 0xE000, 0xFFFFFFFF) for _each in range(depth)
            )
            parts = [nested[at : at + 8000] for at in range(0, len(nested), 8000)]
            sent = b"".join(pdu(4, value(3, part, 2 if part is parts[-1] else 0)) for part in parts)
            yield f"sequences {depth} deep", pdu(4, value(3, store, 3)) + sent
        yield "value above the largest PDU", pdu(4, value(3, store, 3)) + pdu(4, value(3, b"\0" * 300000, 2))
        yield "command of a megabyte", b"".join(pdu(4, value(1, b"\0" * 16000, 1)) for _each in range(64))
        yield "empty values", b"".join(pdu(4, value(1, b"", 1)) for _each in range(500))
        yield "empty P-DATA", pdu(4, b"") * 100
        yield "data set without command", pdu(4, value(3, element((0x10, 0x10), b"x"), 2))
        yield "command after command", pdu(4, value(3, store, 3)) * 50
        yield "data after release", pdu(5, b"\0" * 4) + pdu(4, value(1, echo, 3))
        for number in range(RANDOM):
            yield (
                f"random values {number}",
                pdu(4, value(1, self.random.randbytes(self.random.choice((2, 100, 9000))), 3)),
            )
            spoilt = bytearray(pdu(4, value(1, echo, 3)))
            for _each in range(self.random.choice((1, 2, 8))):
                spoilt[self.random.randrange(len(spoilt))] = self.random.randrange(256)
            yield f"C-ECHO-RQ spoilt {number}", bytes(spoilt)

    def chosen(self, most: int) -> list[tuple[str, bytes, bool]]:
        """Return name, bytes and whether they come within an association; `most` of them, all of them for 0."""
        found = [(name, sent, False) for name, sent in self.before()] + [
            (name, sent, True) for name, sent in self.within()
        ]
        if len({name for name, _sent, _within in found}) != len(found):
            sys.exit("two kinds have one name")
        return self.random.sample(found, most) if 0 < most < len(found) else found


def received(connection: socket.socket) -> bytes:
    """Return the next PDU whole, in however many pieces it comes, or what came of it before the connection ended."""
    answer, due = b"", 6
    while len(answer) < due and (piece := connection.recv(due - len(answer))):
        answer += piece
        if len(answer) >= 6:
            due = 6 + int.from_bytes(answer[2:6], "big")
    return answer


class Line:
    """The way to the server."""

    def __init__(self, given: argparse.Namespace) -> None:
        """Take the command line."""
        self.given = given
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.tls.check_hostname = False
        self.tls.load_cert_chain(f"{given.pair}.crt", f"{given.pair}.key")
        self.tls.load_verify_locations(given.authority)

    def connect(self, number: int = 0) -> ssl.SSLSocket:
        """Return a connection over TLS, to the server's addresses by turns."""
        source = (self.given.source, 0) if self.given.source else None
        server = self.given.server[number % len(self.given.server)]
        raw = socket.create_connection((server, self.given.port), timeout=10, source_address=source)
        return self.tls.wrap_socket(raw)

    def associated(self, valid: bytes, number: int = 0) -> ssl.SSLSocket:
        """Return a connection in which an association was accepted; OSError where it was not."""
        line = self.connect(number)
        line.sendall(pdu(1, valid))
        answer = received(line)
        if answer[:1] != b"\x02":
            line.close()
            raise OSError(f"no association: {answer!r}")
        return line


def idle(line: Line, kinds: Kinds) -> str:
    """Hold as many associations as the server takes."""
    held = []
    for number in range(line.given.connections):
        with contextlib.suppress(OSError):
            held.append(line.associated(kinds.valid, number))
    print(f"{len(held)} held", flush=True)
    time.sleep(line.given.seconds)
    return f"{len(held)} held of {line.given.connections}"


def silent(line: Line, kinds: Kinds) -> str:
    """Hold as many connections as the server's kernel takes within two seconds, and say nothing in any."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (line.given.connections + 64,) * 2)
    waiting = select.poll()
    called = {}
    for number in range(line.given.connections):
        connection = socket.socket(socket.AF_INET6 if ":" in line.given.server[0] else socket.AF_INET)
        connection.setblocking(False)
        connection.connect_ex((line.given.server[number % len(line.given.server)], line.given.port))
        called[connection.fileno()] = connection
        waiting.register(connection, select.POLLOUT)
    held: set[int] = set()
    until = time.monotonic() + 2
    while (left := until - time.monotonic()) > 0:
        for number, _event in waiting.poll(left * 1000):
            waiting.unregister(number)
            if called[number].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                held.add(number)
    print(f"{len(held)} held", flush=True)
    time.sleep(line.given.seconds)
    return f"{len(held)} held of {line.given.connections}"


def echoed(connection: ssl.SSLSocket) -> bytes:
    """Ask for an echo in an association and return the answer."""
    connection.sendall(pdu(4, value(1, command(*request(0x30, VERIFICATION)), 3)))
    return received(connection)


def echo(line: Line, kinds: Kinds) -> str:
    """Ask for an echo, from the connection to the answer's status."""
    began = time.monotonic()
    with line.associated(kinds.valid) as connection:
        answer = echoed(connection)
        took = time.monotonic() - began
        connection.sendall(pdu(5, b"\0" * 4))
    if not answer.endswith(SUCCESS):
        sys.exit(f"no echo: {answer!r}")
    return f"{took:.2f}"


def linger(line: Line, kinds: Kinds) -> str:
    """Ask for an echo twice a second in one association, until ten seconds pass without an answer."""
    until, answered = time.monotonic() + line.given.seconds, 0
    connection = line.associated(kinds.valid)
    with contextlib.suppress(OSError):
        while time.monotonic() < until and echoed(connection).endswith(SUCCESS):
            answered += 1
            time.sleep(0.5)
    return f"{'answered to the end' if time.monotonic() >= until else 'cut off'} after {answered} echoes"


def malformed(line: Line, kinds: Kinds) -> str:
    """Send every kind, and go on whatever the server does."""
    refused = 0
    chosen = kinds.chosen(line.given.kinds)
    for name, sent, within in chosen:
        try:
            connection = line.associated(kinds.valid) if within else line.connect()
        except OSError as error:
            refused += 1
            print(f"{name}: {error}", file=sys.stderr)
            continue
        with contextlib.suppress(OSError), connection:
            connection.settimeout(PATIENCE)
            connection.sendall(sent)
            while connection.recv(65536):
                pass
    return f"{len(chosen)} kinds sent, {refused} without a connection"


VERBS = {"idle": idle, "silent": silent, "linger": linger, "echo": echo, "malformed": malformed}


def main() -> None:
    """Read the command line and obey."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=list(VERBS))
    parser.add_argument("--server", required=True, action="append")
    parser.add_argument("--port", type=int, default=2762)
    parser.add_argument("--source", default="")
    parser.add_argument("--aet", required=True)
    parser.add_argument("--called", required=True)
    parser.add_argument("--pair", default="/etc/dicom-device/device")
    parser.add_argument("--authority", default="/etc/dicom-device/ca.crt")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", type=int, default=0)
    parser.add_argument("--connections", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=5)
    given = parser.parse_args()
    kinds = Kinds(given.called, given.aet, given.seed)
    print(VERBS[given.verb](Line(given), kinds))


if __name__ == "__main__":
    main()
