#!/usr/bin/python
# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = """
module: audit
author: radiology.hardening authors (@radiology-hardening)
short_description: Judge a host against the controls in force
version_added: 0.1.0
description:
  - Calls M(radiology.hardening.posture) once on the host and judges its facts on the controller, together with what
    M(radiology.hardening.exposure) saw of the host from the clinic's vantage points earlier in the play.
  - A workstation or a modality that nobody logs in to is judged by what was seen from the vantage points, and by what a
    person attests of it in C(hardening_attestations); nothing is called on it.
  - Changes nothing and never fails because of a finding; M(radiology.hardening.report) gives the verdict.
options:
  inside:
    description:
      - Whether to look inside the host, or at what a person attests of it; with V(false) only the outside evidence is
        judged.
    type: bool
    default: true
  roles:
    description: Judge only the controls of these roles; all of them when empty.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - radiology.hardening.observer
"""

EXAMPLES = """
- name: Judge this host
  radiology.hardening.audit:
  register: hardening_audit
"""

RETURN = """
findings:
  description: One finding a control, with its evidence.
  type: list
  elements: dict
  returned: success
counts:
  description: Verdict to the number of findings.
  type: dict
  returned: success
judged:
  description: How many controls were judged pass or fail.
  type: int
  returned: success
profile:
  description: The profile in force.
  type: str
  returned: success
"""
