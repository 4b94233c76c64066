# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Take down what crosses networks, loopback left out, and tell who spoke what to whom, and which words that holds.

Usage: capture.py [--on INTERFACE,...] FOLDER WORD ...; makes the file `listening` in the folder when it listens, and
ends when `stop` is there. Prints as JSON:

    bytes   how many bytes TCP carried, each counted once, however often it was sent or seen
    holes   how many of them were missed, so that a word may have been too
    words   how often each word occurs, each direction of each connection read as one text, other frames one by one
    links   `CALLER CALLED:PORT` to what was spoken there (tls, dicom, ssh, other; silent; midway, where the connection
            was there before) and the words that it held. Nothing of TLS is undone: dicom is DICOM in clear (PS3.8).
"""

from __future__ import annotations

import argparse
import collections
import ipaddress
import json
import socket
import struct
from pathlib import Path
from typing import NamedTuple

ALL = 3
"""ETH_P_ALL."""
FORCED = 33
"""SO_RCVBUFFORCE: a buffer beyond the limit for everybody, which root may ask for."""
SYN, ACK = 2, 16
TURN = 2**32
"""Sequence numbers begin anew after so many bytes."""
APPLICATION = b"1.2.840.10008.3.1.1.1"
"""DICOM's application context, with which every association begins (PS3.7 A.2.1)."""


class Segment(NamedTuple):
    """What a frame of TCP tells."""

    ends: tuple[bytes, int, bytes, int]
    sequence: int
    flags: int
    content: bytes


def segment(frame: bytes) -> Segment | None:
    """Return what a frame of TCP tells; None for another."""
    kind = struct.unpack("!H", frame[12:14])[0]
    if kind == 0x0800 and frame[23] == socket.IPPROTO_TCP:
        start, source, target = 14 + (frame[14] & 15) * 4, frame[26:30], frame[30:34]
        end = 14 + struct.unpack("!H", frame[16:18])[0]
    elif kind == 0x86DD and frame[20] == socket.IPPROTO_TCP:
        start, source, target = 54, frame[22:38], frame[38:54]
        end = 54 + struct.unpack("!H", frame[18:20])[0]
    else:
        return None
    sport, dport, sequence, _acknowledged, offset, flags = struct.unpack("!HHIIBB", frame[start : start + 14])
    content = frame[start + (offset >> 4) * 4 : max(end, start)]
    return Segment((source, sport, target, dport), sequence, flags, content)


class Talk:
    """One direction of one connection."""

    def __init__(self) -> None:
        """Begin with nothing heard."""
        self.begins: int | None = None
        self.pieces: dict[int, bytes] = {}
        self.called = False

    def hear(self, heard: Segment) -> None:
        """Keep what a segment carries, by its place in the talk."""
        if heard.flags & SYN:
            self.begins = (heard.sequence + 1) % TURN
            self.called = self.called or not heard.flags & ACK
        elif heard.content:
            self.begins = heard.sequence if self.begins is None else self.begins
            place = (heard.sequence - self.begins) % TURN
            if len(heard.content) > len(self.pieces.get(place, b"")):
                self.pieces[place] = heard.content

    def read(self) -> tuple[bytes, int]:
        """Return the talk as one text, and how many of its bytes were missed; what came before it began is left out."""
        text, position, holes = bytearray(), 0, 0
        for place, content in sorted(self.pieces.items()):
            if place >= TURN // 2:
                continue
            holes += max(0, place - position)
            position = max(place, position)
            text += content[position - place :]
            position = max(position, place + len(content))
        return bytes(text), holes


def spoken(text: bytes) -> str:
    """Return in a word what a caller speaks, by how it begins."""
    if text[:1] == b"\x16" and text[1:2] == b"\x03":
        return "tls"
    if text[:2] == b"\x01\x00" and APPLICATION in text[:300]:
        return "dicom"
    return "ssh" if text.startswith(b"SSH-") else "other" if text else "silent"


def listen(folder: Path, interfaces: set[str]) -> tuple[dict[tuple[bytes, int, bytes, int], Talk], list[bytes]]:
    """Listen until told to stop; return what TCP carried, and the other frames."""
    talks: dict[tuple[bytes, int, bytes, int], Talk] = collections.defaultdict(Talk)
    others = []
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL)) as tap:
        tap.setsockopt(socket.SOL_SOCKET, FORCED, 64 << 20)
        tap.settimeout(0.2)
        folder.joinpath("listening").touch()
        while not folder.joinpath("stop").exists():
            try:
                frame, place = tap.recvfrom(1 << 17)
            except TimeoutError:
                continue
            if place[0] == "lo" or (interfaces and place[0] not in interfaces):
                continue
            heard = segment(frame) if len(frame) > 54 else None
            if heard:
                talks[heard.ends].hear(heard)
            else:
                others.append(frame)
    return talks, others


def main() -> None:
    """Listen, then tell."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--on", default="")
    parser.add_argument("folder", type=Path)
    parser.add_argument("words", nargs="*")
    given = parser.parse_args()
    talks, others = listen(given.folder, set(filter(None, given.on.split(","))))
    read = {ends: talk.read() for ends, talk in talks.items()}
    texts = [text for text, _holes in read.values()] + others
    links: dict[str, tuple[set[str], set[str]]] = collections.defaultdict(lambda: (set(), set()))
    for (source, sport, target, dport), talk in talks.items():
        answer = (target, dport, source, sport)
        if answer in talks and talks[answer].called:
            continue
        both = [read[ends][0] for ends in ((source, sport, target, dport), answer) if ends in read]
        speaks, words = links[f"{ipaddress.ip_address(source)} {ipaddress.ip_address(target)}:{dport}"]
        speaks.add(spoken(both[0]) if talk.called else "midway")
        words.update(word for word in given.words if any(word.encode() in text for text in both))
    told = {
        "bytes": sum(len(text) for text, _holes in read.values()),
        "holes": sum(holes for _text, holes in read.values()),
        "words": {word: sum(text.count(word.encode()) for text in texts) for word in given.words},
        "links": {link: [sorted(speaks), sorted(words)] for link, (speaks, words) in links.items()},
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
