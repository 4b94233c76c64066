# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The controller's part of the role remote_access: it writes down what devices and the internet box are set to."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible_collections.radiology.hardening.plugins.module_utils import home_tunnel
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.plugin_utils import home_devices
from ansible_collections.radiology.hardening.plugins.plugin_utils.certificate_requests import RequestingAction
from ansible_collections.radiology.hardening.plugins.plugin_utils.results import succeeded, told

MODULE = "radiology.hardening.remote_access"


class ActionModule(RequestingAction):
    """Run the module, fetch the gateway's public key, and write what is set by hand."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the module's result, with a sentence for each file that was written."""
        variables = task_vars or {}
        result: dict[str, Any] = super().run(tmp, variables)
        scope = self._task.args.get("scope") or {}
        answer = self._execute_module(module_name=MODULE, module_args=self._task.args, task_vars=variables)
        if succeeded(answer) and scope.get("tunnel") and not self._task.check_mode:
            try:
                public = self.fetch_request(home_tunnel.PUBLIC, variables).strip()
                files = home_devices.files(scope, public, str(variables["clinic_host"]["name"]))
                written = home_devices.write(str(scope["clinic_directory"]), files, scope["tunnel"])
            except HardeningError as error:
                raise AnsibleActionFail(str(error)) from None
            answer |= told([*answer["plan"], *written])
        result.update(answer)
        return result
