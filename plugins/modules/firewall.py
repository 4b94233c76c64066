#!/usr/bin/python
# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = """
module: firewall
author: radiology.hardening authors (@radiology-hardening)
short_description: Keep the firewall closed to all but the declared sources
version_added: 0.1.0
description:
  - Keeps one nftables table of its own, C(inet radiology), loaded now and at each start before the network is up.
  - Its action runs on the controller. A change is undone by the host alone unless a new connection gets through.
extends_documentation_fragment:
  - radiology.hardening.surface
"""

EXAMPLES = """
- name: Keep the firewall closed to all but the declared sources
  radiology.hardening.firewall:
    scope: "{{ lookup('radiology.hardening.scope', 'firewall') }}"
    wanted: "{{ lookup('radiology.hardening.wanted', 'firewall') }}"
"""

RETURN = """
plan:
  description: One sentence a step, in their order.
  type: list
  elements: str
  returned: success
"""
