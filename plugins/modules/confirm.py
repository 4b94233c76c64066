#!/usr/bin/python
# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = """
module: confirm
author: radiology.hardening authors (@radiology-hardening)
short_description: Stop a timed undo, since the engineer came in anew
version_added: 0.1.0
description:
  - The host's part of the actions that change how the engineer comes in, which call it over a new connection; a
    playbook calls those. It looks at nothing and waits for nobody, since the undo does not wait either.
  - Fails where the undo was quicker, and has put the former state back.
options:
  undo:
    description: The undo that was armed.
    type: str
    required: true
    choices: [firewall, ssh]
  what:
    description: What it puts back, as a sentence names it.
    type: str
    required: true
  arming:
    description: A word of the run's own, by which the host tells the undo that it armed from another run's.
    type: str
    required: true
attributes:
  check_mode:
    support: none
    description: There is nothing to confirm, since nothing is armed then.
  diff_mode:
    support: none
    description: There is nothing to differ.
"""

EXAMPLES = """
- name: Keep the firewall that the action of that name has just changed
  radiology.hardening.confirm:
    undo: firewall
    what: the firewall
    arming: 8f14e45fceea167a5a36dedd4bea2543
"""

RETURN = """ # """

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.timed_undo import Undo


def main() -> None:
    """Stop the undo that this run armed."""
    spec = {
        "undo": {"type": "str", "required": True, "choices": ["firewall", "ssh"]},
        "what": {"type": "str", "required": True},
        "arming": {"type": "str", "required": True},
    }
    module = AnsibleModule(argument_spec=spec)
    given = module.params
    try:
        Undo(name=given["undo"], what=given["what"], role="", finish=()).confirm(Host(), given["arming"])
    except HardeningError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=True)


if __name__ == "__main__":
    main()
