# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The controller's part of the role dicom_tls: the clinic's authority signs what hosts and devices ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible_collections.radiology.hardening.plugins.module_utils import dicom_front
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.surfaces.dicom_tls import (
    RENEWED,
    REQUESTED,
    TO_BE_SIGNED,
)
from ansible_collections.radiology.hardening.plugins.plugin_utils import (
    authority,
    authority_change,
    device_certificates,
    revocation,
)
from ansible_collections.radiology.hardening.plugins.plugin_utils.certificate_requests import RequestingAction
from ansible_collections.radiology.hardening.plugins.plugin_utils.results import after, succeeded
from ansible_collections.radiology.hardening.plugins.plugin_utils.secrets import Secrets
from ansible_collections.radiology.hardening.plugins.plugin_utils.surface_action import SurfaceAction


class ActionModule(RequestingAction, SurfaceAction):
    """Sign what is missing, run the module, and have signed what it asks for."""

    SURFACE = "dicom_tls"

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the module's result; a certificate that has to be signed first takes a second call of it."""
        variables = task_vars or {}
        result: dict[str, Any] = super().run(tmp, variables)
        scope = self._task.args.get("scope") or {}
        check_mode = bool(self._task.check_mode)
        try:
            authority.demand_cryptography()
            directory, name = str(scope["clinic_directory"]), str(scope["name"])
            self._demand_folder(directory, variables)
            secrets = Secrets(directory, self._loader._vault, check_mode=check_mode)
            devices = dicom_front.admitted(scope.get("devices") or [])
            if not check_mode:
                authority_change.settle(directory)
            made = revocation.revoke(secrets, directory, scope.get("devices") or [], check_mode=check_mode)
            names = [str(device["name"]) for device in devices]
            device_certificates.demand_own_keys(directory, [*names, name, f"{name}-web"])
            signed, waiting = device_certificates.sign(secrets, directory, devices, check_mode=check_mode)
            made += [f"Sign the certificate of {device}" for device in signed]
            answer = self.call(variables, self._given(directory, name, devices))
            if not check_mode and self._is_wanted(answer, directory, name):
                request = self.fetch_request(dicom_front.REQUEST, variables)
                authority.sign(secrets, directory, request, name, names=dicom_front.plain_names(scope))
                made += [*answer["plan"], f"Sign the certificate of {name}"]
                given = self._given(directory, name, devices)
                answer = self.call(variables, {**given, "scope": {**scope, "renew": False}})
        except HardeningError as error:
            raise AnsibleActionFail(str(error)) from None
        result.update(after(made, answer))
        if waiting:
            unsigned = device_certificates.UNSIGNED.format(directory=directory, names=", ".join(waiting))
            result.setdefault("warnings", []).append(unsigned)
        return result

    def _demand_folder(self, directory: str, variables: dict[str, Any]) -> None:
        """Raise HardeningError where the host trusts an authority and the clinic's folder has none: it is not whole."""
        if not authority.authorities(directory) and self.has(dicom_front.AUTHORITY, variables):
            raise HardeningError(dicom_front.ANOTHERS.format(known=f"{directory} has none"))

    def _is_wanted(self, answer: dict[str, Any], directory: str, name: str) -> bool:
        """Tell whether the host has a request that our authority has still to sign."""
        asked = {REQUESTED, RENEWED} & set(answer.get("plan") or [])
        return succeeded(answer) and (bool(asked) or not authority.lasts(directory, name))

    def _given(self, directory: str, name: str, devices: list[Mapping[str, Any]]) -> dict[str, Any]:
        """Return what the controller knows: certificates that last, and the devices' fingerprints."""
        own = authority.lasting(directory, name)
        return {
            "certificate": own or (TO_BE_SIGNED if self._task.check_mode else ""),
            "authority": "".join(authority.authorities(directory)),
            "revoked": revocation.lists(directory),
            "fingerprints": {
                str(device["name"]): device_certificates.admitted(directory, device) for device in devices
            },
        }
