# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The certificate of a host's HTTPS front, as the controller keeps it: public data beside the clinic's vault."""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.web_front_plan import (
    DAYS,
    REQUESTED,
    TO_BE_SIGNED,
    digest,
)
from ansible_collections.radiology.hardening.plugins.plugin_utils import authority
from ansible_collections.radiology.hardening.plugins.plugin_utils.secrets import Secrets
from cryptography import x509


class WebCertificate:
    """`requests/<host>-web.csr` and `certificates/<host>-web.crt` in the clinic's folder."""

    def __init__(self, secrets: Secrets, directory: str, host: str, *, check_mode: bool) -> None:
        """Take what was signed for this host before, while it lasts; in check mode nothing is signed."""
        self._secrets = secrets
        self._directory = directory
        self._name = f"{host}-web"
        self._request_path = os.path.join(directory, "requests", f"{self._name}.csr")
        self._path = os.path.join(directory, "certificates", f"{self._name}.crt")
        request, text = _read(self._request_path), _read(self._path)
        self._lasts = bool(request and text) and days_left(text) >= DAYS
        self.text = text if self._lasts else TO_BE_SIGNED if check_mode else ""
        """The certificate, PEM; empty when there is none that lasts."""
        self.certified = digest(request) if self._lasts else ""
        """SHA-256 of the request that the certificate answers."""

    def is_wanted(self, answer: Mapping[str, Any]) -> bool:
        """Tell whether the host has a request that was not signed yet."""
        if answer.get("failed") or answer.get("unreachable"):
            return False
        return not self._lasts or REQUESTED in answer["plan"]

    def sign(self, request: str) -> None:
        """Have the clinic's authority sign the host's request."""
        self.text = authority.sign(self._secrets, self._directory, request)
        self.certified = digest(request)
        self._lasts = True
        _write(self._request_path, request)
        _write(self._path, self.text)


def days_left(pem: str) -> int:
    """Return whole days until the certificate ends."""
    ends = x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc
    return (ends - datetime.datetime.now(tz=datetime.UTC)).days


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def _write(path: str, text: str) -> None:
    try:
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        with open(f"{path}.tmp", "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(f"{path}.tmp", path)
    except OSError as error:
        raise HardeningError(f"{path} cannot be written: {error.strerror}.") from error
