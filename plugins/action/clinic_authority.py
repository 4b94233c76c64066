# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Let a clinic's authority be followed by another, on the controller; the first server of a clinic to come does it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible_collections.radiology.hardening.plugins.module_utils import dicom_front
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.plugin_utils import (
    authority,
    authority_change,
    device_certificates,
)
from ansible_collections.radiology.hardening.plugins.plugin_utils.results import told
from ansible_collections.radiology.hardening.plugins.plugin_utils.secrets import Secrets


class ActionModule(ActionBase):
    """Refuse what is not whole, then bring the clinic's folder to the stage."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what was done, or would be."""
        variables = task_vars or {}
        result: dict[str, Any] = super().run(tmp, variables)
        directory, wanted = str(self._task.args["directory"]), str(self._task.args["stage"])
        devices, check_mode = dicom_front.admitted(self._task.args["devices"]), bool(self._task.check_mode)
        try:
            authority.demand_cryptography()
            if self._task.args.get("device"):
                raise HardeningError("-e device and -e authority exclude each other: an authority is changed for all.")
            seen = _of_each(_servers(variables), self._task.args["seen"])
            for name in seen:
                device_certificates.demand_of_server(directory, name)
            said = authority_change.change(
                Secrets(directory, self._loader._vault, check_mode=check_mode),
                directory,
                wanted,
                lambda stage: authority_change.hindrance(directory, stage, devices, seen),
                anyway=boolean(self._task.args.get("anyway") or False),
                check_mode=check_mode,
            )
        except HardeningError as error:
            raise AnsibleActionFail(str(error)) from None
        return result | told(said)


def _servers(variables: Mapping[str, Any]) -> dict[str, str]:
    """Return the servers of this host's clinic that are hardened, in this run or not: inventory's name to name."""
    groups = variables["groups"]
    hosts = [host for host in groups["orthanc_servers"] if host not in groups.get("declared_only", [])]
    known = {host: variables["hostvars"][host] for host in hosts}
    clinic = variables["clinic"]["name"]
    return {host: each["clinic_host"]["name"] for host, each in known.items() if each["clinic"]["name"] == clinic}


def _of_each(servers: Mapping[str, str], seen: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return what was seen on each server of the clinic, by its name; HardeningError where one did not answer."""
    silent = [host for host in servers if "devices" not in (seen.get(host) or {})]
    if silent:
        raise HardeningError(
            f"{', '.join(silent)} did not answer, or is left out by --limit; an authority is changed on all servers of "
            "a clinic in one run."
        )
    return {name: seen[host] for host, name in servers.items()}
