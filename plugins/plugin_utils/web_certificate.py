# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The certificate of a host's HTTPS front, signed by the clinic's authority: `certificates/<host>-web.crt`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.web_front_plan import (
    RENEWED,
    REQUESTED,
    TO_BE_SIGNED,
    digest,
)
from ansible_collections.radiology.hardening.plugins.plugin_utils import authority, clinic_folder
from ansible_collections.radiology.hardening.plugins.plugin_utils.secrets import Secrets


class WebCertificate:
    """What the controller has signed for one host, and what it still has to sign."""

    def __init__(self, secrets: Secrets, scope: Mapping[str, Any], *, check_mode: bool) -> None:
        """Take what was signed before, while it lasts; in check mode nothing is signed."""
        self._secrets = secrets
        self._directory = str(scope["clinic_directory"])
        self._names = [str(name).lower() for name in scope["names"]]
        self._addresses = [str(address) for address in scope["addresses"]]
        self._name = f"{self._names[0]}-web"
        signed = authority.lasting(self._directory, self._name)
        self._lasts = bool(signed)
        self.text = signed or (TO_BE_SIGNED if check_mode else "")
        """The certificate, PEM; empty when there is none that lasts."""
        request = clinic_folder.read(authority.request_path(self._directory, self._name))
        self.certified = digest(request) if self._lasts else ""
        """SHA-256 of the request that the certificate answers."""

    def is_wanted(self, answer: Mapping[str, Any]) -> bool:
        """Tell whether the host has a request that was not signed yet."""
        if answer.get("failed") or answer.get("unreachable"):
            return False
        return not self._lasts or bool({REQUESTED, RENEWED} & set(answer["plan"]))

    def sign(self, request: str) -> None:
        """Have the authority sign the host's request, which may name this host alone."""
        names = [*self._names, *self._addresses]
        self.text = authority.sign(self._secrets, self._directory, request, self._name, names=names)
        self.certified = digest(request)
        self._lasts = True
