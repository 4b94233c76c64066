# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which roles harden a host of which kind; the audit judges it by their controls and by no others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.plugin_utils import catalogue
from ansible_collections.radiology.hardening.plugins.plugin_utils.catalogue import Control

SERVER, WORKSTATION = "orthanc_server", "workstation"
ROLES: dict[str, tuple[str, ...]] = {
    SERVER: ("orthanc", "disk_encryption", "dicom_tls", "authentication", "firewall", "system"),
    WORKSTATION: ("disk_encryption", "system"),
}
"""Kind of host -> the roles that the playbook harden runs on it, in their order."""


def kind_of(variables: Mapping[str, Any]) -> str:
    """Return the kind that the clinic file gives a host; an inventory without one is of servers."""
    return str((variables.get("clinic_host") or {}).get("kind", SERVER))


def controls(kind: str, profile: str) -> tuple[Control, ...]:
    """Return the controls of a profile that hosts of a kind are judged by."""
    return tuple(
        control
        for control in catalogue.load()
        if profile in control.profiles and control.role in ROLES.get(kind, ROLES[SERVER])
    )


def is_judged(variables: Mapping[str, Any]) -> bool:
    """Tell whether a report has to judge a host: each server, and each workstation that an engineer may log in to."""
    kind = kind_of(variables)
    return kind == SERVER or (kind == WORKSTATION and bool(variables.get("clinic_managed")))
