# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which programs of a host wait for others to call, beyond loopback. Asks the kernel by ss(8)."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from collections.abc import Collection, Iterable

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host

ASKED = ("ss", "-Hltunp")
CLIENTS = frozenset({("udp", 68), ("udp", 546)})
"""What a client of DHCP has to hear."""
EPHEMERAL = "/proc/sys/net/ipv4/ip_local_port_range"
"""From these ports programs ask others; a socket of UDP is not told apart from a listener there."""
PROCESS = re.compile(r'\("([^"]+)",pid=(\d+)')
CGROUP = re.compile(r"^(?:0:|\d+:name=systemd):(/\S*)$", re.M)
"""Where systemd has a process, in /proc/PID/cgroup (cgroups(7))."""
SERVICE = re.compile(r"(?!/(?:user|machine)[.]slice/)(?:/[^/]+[.]slice)*/([^/]+[.]service)(?:/|$)")
"""Where the host's own systemd started it: no person's, nor a container's, whatever these call theirs."""
PERSONAL = re.compile(r"/user[.]slice/.*/user@(\d+)[.]service/(?:.*/)?([^/]+[.]service)(?:/|$)")
DECLARED = re.compile(r"(tcp|udp)/([1-9]\d{0,4})")
Place = tuple[str, int]
"""Protocol and port."""


@dataclasses.dataclass(frozen=True)
class Listener:
    """A socket that others reach, and the program that holds it."""

    protocol: str
    address: str
    """As ss shows it: 0.0.0.0, [::], * or an address, without its interface."""
    port: int
    program: str
    unit: str
    """The program's service, or the socket that systemd holds for it; a person's service with their number, so that
    it is none of the system's name; else empty."""

    def __str__(self) -> str:
        """Say it in words."""
        return f"{self.protocol} {self.address}:{self.port} by {self.program}" + (
            f" ({self.unit})" if self.unit else ""
        )


def listening(host: Host) -> list[Listener]:
    """Return the sockets of TCP and UDP that wait beyond loopback, by protocol, port and address."""
    return read(host, host.must(ASKED))


def read(host: Host, said: str) -> list[Listener]:
    """Return what `ASKED` has said of this host."""
    found = set()
    for line in said.splitlines():
        words = line.split(maxsplit=6)
        if len(words) < 6:
            continue
        address, _colon, port = words[4].rpartition(":")
        address = address.partition("%")[0]
        if port.isdigit() and not is_loopback(address):
            program, unit = _holder(host, words[6] if len(words) > 6 else "", f"{address}:{port}")
            found.add(Listener(words[0], address, int(port), program, unit))
    return sorted(found, key=lambda each: (each.protocol, each.port, each.address, each.program))


def undeclared(
    host: Host, found: Iterable[Listener], declared: Collection[Place], units: Collection[str]
) -> list[Listener]:
    """Return those that nobody declared, and that none of these units holds; what only asks others is left out."""
    first, last = _ephemeral(host)
    return [
        each
        for each in found
        if (each.protocol, each.port) not in {*declared, *CLIENTS}
        and not (each.protocol == "udp" and first <= each.port <= last)
        and each.unit not in units
    ]


def declared(listed: Iterable[str], variable: str) -> set[Place]:
    """Return what a variable declares, as `udp/123`; HardeningError names the variable where it is in another form."""
    found = set()
    for text in listed:
        match = DECLARED.fullmatch(str(text))
        if not match:
            raise HardeningError(f"{variable} holds {text!r}; accepted: protocol and port, as udp/123.")
        found.add((match[1], int(match[2])))
    return found


def _holder(host: Host, told: str, place: str) -> tuple[str, str]:
    """Return the program that holds a socket and its unit; systemd may hold it for a service that nobody called yet."""
    processes = PROCESS.findall(told)
    if not processes:
        return "the kernel", ""
    program, process = next((each for each in processes if each[0] != "systemd"), processes[0])
    if program == "systemd":
        for line in host.run(["systemctl", "list-sockets", "--no-legend", "--plain", "--full"]).output.splitlines():
            words = line.split()
            if words[:1] == [place]:
                return program, next((word for word in words if word.endswith(".socket")), "")
    of_systemd = _cgroup(host, "1").removesuffix("/init.scope")
    group = _cgroup(host, process)
    if not group.startswith(of_systemd):
        return program, ""
    service, personal = (each.match(group.removeprefix(of_systemd)) for each in (SERVICE, PERSONAL))
    if personal:
        return program, f"{personal[2]} of user {personal[1]}"
    return program, service[1] if service else ""


def _cgroup(host: Host, process: str) -> str:
    """Return where systemd has a process; of two hierarchies it uses one, and has all in / of the other."""
    return max(CGROUP.findall(host.text(f"/proc/{process}/cgroup") or ""), key=len, default="")


def _ephemeral(host: Host) -> tuple[int, int]:
    words = (host.text(EPHEMERAL) or "").split()
    return (int(words[0]), int(words[1])) if len(words) == 2 and all(map(str.isdigit, words)) else (32768, 60999)


def is_loopback(text: str) -> bool:
    """Tell whether a text is an address that only this host reaches, in brackets and with a zone or not."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0].strip("[]"))
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback
