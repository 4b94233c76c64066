#!/usr/bin/python
# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = """
module: modality_box
author: radiology.hardening authors (@radiology-hardening)
short_description: Carry in TLS the DICOM of a modality that speaks none, from a small box beside it
version_added: 0.1.0
description:
  - Takes the modality's DICOM in clear on the room's interface alone, and carries it to the clinic's servers in TLS, as
    that modality. What servers send it comes in TLS, and goes on to it in clear on the same cable.
  - Sees whether the room's part of the firewall is in force, and loads the firewall anew where it is not.
  - Its action runs on the controller, and has the clinic's authority sign for the key that is made on the box and
    stays there.
  - Which cable leads to the modality is left to a person, as a warning of the run and a finding of the audit.
  - Where the clinic file has the host stand beside no modality, tunnels that are left are stopped.
extends_documentation_fragment:
  - radiology.hardening.surface
"""

EXAMPLES = """
- name: Carry the old scanner's images in TLS
  radiology.hardening.modality_box:
    scope: "{{ lookup('radiology.hardening.scope', 'modality_box') }}"
    wanted: "{{ lookup('radiology.hardening.wanted', 'modality_box') }}"
"""

RETURN = """
plan:
  description: One sentence a step, in their order.
  type: list
  elements: str
  returned: success
"""
