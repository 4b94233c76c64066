#!/usr/bin/python
# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = """
module: device_certificates
author: radiology.hardening authors (@radiology-hardening)
short_description: Sign the certificates of a clinic's devices anew
version_added: 0.1.0
description:
  - Runs on the controller, once a clinic whatever the number of its servers; no host is touched.
  - Has the clinic's authority sign the request of each device anew, into C(certificates/<device>.crt) of the clinic's
    folder. The former certificate goes on to open the door, from C(certificates/former/<device>.crt), until it expires
    or that file is removed.
options:
  device:
    description: The device or server whose certificate is to be replaced; empty for all of the clinic.
    type: str
    default: ""
  directory:
    description: The clinic's folder, with vault file, authority, requests and certificates.
    type: path
    required: true
  devices:
    description: The DICOM devices of the clinic, as the inventory plugin yields them in C(clinic_devices).
    type: list
    elements: dict
    required: true
attributes:
  check_mode:
    support: full
    description: Tells whose certificate would be signed, and signs none.
  diff_mode:
    support: none
    description: There is nothing to differ.
"""

EXAMPLES = """
- name: Sign the certificate of the CT scanner anew
  radiology.hardening.device_certificates:
    device: ct
    directory: "{{ clinic.directory }}"
    devices: "{{ clinic_devices }}"
"""

RETURN = """
plan:
  description: One sentence a certificate.
  type: list
  elements: str
  returned: success
"""
