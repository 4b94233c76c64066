# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The controller's part of an undo: show it, have the host named, prove that the engineer still comes in."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.utils.display import Display
from ansible_collections.radiology.hardening.plugins.module_utils import undo_stays, undoing
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.plugin_utils.guarded import GuardedAction

MODULE = "radiology.hardening.undo"


class ActionModule(GuardedAction):
    """Make the calls of an undo in their order."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the module's result."""
        self.variables = task_vars or {}
        result: dict[str, Any] = super().run(tmp, self.variables)
        surface = str(self._task.args.get("surface") or "")
        try:
            self._demand_one_host()
            if surface not in undo_stays.STAYS:
                raise HardeningError(
                    f"There is no surface {surface or 'named'}: give -e surface= one of {', '.join(undo_stays.STAYS)}."
                )
            planned = self._call("plan")
            self._show(surface, planned)
            if self._task.check_mode:
                return {**result, **planned}
            self._demand_confirmation(surface)
            answer = self._call("restore")
            if surface in undoing.GUARDED:
                self.confirm(answer, undoing.GUARDED[surface].undo, self.variables)
                self._call("finish")
        except HardeningError as error:
            raise AnsibleActionFail(str(error)) from None
        return {**result, **answer}

    def _call(self, act: str) -> dict[str, Any]:
        answer: dict[str, Any] = self._execute_module(
            module_name=MODULE,
            module_args={**self._task.args, "act": act, "arming": self.arming},
            task_vars=self.variables,
        )
        if answer.get("unreachable"):
            raise AnsibleConnectionFailure(str(answer.get("msg", "unreachable")))
        if answer.get("failed"):
            raise HardeningError(str(answer.get("msg", f"The call {act} failed.")))
        return answer

    @property
    def _name(self) -> str:
        return str(self.variables["inventory_hostname"])

    def _demand_one_host(self) -> None:
        hosts = self.variables.get("ansible_play_hosts_all") or []
        if len(hosts) > 1:
            raise HardeningError(f"Nothing was changed. An undo is for one host: --limit one of {', '.join(hosts)}.")

    def _show(self, surface: str, planned: dict[str, Any]) -> None:
        """Print what would be done, and what it does not bring back."""
        Display().display(f"{self._name}: {surface} would be undone")
        for sentence in planned["plan"]:
            Display().display(f"  {sentence}")
        Display().display(f"  Mind: {planned['stays']} The other surfaces stay as they are.")

    def _demand_confirmation(self, surface: str) -> None:
        confirm = str(self._task.args.get("confirm") or "")
        if confirm != self._name:
            wrong = f"The answer {confirm} names another host. " if confirm else ""
            raise HardeningError(
                f"Nothing was changed. {wrong}To undo {surface} on {self._name}, run the playbook again with"
                f" -e confirm={self._name}"
            )
