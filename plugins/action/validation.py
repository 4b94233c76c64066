# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Check the clinics of an inventory on the controller, tell what was found, and give the verdict; no host is called."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from ansible import context
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.radiology.hardening.plugins.plugin_utils import (
    clinic_sources,
    preflight,
    preflight_settings,
    validation,
)
from ansible_collections.radiology.hardening.plugins.plugin_utils.remarks import Remarks
from ansible_collections.radiology.hardening.plugins.plugin_utils.secrets import Secrets
from ansible_collections.radiology.hardening.plugins.plugin_utils.templates import guarded, trusted


class ActionModule(ActionBase):
    """Print a few lines a clinic and the verdict, and fail when anything is wrong."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the verdict, on all and on each clinic."""
        variables = task_vars or {}
        result: dict[str, Any] = super().run(tmp, variables)
        self.validate_argument_spec({})
        now = datetime.datetime.now(tz=datetime.UTC)
        others = Remarks()
        sources = [str(source) for source in variables.get("ansible_inventory_sources") or []]
        readable = clinic_sources.check_vaults(others, sources, self._loader._vault)
        clinics = self._clinics(variables, now) if readable else []
        clinic_sources.check(others, sources, {clinic.file for clinic in clinics} if readable else None)
        if readable and not clinics:
            others.problem("There is no clinic in this inventory, so nothing was checked")
        preflight_settings.given(others, "report", variables, guarded(self._templar.template), trusted)
        for line in [line for clinic in clinics for line in validation.lines(clinic)]:
            Display().display(line)
        for sentence in others.problems:
            Display().display(f"WRONG: {sentence}")
        verdict = validation.verdict(clinics, others)
        Display().display(f"\n{verdict}")
        result.update(
            changed=False,
            failed=not verdict.startswith("PASS"),
            msg=verdict,
            clinics={clinic.name: "fail" if clinic.remarks.problems else "pass" for clinic in clinics},
        )
        return result

    def _clinics(self, variables: Mapping[str, Any], now: datetime.datetime) -> list[validation.Clinic]:
        hostvars, groups = variables["hostvars"], variables["groups"]
        given: dict[str, Mapping[str, Any]] = {}
        found: dict[str, dict[str, preflight.Checked]] = {}
        for host in groups.get("clinic_hosts", []):
            known = {**hostvars.raw_get(host), "hostvars": hostvars, "groups": groups}
            clinic = known["clinic"]
            given.setdefault(clinic["name"], clinic)
            checked = found.setdefault(clinic["name"], {})
            if validation.is_checked(known):
                checked[host] = preflight.check(known, self._controller(known, now))
        clinics = [validation.clinic(given[name], found[name], now.date()) for name in sorted(given)]
        validation.refuse_one_address(clinics)
        return clinics

    def _controller(self, known: dict[str, Any], now: datetime.datetime) -> preflight.Controller:
        return preflight.Controller(
            render=guarded(self._templar.copy_with_new_env(available_variables=known).template),
            trust=trusted,
            vault=lambda directory: Secrets(directory, self._loader._vault, check_mode=True),
            user=str(context.CLIARGS.get("remote_user") or ""),
            now=now,
        )
