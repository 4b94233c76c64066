# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The journal: kept over restarts, for half a year to a year."""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import unit_state
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step

FACTS: dict[str, str] = {
    "journal.persistent": "bool: the journal is on the disk, so that a restart of the machine does not end it",
    "journal.days": "int: days after which entries are removed; 0: never for their age; null: it cannot be read",
    "journal.open_files": "list of str: files of the journal that every account may read",
    "journal.older_than_configuration": "bool: the running journal has not read its newest files",
}
UNIT = "systemd-journald.service"
FOLDER = "/var/log/journal"
FILE = "/etc/systemd/journald.conf.d/zz-radiology.conf"
SECONDS = {
    "": 1,
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3600),
    **dict.fromkeys(("d", "day", "days"), 86400),
    **dict.fromkeys(("w", "week", "weeks"), 7 * 86400),
    **dict.fromkeys(("M", "month", "months"), 2629800),
    **dict.fromkeys(("y", "year", "years"), 31557600),
}
"""systemd.time(7)."""


def observe(host: Host) -> dict[str, Any]:
    """Return the facts below `journal`."""
    shown = host.run(["systemd-analyze", "cat-config", "systemd/journald.conf"]).output
    told = settings(shown)
    storage = told.get("Storage") or "auto"
    folder = host.stat(FOLDER)
    files = re.findall(r"(?m)^# (/\S+)$", shown)
    return {
        "persistent": storage == "persistent" or (storage == "auto" and folder is not None),
        "days": days(told.get("MaxRetentionSec") or "0"),
        "open_files": _open_files(host),
        "older_than_configuration": unit_state.is_older(host, unit_state.properties(host, UNIT), files),
    }


def steps(unmet: list[str], kept_days: int) -> list[Step]:
    """Return the steps that have the journal kept, and from other accounts."""
    done = []
    if any(not name.endswith(".open_files") for name in unmet):
        done.append(
            Step(f"Keep the journal over restarts, and for {kept_days} days", lambda host: _keep(host, kept_days))
        )
    if any(name.endswith(".open_files") for name in unmet):
        done.append(Step("Keep the journal's files from other accounts", _close))
    return done


def render(kept_days: int) -> str:
    """Return the text of our file."""
    return (
        f"# Kept by radiology.hardening (role system).\n[Journal]\nStorage=persistent\nMaxRetentionSec={kept_days}day\n"
    )


def settings(shown: str) -> dict[str, str]:
    """Read what `systemd-analyze cat-config` shows; of a setting the last one counts."""
    pairs = (line.partition("=") for line in shown.splitlines() if not line.lstrip().startswith(("#", ";")))
    return {name.strip(): value.strip() for name, equals, value in pairs if equals}


def days(text: str) -> int | None:
    """Return a time span of systemd.time(7) in whole days; None where it is none."""
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    if not parts or "".join(re.split(r"\s+", text)) != "".join(number + unit for number, unit in parts):
        return None
    if any(unit not in SECONDS for _number, unit in parts):
        return None
    return int(sum(float(number) * SECONDS[unit] for number, unit in parts) // 86400)


def _open_files(host: Host) -> list[str]:
    paths = [f"{FOLDER}/{machine}/{name}" for machine in host.list(FOLDER) for name in host.list(f"{FOLDER}/{machine}")]
    return [path for path in paths if (entry := host.stat(path)) is not None and int(entry.mode, 8) & 0o007]


def _keep(host: Host, kept_days: int) -> None:
    host.write(FILE, render(kept_days))
    host.must(["systemctl", "restart", UNIT])
    found = observe(host)
    if not found["persistent"] or found["days"] != kept_days:
        raise HardeningError(
            f"A file that is read after {FILE} sets Storage or MaxRetentionSec otherwise: `systemd-analyze cat-config "
            "systemd/journald.conf` shows which. Take it out there."
        )


def _close(host: Host) -> None:
    for path in _open_files(host):
        host.own(path, mode=0o640, group="systemd-journal")
