#!/usr/bin/python
# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = """
module: workstation
author: radiology.hardening authors (@radiology-hardening)
short_description: Close the machine on which images are read, and carry its viewer's DICOM in TLS
version_added: 0.1.0
description:
  - Stops services of Debian that wait for callers and that nobody needs where images are read, and names every other
    program that does, a viewer that takes images in clear above all.
  - Has no drive mounted because it was plugged in, and no program leave its memory on the disk.
  - Carries the DICOM of a viewer that speaks no TLS through tunnels (stunnel), where the clinic file says so.
    Its action runs on the controller, and has the clinic's authority sign for the key that is made here.
  - Gives people their accounts, logs nobody in unasked, and locks the screen. Its action makes the first
    passwords in the clinic's vault file.
  - Ends no program of a person; what is left to somebody is a warning of the run and a finding of the audit.
extends_documentation_fragment:
  - radiology.hardening.surface
"""

EXAMPLES = """
- name: Close the machine in front of the doctor
  radiology.hardening.workstation:
    scope: "{{ lookup('radiology.hardening.scope', 'workstation') }}"
    wanted: "{{ lookup('radiology.hardening.wanted', 'workstation') }}"
"""

RETURN = """
plan:
  description: One sentence a step, in their order.
  type: list
  elements: str
  returned: success
"""
