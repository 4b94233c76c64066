#!/usr/bin/python
# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = """
module: dicom_tls
author: radiology.hardening authors (@radiology-hardening)
short_description: Take DICOM over TLS only, each device by its own certificate
version_added: 0.1.0
description:
  - Keeps a TLS front of its own unit (nginx stream) before Orthanc's DICOM port. A device is let in by its certificate
    and its address together, and Orthanc meets it at the loopback address that stands for it.
  - Its action runs on the controller, has the clinic's authority sign the front's certificate and those of the devices
    that handed in a request.
extends_documentation_fragment:
  - radiology.hardening.surface
"""

EXAMPLES = """
- name: Take DICOM over TLS only
  radiology.hardening.dicom_tls:
    scope: "{{ lookup('radiology.hardening.scope', 'dicom_tls') }}"
    wanted: "{{ lookup('radiology.hardening.wanted', 'dicom_tls') }}"
"""

RETURN = """
plan:
  description: One sentence a step, in their order.
  type: list
  elements: str
  returned: success
"""
