#!/usr/bin/python
# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = """
module: seen_devices
author: radiology.hardening authors (@radiology-hardening)
short_description: Tell with which certificate each device last came
version_added: 0.1.0
description:
  - Reads the journal of the front that the role dicom_tls keeps, the newest line of each device, and changes nothing.
    A session is in the journal once it has ended.
  - The playbook rotate_certificates asks it whether a change of the clinic's authority may go on.
options:
  devices:
    description: The DICOM devices of the clinic, as the inventory plugin yields them in C(clinic_devices).
    type: list
    elements: dict
    required: true
  days:
    description: How many days to look back.
    type: int
    default: 400
extends_documentation_fragment:
  - radiology.hardening.observer
"""

EXAMPLES = """
- name: See which certificates the devices come with
  radiology.hardening.seen_devices:
    devices: "{{ clinic_devices }}"
"""

RETURN = """
devices:
  description: >-
    Name of each device that came to the C(fingerprint) of its certificate (SHA-1, as nginx has it) and the time at
    which its newest session C(began), in seconds since 1970.
  type: dict
  returned: success
shown:
  description: SHA-256 of the file with the certificate that the front shows.
  type: str
  returned: success
shown_since:
  description: When that file was written, in seconds since 1970.
  type: float
  returned: success
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.radiology.hardening.plugins.module_utils import dicom_front, dicom_front_seen
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host


def main() -> None:
    """Look into the journal."""
    arguments = {
        "devices": {"type": "list", "elements": "dict", "required": True},
        "days": {"type": "int", "default": 400},
    }
    module = AnsibleModule(argument_spec=arguments, supports_check_mode=True)
    devices, since = dicom_front.admitted(module.params["devices"]), time.time() - module.params["days"] * 86400
    try:
        found = dicom_front_seen.observe(Host(), devices, since)
    except HardeningError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
