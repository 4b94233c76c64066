# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = """
name: controls
author: radiology.hardening authors (@radiology-hardening)
short_description: The ids of the controls that are in force on this host
version_added: 0.1.0
description:
  - Selects the controls of some roles by C(hardening_profile) and C(hardening_waivers).
options:
  _terms:
    description: Names of roles; all roles when there are none.
    type: list
    elements: str
"""

EXAMPLES = """
- name: Count what the firewall role promises
  ansible.builtin.debug:
    msg: "{{ query('radiology.hardening.controls', 'firewall') | length }}"
"""

RETURN = """
_raw:
  description: Control ids, in the order of the roles given.
  type: list
  elements: str
"""

from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.plugin_utils import catalogue, concerns, inputs


class LookupModule(LookupBase):
    """Return the ids of controls in force."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[str]:
        """Select on the variables of this host."""
        try:
            chosen = inputs.selection(variables or {}, self._templar.template)
            kind = concerns.kind_of(variables or {})
            found = [each for role in terms or [None] for each in catalogue.load(role) if each.asked_of(kind)]
            return [control.id for control in catalogue.in_force(tuple(found), **chosen)]
        except HardeningError as error:
            raise AnsibleLookupError(str(error)) from None
