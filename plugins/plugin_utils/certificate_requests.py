# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How an action comes by what a host asks the clinic's authority for; the key stays on the host."""

from __future__ import annotations

import base64
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError


class RequestingAction(ActionBase):  # type: ignore[misc]
    """An action whose host makes a key and asks for a certificate, or has had it signed before."""

    def has(self, path: str, variables: dict[str, Any]) -> bool:
        """Tell whether a file is on the host; HardeningError where the host does not say."""
        asked = {"path": path, "get_checksum": False, "get_mime": False, "get_attributes": False}
        answer = self._execute_module(module_name="ansible.builtin.stat", module_args=asked, task_vars=variables)
        if "stat" not in answer:
            raise HardeningError(f"{path} cannot be looked at: {answer.get('msg', 'no answer')}.")
        return bool(answer["stat"]["exists"])

    def fetch_request(self, path: str, variables: dict[str, Any]) -> str:
        """Fetch a certificate request (PEM), which is public; HardeningError where the host does not give it."""
        answer = self._execute_module(
            module_name="ansible.builtin.slurp", module_args={"src": path}, task_vars=variables
        )
        if "content" not in answer:
            raise HardeningError(f"{path} cannot be fetched: {answer.get('msg', 'no answer')}.")
        try:
            return base64.b64decode(answer["content"]).decode("ascii")
        except UnicodeDecodeError:
            raise HardeningError(f"{path} is not plain text; accepted: a request or a public key in ASCII.") from None
