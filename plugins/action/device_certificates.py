# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sign the certificates of a clinic's devices anew, on the controller, once a clinic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.radiology.hardening.plugins.module_utils import dicom_front
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.plugin_utils import authority, device_certificates
from ansible_collections.radiology.hardening.plugins.plugin_utils.results import told
from ansible_collections.radiology.hardening.plugins.plugin_utils.secrets import Secrets


class ActionModule(ActionBase):
    """Refuse a name that nobody bears, then sign on the first of the clinic's servers in this run."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return whose certificate was signed, or would be."""
        variables = task_vars or {}
        result: dict[str, Any] = super().run(tmp, variables)
        wanted, directory = str(self._task.args.get("device") or ""), str(self._task.args["directory"])
        devices = dicom_front.admitted(self._task.args["devices"])
        servers = _servers(variables)
        try:
            authority.demand_cryptography()
            chosen = _chosen(wanted, devices, list(servers), str(variables["clinic"]["name"]))
            for name in servers:
                if wanted in ("", name):
                    device_certificates.demand_of_server(directory, name)
            if next(iter(servers.values())) != variables["inventory_hostname"]:
                return result | told([])
            check_mode = bool(self._task.check_mode)
            secrets = Secrets(directory, self._loader._vault, check_mode=check_mode)
            signed, waiting = device_certificates.sign(secrets, directory, chosen, check_mode=check_mode, anew=True)
        except HardeningError as error:
            raise AnsibleActionFail(str(error)) from None
        result.update(told([f"Sign the certificate of {name}" for name in signed]))
        if waiting:
            result["warnings"] = [device_certificates.UNSIGNED.format(directory=directory, names=", ".join(waiting))]
        return result


def _servers(variables: Mapping[str, Any]) -> dict[str, str]:
    """Return the servers of this host's clinic in this run: name to the inventory's name."""
    known = {host: variables["hostvars"][host] for host in variables["ansible_play_hosts_all"]}
    clinic = variables["clinic"]["name"]
    return {known[host]["clinic_host"]["name"]: host for host in known if known[host]["clinic"]["name"] == clinic}


def _chosen(wanted: str, devices: list[Mapping[str, Any]], servers: list[str], clinic: str) -> list[Mapping[str, Any]]:
    """Return the devices to sign for; none where a server is named."""
    if wanted and wanted not in (*servers, *(str(device["name"]) for device in devices)):
        names = ", ".join([*servers, *(str(device["name"]) for device in devices)])
        raise HardeningError(
            f"{clinic} has no device {wanted} that speaks TLS; accepted: {names}, and -l clinic_<name> for one clinic."
        )
    return [device for device in devices if wanted in ("", device["name"])]
