# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The controller's part of the role modality_box: the modality's certificate, for a key that is made on the box."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.plugin_utils.tunnel_certificates import TunnelAction


class ActionModule(TunnelAction):
    """Run the module, have signed what it asks for, and hand it the certificate."""

    SURFACE = "modality_box"

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the module's result."""
        variables = task_vars or {}
        result: dict[str, Any] = super().run(tmp, variables)
        scope = self._task.args.get("scope") or {}
        try:
            result.update(self.tunnelled(variables, scope) if scope.get("room") else self.call(variables, {}))
        except HardeningError as error:
            raise AnsibleActionFail(str(error)) from None
        return result
