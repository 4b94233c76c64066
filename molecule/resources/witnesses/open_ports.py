# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Print the TCP ports of some addresses that take a connection, as a JSON object of address to ports.

Usage: open_ports.py FIRST LAST ADDRESS [ADDRESS ...]. Those ports where imaging and administration usually live are
tried first, by themselves and with patience, so that a busy machine hides none of them; then every port is tried once,
many at a time and shortly.
"""

from __future__ import annotations

import asyncio
import errno
import json
import resource
import sys

SHORT, PATIENT = 0.7, 5.0
AT_ONCE = 3000
"""Attempts under way at a time, of all addresses together."""
USUAL = (22, 80, 104, 443, 2761, 2762, 4242, 8042, 8080, 8443, 11104, 11112)


async def answering(addresses: list[str], ports: list[int], seconds: float) -> set[tuple[str, int]]:
    """Return the addresses and ports that take a connection in this time."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def answers(address: str, port: int) -> bool:
        async with gate:
            try:
                _reader, writer = await asyncio.wait_for(asyncio.open_connection(address, port), seconds)
            except OSError as error:  # TimeoutError is one
                if error.errno in (errno.EMFILE, errno.ENFILE):
                    raise  # which says nothing of the port
                return False
            writer.close()
            return True

    places = [(address, port) for address in addresses for port in ports]
    taken = await asyncio.gather(*(answers(*place) for place in places))
    return {place for place, took in zip(places, taken, strict=True) if took}


async def scan(first: int, last: int, addresses: list[str]) -> dict[str, list[int]]:
    """Try every port of every address."""
    found = await answering(addresses, list(USUAL), PATIENT)
    found |= await answering(addresses, list(range(first, last + 1)), SHORT)
    return {address: sorted(port for its, port in found if its == address) for address in addresses}


if __name__ == "__main__":
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    print(json.dumps(asyncio.run(scan(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))))
