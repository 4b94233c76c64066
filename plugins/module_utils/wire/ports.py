# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which TCP ports take a connection, and what speaks first on them."""

from __future__ import annotations

import concurrent.futures
import errno
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from ansible_collections.radiology.hardening.plugins.module_utils.wire import icmp

Answer = TypeVar("Answer")

WELL_KNOWN = (
    *(22, 23, 80, 104, 111, 139, 443, 445, 631, 2575, 2761, 2762, 3306, 3333, 3389, 4242, 5000, 5432, 5900, 6379),
    *(8000, 8042, 8043, 8080, 8081, 8443, 8888, 9090, 9200, 11111, 11112, 11113, 27017),
)
"""Ports of imaging, of administration and of databases, tried on every address."""

WORKERS = 64
BANNER = 4
"""Seconds that a server has to say who it is before it is asked."""

CONNECT = 1.5
"""Seconds until a port that does not answer counts as closed."""


class Place(NamedTuple):
    """An address and a TCP port."""

    address: str
    port: int

    def __str__(self) -> str:
        """Write it as people do: IPv6 in brackets."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


def knock(place: Place) -> str:
    """Return `open`, `refused`, `closed` (no answer in time), `no host` (a router or ARP says so), or `no route`.

    A firewall refuses too where it answers by ICMP that a call is prohibited, of which connect(2) says the same as of a
    host that is off.
    """
    try:
        family, kind, protocol, _name, where = socket.getaddrinfo(*place, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as caller:
            caller.settimeout(CONNECT)
            icmp.ask(caller)
            try:
                caller.connect(where)
            except OSError:
                if icmp.tells_of_it(icmp.heard(caller), str(where[0]), (caller.getsockname()[0],)):
                    return "refused"
                raise
    except ConnectionRefusedError:
        return "refused"
    except (ConnectionError, TimeoutError):
        return "closed"
    except OSError as error:
        return "no host" if error.errno == errno.EHOSTUNREACH else "no route"
    return "open"


def scan(addresses: Sequence[str], ports: Iterable[int]) -> tuple[list[Place], list[str], set[str]]:
    """Return the places that take a connection, in order, the addresses with a way to them, and all answers."""
    places = [Place(address, port) for address in dict.fromkeys(addresses) for port in sorted(set(ports))]
    answers = each(knock, places)
    reached = dict.fromkeys(place.address for place in places if not answers[place].startswith("no "))
    return [place for place in places if answers[place] == "open"], list(reached), set(answers.values())


def told(
    target: Mapping[str, Any], reached: Sequence[str], ports: Iterable[int], found: Sequence[Place]
) -> dict[str, Any]:
    """Return the facts below `ports`: which addresses of a target were looked at, by which ports, and what answered."""
    due = {int(port) for port in target.get("expected_ports") or []}
    return {
        "looked_at": list(reached),
        "no_way": [address for address in target["addresses"] if address not in reached],
        "tried": ranges(ports),
        "open": [str(place) for place in found],
        "undeclared": [str(place) for place in found if place.port not in due],
    }


def ranges(ports: Iterable[int]) -> str:
    """Return ports as people write them: 22-23, 80."""
    runs: list[list[int]] = []
    for port in sorted(set(ports)):
        if runs and port == runs[-1][-1] + 1:
            runs[-1].append(port)
        else:
            runs.append([port])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def answering(controls: Iterable[str]) -> list[str]:
    """Return those of some address:port that take a connection; places elsewhere, by which this one is seen to hear."""
    split = {text: text.rpartition(":") for text in controls}
    places = {text: Place(address.strip("[]"), int(port)) for text, (address, _colon, port) in split.items()}
    answers = each(knock, list(places.values()))
    return [text for text, place in places.items() if answers[place] == "open"]


def each(ask: Callable[[Place], Answer], places: Sequence[Place]) -> dict[Place, Answer]:
    """Ask the same of many places at a time."""
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        return dict(zip(places, pool.map(ask, places), strict=True))


def banner(place: Place) -> bytes:
    """Return what a server says before it is asked; nothing when it waits."""
    try:
        with socket.create_connection(place, timeout=CONNECT) as connection:
            connection.settimeout(BANNER)
            return connection.recv(256)
    except OSError:
        return b""
