# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the lab itself attests of its modalities, as it saw it in their containers, and what it has to have waived.

A scanner of the lab is a container: there is no disk of its own to be encrypted, and no maker who updates it. That is
waived, by name and for a month; whatever the lab can see in the container, it attests.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import yaml

BY = "The lab's generator"
MODALITIES = ("ct", "us")
HOLDS = datetime.timedelta(days=30)
WAIVED = {
    "device.own_accounts": "A container of the lab: nobody works at it",
    "device.disk_encrypted": "A container of the lab, without a disk of its own; its studies are made up",
    "device.security_updates": "A container of the lab, made anew for each run from its image",
}
LISTENING = "ss -Htln | awk '{print $4}' | sort | paste -sd ' '"
PASSWORDS = "passwd -Sa | awk '$2 == \"P\" {print $1}'"
ONLY_SSH = {"0.0.0.0:22", "[::]:22"}
NO_WAIVERS = "hardening_waivers: []\n"


def attest(text: str, devices: Mapping[str, Callable[[str], str]], today: datetime.date) -> str:
    """Return a clinic file's text with what is attested and waived; with each device stands what runs a line on it."""
    days = {"date": today.isoformat(), "expires": (today + HOLDS).isoformat()}
    seen = {name: _seen(run) for name, run in devices.items()}
    attested = [{"host": name, "by": BY, **days, "controls": found} for name, found in seen.items() if found]
    waived = [
        {"control": control, "host": name, "reason": reason, "owner": BY, "expires": days["expires"]}
        for name in devices
        for control, reason in WAIVED.items()
    ]
    if NO_WAIVERS not in text:
        raise SystemExit(f"lab: a clinic file has waivers of its own; accepted: {NO_WAIVERS.strip()}")
    with_waivers = text.replace(NO_WAIVERS, _block("hardening_waivers", waived))
    return f"{with_waivers}\n{_block('hardening_attestations', attested)}"


def made_up(controls: Iterable[Any], kinds: Mapping[str, str], by: str, today: datetime.date) -> list[dict[str, Any]]:
    """Return attestations of all that persons tell of devices, which nobody saw: for what is proven of something else.

    `kinds` are the devices' names and their kinds; `controls` are those of the catalogue.
    """
    days = {"date": today.isoformat(), "expires": (today + HOLDS).isoformat()}
    listed = list(controls)
    return [
        {
            "host": name,
            "by": by,
            **days,
            "controls": {
                control.id: f"Made up for the proof: {control.attest}"
                for control in listed
                if control.attest and kind in control.concerns
            },
        }
        for name, kind in kinds.items()
    ]


def _seen(run: Callable[[str], str]) -> dict[str, str]:
    """Return what holds in the container, in the words of the command that says so; what does not is left out."""
    listening, passwords = run(LISTENING).split(), run(PASSWORDS).split()
    found = {}
    if set(listening) <= ONLY_SSH:
        said = f"ss -Htln lists {' '.join(listening)} and nothing else"
        found["device.listener"] = f"{said}; what plays the modality listens only while it fetches"
        if not passwords:
            found["device.remote_control"] = f"{said}; SSH takes keys alone, since no account has a password"
    return found


def _block(key: str, listed: list[dict[str, Any]]) -> str:
    return yaml.safe_dump({key: listed}, sort_keys=False, width=1000)
