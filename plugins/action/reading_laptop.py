# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The controller's part of the role reading_laptop: it keeps the laptop's public key, for the gateway."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible_collections.radiology.hardening.plugins.module_utils import home_tunnel
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.plugin_utils import home_devices
from ansible_collections.radiology.hardening.plugins.plugin_utils.certificate_requests import RequestingAction
from ansible_collections.radiology.hardening.plugins.plugin_utils.results import succeeded, told
from ansible_collections.radiology.hardening.plugins.plugin_utils.surface_action import SurfaceAction


class ActionModule(RequestingAction, SurfaceAction):
    """Run the module, and fetch the public key."""

    SURFACE = "reading_laptop"

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the module's result, with a sentence where the key is another than before."""
        variables = task_vars or {}
        result: dict[str, Any] = super().run(tmp, variables)
        scope = self._task.args.get("scope") or {}
        laptop = scope.get("home")
        answer = self.call(variables, {})
        if succeeded(answer) and laptop and not self._task.check_mode:
            try:
                public = self.fetch_request(home_tunnel.PUBLIC, variables).strip()
                name = home_devices.made_by(laptop["name"], str(variables["clinic_host"]["name"]))
                kept = home_devices.keep_key(str(scope["clinic_directory"]), name, public)
            except HardeningError as error:
                raise AnsibleActionFail(str(error)) from None
            answer |= told([*answer["plan"], *kept], answer)
        result.update(answer)
        return result
