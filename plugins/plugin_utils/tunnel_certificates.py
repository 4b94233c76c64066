# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The controller's part of DICOM tunnels: a certificate of the clinic's authority for the device whose key is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import dicom_tunnel
from ansible_collections.radiology.hardening.plugins.module_utils.dicom_tunnel_state import REQUESTED
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.surfaces.dicom_tls import TO_BE_SIGNED
from ansible_collections.radiology.hardening.plugins.plugin_utils import (
    authority,
    authority_change,
    clinic_folder,
    device_certificates,
)
from ansible_collections.radiology.hardening.plugins.plugin_utils.certificate_requests import RequestingAction
from ansible_collections.radiology.hardening.plugins.plugin_utils.results import after, succeeded
from ansible_collections.radiology.hardening.plugins.plugin_utils.secrets import Secrets
from ansible_collections.radiology.hardening.plugins.plugin_utils.surface_action import SurfaceAction


class TunnelAction(RequestingAction, SurfaceAction):
    """An action whose host holds the key of a device's tunnels."""

    more: Mapping[str, Any] = {}
    """What the module is given beside the task's own arguments."""

    def call(self, variables: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
        """Run the module, with what the controller knows."""
        return super().call(variables, {**given, **self.more})

    def tunnelled(self, variables: dict[str, Any], scope: Mapping[str, Any]) -> dict[str, Any]:
        """Return the module's result; a certificate that has to be signed first takes a second call of it."""
        authority.demand_cryptography()
        directory, device = str(scope["clinic_directory"]), scope["device"]
        name, check_mode = str(device["name"]), bool(self._task.check_mode)
        if not check_mode:
            authority_change.settle(directory)
        answer = self.call(variables, self._given(directory, name))
        if not succeeded(answer) or check_mode:
            return answer
        if REQUESTED not in answer["plan"] and authority.lasts(directory, name, device=True):
            return answer
        clinic_folder.write(
            authority.request_path(directory, name), self.fetch_request(dicom_tunnel.REQUEST, variables)
        )
        secrets = Secrets(directory, self._loader._vault, check_mode=False)
        signed, waiting = device_certificates.sign(secrets, directory, [device], check_mode=False)
        if waiting:
            raise HardeningError(
                f"{name} asks for a certificate with a key that was revoked: remove {dicom_tunnel.KEY} there, so that "
                "the next run makes another."
            )
        made = [*answer["plan"], *(f"Sign the certificate of {each}" for each in signed)]
        answer = self.call(variables, self._given(directory, name))
        return after(made, answer)

    def _given(self, directory: str, name: str) -> dict[str, Any]:
        """Return what the controller knows: a certificate that lasts, and the authorities."""
        own = authority.lasting(directory, name, device=True)
        return {
            "certificate": own or (TO_BE_SIGNED if self._task.check_mode else ""),
            "authority": "".join(authority.authorities(directory)),
        }
