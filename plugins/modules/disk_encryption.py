#!/usr/bin/python
# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = """
module: disk_encryption
author: radiology.hardening authors (@radiology-hardening)
short_description: Keep patient data from lying on disks in clear, without ever touching them
version_added: 0.1.0
description:
  - Does what is safe. Swap gets a random key at each boot or ends, the host no longer hibernates, temporary folders
    come off the disks in clear, services start only with their volume mounted, and removable drives in clear
    are read-only on a workstation.
  - What only encrypting, moving data or a key would mend is a deliberate act, which this module never does. It names
    each in RV(deliberate) with the command, and warns of it.
  - In check mode a deliberate act counts as a change, because the host is not as the controls want it. In a run it
    does not, because nothing was changed.
extends_documentation_fragment:
  - radiology.hardening.surface
"""

EXAMPLES = """
- name: Keep what passes over the disks from lying there in clear
  radiology.hardening.disk_encryption:
    scope: "{{ lookup('radiology.hardening.scope', 'disk_encryption') }}"
    wanted: "{{ lookup('radiology.hardening.wanted', 'disk_encryption') }}"
"""

RETURN = """
plan:
  description: What was changed, or would be, one sentence a step.
  type: list
  elements: str
  returned: success
deliberate:
  description: What only a person may bring about, one sentence an act; each names its command.
  type: list
  elements: str
  returned: where there is any
"""
