# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A capture finds a word wherever it was cut, counts each byte once, and says what it missed."""

from __future__ import annotations

import socket
import struct
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "molecule" / "resources" / "witnesses"))

import capture

CALLER, CALLED = ("10.77.11.40", 40000), ("10.77.11.10", 11104)
SYN, ACK, PUSH = 2, 16, 24


def frame(sequence: int, flags: int, content: bytes = b"", *, padding: int = 0) -> bytes:
    """Return an Ethernet frame of IPv4 and TCP from the caller."""
    segment = struct.pack("!HHIIBBHHH", CALLER[1], CALLED[1], sequence % 2**32, 0, 5 << 4, flags, 0, 0, 0) + content
    ends = socket.inet_aton(CALLER[0]) + socket.inet_aton(CALLED[0])
    packet = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 0, 0, 64, socket.IPPROTO_TCP, 0) + ends + segment
    return bytes(12) + b"\x08\x00" + packet + bytes(padding)


def heard(*frames: bytes) -> tuple[bytes, int]:
    """Return what a talk of these frames reads as, and how many bytes it missed."""
    talk = capture.Talk()
    for each in frames:
        found = capture.segment(each)
        assert found
        talk.hear(found)
    read: tuple[bytes, int] = talk.read()
    return read


@pytest.mark.parametrize("begin", [7, 2**32 - 3], ids=["small", "turns"])
def test_a_text_is_read_in_its_order_each_byte_once(begin: int) -> None:
    first, second = frame(begin + 1, PUSH, b"MAR"), frame(begin + 4, PUSH, b"TIN^")
    again = frame(begin + 3, PUSH, b"RTIN^Paul")
    assert heard(frame(begin, SYN), second, first, second, again) == (b"MARTIN^Paul", 0)


def test_what_was_missed_is_counted() -> None:
    assert heard(frame(7, SYN), frame(8, PUSH, b"MAR"), frame(13, PUSH, b"^Paul")) == (b"MAR^Paul", 2)


def test_a_probe_of_an_idle_connection_is_no_part_of_the_text() -> None:
    assert heard(frame(7, SYN), frame(7, ACK, b"\0"), frame(8, PUSH, b"PETIT")) == (b"PETIT", 0)


def test_padding_of_a_short_frame_is_no_content() -> None:
    assert heard(frame(7, SYN, padding=6), frame(8, ACK, padding=6)) == (b"", 0)


def test_who_called_is_told_by_the_first_segment_alone() -> None:
    talk = capture.Talk()
    talk.hear(capture.segment(frame(7, SYN | ACK)))
    assert not talk.called
    talk.hear(capture.segment(frame(7, SYN)))
    assert talk.called


def test_a_frame_that_is_no_tcp_is_told_apart() -> None:
    assert capture.segment(frame(7, SYN).replace(b"\x40\x06", b"\x40\x11")) is None


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        (b"\x16\x03\x01\x02\x00", "tls"),
        (b"\x01\x00\x00\x00\x00\xcd\x00\x01" + bytes(66) + b"\x10\x00\x00\x151.2.840.10008.3.1.1.1", "dicom"),
        (b"\x01\x00\x00\x00\x00\xcd\x00\x01", "other"),
        (b"SSH-2.0-OpenSSH_9.2", "ssh"),
        (b"GET / HTTP/1.1", "other"),
        (b"", "silent"),
    ],
)
def test_what_a_caller_speaks(text: bytes, spoken: str) -> None:
    assert capture.spoken(text) == spoken
