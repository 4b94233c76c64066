# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How the action of a surface has its host look at that surface, and hold it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.plugins.action import ActionBase

MODULE = "radiology.hardening.surface"
"""One module for all surfaces: Ansible makes a module ready anew for each name, at 0.3 to 0.7 s of CPU."""


class SurfaceAction(ActionBase):  # type: ignore[misc]
    """An action that has a host hold one surface."""

    TRANSFERS_FILES = False
    SURFACE: str
    """The name of the surface, which the action bears as well."""

    def call(self, variables: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
        """Run the module, with what the controller knows beside the task's own arguments."""
        arguments = {**self._task.args, **given, "surface": self.SURFACE}
        answer: dict[str, Any] = self._execute_module(module_name=MODULE, module_args=arguments, task_vars=variables)
        return answer


class PlainSurfaceAction(SurfaceAction):
    """An action that has nothing to do on the controller."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the module's result."""
        variables = task_vars or {}
        result: dict[str, Any] = super().run(tmp, variables)
        result.update(self.call(variables, {}))
        return result
