#!/usr/bin/python
# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = """
module: undo
author: radiology.hardening authors (@radiology-hardening)
short_description: Restore what one surface replaced on one host
version_added: 0.1.0
description:
  - Before a surface first changes something, what it replaces is kept on the host. This restores it, and forgets it
    once it is restored, so that the next hardening keeps anew.
  - Its action runs on the controller. It shows what will be done, asks for O(confirm), and proves over a new connection
    that the engineer still comes in; else the host brings the hardened state back by itself.
  - What another surface changed after this one stays as that one holds it.
options:
  surface:
    description: Which part of the host is put back.
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
  confirm:
    description: The name of the host in the inventory. Without it nothing is changed.
    type: str
    default: ""
  arming:
    description: A word of the run's own, by which the host tells the undo that it armed from another run's.
    type: str
    default: ""
  act:
    description: What to do on the host; the action's own to give.
    type: str
    choices: [plan, restore, finish]
    default: plan
attributes:
  check_mode:
    support: full
    description: The plan is made and left unapplied.
  diff_mode:
    support: full
    description: The diff is the plan, one sentence a step; it never holds a secret.
"""

EXAMPLES = """
- name: Restore what the firewall replaced
  radiology.hardening.undo:
    surface: firewall
    confirm: pacs.rue-lumiere
"""

RETURN = """
plan:
  description: One sentence a step, in their order.
  type: list
  elements: str
  returned: success
stays:
  description: What is not brought back.
  type: str
  returned: success
"""

import contextlib

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.radiology.hardening.plugins.module_utils import undo_stays, undoing
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.steps import apply


def main() -> None:
    """Plan, and apply where that is asked for."""
    spec = {
        "surface": {"type": "str", "required": True, "choices": list(undo_stays.STAYS)},
        "confirm": {"type": "str", "default": ""},
        "act": {"type": "str", "default": "plan", "choices": ["plan", "restore", "finish"]},
        "arming": {"type": "str", "default": ""},
    }
    module = AnsibleModule(argument_spec=spec, supports_check_mode=True)
    host, surface, act = Host(), module.params["surface"], module.params["act"]
    try:
        with contextlib.nullcontext() if act == "plan" else host.alone():
            if act == "finish":
                steps = undoing.finish(host, surface)
            else:
                steps = undoing.plan(host, surface, module.params["arming"])
            if act != "plan" and not module.check_mode:
                apply(host, steps)
    except HardeningError as error:
        module.fail_json(msg=str(error))
    plan = [step.does for step in steps]
    diff = {"before": "", "after": "".join(f"{sentence}\n" for sentence in plan)}
    module.exit_json(changed=bool(steps), plan=plan, stays=undo_stays.STAYS[surface], diff=diff)


if __name__ == "__main__":
    main()
