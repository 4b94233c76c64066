# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who is connected to a host over SSH now, so that no change shuts all of them out."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from ansible_collections.radiology.hardening.plugins.module_utils.host import Host


def connected(host: Host, ports: Sequence[int]) -> list[str]:
    """Return who is connected to these ports, addresses without port; IPv4 in IPv6 form as IPv4."""
    found = set()
    for line in host.run(["ss", "-Hnt", "state", "established"]).output.splitlines():
        words = line.split()
        if len(words) >= 4 and words[2].rpartition(":")[2] in map(str, ports):
            found.add(words[3].rpartition(":")[0].strip("[]").removeprefix("::ffff:"))
    return sorted(found)


def all_within(host: Host, ports: Sequence[int], networks: Iterable[str]) -> bool:
    """Tell whether somebody is connected to these ports, and all of them from these networks."""
    within = _within(host, ports, networks)
    return bool(within) and all(within)


def some_within(host: Host, ports: Sequence[int], networks: Iterable[str]) -> bool:
    """Tell whether somebody is connected to these ports from these networks."""
    return any(_within(host, ports, networks))


def _within(host: Host, ports: Sequence[int], networks: Iterable[str]) -> list[bool]:
    """Tell of each address that is connected to these ports whether it is in one of these networks."""
    ranges = [ipaddress.ip_network(each) for each in networks]
    callers = [ipaddress.ip_address(each.partition("%")[0]) for each in connected(host, ports)]
    return [any(caller in each for each in ranges) for caller in callers]
