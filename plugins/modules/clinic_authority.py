#!/usr/bin/python
# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = """
module: clinic_authority
author: radiology.hardening authors (@radiology-hardening)
short_description: Let a clinic's authority be followed by another, stage by stage
version_added: 0.1.0
description:
  - Runs on the controller, and changes what lies in C(authority/) of the clinic's folder; no host is touched. The roles
    dicom_tls and authentication bring the servers to it afterwards.
  - A stage that would shut a device out is refused, with the names of those devices.
options:
  stage:
    description:
      - V(new) makes the authority that is to follow. Both are trusted from then on; the new one signs for devices, the
        present one for servers. It is also the way back from V(shown).
      - V(shown) has the new one sign for servers as well; the former goes on to be trusted.
      - V(only) ends the former one, and destroys its key.
      - V(former) gives the new one up, from V(new).
    type: str
    choices: [new, shown, only, former]
    required: true
  directory:
    description: The clinic's folder, with vault file, authority, requests and certificates.
    type: path
    required: true
  devices:
    description: The DICOM devices of the clinic, as the inventory plugin yields them in C(clinic_devices).
    type: list
    elements: dict
    required: true
  seen:
    description: The inventory's name of each server to what M(radiology.hardening.seen_devices) returned of it.
    type: dict
    required: true
  device:
    description: The one device to rotate for, which goes with no change of the authority; has to be empty.
    type: str
    default: ""
  anyway:
    description: Whether to go on although devices would be shut out.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: Tells what would be done, and does nothing.
  diff_mode:
    support: none
    description: There is nothing to differ.
"""

EXAMPLES = """
- name: Make the authority that is to follow
  radiology.hardening.clinic_authority:
    stage: new
    directory: "{{ clinic.directory }}"
    devices: "{{ clinic_devices }}"
    seen: "{{ {inventory_hostname: seen} }}"
"""

RETURN = """
plan:
  description: One sentence a step.
  type: list
  elements: str
  returned: success
"""
