#!/usr/bin/python
# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = """
module: exposure
author: radiology.hardening authors (@radiology-hardening)
short_description: Look at hosts from one vantage point, as an attacker would
version_added: 0.1.0
description:
  - Runs on the vantage point. Scans TCP ports over IPv4 and IPv6, and asks services of UDP each in its own words. Asks
    for DICOM associations in clear and over TLS, enumerates versions and suites of TLS, reads by its own clock which
    certificates end soon, asks web servers for pages without credentials and in another site's name, SSH servers for
    passwords.
  - From a vantage point of kind V(lan) or V(peer) it asks the internet box, too, which ports it leads to the targets
    (UPnP), and whether any machine there may have it open some (UPnP, NAT-PMP, PCP).
  - Of a workstation or a modality it asks less, and in a gentle way, since such a machine may be old. It tells what
    answers a stranger in DICOM, the web servers of viewers, remote desktops and file shares.
  - Changes nothing. Patient data that can be read is counted, never returned.
  - Use it on hosts of your own inventory only.
requirements:
  - pynetdicom and pydicom (from PyPI on Debian 12) and paramiko on the vantage point
options:
  targets:
    description:
      - What to look at, as the inventory plugin yields it in C(clinic_targets).
    type: list
    elements: dict
    required: true
    suboptions:
      host:
        description: The inventory name of the host.
        type: str
        required: true
      kind:
        description: What the host is.
        type: str
      addresses:
        description: Its literal addresses as this vantage point reaches it.
        type: list
        elements: str
        required: true
      ae_title:
        description: Its AE title, which a stranger may know.
        type: str
      expected_ports:
        description: TCP ports that may answer this vantage point.
        type: list
        elements: int
        default: []
      cleartext_ports:
        description: >-
          TCP ports that the clinic file declares in clear, each for one device. They are tried, too; in clear they may
          answer where they are among O(targets[].expected_ports).
        type: list
        elements: int
        default: []
      ports:
        description: TCP ports to try at this target beside the well-known ones.
        type: list
        elements: int
        default: []
  vantage:
    description:
      - The name and the kind of the vantage point; kept in the result.
      - With C(control_targets), a list of address:port elsewhere, these are tried as well. A vantage point that they do
        not answer hears nothing, so that its silence proves nothing.
    type: dict
    default: {}
  ports:
    description: TCP ports to try beside the well-known and the expected ones.
    type: list
    elements: int
    default: []
  default_credentials:
    description: Whether to try logins and passwords that everybody knows.
    type: bool
    default: true
extends_documentation_fragment:
  - radiology.hardening.observer
"""

EXAMPLES = """
- name: Probe what the clinic shows here
  radiology.hardening.exposure:
    targets: "{{ clinic_targets }}"
    vantage: "{{ clinic_vantage }}"
  register: hardening_exposure
"""

RETURN = """
answered:
  description: Those of the control targets that took a connection.
  type: list
  elements: str
  returned: success
targets:
  description: Inventory name of each target to its facts below C(wire).
  type: dict
  returned: success
vantage:
  description: The vantage point, as given.
  type: dict
  returned: success
"""

import concurrent.futures
import importlib.util

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.radiology.hardening.plugins.module_utils import internet_box
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.wire import device, ports
from ansible_collections.radiology.hardening.plugins.module_utils.wire.probe import BEHIND_THE_BOX, probe

NEEDED = ("pydicom", "pynetdicom", "paramiko")
TARGET = {
    "host": {"type": "str", "required": True},
    "kind": {"type": "str"},
    "addresses": {"type": "list", "elements": "str", "required": True},
    "ae_title": {"type": "str"},
    "expected_ports": {"type": "list", "elements": "int", "default": []},
    "cleartext_ports": {"type": "list", "elements": "int", "default": []},
    "ports": {"type": "list", "elements": "int", "default": []},
}


def main() -> None:
    """Probe each target; several at a time."""
    module = AnsibleModule(
        argument_spec={
            "targets": {"type": "list", "elements": "dict", "options": TARGET, "required": True},
            "vantage": {"type": "dict", "default": {}},
            "ports": {"type": "list", "elements": "int", "default": []},
            "default_credentials": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    for name in NEEDED:
        if importlib.util.find_spec(name) is None:
            module.fail_json(msg=missing_required_lib(name))

    behind = module.params["vantage"].get("kind") in BEHIND_THE_BOX
    box = internet_box.ask(Host(), everybody=True) if behind else None

    def look(target: dict[str, object]) -> dict[str, object]:
        if target["kind"] in device.KINDS:
            return {"wire": device.probe(target, module.params["ports"], box)}
        tried = module.params["default_credentials"]
        return {"wire": probe(target, module.params["ports"], default_credentials=tried, box=box)}

    targets, vantage = module.params["targets"], module.params["vantage"]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        seen = dict(zip((target["host"] for target in targets), pool.map(look, targets), strict=True))
    answered = ports.answering(vantage.get("control_targets") or [])
    module.exit_json(changed=False, answered=answered, targets=seen, vantage=vantage)


if __name__ == "__main__":
    main()
