#!/usr/bin/python
# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = """
module: system
author: radiology.hardening authors (@radiology-hardening)
short_description: Keep the operating system updated, its journal kept, and the host on record
version_added: 0.1.0
description:
  - Has Debian install its security updates every day, by its own timers and unattended-upgrades.
  - Keeps the journal over restarts for as long as it has to be there, and writes down on the host what the clinic
    file says of it.
  - Warns of what only a person decides, such as a restart of the machine, packages that are withheld from updates, a
    release whose support ends.
extends_documentation_fragment:
  - radiology.hardening.surface
"""

EXAMPLES = """
- name: Keep the operating system updated and its journal kept
  radiology.hardening.system:
    scope: "{{ lookup('radiology.hardening.scope', 'system') }}"
    wanted: "{{ lookup('radiology.hardening.wanted', 'system') }}"
"""

RETURN = """
plan:
  description: One sentence a step, in their order.
  type: list
  elements: str
  returned: success
"""
