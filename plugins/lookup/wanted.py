# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = """
name: wanted
author: radiology.hardening authors (@radiology-hardening)
short_description: What the controls in force demand of a role's facts
version_added: 0.1.0
description:
  - Reads C(meta/controls.yml) of a role, selects the controls in force by C(hardening_profile) and
    C(hardening_waivers), and returns their inside demands, fact by fact.
  - Refuses a role variable that falls short of a control, in one sentence that names the control, the value and
    the waiver that would allow it.
options:
  _terms:
    description: The name of one role.
    required: true
    type: list
    elements: str
"""

EXAMPLES = """
- name: Show what the controls demand of Orthanc
  ansible.builtin.debug:
    msg: "{{ lookup('radiology.hardening.wanted', 'orthanc') }}"
"""

RETURN = """
_raw:
  description: One dictionary, fact name to operator to expected value.
  type: list
  elements: dict
"""

from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.plugin_utils import inputs
from ansible_collections.radiology.hardening.plugins.plugin_utils.templates import trusted


class LookupModule(LookupBase):
    """Return the demands of a role's controls."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[dict[str, Any]]:
        """Select the controls in force on this host and merge their demands."""
        try:
            return [inputs.wanted(role, variables or {}, self._templar.template, trusted) for role in terms]
        except HardeningError as error:
            raise AnsibleLookupError(str(error)) from None
