# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = """
name: scope
author: radiology.hardening authors (@radiology-hardening)
short_description: The inputs of a role on this host, as one dictionary
version_added: 0.1.0
description:
  - Returns the variables that a role of this collection takes, with the role's prefix removed.
  - The audit builds the same dictionary, so that hardening and audit look at a host alike.
  - C(clock) is the controller's clock in seconds since 1970, by which a host sees that its own is wrong.
options:
  _terms:
    description: The name of one role.
    required: true
    type: list
    elements: str
"""

EXAMPLES = """
- name: Show what the firewall role is given
  ansible.builtin.debug:
    msg: "{{ lookup('radiology.hardening.scope', 'firewall') }}"
"""

RETURN = """
_raw:
  description: One dictionary.
  type: list
  elements: dict
"""

import time
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.plugin_utils import inputs
from ansible_collections.radiology.hardening.plugins.plugin_utils.templates import trusted


class LookupModule(LookupBase):
    """Return the inputs of a role."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[dict[str, Any]]:
        """Render each role's inputs on the variables of this host."""
        try:
            return [
                {
                    **inputs.scope(role, inputs.inputs(role, variables or {}, self._templar.template, trusted)),
                    "clock": time.time(),
                }
                for role in terms
            ]
        except HardeningError as error:
            raise AnsibleLookupError(str(error)) from None
