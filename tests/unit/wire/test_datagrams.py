# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What answers over UDP, against real sockets on loopback; and that each question is what its protocol says."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils.wire import datagrams
from ansible_collections.radiology.hardening.plugins.module_utils.wire.datagrams import QUESTIONS, Question, answered

LOOPBACK = "127.0.0.1"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datagrams, "SECONDS", 0.4)


@contextmanager
def server(address: str = LOOPBACK, *, deaf_to: int = 0, from_elsewhere: bool = False) -> Iterator[int]:
    """Serve on a port of UDP: what is asked after the first `deaf_to` questions is answered, from another port perhaps."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as mine, socket.socket(family, socket.SOCK_DGRAM) as other:
        mine.bind((address, 0))
        mine.settimeout(0.1)
        over = threading.Event()

        def serve() -> None:
            heard = 0
            while not over.is_set():
                try:
                    words, asker = mine.recvfrom(2048)
                except TimeoutError:
                    continue
                heard += 1
                if heard > deaf_to:
                    (other if from_elsewhere else mine).sendto(words[:1], asker)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield mine.getsockname()[1]
        finally:
            over.set()
            thread.join()


def asked(port: int, service: str = "ECHO") -> Question:
    return Question(port, service, b"anybody?")


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((LOOPBACK, 0))
        return int(taken.getsockname()[1])


def test_what_answers_is_told_with_its_service() -> None:
    with server() as port:
        assert answered([LOOPBACK], [asked(free_port()), asked(port)]) == [f"{LOOPBACK}:{port} ECHO"]


def test_silence_and_refusal_are_no_answers() -> None:
    with server(deaf_to=99) as port:
        assert answered([LOOPBACK], [asked(port), asked(free_port())]) == []


def test_a_lost_datagram_is_sent_again() -> None:
    with server(deaf_to=1) as port:
        assert answered([LOOPBACK], [asked(port)]) == [f"{LOOPBACK}:{port} ECHO"]


def test_an_answer_from_another_port_counts_as_tftp_gives_it() -> None:
    with server(from_elsewhere=True) as port:
        assert answered([LOOPBACK], [asked(port)]) == [f"{LOOPBACK}:{port} ECHO"]


def test_ipv6_is_asked_too_and_an_address_without_a_way_is_no_error() -> None:
    with server("::1") as port:
        assert answered(["100::1", "::1"], [asked(port)]) == [f"[::1]:{port} ECHO"]


def test_two_questions_for_one_service_are_told_once_and_in_the_order_of_the_list() -> None:
    with server() as one, server() as two:
        found = answered([LOOPBACK, LOOPBACK], [asked(two, "B"), asked(one, "A"), asked(one, "A")])
    assert found == [f"{LOOPBACK}:{two} B", f"{LOOPBACK}:{one} A"]


def elements(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Read BER elements of short length one after the other; they have to end where their frame does."""
    while body:
        tag, length = body[0], body[1]
        assert length < 128
        assert len(body) >= 2 + length
        yield tag, body[2 : 2 + length]
        body = body[2 + length :]


@pytest.mark.parametrize("question", [each for each in QUESTIONS if each.port in (161, 389)])
def test_what_is_asked_in_asn1_is_well_formed(question: Question) -> None:
    def read(body: bytes) -> None:
        for tag, inner in elements(body):
            if tag & 0x20:
                read(inner)

    ((tag, message),) = elements(question.words)
    assert tag == 0x30
    read(message)


def test_snmp_is_asked_for_its_engine_and_by_the_community_of_makers() -> None:
    engine, community = [list(elements(dict(elements(each.words))[0x30])) for each in QUESTIONS if each.port == 161]
    assert engine[0] == (0x02, b"\x03")
    assert [tag for tag, _body in elements(dict(elements(engine[2][1]))[0x30])] == [0x04, 0x02, 0x02, 0x04, 0x04, 0x04]
    assert community[:2] == [(0x02, b"\x01"), (0x04, b"public")]


def test_names_are_asked_for_once_each() -> None:
    for each in QUESTIONS:
        if each.port in (53, 137, 5353):
            counts = struct.unpack(">6H", each.words[:12])
            assert counts[2:] == (1, 0, 0, 0)
            assert each.words[-2:] == b"\x00\x01"


def test_no_service_is_asked_by_more_than_a_packet() -> None:
    assert max(len(each.words) for each in QUESTIONS) < 1200
    assert len({(each.port, each.words) for each in QUESTIONS}) == len(QUESTIONS)
