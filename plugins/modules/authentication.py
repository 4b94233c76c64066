#!/usr/bin/python
# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = """
module: authentication
author: radiology.hardening authors (@radiology-hardening)
short_description: Let in declared people, devices and engineers only
version_added: 0.1.0
description:
  - Keeps an HTTPS front of its own unit before Orthanc, Orthanc's users and DICOM modalities, and sshd by key only.
  - Its action runs on the controller. It makes missing passwords in the clinic's vault file, has the clinic's
    authority sign the front's certificate, and proves over a new connection that the engineer still comes in.
extends_documentation_fragment:
  - radiology.hardening.surface
"""

EXAMPLES = """
- name: Let in declared people, devices and engineers only
  radiology.hardening.authentication:
    scope: "{{ lookup('radiology.hardening.scope', 'authentication') }}"
    wanted: "{{ lookup('radiology.hardening.wanted', 'authentication') }}"
"""

RETURN = """
plan:
  description: One sentence a step, in their order.
  type: list
  elements: str
  returned: success
"""
