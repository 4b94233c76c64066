# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Print the TCP ports of some addresses that take a connection, as a JSON object of address to ports.

Usage: open_ports.py FIRST LAST ADDRESS [ADDRESS ...]. Every port is tried once, many at a time and shortly; those where
imaging and administration usually live are tried with patience as well, so that a busy machine hides none of them.
"""

from __future__ import annotations

import asyncio
import errno
import json
import resource
import sys

SHORT, PATIENT = 0.7, 6.0
AT_ONCE = 3000
"""Attempts under way at a time, of all addresses together."""
USUAL = (22, 80, 104, 443, 2761, 2762, 4242, 8042, 8080, 8443, 11104, 11112)


async def answers(address: str, port: int, seconds: float, gate: asyncio.Semaphore) -> int | None:
    """Return the port when it takes a connection in this time."""
    async with gate:
        try:
            _reader, writer = await asyncio.wait_for(asyncio.open_connection(address, port), seconds)
        except OSError as error:  # TimeoutError is one
            if error.errno in (errno.EMFILE, errno.ENFILE):
                raise  # which says nothing of the port
            return None
        writer.close()
        return port


async def scan(first: int, last: int, addresses: list[str]) -> dict[str, list[int]]:
    """Try every port of every address."""
    gate, beside = asyncio.Semaphore(AT_ONCE), asyncio.Semaphore(len(USUAL) * len(addresses))

    async def ports_of(address: str) -> list[int]:
        tried = [answers(address, port, PATIENT, beside) for port in USUAL]
        tried += [answers(address, port, SHORT, gate) for port in range(first, last + 1)]
        return sorted({port for port in await asyncio.gather(*tried) if port})

    return dict(zip(addresses, await asyncio.gather(*(ports_of(address) for address in addresses)), strict=True))


if __name__ == "__main__":
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    print(json.dumps(asyncio.run(scan(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))))
