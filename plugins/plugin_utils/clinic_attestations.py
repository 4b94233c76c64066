# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The attestations of a clinic file: of a device that nobody logs in to, about what it is asked, for a year at most.

Whether one holds today is for the audit to judge: a file that was right does not become unreadable overnight.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.radiology.hardening.plugins.plugin_utils import attestations, concerns
from ansible_collections.radiology.hardening.plugins.plugin_utils.clinic_model import Clinic, Host
from ansible_collections.radiology.hardening.plugins.plugin_utils.clinic_schema import nearest
from ansible_collections.radiology.hardening.plugins.plugin_utils.clinic_text import Path, dotted, shown

Found = Iterator[tuple[Path, str]]

KEY = "hardening_attestations"


def problems(clinic: Clinic) -> Found:
    """Attestations: a device without ssh, controls that are asked of it and that a person can see, days in order."""
    listed: list[dict[str, Any]] = clinic.given.get(KEY, [])
    devices = {host.name: host for host in clinic.devices if "ssh" not in host.given or host.kind not in concerns.ROLES}
    for place, given in enumerate(listed):
        path: Path = (KEY, place)
        device = devices.get(given["host"].removesuffix(f".{clinic.name}"))
        if device is None:
            clause = "which is no workstation or modality without ssh here"
            hint = nearest(given["host"], list(devices))
            yield (*path, "host"), f"{KEY}[{place}].host is {shown(given['host'])}, {clause}; {hint}"
        else:
            yield from _controls(path, given["controls"], device)
        yield from _days(path, given)


def _controls(path: Path, given: dict[str, str], device: Host) -> Found:
    """Yield each control that persons do not attest of a device of this kind."""
    accepted = [name for name, control in attestations.attestable().items() if device.kind in control.concerns]
    for control in given:
        if control not in accepted:
            clause = f"which nobody attests of a {device.kind}; {nearest(control, accepted)}"
            yield (*path, "controls", control), f"{dotted((*path, 'controls'))} names {shown(control)}, {clause}"


def _days(path: Path, given: dict[str, Any]) -> Found:
    """Yield each day that is none of the calendar, and an expiry out of bounds."""
    date, expires = attestations.day(given["date"]), attestations.day(given["expires"])
    for key, read in (("date", date), ("expires", expires)):
        if read is None:
            yield (
                (*path, key),
                f"{dotted((*path, key))} is {shown(given[key])}, which is no day; accepted: a date as 2027-01-31",
            )
    if date and expires and (wrong := attestations.wrong_span(date, expires)):
        yield (*path, "expires"), f"{dotted((*path, 'expires'))} is {shown(given['expires'])}, {wrong}"
