# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep dated evidence of what the vantage points on the internet saw of a clinic; nothing is called on a host."""

from __future__ import annotations

import datetime
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.plugin_utils import internet_scan


class ActionModule(ActionBase):
    """Write one file a clinic, at the turn of the first of its vantage points that really looked."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return where the evidence lies, where it was written; a warning where this vantage point heard nothing."""
        variables = task_vars or {}
        result: dict[str, Any] = super().run(tmp, variables)
        self.validate_argument_spec({})
        result.update(changed=False)
        name, clinic = variables["inventory_hostname"], variables["clinic"]
        found = seen(variables)
        if name not in found:
            return result
        if not found[name]:
            controls = ", ".join(variables["clinic_vantage"].get("control_targets") or []) or "none"
            deaf = f"{name} heard nothing from anywhere, so that its silence proves nothing and no evidence is kept"
            result["warnings"] = [f"{deaf}; its control targets, which should have answered: {controls}."]
        looked = [each for each, listed in found.items() if listed]
        if looked[:1] == [name] and not self._task.check_mode:
            entries = [entry for listed in found.values() for entry in listed]
            try:
                result["kept"] = internet_scan.keep(clinic, entries, datetime.datetime.now(tz=datetime.UTC))
            except HardeningError as error:
                raise AnsibleActionFail(str(error)) from None
        return result


def seen(variables: dict[str, Any]) -> dict[str, internet_scan.Looks]:
    """Return what each vantage point on the internet of this host's clinic looked at in this run, if it ran there."""
    found = {}
    for name in variables.get("groups", {}).get("vantage_points", []):
        theirs = variables["hostvars"][name]
        exposure = theirs.get("hardening_exposure") or {}
        mine = theirs.get("clinic", {}).get("name") == variables["clinic"]["name"]
        if mine and theirs["clinic_vantage"]["kind"] == internet_scan.INTERNET and exposure.get("targets"):
            found[name] = internet_scan.looks(name, theirs["clinic_vantage"], exposure)
    return found
