# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The clock, kept right by one time service: the one that the host has, else Debian's systemd-timesyncd.

A container has no clock of its own: what sets the machine's is the machine's, and nothing is asked of the container.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import packages, time_daemons, unit_state
from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import deliberate
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step

FACTS: dict[str, str] = {
    "time.own": "bool: this host sets its own clock; a container that may not is given the machine's",
    "time.daemon": "str: the package that keeps the clock, which is its service as well; empty: there is none",
    "time.running": "bool: it runs",
    "time.at_boot": "bool: it starts with the machine",
    "time.configured": "bool: our file for it says what the clinic file says, and is not there where that says nothing",
    "time.servers_missing": "list of str: time servers of the clinic file that it does not ask",
    "time.server_declared": "bool: it follows a server of the clinic file or a clock of the machine's own, or the file "
    "names none; null: it follows none",
    "time.offset_seconds": "int or float: by how much it last found the clock off, from its own measurement; null: it "
    "has measured nothing in three hours",
    "time.advice": "list of str: what to do where a person has to",
}
TIMESYNCD, CHRONY, NTPSEC = time_daemons.ASK
OTHERS = ("openntpd",)
"""What keeps a clock as well, but is not asked here. Debian lets a host have one of all of these (time-daemon)."""
FILES = {
    TIMESYNCD: "/etc/systemd/timesyncd.conf.d/zz-radiology.conf",
    CHRONY: "/etc/chrony/sources.d/radiology.sources",
}
"""Read last by timesyncd, where an empty `NTP=` ends what others said; chrony reads its folder when it is told to."""
OWN = tuple(FILES.values())
OURS = "# Kept by radiology.hardening (role system): the time servers of the clinic file.\n"

MAY_SET = 1 << 25
"""CAP_SYS_TIME among the capabilities that process 1, and so all others, may have (capabilities(7))."""
CONDITIONS = (
    "org.freedesktop.systemd1",
    "/org/freedesktop/systemd1/unit/systemd_2dtimesyncd_2eservice",
    "org.freedesktop.systemd1.Unit",
    "Conditions",
)
SLIGHT = 1.0
"""Seconds by which a clock may be off; the journals of two hosts are still told apart by the second."""
PATIENCE, LONGER = 15.0, 45.0
"""Seconds: for a first answer, and, where that tells of a clock that is off, for the next one, 32 s later."""


def observe(host: Host, servers: Sequence[str]) -> dict[str, Any]:
    """Return the facts below `time`; `servers` are those of the clinic file."""
    names = [*time_daemons.ASK, *OTHERS]
    missing = packages.missing(host, names)
    daemon = next((name for name in names if name not in missing), "")
    unit = unit_state.properties(host, f"{daemon}.service") if daemon else {}
    running = unit_state.is_active(unit)
    said = time_daemons.ASK[daemon](host) if running and daemon in time_daemons.ASK else time_daemons.Said()
    found = {
        "own": running or _sets_its_clock(host),
        "daemon": daemon,
        "running": running,
        "at_boot": unit_state.is_enabled(unit),
        "configured": _is_configured(host, daemon or TIMESYNCD, servers),
        "servers_missing": [server for server in servers if server not in said.servers],
        "server_declared": (not servers or said.attached or said.followed in servers) if said.followed else None,
        "offset_seconds": None if said.offset is None else round(said.offset, 6),
    }
    return {**found, "advice": _advice(found, servers) if found["own"] else []}


def steps(found: Mapping[str, Any], unmet: Sequence[str], servers: Sequence[str]) -> list[Step]:
    """Return the steps that have the clock kept; a server that does not answer is left to a person."""
    facts = {name.rpartition(".")[2] for name in unmet}
    if not facts or not found["own"]:
        return []
    daemon = found["daemon"] or TIMESYNCD
    if daemon in time_daemons.ASK and facts & _mended(daemon):
        by = f" by {', '.join(servers)}" if servers else ""
        installing = "" if found["daemon"] else ", which is installed for it"
        return [Step(f"Have the clock kept right{by}, with {daemon}{installing}", lambda host: _keep(host, servers))]
    return [deliberate(sentence) for sentence in _advice(found, servers) or [_unseen(daemon, servers)]]


def render(daemon: str, servers: Sequence[str]) -> str | None:
    """Return the text of our file for a time service; None where it has none."""
    if daemon not in FILES or not servers:
        return None
    if daemon == CHRONY:
        return OURS + "".join(f"server {server} iburst prefer\n" for server in servers)
    return f"{OURS}[Time]\nNTP=\nNTP={' '.join(servers)}\n"


