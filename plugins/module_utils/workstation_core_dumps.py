# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Core dumps of people's programs: by the limits of services and of sessions, and by systemd-coredump.

The kernel asks RLIMIT_CORE where it writes a file, and not where it hands the memory to a program (core(5)), so that
both have to be closed.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import deliberate
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step

FACTS: dict[str, str] = {
    "core_dumps.of_services": "str: how many bytes a service may dump, as systemd's manager has it: DefaultLimitCORE",
    "core_dumps.of_sessions": "list of str: who may dump by the limits of a session: `*` and root, where no 0 is set",
    "core_dumps.granted": "list of str: lines of limits.conf and limits.d that grant core dumps, and outrank ours",
    "core_dumps.caught": "bool: systemd-coredump, if it is there or comes, keeps what it catches",
    "core_dumps.advice": "list of str: what a person does about lines that grant core dumps",
}
MANAGER = "/etc/systemd/system.conf.d/zz-radiology-core-dumps.conf"
MANAGER_TEXT = "# Written by radiology.hardening (role workstation).\n[Manager]\nDefaultLimitCORE=0\n"
CATCHER = "/etc/systemd/coredump.conf.d/zz-radiology.conf"
CATCHER_TEXT = "# Written by radiology.hardening (role workstation).\n[Coredump]\nStorage=none\nProcessSizeMax=0\n"
SESSIONS = "/etc/security/limits.d/zz-radiology-core-dumps.conf"
SESSIONS_TEXT = "# Written by radiology.hardening (role workstation).\n* hard core 0\nroot hard core 0\n"
LIMITS, MORE_LIMITS = "/etc/security/limits.conf", "/etc/security/limits.d"
GENERAL = ("*", "root")
"""Whom `*` does not reach: root (limits.conf(5))."""


@dataclasses.dataclass(frozen=True)
class Line:
    """A line of limits.conf(5), and where it stands."""

    path: str
    number: int
    who: str
    kind: str
    item: str
    value: str

    @property
    def is_later(self) -> bool:
        """Whether its file is read after ours."""
        return self.path.startswith(MORE_LIMITS) and self.path > SESSIONS

    def __str__(self) -> str:
        """Say it with its place."""
        return f"{self.path}:{self.number} ({self.who} {self.kind} {self.item} {self.value})"


def observe(host: Host) -> dict[str, Any]:
    """Return the facts below `core_dumps`."""
    limits = _limits(host)
    granted = [
        str(line) for line in limits.values() if line.value != "0" and (line.who not in GENERAL or line.is_later)
    ]
    shown = host.run(["systemd-analyze", "cat-config", "systemd/coredump.conf"]).output
    told = dict(re.findall(r"(?m)^[ \t]*(Storage|ProcessSizeMax)[ \t]*=[ \t]*(\S*)", shown))
    manager = host.run(["systemctl", "show", "--property=DefaultLimitCORE"]).output
    return {
        "of_services": manager.strip().partition("=")[2],
        "of_sessions": [who for who in GENERAL if who not in limits or limits[who].value != "0"],
        "granted": granted,
        "caught": (told.get("Storage"), told.get("ProcessSizeMax")) != ("none", "0"),
        "advice": [*map(_grant, granted)],
    }


def steps(facts: dict[str, Any]) -> list[Step]:
    """Return what ends core dumps; a grant is somebody's decision."""
    found = []
    if facts["of_services"] != "0" or facts["of_sessions"] or facts["caught"]:
        found.append(Step("Let no program dump its memory, and have systemd-coredump keep none", _end))
    return found + [deliberate(_grant(line)) for line in facts["granted"]]


def _end(host: Host) -> None:
    host.write(MANAGER, MANAGER_TEXT)
    host.write(CATCHER, CATCHER_TEXT)
    host.write(SESSIONS, SESSIONS_TEXT)
    host.must(["systemctl", "daemon-reload"])
    left = observe(host)
    if left["of_services"] != "0" or left["caught"]:
        raise HardeningError(
            f"A file that is read after {MANAGER} or {CATCHER} sets DefaultLimitCORE, Storage or ProcessSizeMax "
            "otherwise: `systemd-analyze cat-config systemd/system.conf` and `... systemd/coredump.conf` show which."
        )


def _limits(host: Host) -> dict[str, Line]:
    """Return the hard limit of core files of each domain: of several lines the last one that PAM reads."""
    names = [name for name in host.list(MORE_LIMITS) if name.endswith(".conf")]
    return {
        words[0]: Line(path, number, *words)
        for path in (LIMITS, *(f"{MORE_LIMITS}/{name}" for name in names))
        for number, line in enumerate((host.text(path) or "").splitlines(), 1)
        if len(words := line.partition("#")[0].split()) == 4 and words[1] in ("hard", "-") and words[2] == "core"
    }


def _grant(line: str) -> str:
    return f"{line} grants core dumps, which hold images and passwords: take it out there"
