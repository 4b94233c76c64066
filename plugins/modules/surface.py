#!/usr/bin/python
# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = """
module: surface
author: radiology.hardening authors (@radiology-hardening)
short_description: Hold one surface of a host
version_added: 0.1.0
description:
  - The host's part of the actions that bear the surfaces' names, which call it; a playbook calls those.
  - Installs the programs of Debian that the surface cannot do without, looks, plans, and brings the plan about. A host
    that lacks no program asks no package index, which may be out of reach then.
  - Packages come without those that Debian recommends. What a killed run or a power cut left half installed is finished
    first, and another program that installs is waited for.
  - One module for all of them, so that a run makes it ready once.
options:
  surface:
    description: The name of the surface.
    type: str
    required: true
    choices:
      - orthanc
      - dicom_tls
      - authentication
      - firewall
      - remote_access
      - disk_encryption
      - system
      - workstation
      - reading_laptop
      - modality_box
  passwords:
    description: Login to password of the people in O(scope). Without it people stay as they are.
    type: dict
  orthanc_passwords:
    description: Login to the password by which the front asks Orthanc for that person. Without it those stay.
    type: dict
  initial_passwords:
    description: Login to the first password of an account that is made here, or that never had one.
    type: dict
  certificate:
    description: The certificate, PEM, that the clinic's authority signed for the key that is made here.
    type: str
    default: ""
  certified:
    description: SHA-256 of the certificate request that O(certificate) answers.
    type: str
    default: ""
  authority:
    description: The certificates of the clinic's authorities, PEM.
    type: str
    default: ""
  revoked:
    description: The authorities' lists of revoked certificates (CRL), PEM.
    type: str
    default: ""
  fingerprints:
    description: Name of each device to the SHA-1, in hexadecimal, of each certificate that lets it in.
    type: dict
    default: {}
  engineer:
    description: The login that the engineer came in with; the plan refuses to lock it out.
    type: str
    default: ""
  becomes_by:
    description: How the engineer becomes root; the plan refuses to lock the password that C(su) asks for.
    type: str
    default: ""
  arming:
    description:
      - A word of the run's own, by which the host tells the undo that it armed from another run's. Without it the
        surfaces that may lock the engineer out, V(firewall) and V(authentication), are held in check mode alone.
    type: str
    default: ""
extends_documentation_fragment:
  - radiology.hardening.surface
seealso:
  - plugin: radiology.hardening.firewall
    plugin_type: module
"""

EXAMPLES = """
- name: See what the firewall's action would have the host do
  radiology.hardening.surface:
    surface: firewall
    scope: "{{ lookup('radiology.hardening.scope', 'firewall') }}"
    wanted: "{{ lookup('radiology.hardening.wanted', 'firewall') }}"
  check_mode: true
"""

RETURN = """
plan:
  description: What was changed, or would be, one sentence a step, in their order.
  type: list
  elements: str
  returned: success
deliberate:
  description: What only a person may bring about, one sentence an act.
  type: list
  elements: str
  returned: where there is any
"""

from ansible_collections.radiology.hardening.plugins.module_utils import surface


def main() -> None:
    """Take the options, hold the surface."""
    text = {"type": "str", "default": ""}
    secret = {"type": "dict", "no_log": True}
    surface.main(
        {
            "surface": {"type": "str", "required": True, "choices": list(surface.NAMES)},
            "scope": {"type": "dict", "required": True},
            "wanted": {"type": "dict", "required": True},
            "passwords": secret,
            "orthanc_passwords": secret,
            "initial_passwords": secret,
            "certificate": text,
            "certified": text,
            "authority": text,
            "revoked": text,
            "fingerprints": {"type": "dict", "default": {}},
            "engineer": text,
            "becomes_by": text,
            "arming": text,
        }
    )


if __name__ == "__main__":
    main()