def _mended(daemon: str) -> set[str]:
    """Return the facts that a run brings about; NTPsec's servers stand in a file of the site's alone."""
    return {"daemon", "running", "at_boot", "configured"} | ({"servers_missing"} if daemon in FILES else set())


def _advice(found: Mapping[str, Any], servers: Sequence[str]) -> list[str]:
    daemon, off = found["daemon"], found["offset_seconds"]
    if daemon and daemon not in time_daemons.ASK:
        return [f"the clock is kept by {daemon}, which cannot be asked: put systemd-timesyncd or chrony in its place"]
    said = []
    if daemon == NTPSEC and found["running"] and found["servers_missing"]:
        lines = " and ".join(f"`server {server} iburst`" for server in found["servers_missing"])
        said.append(f"put {lines} into /etc/ntpsec/ntp.conf, and run `systemctl restart ntpsec`")
    if found["running"] and off is None:
        said.append(_unseen(daemon, servers))
    if off is not None and off > SLIGHT:
        said.append(f"{daemon} found the clock {off:.1f} s off: see whether it set it since, and which server is wrong")
    if found["server_declared"] is False:
        said.append(f"the clock follows another time server than {', '.join(servers)}: see why these do not answer")
    return said


def _unseen(daemon: str, servers: Sequence[str]) -> str:
    whom = ", ".join(servers) or "one"
    more = "" if servers else ", and name it in the clinic file (`time_servers` of `outbound`)"
    return f"no time server has answered {daemon}: see that {whom} can be reached by NTP, UDP port 123{more}"


def _is_configured(host: Host, daemon: str, servers: Sequence[str]) -> bool:
    return daemon not in FILES or host.text(FILES[daemon]) == render(daemon, servers)


def _sets_its_clock(host: Host) -> bool:
    """Tell whether a time service would be of use: on every machine, and in a container that was let set the clock."""
    if host.run(["systemd-detect-virt", "--container"]).output.strip() in ("none", ""):
        return True
    bounds = [line.split() for line in (host.text("/proc/1/status") or "").splitlines() if line.startswith("CapBnd:")]
    if not bounds or not int(bounds[0][1], 16) & MAY_SET:
        return False
    told = time_daemons.properties(host, CONDITIONS)
    return not any(
        (kind, negated, value) == ("ConditionVirtualization", True, "container")
        for kind, _trigger, negated, value, _met in (told[0] if told else ())
    )


def _keep(host: Host, servers: Sequence[str]) -> None:
    """Install what is missing, write our file, start the service, and wait until it has measured."""
    if not observe(host, servers)["daemon"]:
        for step in packages.plan(host, [TIMESYNCD]):
            step.do(host)
        # The bus learns of it after its start: until it starts anew nobody can ask it, and each question takes 25 s.
        host.must(["systemctl", "restart", f"{TIMESYNCD}.service"])
    found = observe(host, servers)
    daemon = str(found["daemon"])
    if not found["own"]:
        return
    if daemon == CHRONY and not found["configured"]:
        host.undone_by("Have chrony read its sources again", "chronyc", "reload", "sources")
    text = render(daemon, servers)
    if text is not None and not found["configured"]:
        host.write(FILES[daemon], text)
    elif daemon in FILES and not found["configured"]:
        host.remove(FILES[daemon])
    host.must(["systemctl", "unmask", f"{daemon}.service"])
    host.must(["systemctl", "enable", "--now", f"{daemon}.service"])
    if daemon == CHRONY:
        host.must(["chronyc", "reload", "sources"])
    elif daemon == TIMESYNCD:
        host.must(["systemctl", "restart", f"{daemon}.service"])
    found = _settled(host, servers)
    if found["servers_missing"] and daemon in FILES:
        raise HardeningError(
            f"{daemon} does not ask {', '.join(found['servers_missing'])}, which {FILES[daemon]} names: see that no "
            "other file keeps it from being read (`sourcedir` of /etc/chrony/chrony.conf)."
        )


def _settled(host: Host, servers: Sequence[str]) -> dict[str, Any]:
    """Return what is seen once the service has measured the clock, or when it was waited for long enough."""
    began = time.monotonic()
    while True:
        found = observe(host, servers)
        off, waited = found["offset_seconds"], time.monotonic() - began
        if off is not None and off <= SLIGHT and found["server_declared"]:
            return found
        if waited > (PATIENCE if off is None else LONGER) or not found["running"]:
            return found
        time.sleep(0.5)
