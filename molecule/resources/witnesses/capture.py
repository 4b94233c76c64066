# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Take down what crosses a host's networks, loopback left out, and tell which words it holds.

Usage: capture.py STOP WORD ...; ends when the file STOP is there. Prints, as JSON, how many bytes TCP carried and how
often each word occurs in them, each direction of each connection read as one text.
"""

from __future__ import annotations

import collections
import json
import os
import socket
import struct
import sys

ALL = 3
"""ETH_P_ALL."""


def payload(frame: bytes) -> tuple[tuple[bytes, bytes], bytes] | None:
    """Return addresses and ports, and what a frame of TCP carries; None for another."""
    kind = struct.unpack("!H", frame[12:14])[0]
    if kind == 0x0800 and frame[23] == socket.IPPROTO_TCP:
        start, addresses = 14 + (frame[14] & 15) * 4, frame[26:34]
        end = 14 + struct.unpack("!H", frame[16:18])[0]
    elif kind == 0x86DD and frame[20] == socket.IPPROTO_TCP:
        start, addresses = 54, frame[22:54]
        end = 54 + struct.unpack("!H", frame[18:20])[0]
    else:
        return None
    return (addresses, frame[start : start + 4]), frame[start + (frame[start + 12] >> 4) * 4 : max(end, start)]


def main(stop: str, *words: str) -> None:
    """Listen until told to stop, then tell."""
    carried: dict[tuple[bytes, bytes], bytearray] = collections.defaultdict(bytearray)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL)) as tap:
        tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 20)
        tap.settimeout(0.2)
        print("listening", flush=True)
        while not os.path.exists(stop):
            try:
                frame, place = tap.recvfrom(1 << 17)
            except TimeoutError:
                continue
            found = payload(frame) if place[0] != "lo" and len(frame) > 54 else None
            if found:
                carried[found[0]] += found[1]
    texts = [bytes(text) for text in carried.values()]
    print(
        json.dumps(
            {
                "bytes": sum(map(len, texts)),
                "words": {word: sum(text.count(word.encode()) for text in texts) for word in words},
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
