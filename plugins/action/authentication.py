# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The controller's part of the role authentication: passwords, the front's certificate, and the proof of entry."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible_collections.radiology.hardening.plugins.module_utils import ssh_undo, web_front, web_passwords
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.plugin_utils.certificate_requests import RequestingAction
from ansible_collections.radiology.hardening.plugins.plugin_utils.guarded import GuardedAction
from ansible_collections.radiology.hardening.plugins.plugin_utils.results import after
from ansible_collections.radiology.hardening.plugins.plugin_utils.secrets import Secrets
from ansible_collections.radiology.hardening.plugins.plugin_utils.surface_action import SurfaceAction
from ansible_collections.radiology.hardening.plugins.plugin_utils.web_certificate import WebCertificate

ORTHANC = "orthanc_logins"
"""The secret in the clinic's vault file that the passwords come of by which fronts ask Orthanc for people."""

TIMES = 5
"""How often a host may ask for the certificate of its front in one run."""

WEAK = "authentication.web.weak_passwords"
"""The fact of the control that a site may waive."""


def refuse_weak(passwords: Mapping[str, str], path: str) -> None:
    """Refuse passwords of the vault file that would be guessed, before any host has them."""
    names = ", ".join(f"passwords.{login}" for login in web_passwords.weak(passwords))
    if names:
        raise HardeningError(
            f"{path} has passwords that would be guessed: {names}. Take them out by `ansible-vault edit`, so that "
            "others are made, or waive authentication.web_passwords_strong."
        )


def orthanc_passwords(secret: str, logins: list[str]) -> dict[str, str]:
    """Return a password for each login, which none of the others tells (HMAC, RFC 2104)."""
    return {login: hmac.new(secret.encode(), login.encode(), hashlib.sha256).hexdigest() for login in logins}


class ActionModule(GuardedAction, RequestingAction, SurfaceAction):
    """Make what is missing on the controller, run the module, and have signed what it asks for."""

    SURFACE = "authentication"

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the module's result; a certificate that has to be signed first takes a second call of it."""
        variables = task_vars or {}
        result: dict[str, Any] = super().run(tmp, variables)
        scope = self._task.args.get("scope") or {}
        check_mode = bool(self._task.check_mode)
        try:
            if not scope.get("web", True):
                result.update(self._call(variables, {}))
                return result
            secrets = Secrets(str(scope["clinic_directory"]), self._loader._vault, check_mode=check_mode)
            logins = [str(person["login"]) for person in scope.get("people") or []]
            passwords = {login: secrets.ensure(("passwords", login)) for login in logins}
            if WEAK in (self._task.args.get("wanted") or {}):
                refuse_weak(passwords, secrets.path)
            made = [f"Make a password for {name.partition('.')[2]} in {secrets.path}" for name in secrets.made]
            known = orthanc_passwords(secrets.ensure(ORTHANC), logins)
            given = {"passwords": passwords, "orthanc_passwords": known}
            certificate = WebCertificate(secrets, scope, check_mode=check_mode)
            answer = self._call(variables, given, certificate)
            for _time in range(TIMES):  # another run at once may ask anew before ours has brought what was signed
                if check_mode or not certificate.is_wanted(answer):
                    break
                certificate.sign(self.fetch_request(web_front.REQUEST, variables))
                made += answer["plan"]
                answer = self._call(variables, given, certificate, renew=False)
            if not check_mode and certificate.is_wanted(answer):
                raise HardeningError("Another run asks for the certificate of the front all the time: run this again.")
        except HardeningError as error:
            raise AnsibleActionFail(str(error)) from None
        result.update(after(made, answer))
        return result

    def _call(
        self,
        variables: dict[str, Any],
        given: dict[str, dict[str, str]],
        certificate: WebCertificate | None = None,
        *,
        renew: bool = True,
    ) -> dict[str, Any]:
        """Call the module; `renew`: unless the next key is made already, if one is asked for."""
        scope = self._task.args.get("scope") or {}
        arguments = {
            "scope": {**scope, "renew": renew and bool(scope.get("renew"))},
            **given,
            "certificate": certificate.text if certificate else "",
            "certified": certificate.certified if certificate else "",
            "arming": self.arming,
            "engineer": self._engineer(),
            "becomes_by": self._becomes_by(),
        }
        answer = self.call(variables, arguments)
        self.confirm(answer, ssh_undo.UNDO, variables)
        return answer

    def _engineer(self) -> str:
        """Return the login that this run came in with over SSH; empty when SSH's own configuration chose it."""
        over_ssh = self._connection.transport in ("ssh", "paramiko_ssh")
        return str(self._connection.get_option("remote_user") or "") if over_ssh else ""

    def _becomes_by(self) -> str:
        """Return the name of what makes the engineer root; empty for who comes in as root."""
        become = self._connection.become
        return str(become.name) if become and self._engineer() != "root" else ""
