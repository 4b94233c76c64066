# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The keys of an encrypted storage, from the controller: how its acts reach the host, a key through a pipe alone."""

from __future__ import annotations

import os
import shlex
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.migration import keys
from ansible_collections.radiology.hardening.plugins.plugin_utils import escrow_folders
from ansible_collections.radiology.hardening.plugins.plugin_utils.key_acts import Acts

MODULE = "radiology.hardening.disk_keys"


class ActionModule(ActionBase):
    """Carry out one act on one host."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return how the volume stood, what was done, and whether anything changed."""
        self.variables = task_vars or {}
        result: dict[str, Any] = super().run(tmp, self.variables)
        self.name = str(self.variables["inventory_hostname"])
        given = self._task.args
        self.volume = str(given.get("name") or "studies")
        directory = os.path.dirname(str(self.variables["clinic"]["file"]))
        try:
            if not (given.get("storage") or {}).get("folder"):
                sentence = f"{self.name}: the clinic file declares no storage here; nothing to do"
                Display().display(sentence)
                return {**result, "sentence": sentence, "changed": False}
            escrow = given.get("escrow") or {}
            places = escrow_folders.folders(escrow, directory, self.name, self.volume)
            acts = Acts(self, places, given, Display().display)
            check = bool(self._task.check_mode)
            act = str(given.get("act") or "unlock")
            if act == "unlock":
                return {**result, **acts.unlock(check=check)}
            if act == "rotate":
                return {**result, **acts.rotate(escrow_folders.certificates(escrow, directory), check=check)}
            if act == "restore":
                return {**result, **acts.restore(check=check)}
            raise HardeningError(f"act: {act} is none of unlock, rotate, restore.")
        except HardeningError as error:
            raise AnsibleActionFail(str(error)) from None

    def call(self, call: str, **arguments: Any) -> dict[str, Any]:
        """Make one call on the host; HardeningError with its sentence when it fails."""
        answer: dict[str, Any] = self._execute_module(
            module_name=MODULE,
            module_args={**arguments, "call": call, "name": self.volume},
            task_vars=self.variables,
        )
        if answer.get("unreachable"):
            raise AnsibleConnectionFailure(str(answer.get("msg", "unreachable")))
        if answer.get("failed"):
            raise HardeningError(str(answer.get("msg", f"The call {call} failed.")))
        return answer

    def hand(self, document: bytes) -> None:
        """Write a document into the host's memory: it goes through SSH's standard input, and is in no command."""
        path = keys.handed(self.volume)
        folder = shlex.quote(os.path.dirname(path))
        done = self._low_level_execute_command(
            f"umask 077 && mkdir -p {folder} && cat > {shlex.quote(path)}", in_data=document, sudoable=True
        )
        if done["rc"] != 0:
            raise HardeningError(f"{path} cannot be written on {self.name}: {done.get('stderr') or 'no reason told'}.")
