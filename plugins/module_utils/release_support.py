# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""For how long Debian goes on mending flaws of the release that a host runs."""

from __future__ import annotations

import datetime
import re
import time
from collections.abc import Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import deliberate
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step

FACTS: dict[str, str] = {
    "release.codename": "str: Debian's name of the release; empty where os-release has none",
    "release.supported_days": "int: days until Debian's long-term support ends, negative once it has; null: unknown",
    "release.advice": "list of str: what to do about it",
}
FILE = "/etc/os-release"
ENDS = {
    "buster": datetime.date(2024, 6, 30),
    "bullseye": datetime.date(2026, 8, 31),
    "bookworm": datetime.date(2028, 6, 30),
    "trixie": datetime.date(2030, 6, 30),
}
"""Release -> the last day of its long-term support (wiki.debian.org/LTS, read in November 2026)."""


def observe(host: Host) -> dict[str, Any]:
    """Return the facts below `release`."""
    told = re.search(r'(?m)^VERSION_CODENAME="?(\w+)', host.text(FILE) or "")
    codename = told[1] if told else ""
    end = ENDS.get(codename)
    today = datetime.datetime.fromtimestamp(time.time(), tz=datetime.UTC).date()
    found = {"codename": codename, "supported_days": (end - today).days if end else None}
    return {**found, "advice": [_advice(found)]}


def steps(found: Mapping[str, Any], unmet: list[str]) -> list[Step]:
    """Return what a person does about a release that ends."""
    return [deliberate(_advice(found))] if unmet else []


def _advice(found: Mapping[str, Any]) -> str:
    days, name = found["supported_days"], found["codename"] or "of an unknown name"
    when = "is not known here" if days is None else f"ends in {days} days" if days >= 0 else f"ended {-days} days ago"
    return f"the support of Debian {name} {when}: move this host to a newer release of Debian"
