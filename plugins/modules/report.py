#!/usr/bin/python
# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = """
module: report
author: radiology.hardening authors (@radiology-hardening)
short_description: Write the report of each clinic and give the verdict
version_added: 0.1.0
description:
  - Runs on the controller, once, after M(radiology.hardening.exposure) and M(radiology.hardening.audit) were registered
    as C(hardening_exposure) and C(hardening_audit) on their hosts.
  - Shows what a person attests of a device apart from what was measured, with name, day and expiry.
  - Writes C(report.html), C(report.json) and C(junit.xml) into a folder a clinic, prints the findings, and fails when a
    control does not hold, could not be measured, or nothing was judged. Every host of the clinic file is in it.
options:
  directory:
    description: The folder that takes a folder for each clinic.
    type: path
    default: reports
attributes:
  check_mode:
    support: full
    description: Reports are written in either mode; no host is touched.
  diff_mode:
    support: none
    description: There is nothing to differ.
"""

EXAMPLES = """
- name: Write the report and give the verdict
  radiology.hardening.report:
    directory: reports
"""

RETURN = """
reports:
  description: Clinic, verdict and folder of each report.
  type: list
  elements: dict
  returned: always
"""
