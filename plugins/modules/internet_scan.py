#!/usr/bin/python
# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = """
module: internet_scan
author: radiology.hardening authors (@radiology-hardening)
short_description: Keep dated evidence of what was seen of a clinic from the internet
version_added: 0.1.0
description:
  - Runs on the controller for each vantage point, after M(radiology.hardening.exposure) was registered as
    C(hardening_exposure), and calls no host.
  - Of all vantage points of kind V(internet) of a clinic it writes one file, C(internet-scan/evidence.json) in the
    clinic's folder, with the time by UTC, the addresses and ports that were tried, and what answered.
  - Where none of them really looked, because nothing answered it at all, not even its control targets, the former
    evidence stays, and a warning says so.
attributes:
  check_mode:
    support: full
    description: Nothing is written.
  diff_mode:
    support: none
    description: There is nothing to differ.
"""

EXAMPLES = """
- name: Keep what was seen from the internet, with its date
  radiology.hardening.internet_scan:
"""

RETURN = """
kept:
  description: Where the evidence lies.
  type: str
  returned: when it was written by this vantage point's turn
"""
