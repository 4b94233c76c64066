# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a run would be given on one host, and how it would reach it, checked on the controller alone."""

from __future__ import annotations

import dataclasses
import datetime
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.plugin_utils import (
    attestations,
    authority,
    catalogue,
    concerns,
    inputs,
    preflight_files,
    preflight_settings,
)
from ansible_collections.radiology.hardening.plugins.plugin_utils.remarks import Remarks
from ansible_collections.radiology.hardening.plugins.plugin_utils.secrets import Secrets

ARGUMENTS = ("ansible_ssh_common_args", "ansible_ssh_extra_args")
"""What may lead to another host of the same address, as a jump host does."""


@dataclasses.dataclass(frozen=True)
class Controller:
    """What the controller brings to a check; `user` is who logs in where no variable says so."""

    render: inputs.Template
    trust: inputs.Template
    vault: Callable[[str], Secrets]
    user: str
    now: datetime.datetime


@dataclasses.dataclass(frozen=True)
class Reach:
    """How a run would reach a host; of a vantage point, its kind and what it would look at."""

    host: str
    over: str
    address: str
    port: str
    user: str
    arguments: str
    stands: str
    looks_at: Sequence[str]

    def __str__(self) -> str:
        """Say it in words."""
        who = f"{self.user}@" if self.user else ""
        way = "" if self.over == "ssh" else f" over {self.over}"
        looks = f", to look from the {self.stands} at {', '.join(self.looks_at) or 'nothing'}" if self.stands else ""
        return f"{who}{self.address} port {self.port}{way}{looks}"


@dataclasses.dataclass
class Checked:
    """What was found of one host; reach is None where nobody logs in, profile where it is not judged.

    `devices` are those of its clinic.
    """

    remarks: Remarks
    reach: Reach | None = None
    profile: str | None = None
    waivers: Sequence[catalogue.Waiver] = ()
    controls: Sequence[catalogue.Control] = ()
    attestations: Sequence[attestations.Attestation] | None = None
    """Those of the clinic, for a host of which only persons tell; None for any other."""
    devices: Sequence[Mapping[str, Any]] = ()


def check(variables: Mapping[str, Any], controller: Controller) -> Checked:
    """Check one host by its variables, unrendered."""
    name = str(variables["inventory_hostname"])
    found = Checked(Remarks())
    for variable in preflight_settings.closed(variables):
        found.remarks.problem(f"{name}: {variable} is encrypted and does not open with this run's vault password")
    if not variables["clinic_managed"]:
        if concerns.kind_of(variables) not in concerns.DEVICES:
            found.remarks.note(f"{name} has no ssh block, so nobody logs in to it; an audit counts it as not audited")
    else:
        with found.remarks.refusals(f"{name}: how to reach it cannot be made out"):
            found.reach = reach(name, variables, controller.render, controller.user)
    roles = concerns.roles(variables)
    if roles:
        given = preflight_settings.check(found.remarks, variables, controller.render, controller.trust, roles)
        if concerns.kind_of(variables) == concerns.SERVER:
            _check_kept(found.remarks, given, variables, controller)
        else:
            preflight_files.check_first_passwords(found.remarks, given, controller.vault)
            preflight_files.check_laptops(found.remarks, given, controller.vault)
    if concerns.is_judged(variables):
        with found.remarks.refusals(name):
            chosen = inputs.selection(variables, controller.render)
            found.profile, found.waivers = str(chosen["profile"]), chosen["waivers"]
            found.devices = variables.get("clinic_devices") or ()
            found.controls = concerns.controls(variables, found.profile)
            if concerns.told_by_persons(variables):
                found.attestations = attestations.of(controller.render(variables.get("hardening_attestations", [])))
    return found


def reach(name: str, variables: Mapping[str, Any], render: inputs.Template, user: str) -> Reach:
    """Return how a run would reach a host: its variables outrank Ansible's settings, of which `user` is one."""

    def said(*names: str) -> str:
        given = next((variables[each] for each in names if variables.get(each) is not None), "")
        return str(render(given))

    targets = variables.get("clinic_targets") or []
    return Reach(
        host=name,
        over=said("ansible_connection") or "ssh",
        address=said("ansible_host", "ansible_ssh_host") or name,
        port=said("ansible_port", "ansible_ssh_port") or "22",
        user=said("ansible_user", "ansible_ssh_user") or user,
        arguments=" ".join(map(said, ARGUMENTS)).strip(),
        stands=str((variables.get("clinic_vantage") or {}).get("kind", "")),
        looks_at=tuple(dict.fromkeys(str(each) for target in targets for each in target["addresses"])),
    )


def _check_kept(
    remarks: Remarks, given: Mapping[str, Any], variables: Mapping[str, Any], controller: Controller
) -> None:
    """Check what the clinic keeps beside its file for a server: secrets, certificates, escrow."""
    preflight_files.check_secrets(remarks, given, controller.vault)
    preflight_files.check_laptops(remarks, given, controller.vault)
    directory = os.path.dirname(str(variables["clinic"]["file"]))
    with remarks.refusals():
        authority.demand_cryptography()
        preflight_files.check_certificates(remarks, given, controller.vault)
        preflight_files.check_escrow(remarks, variables.get("clinic_escrow") or {}, directory, controller.now)
