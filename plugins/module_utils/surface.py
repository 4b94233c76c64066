# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What every surface offers, and the three lines of flow that every surface's module is."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.steps import apply

ARGUMENTS: dict[str, Any] = {
    "scope": {"type": "dict", "required": True},
    "wanted": {"type": "dict", "required": True},
}


def observe(surface: ModuleType, host: Host, scope: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts of a surface and of those that it uses, keyed by surface name."""
    return {each.NAME: each.observe(host, scope) for each in (*getattr(surface, "USES", ()), surface)}


def main(surface: ModuleType, **secrets: Any) -> None:
    """Observe, plan, apply unless check mode. `secrets` are further module arguments, handed to the plan only."""
    module = AnsibleModule(argument_spec={**ARGUMENTS, **secrets}, supports_check_mode=True)
    host = Host()
    scope: Mapping[str, Any] = module.params["scope"]
    try:
        facts = observe(surface, host, scope)
        given = {name: module.params[name] for name in secrets}
        steps = surface.plan(facts, module.params["wanted"], {**scope, **given})
        if not module.check_mode:
            apply(host, steps)
    except HardeningError as error:
        module.fail_json(msg=str(error))
    plan = [step.does for step in steps]
    diff = {"before": "", "after": "".join(f"{sentence}\n" for sentence in plan)}
    module.exit_json(changed=bool(steps), plan=plan, diff=diff)
