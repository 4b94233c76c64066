# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The routes to those who send images, on which the kernel has to acknowledge at once.

DICOM's programs send an image in small writes, each of which waits for the acknowledgement of the one before (Nagle),
which the kernel holds back for 40 ms unless the route says `quickack`: that halves what a server takes in. Only this
attribute of routes that are there is changed, so that no interface goes down and nothing is sent another way; a route
of several next hops, or one that a router announces, stays as it is. It is set anew at each start, and whenever
ifupdown, NetworkManager or systemd-networkd have changed the network.

A route that cannot be changed stays slow, and is told to the engineer: it is no reason to leave a host unhardened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import orthanc_configuration
from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import deliberate
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step

PROGRAM = "/usr/local/lib/radiology-hardening/quickack"
SERVICE = "radiology-quickack.service"
PATH = "radiology-quickack.path"
UNITS = "/etc/systemd/system"
STARTED = f"{UNITS}/multi-user.target.wants/{SERVICE}"
"""The link by which the unit starts with the machine."""
NETWORKD = "/run/systemd/netif/state"
"""Is there where systemd-networkd runs."""
LINKS = "/run/systemd/netif/links"
"""systemd-networkd writes a file of a link anew whenever it changed one."""
HOOKS = {
    "ifupdown": "/etc/network/if-up.d/zz-radiology-quickack",
    "NetworkManager": "/etc/NetworkManager/dispatcher.d/zz-radiology-quickack",
}
"""What manages the network -> what it runs afterwards, where it has such a folder."""
REFUSED = "/run/radiology-quickack.refused"
"""What the program could not change when it last ran: a line `-4 destination: what ip said` each."""
NO_HOPS = ("local", "unreachable", "blackhole", "prohibit", "throw", "broadcast", "anycast", "multicast")
"""Kinds of routes by which nothing is sent to another machine."""
APART = ("quickack 1", "nexthop", "expires", "error", "proto ra", *NO_HOPS)
"""Words of a route that need not, or must not, be changed."""
SAID = (
    *("dead", "linkdown", "unresolved", "pervasive", "notify", "trap", "offload"),
    *("rt_trap", "rt_offload", "rt_offload_failed"),
)
"""Words that `ip` prints of a route and does not take (iproute2's print_rt_flags, 6.1 and 6.15)."""
BARE = (
    f"sed -E ':a;s/ ({'|'.join(SAID)})( |$)/\\2/;ta;s/ quickack [01]//;s/ rto_min lock / rto_min /;"
    "/ nhid /{s/ via (inet6 )?[^ ]+//;s/ dev [^ ]+//}'"
)
"""Makes of a route as `ip` prints it one that it takes; the kernel has a next hop by its number or by its words."""

PROGRAM_TEXT = """\
#!/bin/sh
# Kept by radiology.hardening (role orthanc): devices wait for the acknowledgement of each part of an image.
set -f
sleep "${1:-0}"
: >{refused}.$$
for address in {addresses}; do
  case $address in *:*) family=-6 ;; *) family=-4 ;; esac
  ip $family -oneline route get fibmatch "$address" 2>/dev/null | sed 's/^/'$family' /'
done | sort -u | while read -r family route; do
  case " $route " in {apart}) continue ;; esac
  said=$(ip $family route change $(echo "$route" | {bare}) quickack 1 2>&1) ||
    echo "$family ${route%% *}: "$said | tee -a {refused}.$$ >&2
done
mv {refused}.$$ {refused}
"""
SERVICE_TEXT = f"""\
# Kept by radiology.hardening (role orthanc).
[Unit]
Description=Routes on which images are acknowledged at once
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
ExecStart={PROGRAM} 1

[Install]
WantedBy=multi-user.target
"""
PATH_TEXT = f"""\
# Kept by radiology.hardening (role orthanc): systemd-networkd changed the network.
[Unit]
Description=Routes on which images are acknowledged at once, after systemd-networkd

[Path]
PathChanged={LINKS}

[Install]
WantedBy=multi-user.target
"""
HOOK_TEXT = f"""\
#!/bin/sh
# Kept by radiology.hardening (role orthanc): the network changed.
exec systemctl --no-block start {SERVICE}
"""
BACK = """\
ip $1 -oneline route show exact "$2" | while read -r route; do
  case " $route " in *" quickack 1 "*) ;; *) continue ;; esac
  ip $1 route change $(echo "$route" | {bare} | sed '/ nhid /s/$/ quickack 0/')
done
""".replace("{bare}", BARE)
"""Takes the attribute from a route; its arguments are ip's family and the destination.

Of a route with a numbered next hop the kernel finds the former one again, unless the attribute is named (IPv4, 6.18).
"""


