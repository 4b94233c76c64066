# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The controller's part of the role firewall: the proof that the engineer still comes in."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.surfaces.firewall import UNDO
from ansible_collections.radiology.hardening.plugins.plugin_utils.guarded import GuardedAction
from ansible_collections.radiology.hardening.plugins.plugin_utils.surface_action import SurfaceAction


class ActionModule(GuardedAction, SurfaceAction):
    """Run the module and confirm over a new connection what it armed."""

    SURFACE = "firewall"

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the module's result."""
        variables = task_vars or {}
        result: dict[str, Any] = super().run(tmp, variables)
        answer = self.call(variables, {"arming": self.arming})
        try:
            self.confirm(answer, UNDO, variables)
        except HardeningError as error:
            raise AnsibleActionFail(str(error)) from None
        result.update(answer)
        return result
