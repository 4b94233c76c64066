# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What every surface offers, and the flow that each is held by: look, plan, apply unless check mode."""

from __future__ import annotations

import contextlib
import importlib
import time
from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.radiology.hardening.plugins.module_utils import packages, surface_needs
from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import LEFT, parted
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.kept import Ledger
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step, apply

if TYPE_CHECKING:  # Ansible sends to a host what it reads here; `named` imports there what is asked for alone
    from ansible_collections.radiology.hardening.plugins.module_utils.surfaces import (
        authentication,
        dicom_tls,
        disk_encryption,
        firewall,
        modality_box,
        orthanc,
        reading_laptop,
        remote_access,
        system,
        workstation,
    )

    SENT = (
        *(authentication, dicom_tls, disk_encryption, firewall, modality_box, orthanc, reading_laptop),
        *(remote_access, system, workstation),
    )

NAMES = (
    *("orthanc", "dicom_tls", "authentication", "firewall", "remote_access", "disk_encryption", "system"),
    *("workstation", "reading_laptop", "modality_box"),
)
DAY = 86400
"""Seconds; certificates are signed so that they count from a day before."""


def named(name: str) -> ModuleType:
    """Return the surface of this name, one of NAMES."""
    return importlib.import_module(f"{__package__}.surfaces.{name}")


def observe(surface: ModuleType, host: Host, scope: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts of a surface and of those that it uses, keyed by surface name."""
    return {each.NAME: each.observe(host, scope) for each in (*getattr(surface, "USES", ()), surface)}


def recording(host: Host, surface: ModuleType) -> None:
    """Have the host keep what this surface replaces from now on."""
    host.ledger = Ledger(host, surface.NAME, surface.OWN)


def installing(host: Host, name: str, scope: Mapping[str, Any]) -> list[Step]:
    """Return the step that installs what the surface cannot do without, or none."""
    programs = surface_needs.packages(name, scope)
    return packages.plan(host, programs) if programs else []


def plan(host: Host, surface: ModuleType, given: Mapping[str, Any]) -> list[Step]:
    """Look at the host and return what is to be done there; what is replaced from now on is kept."""
    scope: Mapping[str, Any] = given["scope"]
    with host.looking():
        facts = observe(surface, host, scope)
    recording(host, surface)
    more = {name: given[name] for name in surface_needs.GIVEN.get(surface.NAME, ())}
    steps: list[Step] = surface.plan(facts, given["wanted"], {**scope, **more})
    return steps


def hold(host: Host, given: Mapping[str, Any], *, check_mode: bool) -> tuple[list[Step], list[Step]]:
    """Bring about what is not left to a person, unless check mode; return that, and what is left."""
    surface = named(given["surface"])
    surface_needs.refuse_foreign(surface.NAME, given, check_mode=check_mode)
    with contextlib.nullcontext() if check_mode else host.alone():
        demand_clock(given["scope"])
        installed = installing(host, surface.NAME, given["scope"])
        if not check_mode:
            apply(host, installed)
        ordinary, left = parted(plan(host, surface, given))
        if not check_mode:
            apply(host, ordinary)
    return [*installed, *ordinary], left


def main(options: Mapping[str, Any]) -> None:
    """Hold one surface and tell it; two runs on a host take turns."""
    module = AnsibleModule(argument_spec=dict(options), supports_check_mode=True)
    host = Host()
    try:
        ordinary, left = hold(host, module.params, check_mode=module.check_mode)
    except HardeningError as error:
        module.fail_json(msg=str(error))
    told, deliberate = [step.does for step in ordinary], [*(step.does for step in left), *host.remarks]
    for sentence in deliberate:
        module.warn(f"{LEFT}{sentence}")
    shown = [*told, *(f"{LEFT}{sentence}" for sentence in deliberate)] if module.check_mode else told
    module.exit_json(
        changed=bool(ordinary or (left and module.check_mode)),
        plan=told,
        **({"deliberate": deliberate} if deliberate else {}),
        diff={"before": "", "after": "".join(f"{sentence}\n" for sentence in shown)},
    )


def demand_clock(scope: Mapping[str, Any]) -> None:
    """Refuse a host whose clock is more than a day off: it would take every certificate for a past or a future one."""
    if "clock" not in scope:
        return
    seconds = time.time() - float(scope["clock"])
    if abs(seconds) > DAY:
        raise HardeningError(
            f"The clock of this host is {abs(seconds) / DAY:.0f} days {'ahead of' if seconds > 0 else 'behind'} the "
            "controller's, so that certificates would count as expired or not yet valid: set it, then run this again."
        )