def observe(host: Host, callers: Sequence[str]) -> dict[str, Any]:
    """Return the facts; where nobody is declared who sends images, no route is looked at."""
    managers = [name for name, path in HOOKS.items() if host.stat(path.rpartition("/")[0]) is not None]
    if host.stat(NETWORKD) is not None:
        managers.append("systemd-networkd")
    late = sorted({found for caller in callers for found in _late(host, caller)})
    return {
        "late": late,
        "refused": {route: said for route, said in _refused(host).items() if route in late},
        "managers": managers,
        "files": {path: host.digest(path) for path in contents(callers, managers)} if callers else {},
        "at_boot": host.stat(STARTED) is not None,
    }


def contents(callers: Sequence[str], managers: Sequence[str]) -> dict[str, tuple[str, int]]:
    """Return what has to stand on the host: path to text and mode, the same for callers in whatever order."""
    apart = " | ".join(f'*" {words} "*' for words in APART)
    filled = {"refused": REFUSED, "addresses": " ".join(sorted(set(callers))), "apart": apart, "bare": BARE}
    program = PROGRAM_TEXT
    for name, text in filled.items():
        program = program.replace(f"{{{name}}}", text)
    return {
        PROGRAM: (program, 0o755),
        f"{UNITS}/{SERVICE}": (SERVICE_TEXT, 0o644),
        **({f"{UNITS}/{PATH}": (PATH_TEXT, 0o644)} if "systemd-networkd" in managers else {}),
        **{path: (HOOK_TEXT, 0o755) for name, path in HOOKS.items() if name in managers},
    }


def steps(found: Mapping[str, Any], callers: Sequence[str]) -> list[Step]:
    """Return the step that sets the attribute now, and has it set anew; none where all is so.

    What a route does not take is tried once: from then on it is left to a person, who made that route.
    """
    if not callers:
        return []
    texts = contents(callers, found["managers"])
    drifted = {
        path: each for path, each in texts.items() if found["files"].get(path) != orthanc_configuration.digest(each[0])
    }
    refused = found.get("refused") or {}
    due = [route for route in found["late"] if route not in refused]
    if not drifted and not due and found["at_boot"]:
        return [deliberate(each) for each in _advice(refused)]
    units = [SERVICE, *([PATH] if "systemd-networkd" in found["managers"] else [])]

    def do(host: Host) -> None:
        for path, (text, mode) in drifted.items():
            host.write(path, text, mode=mode)
        for route in found["late"]:
            family, _space, destination = route.partition(" ")
            name = f"Let acknowledgements to {destination} wait again, as the kernel has it"
            host.undone_by(name, "sh", "-c", BACK, "sh", family, destination)
        host.enable(*units)
        host.must([PROGRAM])
        host.remarks += _advice(_refused(host))
        for unit in units[1:]:
            host.must(["systemctl", "restart", unit])

    routes = ", ".join(route.partition(" ")[2] for route in due) or "the devices' networks"
    kept = " and with ".join(found["managers"]) or "nothing else, since nothing here is known to manage the network"
    return [Step(f"Acknowledge images from {routes} at once, set anew at each start and with {kept}", do)]


def _refused(host: Host) -> dict[str, str]:
    """Return the routes that the program could not change when it last ran, each with what ip said of it."""
    lines = (line.partition(": ") for line in (host.text(REFUSED) or "").splitlines())
    return {route: said for route, _colon, said in lines}


def _advice(refused: Mapping[str, str]) -> list[str]:
    return [
        f"Have images by the route to {route.partition(' ')[2]} acknowledged at once where that route is made "
        f'(`quickack 1`), or leave it and its devices at about half their speed: ip says "{said.rstrip(".")}"'
        for route, said in sorted(refused.items())
    ]


def _late(host: Host, caller: str) -> list[str]:
    """Return ip's family and the destination of the route to an address where acknowledgements wait; else nothing."""
    family = "-6" if ":" in caller else "-4"
    answer = host.run(["ip", family, "-oneline", "route", "get", "fibmatch", caller])
    route = " ".join(word for word in answer.output.split() if word not in SAID)
    if not answer.ok or not route or any(f" {words} " in f" {route} " for words in APART):
        return []
    return [f"{family} {route.split()[0]}"]
