# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Print the TCP ports of some addresses that take a connection, as a JSON object of address to ports.

Usage: open_ports.py FIRST LAST ADDRESS [ADDRESS ...]. Every port is tried once, many at a time and shortly; those where
imaging and administration usually live are tried with patience as well, so that a busy machine hides none of them.
"""

from __future__ import annotations

import errno
import json
import resource
import select
import socket
import sys
import time

SHORT, PATIENT = 0.7, 6.0
"""Seconds that a connection may take, from when all that are tried at a time are under way."""
AT_ONCE = 3000
USUAL = (22, 80, 104, 443, 2761, 2762, 4242, 8042, 8080, 8443, 11104, 11112)
UNDER_WAY = (0, errno.EINPROGRESS)
TAKEN = (0, errno.ECONNRESET, errno.EPIPE)
"""How an attempt ended that was taken, perhaps to be ended by the other side at once."""
Place = tuple[str, int]


class Attempts:
    """Connections to some places, all under way at a time."""

    def __init__(self, places: list[Place]) -> None:
        """Begin them; the kernel completes them, however late this program asks how they ended."""
        self.waiting: dict[int, tuple[socket.socket, Place]] = {}
        self.poll = select.epoll()
        for place in places:
            attempt = socket.socket(socket.AF_INET6 if ":" in place[0] else socket.AF_INET)
            attempt.setblocking(False)
            if attempt.connect_ex(place) in UNDER_WAY:
                self.waiting[attempt.fileno()] = attempt, place
                self.poll.register(attempt, select.EPOLLOUT)
            else:  # refused at once, or no way to there
                attempt.close()
        self.begun = time.monotonic()

    def taken(self, seconds: float) -> set[Place]:
        """Return the places that took a connection within so many seconds; the others are given up."""
        found = set()
        while events := self.waiting and self.poll.poll(max(0.0, self.begun + seconds - time.monotonic())):
            for number, _event in events:
                attempt, place = self.waiting.pop(number)
                with attempt:
                    if attempt.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) in TAKEN:
                        found.add(place)
        for attempt, _place in self.waiting.values():
            attempt.close()
        self.poll.close()
        return found


def scan(first: int, last: int, addresses: list[str]) -> dict[str, list[int]]:
    """Try every port of every address."""
    usual = Attempts([(address, port) for address in addresses for port in USUAL])
    places = [(address, port) for address in addresses for port in range(first, last + 1)]
    batches = [places[start : start + AT_ONCE] for start in range(0, len(places), AT_ONCE)]
    found = {place for batch in batches for place in Attempts(batch).taken(SHORT)} | usual.taken(PATIENT)
    return {address: sorted(port for its, port in found if its == address) for address in addresses}


if __name__ == "__main__":
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    print(json.dumps(scan(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])))
