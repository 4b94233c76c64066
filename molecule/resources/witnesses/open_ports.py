# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Print the TCP ports of some addresses that take a connection, as a JSON object of address to ports.

Usage: open_ports.py FIRST LAST ADDRESS [ADDRESS ...]. Every port is tried once, many at a time and shortly; those where
imaging and administration usually live are tried again with patience, so that a busy machine hides none of them.
"""

from __future__ import annotations

import asyncio
import json
import sys

SHORT, PATIENT = 0.7, 6.0
USUAL = (22, 80, 104, 443, 2761, 2762, 4242, 8042, 8080, 8443, 11112)


async def answers(address: str, port: int, seconds: float, gate: asyncio.Semaphore) -> int | None:
    """Return the port when it takes a connection in this time."""
    async with gate:
        try:
            _reader, writer = await asyncio.wait_for(asyncio.open_connection(address, port), seconds)
        except (TimeoutError, OSError):
            return None
        writer.close()
        return port


async def scan(first: int, last: int, addresses: list[str]) -> dict[str, list[int]]:
    """Try every port of every address."""
    found = {}
    for address in addresses:
        taken: set[int | None] = set()
        for ports, seconds, at_once in ((range(first, last + 1), SHORT, 1500), (USUAL, PATIENT, len(USUAL))):
            gate = asyncio.Semaphore(at_once)
            taken |= set(await asyncio.gather(*(answers(address, port, seconds, gate) for port in ports)))
        found[address] = sorted(port for port in taken if port)
    return found


if __name__ == "__main__":
    print(json.dumps(asyncio.run(scan(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))))
