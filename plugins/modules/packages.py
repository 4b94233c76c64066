#!/usr/bin/python
# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = """
module: packages
author: radiology.hardening authors (@radiology-hardening)
short_description: Have packages of Debian installed
version_added: 0.1.0
description:
  - Installs what is missing, without recommended packages. A host that lacks nothing asks no package index, which may
    be out of reach then.
  - What a killed run or a power cut left half installed is finished first; another program that installs is waited for.
options:
  names:
    description: Names of packages.
    type: list
    elements: str
    required: true
attributes:
  check_mode:
    description: Says what it would install, and installs nothing.
    support: full
  diff_mode:
    description: Says what it installs, as one sentence.
    support: full
"""

EXAMPLES = """
- name: Have nftables
  radiology.hardening.packages:
    names: [iproute2, nftables]
"""

RETURN = """
plan:
  description: One sentence a step, in their order.
  type: list
  elements: str
  returned: success
"""

from ansible_collections.radiology.hardening.plugins.module_utils import packages, surface


def main() -> None:
    """Look, plan, install."""
    surface.follow(
        {"names": {"type": "list", "elements": "str", "required": True}},
        lambda host, given: packages.plan(host, given["names"]),
    )


if __name__ == "__main__":
    main()
