# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Capture what crosses an interface, and print on which links names of patients were to be read.

Usage: in_clear.py INTERFACE STOP NAME ...; captures until the file STOP is there, a minute at the most, and prints as
JSON the number of packets with TCP content and the links, each as `address:port address:port`, the sender first, of
those whose content bears one of the names. Nothing of TLS is undone: what is found was in clear.
"""

from __future__ import annotations

import ipaddress
import json
import socket
import struct
import sys
import time
from pathlib import Path

EVERYTHING = 0x0003
IPV4, IPV6, TCP = 0x0800, 0x86DD, 6


def content(frame: bytes) -> tuple[str, bytes]:
    """Return the link of an Ethernet frame and its TCP content; nothing of another."""
    (kind,) = struct.unpack(">H", frame[12:14])
    packet = frame[14:]
    if kind == IPV4 and packet[9] == TCP:
        start, addresses = (packet[0] & 15) * 4, (packet[12:16], packet[16:20])
        packet = packet[: struct.unpack(">H", packet[2:4])[0] or None]
    elif kind == IPV6 and packet[6] == TCP:
        start, addresses = 40, (packet[8:24], packet[24:40])
    else:
        return "", b""
    segment = packet[start:]
    ports = struct.unpack(">HH", segment[:4])
    link = " ".join(f"{ipaddress.ip_address(address)}:{port}" for address, port in zip(addresses, ports, strict=True))
    return link, segment[(segment[12] >> 4) * 4 :]


def main(interface: str, stop: str, *names: str) -> None:
    """Capture, search, tell."""
    wanted = [name.encode("ascii") for name in names]
    packets, found = 0, set()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(EVERYTHING)) as tap:
        tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**26)
        tap.bind((interface, 0))
        tap.settimeout(0.2)
        ends = time.monotonic() + 60
        while time.monotonic() < ends:
            try:
                link, said = content(tap.recv(2**17))
            except TimeoutError:
                if Path(stop).exists():
                    break
                continue
            packets += bool(said)
            if any(name in said for name in wanted):
                found.add(link)
    print(json.dumps({"packets": packets, "links": sorted(found)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
