# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What every surface offers, and the three lines of flow that every surface's module is."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import LEFT, parted
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.kept import Ledger
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step, apply

DAY = 86400
"""Seconds; certificates are signed so that they count from a day before."""

ARGUMENTS: dict[str, Any] = {
    "scope": {"type": "dict", "required": True},
    "wanted": {"type": "dict", "required": True},
}


def observe(surface: ModuleType, host: Host, scope: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts of a surface and of those that it uses, keyed by surface name."""
    return {each.NAME: each.observe(host, scope) for each in (*getattr(surface, "USES", ()), surface)}


def recording(host: Host, surface: ModuleType) -> None:
    """Have the host keep what this surface replaces from now on."""
    host.ledger = Ledger(host, surface.NAME, surface.OWN)


def main(surface: ModuleType, **secrets: Any) -> None:
    """Observe, plan, apply unless check mode. `secrets` are further module arguments, handed to the plan only."""

    def plan(host: Host, given: Mapping[str, Any]) -> list[Step]:
        scope: Mapping[str, Any] = given["scope"]
        if given.get("confirm"):  # nothing need be looked at, and the undo does not wait
            return list(surface.plan({}, {}, {"confirm": True, "arming": given["arming"]}))
        demand_clock(scope)
        with host.looking():
            facts = observe(surface, host, scope)
        recording(host, surface)
        steps: list[Step] = surface.plan(facts, given["wanted"], {**scope, **{name: given[name] for name in secrets}})
        return steps

    follow({**ARGUMENTS, **secrets}, plan)


def follow(arguments: Mapping[str, Any], plan: Callable[[Host, Mapping[str, Any]], list[Step]]) -> None:
    """Make a plan, bring about what is not left to a person unless check mode, and tell it; two runs take turns."""
    module = AnsibleModule(argument_spec=dict(arguments), supports_check_mode=True)
    host = Host()
    try:
        with contextlib.nullcontext() if module.check_mode or module.params.get("confirm") else host.alone():
            ordinary, left = parted(plan(host, module.params))
            if not module.check_mode:
                apply(host, ordinary)
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
