#!/usr/bin/python
# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = """
module: reading_laptop
author: radiology.hardening authors (@radiology-hardening)
short_description: Have a workstation that is carried home reach the clinic by its tunnel alone
version_added: 0.1.0
description:
  - Keeps a WireGuard tunnel to the gateway of the clinic, whose private key is made on the laptop and stays there, and
    a table of nftables by which nothing meant for the clinic goes another way, with the tunnel down neither.
  - Where the clinic file gives the workstation no tunnel, one that is left is taken down.
  - Its action runs on the controller, and keeps the public key beside the clinic file.
extends_documentation_fragment:
  - radiology.hardening.surface
"""

EXAMPLES = """
- name: Have the laptop reach the clinic by its tunnel alone
  radiology.hardening.reading_laptop:
    scope: "{{ lookup('radiology.hardening.scope', 'reading_laptop') }}"
    wanted: "{{ lookup('radiology.hardening.wanted', 'reading_laptop') }}"
"""

RETURN = """
plan:
  description: One sentence a step, in their order.
  type: list
  elements: str
  returned: success
"""
