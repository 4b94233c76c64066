# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which roles harden a host of which kind; the audit judges it by their controls, and a device by those of devices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.plugin_utils import catalogue
from ansible_collections.radiology.hardening.plugins.plugin_utils.catalogue import Control

SERVER, WORKSTATION, GATEWAY = catalogue.HARDENED
ROLES: dict[str, tuple[str, ...]] = {
    SERVER: ("orthanc", "disk_encryption", "dicom_tls", "authentication", "firewall", "remote_access", "system"),
    WORKSTATION: ("disk_encryption", "authentication", "firewall", "system", "workstation", "reading_laptop"),
    GATEWAY: ("disk_encryption", "authentication", "firewall", "modality_box", "remote_access", "system"),
}
"""Kind of host -> the roles that the playbook harden runs on it, in their order."""
DEVICES = tuple(catalogue.SYSTEMS)
"""Kinds of host that are judged by what is seen from outside, and by what a person attests where nobody logs in."""


def kind_of(variables: Mapping[str, Any]) -> str:
    """Return the kind that the clinic file gives a host; an inventory without one is of servers."""
    return str((variables.get("clinic_host") or {}).get("kind", SERVER))


def roles(variables: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the roles whose controls a host is held to: none for a device that nobody logs in to."""
    kind = kind_of(variables)
    return ROLES.get(kind, ()) if kind not in DEVICES or variables.get("clinic_managed") else ()


def told_by_persons(variables: Mapping[str, Any]) -> bool:
    """Tell whether only persons say what is inside a host: a device that no role hardens."""
    return kind_of(variables) in DEVICES and not roles(variables)


def controls(variables: Mapping[str, Any], profile: str, asked: Sequence[str] = ()) -> tuple[Control, ...]:
    """Return the controls of a profile that a host is judged by; where roles are asked for, theirs alone."""
    kept, kind = asked or roles(variables), kind_of(variables)
    return tuple(
        control
        for control in catalogue.load()
        if profile in control.profiles
        and control.asked_of(kind)
        and (control.role in kept or not (control.expect or asked))
    )


def is_judged(variables: Mapping[str, Any]) -> bool:
    """Tell whether a report has to judge a host: each server, gateway, and device that the clinic has not lost."""
    about = variables.get("clinic_host") or {}
    return kind_of(variables) in (SERVER, GATEWAY, *DEVICES) and not about.get("lost")
