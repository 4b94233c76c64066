# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""First contact with one machine: its host key compared, the engineer's key in the password's place."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Mapping
from typing import Any

from ansible import context
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.plugin_utils import enrolment, known_hosts, preflight
from ansible_collections.radiology.hardening.plugins.plugin_utils.templates import guarded

READ_ON_SITE = "read it on the machine itself, with ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub"


class ActionModule(ActionBase):  # type: ignore[misc]
    """Enrol one machine; Ansible's own connection to it is not used, since it is not trusted yet."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what was done, a sentence each."""
        variables = task_vars or {}
        result: dict[str, Any] = super().run(tmp, variables)
        _checked, given = self.validate_argument_spec(
            {
                "fingerprint": {"type": "str", "default": ""},
                "public_key": {"type": "path", "default": "~/.ssh/id_ed25519.pub"},
                "password": {"type": "str", "default": "", "no_log": True},
            }
        )
        try:
            self._demand_one_host(variables)
            public_key = enrolment.read_public_key(given["public_key"])
            machine = self._machine(variables)
            directory = str(variables["clinic"]["directory"])
            known = known_hosts.pinned(directory, machine.known_as)
            contact = enrolment.Contact(machine, _fingerprint(given["fingerprint"], known))
            host_key = contact.recognise()
            done = self._enrol(contact, host_key, directory, public_key, given)
        except HardeningError as error:
            raise AnsibleActionFail(str(error)) from None
        for sentence in done or [f"{machine} is enrolled already"]:
            Display().display(sentence)
        return {**result, "changed": bool(done), "done": done, "fingerprint": contact.fingerprint}

    def _enrol(
        self, contact: enrolment.Contact, host_key: str, directory: str, public_key: str, given: Mapping[str, Any]
    ) -> list[str]:
        """Do what is missing, or in check mode say it."""
        machine, check = contact.machine, bool(self._task.check_mode)
        private_key = str(given["public_key"]).removesuffix(".pub")
        done = []
        if host_key not in known_hosts.pinned(directory, machine.known_as).values():
            done.append(f"{machine} is known by its host key, {contact.fingerprint}, in {known_hosts.path(directory)}")
            if not check:
                known_hosts.pin(directory, machine.known_as, host_key)
        if not contact.lets_in(public_key, private_key):
            done.append(f"{machine} lets {machine.user} in by the key of {given['public_key']}")
            if not check:
                self._install(contact, public_key, private_key, str(given["password"]))
        if contact.takes_passwords():
            done.append(f"{machine} takes passwords over SSH no more")
            if not check:
                with contact.by_key(public_key, private_key, str(given["password"])) as session:
                    session.close_passwords()
                enrolment.wait_until_closed(contact)
        return done

    def _install(self, contact: enrolment.Contact, public_key: str, private_key: str, password: str) -> None:
        """Install the key by password, and see over another connection that it lets in."""
        machine = contact.machine
        if not enrolment.can_sign(public_key, private_key):
            raise HardeningError(
                f"public_key: neither the SSH agent nor {private_key} can sign for it, so nobody could come in by it; "
                "accepted: a key that the agent holds (ssh-add), or one whose private part lies beside it."
            )
        if not password:
            raise HardeningError(f"{machine}: {machine.user} has no such key there yet, and no password was given.")
        with contact.by_password(password) as session:
            session.install(public_key)
        if not contact.lets_in(public_key, private_key):
            raise HardeningError(
                f"{machine}: the key was added to ~/.ssh/authorized_keys of {machine.user}, but sshd does not let it "
                "in; its password login stays open."
            )

    def _machine(self, variables: Mapping[str, Any]) -> enrolment.Machine:
        """Return where Ansible itself would find the machine."""
        name = str(variables["inventory_hostname"])
        user = str(self._play_context.remote_user or context.CLIARGS.get("remote_user") or "")
        way = preflight.reach(name, variables, guarded(self._templar.template), user)
        if not way.port.isdigit():
            raise HardeningError(f"{name}: ansible_port is {way.port}; accepted: a whole number from 1 to 65535.")
        if not way.user:
            raise HardeningError(f"{name}: nobody is named who logs in; accepted: user in the clinic file's ssh block.")
        return enrolment.Machine(name, way.address, int(way.port), way.user, _proxy(name, way.arguments))

    def _demand_one_host(self, variables: Mapping[str, Any]) -> None:
        hosts = variables.get("ansible_play_hosts_all") or []
        if len(hosts) > 1:
            raise HardeningError(f"A fingerprint is one machine's: --limit one of {', '.join(hosts)}.")


def _fingerprint(given: str, known: Mapping[int, str]) -> str:
    """Return the fingerprint that the machine has to show: the one read on site, else the one known."""
    if not given and known:
        return enrolment.fingerprint_of(base64.b64decode(next(iter(known.values())).split()[1]))
    if not enrolment.FINGERPRINT.fullmatch(given):
        told = f"fingerprint is {given}" if given else "fingerprint is missing"
        raise HardeningError(f"{told}; accepted: SHA256: and 43 characters. {READ_ON_SITE.capitalize()}.")
    return given


def _proxy(name: str, arguments: str) -> str:
    """Return the ProxyCommand among ssh's arguments; another way round is refused, since paramiko knows none."""
    try:
        words = [word.removeprefix("-o") for word in shlex.split(arguments)]
    except ValueError as error:
        raise HardeningError(f"{name}: ssh's arguments {arguments} cannot be read: {error}.") from error
    if any(word.startswith(("-J", "ProxyJump")) for word in words):
        raise HardeningError(f"{name}: enrolling goes through no ProxyJump; accepted: ProxyCommand, or a straight way.")
    return next((word.partition("=")[2] for word in words if word.startswith("ProxyCommand=")), "")
