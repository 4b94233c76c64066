# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The proof that the engineer still comes in, over a connection of its own."""

from __future__ import annotations

import functools
import time
import uuid
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.timed_undo import SECONDS, Undo

MODULE = "radiology.hardening.confirm"
"""Small, since a host waits SECONDS for it whatever the line: 0.2 MB."""
PATIENCE, PAUSE = 10.0, 1.0
"""Seconds for which a refused connection is tried again, and between two tries.

A reload returns before sshd listens again (OpenSSH 9.2 closes its sockets and starts anew): it refuses new connections
for 3 to 40 ms, and longer on a busy host.
"""


class GuardedAction(ActionBase):  # type: ignore[misc]
    """An action whose module may change how the engineer comes in."""

    @functools.cached_property
    def arming(self) -> str:
        """A word of this run's own, by which the host tells the undo that it armed from another run's."""
        return uuid.uuid4().hex

    def confirm(self, answer: dict[str, Any], undo: Undo, variables: dict[str, Any]) -> None:
        """Where a surface armed the undo, come in anew and stop it; HardeningError when nobody comes in."""
        if self._task.check_mode or undo.armed not in answer.get("plan", []) or answer.get("failed"):
            return
        until = time.monotonic() + PATIENCE
        while True:
            try:
                why = self._come_in(undo, variables)
                break
            except AnsibleConnectionFailure as error:
                why = str(error)
                if time.monotonic() > until:
                    break
                time.sleep(PAUSE)
        if why:
            raise HardeningError(
                f"After the change to {undo.what} no new connection got through ({why.strip()}); "
                f"the host puts the former state back by itself within {SECONDS} s."
            )

    def _come_in(self, undo: Undo, variables: dict[str, Any]) -> str:
        """Stop the undo over a new connection; return why it did not stop. AnsibleConnectionFailure without one."""
        self._connection.reset()
        arguments = {"undo": undo.name, "what": undo.what, "arming": self.arming}
        answer = self._execute_module(module_name=MODULE, module_args=arguments, task_vars=variables)
        said = str(answer.get("msg", "nobody could come in"))
        if answer.get("unreachable"):
            raise AnsibleConnectionFailure(said)
        return said if answer.get("failed") else ""
