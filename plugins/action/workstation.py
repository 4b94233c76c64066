# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The controller's part of the role workstation: people's first passwords, and a certificate for a viewer's tunnels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible_collections.radiology.hardening.plugins.module_utils import web_passwords
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.plugin_utils.preflight_files import FIRST
from ansible_collections.radiology.hardening.plugins.plugin_utils.results import after
from ansible_collections.radiology.hardening.plugins.plugin_utils.secrets import Secrets
from ansible_collections.radiology.hardening.plugins.plugin_utils.tunnel_certificates import TunnelAction


def first_passwords(secrets: Secrets, scope: Mapping[str, Any]) -> dict[str, str]:
    """Return each person's first password, made where there is none; HardeningError where one would be guessed."""
    logins = [str(person["login"]) for person in scope.get("people") or []]
    found = {login: secrets.ensure((FIRST, login)) for login in logins}
    if weak := web_passwords.weak(found):
        names = ", ".join(f"{FIRST}.{login}" for login in weak)
        raise HardeningError(
            f"{secrets.path} has first passwords that would be guessed: {names}. Take them out by `ansible-vault "
            "edit`, so that others are made."
        )
    return found


class ActionModule(TunnelAction):
    """Run the module, have signed what it asks for, and hand it the certificate."""

    SURFACE = "workstation"

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the module's result; a certificate that has to be signed first takes a second call of it."""
        variables = task_vars or {}
        result: dict[str, Any] = super().run(tmp, variables)
        scope = self._task.args.get("scope") or {}
        try:
            secrets = Secrets(
                str(scope["clinic_directory"]), self._loader._vault, check_mode=bool(self._task.check_mode)
            )
            self.more = {"initial_passwords": first_passwords(secrets, scope)}
            made = [f"Make a first password for {name.partition('.')[2]} in {secrets.path}" for name in secrets.made]
            answer = self.tunnelled(variables, scope) if scope.get("tunnel") else self.call(variables, {})
        except HardeningError as error:
            raise AnsibleActionFail(str(error)) from None
        result.update(after(made, answer))
        return result
