# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The controller's part of the role remote_access: it writes down what devices and the internet box are set to."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail
from ansible_collections.radiology.hardening.plugins.module_utils import home_ipsec, home_ipsec_host, home_tunnel
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.plugin_utils import authority, home_certificates, home_devices
from ansible_collections.radiology.hardening.plugins.plugin_utils.certificate_requests import RequestingAction
from ansible_collections.radiology.hardening.plugins.plugin_utils.results import after, succeeded, told
from ansible_collections.radiology.hardening.plugins.plugin_utils.secrets import Secrets
from ansible_collections.radiology.hardening.plugins.plugin_utils.surface_action import SurfaceAction


class ActionModule(RequestingAction, SurfaceAction):
    """Run the module, fetch the gateway's public key, and write what is set by hand."""

    SURFACE = "remote_access"

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the module's result, with a sentence for each file that was written."""
        variables = task_vars or {}
        result: dict[str, Any] = super().run(tmp, variables)
        scope = self._task.args.get("scope") or {}
        tunnel = scope.get("tunnel") or {}
        try:
            if home_ipsec.is_chosen(tunnel):
                scope, answer = self._by_ipsec(scope, variables)
            else:
                answer = self.call(variables, {})
            if succeeded(answer) and tunnel and not self._task.check_mode:
                files = home_devices.files(scope, self._public(scope, variables), str(variables["clinic_host"]["name"]))
                written = home_devices.write(str(scope["clinic_directory"]), files, scope["tunnel"])
                answer |= told([*answer["plan"], *written], answer)
        except HardeningError as error:
            raise AnsibleActionFail(str(error)) from None
        result.update(answer)
        return result

    def _public(self, scope: dict[str, Any], variables: dict[str, Any]) -> str:
        """Return the gateway's public key, which devices of WireGuard know it by; IPsec has a certificate for that."""
        chosen = home_ipsec.is_chosen(scope["tunnel"])
        return "" if chosen else self.fetch_request(home_tunnel.PUBLIC, variables).strip()

    def _by_ipsec(self, scope: dict[str, Any], variables: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Have devices and gateway certified, and return the scope with that, and the module's last answer."""
        authority.demand_cryptography()
        directory, check_mode = str(scope["clinic_directory"]), bool(self._task.check_mode)
        secrets = Secrets(directory, self._loader._vault, check_mode=check_mode)
        signed = home_certificates.sign(secrets, directory, scope["tunnel"], check_mode=check_mode)
        done = [f"Sign the certificate of {name}, for the tunnel alone" for name in signed]
        scope = home_devices.with_keys(scope)
        answer = self.call(variables, {"scope": scope})
        if succeeded(answer) and home_ipsec_host.REQUESTED in answer["plan"] and not check_mode:
            name = home_ipsec_host.title(scope["tunnel"])
            request = self.fetch_request(home_ipsec.REQUEST, variables)
            authority.sign(secrets, directory, request, name, names=[name, str(scope["tunnel"]["endpoint"])])
            done += [*answer["plan"], f"Sign the certificate of {name}"]
            scope = home_devices.with_keys(scope)
            answer = self.call(variables, {"scope": scope})
        return scope, after(done, answer)
