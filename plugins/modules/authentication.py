#!/usr/bin/python
# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = """
module: authentication
author: radiology.hardening authors (@radiology-hardening)
short_description: Let in declared people, devices and engineers only
version_added: 0.1.0
description:
  - Keeps an HTTPS front of its own unit before Orthanc, Orthanc's users and DICOM modalities, and sshd by key only.
  - Its action runs on the controller. It makes missing passwords in the clinic's vault file, has the clinic's
    authority sign the front's certificate, and proves over a new connection that the engineer still comes in.
    The options below other than O(scope) and O(wanted) are its own to give.
options:
  passwords:
    description: Login to password of the people in O(scope). Without it people stay as they are.
    type: dict
  orthanc_passwords:
    description: Login to the password by which the front asks Orthanc for that person. Without it those stay.
    type: dict
  certificate:
    description: The front's certificate, PEM, signed by the clinic's authority.
    type: str
    default: ""
  certified:
    description: SHA-256 of the certificate request that O(certificate) answers.
    type: str
    default: ""
  engineer:
    description: The login that the engineer came in with; the plan refuses to lock it out.
    type: str
    default: ""
  becomes_by:
    description: How the engineer becomes root; the plan refuses to lock the password that C(su) asks for.
    type: str
    default: ""
  confirm:
    description: Only stop the timed undo of sshd; called over a new connection.
    type: bool
    default: false
  arming:
    description: A word of the run's own, by which the host tells the undo that it armed from another run's.
    type: str
    default: ""
extends_documentation_fragment:
  - radiology.hardening.surface
"""

EXAMPLES = """
- name: Let in declared people, devices and engineers only
  radiology.hardening.authentication:
    scope: "{{ lookup('radiology.hardening.scope', 'authentication') }}"
    wanted: "{{ lookup('radiology.hardening.wanted', 'authentication') }}"
"""

RETURN = """
plan:
  description: One sentence a step, in their order.
  type: list
  elements: str
  returned: success
"""

from ansible_collections.radiology.hardening.plugins.module_utils import surface
from ansible_collections.radiology.hardening.plugins.module_utils.surfaces import authentication


def main() -> None:
    """Observe, plan, apply."""
    surface.main(
        authentication,
        passwords={"type": "dict", "no_log": True},
        orthanc_passwords={"type": "dict", "no_log": True},
        certificate={"type": "str", "default": ""},
        certified={"type": "str", "default": ""},
        engineer={"type": "str", "default": ""},
        becomes_by={"type": "str", "default": ""},
        confirm={"type": "bool", "default": False},
        arming={"type": "str", "default": ""},
    )


if __name__ == "__main__":
    main()
