# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Connections that sshd is asked about, by `sshd -T -C`: a stranger's, and those over which engineers are in now.

Each names all that sshd(8) knows of a connection: where one `Match LocalPort`, `LocalAddress` or `RDomain` of somebody
stands in its files, sshd answers nothing at all to whoever leaves that out.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.host import Host

STRANGER = "radiology-stranger"
"""A login that no host has."""
ELSEWHERE = "192.0.2.1"
"""Where the stranger calls from: an address that nobody has (RFC 5737)."""
HERE = "127.0.0.1"
PORT = "22"


def connection(login: str, address: str, here: str = HERE, port: str = PORT) -> str:
    """Return a connection as `sshd -T -C` takes it; the routing domain is none."""
    return f"user={login},host={address},addr={address},laddr={here},lport={port},rdomain="


def strangers(scope: Mapping[str, Any], ports: Sequence[str]) -> list[str]:
    """Return a stranger's connection to each address and port of this host."""
    here = [str(each) for each in scope.get("addresses") or [HERE]]
    return [connection(STRANGER, ELSEWHERE, own, port) for own in here for port in ports or [PORT]]


def engineers(host: Host, scope: Mapping[str, Any], ports: Sequence[str]) -> list[str]:
    """Return the connections over which somebody is in now, those through the tunnel left out: it has its own rules."""
    tunnel = [ipaddress.ip_network(each) for each in (scope.get("tunnel") or {}).get("network") or []]
    login, found = str(scope.get("ssh_user") or "root"), []
    for line in host.run(["ss", "-Hnt", "state", "established"]).output.splitlines():
        words = line.split()
        if len(words) < 4:
            continue
        (here, port), (there, _port) = _parted(words[2]), _parted(words[3])
        if port in (ports or [PORT]) and not any(ipaddress.ip_address(there) in each for each in tunnel):
            found.append(connection(login, there, here, port))
    return list(dict.fromkeys(found))


def answer(host: Host, command: Sequence[str], caller: str) -> list[tuple[str, str]]:
    """Return what sshd says of a connection: keyword in small letters and value, in order; nothing where it says none.

    `command` is the one by which sshd tells its settings; `caller` is made by `connection`.
    """
    asked = host.run([*command, "-C", caller])
    lines = asked.output.splitlines() if asked.ok else []
    return [(keyword, value.strip()) for keyword, _space, value in (line.partition(" ") for line in lines)]


def _parted(end: str) -> tuple[str, str]:
    """Return address and port of one end of a connection, as `ss` prints it; IPv4 in IPv6 form as IPv4."""
    address, _colon, port = end.rpartition(":")
    return address.strip("[]").partition("%")[0].removeprefix("::ffff:"), port
