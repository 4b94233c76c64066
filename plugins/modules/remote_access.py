#!/usr/bin/python
# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = """
module: remote_access
author: radiology.hardening authors (@radiology-hardening)
short_description: Let people read from home through a tunnel, each device by a key of its own
version_added: 0.1.0
description:
  - Keeps a tunnel whose private key is made on the gateway and stays there, with the devices of the clinic file and no
    other. A device that was taken out of the file is shut out while the others go on.
  - Where the clinic file names no tunnel, one that is left is taken down.
  - It is one of WireGuard, carried by Debian's wireguard-go where the kernel has none; or, where the clinic file says
    so, one of IPsec by strongSwan, which the clinic's authority certifies gateway and devices for.
  - Its action runs on the controller, signs what devices and a gateway of IPsec ask for, and writes beside the clinic
    file what each device and the internet box are set to.
extends_documentation_fragment:
  - radiology.hardening.surface
"""

EXAMPLES = """
- name: Let in from home whom the clinic file names
  radiology.hardening.remote_access:
    scope: "{{ lookup('radiology.hardening.scope', 'remote_access') }}"
    wanted: "{{ lookup('radiology.hardening.wanted', 'remote_access') }}"
"""

RETURN = """
plan:
  description: One sentence a step, in their order.
  type: list
  elements: str
  returned: success
"""
