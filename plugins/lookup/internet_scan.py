# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = """
name: internet_scan
author: radiology.hardening authors (@radiology-hardening)
short_description: When a clinic was last looked at from the internet, and what answered
version_added: 0.1.0
description:
  - Reads the evidence that M(radiology.hardening.internet_scan) keeps in a clinic's folder on the controller, where
    nothing of it is secret, and changes nothing.
  - The audit gives it to the observer of the role firewall, which cannot know it.
options:
  _terms:
    description: The clinic, as the inventory plugin yields it in C(clinic).
    required: true
    type: list
    elements: dict
"""

EXAMPLES = """
- name: Show when the clinic was last looked at from the internet
  ansible.builtin.debug:
    msg: "{{ lookup('radiology.hardening.internet_scan', clinic).scanned }}"
"""

RETURN = """
_raw:
  description: >-
    One dictionary a clinic; C(scanned) is the time by UTC and empty where no evidence counts, C(vantage_points) and
    C(addresses) list who looked at what, C(age_days) is none without such evidence, C(undeclared) lists what answered,
    C(wanting) why the evidence proves nothing or not all, C(advice) what a person does about it.
  type: list
  elements: dict
"""

import datetime
from typing import Any

from ansible.plugins.lookup import LookupBase
from ansible_collections.radiology.hardening.plugins.plugin_utils import internet_scan


class LookupModule(LookupBase):
    """Read the evidence of clinics."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[dict[str, Any]]:
        """Return what each clinic's evidence says now."""
        now = datetime.datetime.now(tz=datetime.UTC)
        return [internet_scan.state(clinic, now) for clinic in terms]
