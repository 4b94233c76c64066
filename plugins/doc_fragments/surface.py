# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations


class ModuleDocFragment:
    """The options and attributes of every surface's module, written once."""

    DOCUMENTATION = """
options:
  scope:
    description: The inputs of the role, as the lookup P(radiology.hardening.scope#lookup) returns them.
    type: dict
    required: true
  wanted:
    description: What the controls in force demand, as the lookup P(radiology.hardening.wanted#lookup) returns it.
    type: dict
    required: true
attributes:
  check_mode:
    support: full
    description: The plan is made and left unapplied.
  diff_mode:
    support: full
    description: The diff is the plan, one sentence a step; it never holds a secret.
"""
