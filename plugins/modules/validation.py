#!/usr/bin/python
# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = """
module: validation
author: radiology.hardening authors (@radiology-hardening)
short_description: Check the clinics of the inventory on the controller and give the verdict
version_added: 0.1.0
description:
  - Runs on the controller, once, and calls no host.
  - Makes out every setting that the roles would be given on each Orthanc server and holds it against their argument
    specifications and the controls in force. Checks that each clinic's vault file opens, that its authority is whole,
    and that the certificates that the clinic file names are ones.
  - Waivers that have expired or cover no host, and servers of two clinics at one address, are wrong.
  - Reads the clinic files of the inventory again, so that a file that Ansible left out with a warning is named as well.
  - Prints a few lines a clinic, whom a run would reach, and the verdict in one line, and fails when anything is wrong.
    No line shows a secret or the value of a setting that was refused.
extends_documentation_fragment:
  - radiology.hardening.observer
"""

EXAMPLES = """
- name: Tell each clinic's verdict
  radiology.hardening.validation:
"""

RETURN = """
msg:
  description: The verdict in one line.
  type: str
  returned: always
clinics:
  description: Each clinic of the inventory to its verdict, V(pass) or V(fail).
  type: dict
  returned: always
"""
