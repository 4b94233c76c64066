# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the kernel's own settings let the network do to this host, on every interface that there is and comes."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step

FACTS: dict[str, str] = {
    "kernel_network.unsafe": "list of str: settings below net of the kernel in force, with values that are not safe",
    "kernel_network.kept": "bool: a file of ours sets them when the machine starts, and for each new interface",
}
SYSTEM = "/proc/sys"
FILE = "/etc/sysctl.d/zz-radiology-network.conf"
SETTINGS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("net/ipv4/conf/*/accept_redirects", ("0",)),
    ("net/ipv4/conf/*/secure_redirects", ("0",)),
    ("net/ipv4/conf/*/send_redirects", ("0",)),
    ("net/ipv4/conf/*/accept_source_route", ("0",)),
    ("net/ipv4/icmp_echo_ignore_broadcasts", ("1",)),
    ("net/ipv4/icmp_ignore_bogus_error_responses", ("1",)),
    ("net/ipv4/tcp_syncookies", ("1", "2")),
    ("net/ipv4/tcp_rfc1337", ("1",)),
    ("net/ipv6/conf/*/accept_redirects", ("0",)),
    ("net/ipv6/conf/*/accept_source_route", ("0", "-1")),
)
"""Path, and the safe values, of which the first is set (ANSSI, Linux guide, R12 and R13; kernel's ip-sysctl).

`*` stands for every interface, `all` and `default`: of redirects the kernel takes either `all` or the interface's own.
Filters of the return path are Debian's (2, loose): where a route is not symmetric, a strict one locks the engineer out.
"""
TEXT = "# Kept by radiology.hardening (role firewall): nobody on the network changes this host's routes.\n" + "".join(
    f"{path} = {values[0]}\n" for path, values in SETTINGS
)


def observe(host: Host) -> dict[str, Any]:
    """Return the facts below `kernel_network`; a setting that this kernel lacks is none."""
    unsafe = []
    for pattern, values in SETTINGS:
        for path in paths(host, pattern):
            value = (host.text(f"{SYSTEM}/{path}") or "").strip()
            if value and value not in values:
                unsafe.append(f"{path.replace('/', '.')} is {value}")
    return {"unsafe": unsafe, "kept": host.text(FILE) == TEXT}


def plan(facts: Mapping[str, Any]) -> list[Step]:
    """Return the step that sets all of them, now and at each start."""

    def do(host: Host) -> None:
        host.write(FILE, TEXT)
        host.must(["/usr/lib/systemd/systemd-sysctl", FILE])

    if facts["kept"] and not facts["unsafe"]:
        return []
    told = f", in place of what is set: {', '.join(facts['unsafe'])}" if facts["unsafe"] else ""
    return [Step(f"Have the kernel take no routes from the network{told}", do)]


def paths(host: Host, pattern: str) -> Iterator[str]:
    """Yield the settings that a line of sysctl.d means, as paths below /proc/sys: `*` is any one name."""
    head, star, tail = pattern.partition("*")
    if not star:
        yield pattern
        return
    for name in host.list(f"{SYSTEM}/{head.rstrip('/')}"):
        yield posixpath.normpath(f"{head}{name}{tail}")
