#!/usr/bin/python
# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = """
module: disk_keys
author: radiology.hardening authors (@radiology-hardening)
short_description: Unlock an encrypted storage from the escrow, replace its recovery key, restore its header
version_added: 0.2.0
description:
  - One call of the deliberate acts that the playbooks C(unlock), C(rotate_disk_keys) and C(restore_header) are. Its
    action on the controller makes the calls in their order, shows what will be done, and keeps what the escrow gets.
  - A recovery key from the escrow comes to the host through a pipe and lies in memory for the moment of its use. It is
    no option of this module, and is never written to a disk.
options:
  act:
    description: The act, each a playbook of its own; read on the controller.
    type: str
    choices: [unlock, rotate, restore]
    default: unlock
  call:
    description: The call to make.
    type: str
    choices: [describe, unlock, rebind, renew, revoke, collect, record, restore]
    default: describe
  name:
    description: Name of the opened volume, as in C(/dev/mapper/<name>).
    type: str
    default: studies
  storage:
    description: The C(storage) of the host in the clinic file.
    type: dict
    default: {}
  escrow:
    description: The C(escrow) of the clinic file; read on the controller.
    type: dict
    default: {}
  certificates:
    description: The certificates (PEM) that a new recovery key is sealed to.
    type: list
    elements: str
    default: []
  recipients:
    description: The SHA-256 of each of these certificates.
    type: list
    elements: str
    default: []
  rebind:
    description: Bind the header to the present TPM or Tang server, and remove the bindings that it has.
    type: bool
    default: false
  confirm:
    description: The serial number or UUID of the volume whose header may be written.
    type: str
    default: ""
  answer:
    description: The answer to the challenge, made with the opened new recovery key.
    type: str
    default: ""
  private_key:
    description: Path on the controller of a private key that opens the sealed recovery key.
    type: str
    default: ""
  passphrase:
    description: Passphrase of that private key.
    type: str
    default: ""
  evidence:
    description: Where the sealed key and the header's copies are kept.
    type: dict
    default: {}
"""

EXAMPLES = """
- name: Open the storage with the key from the escrow
  radiology.hardening.disk_keys:
    act: unlock
    storage: "{{ clinic_storage }}"
    escrow: "{{ clinic_escrow }}"
    private_key: "{{ escrow_private_key }}"
"""

RETURN = """
begun:
  description: Whether the host has a storage that the playbook C(encrypt_storage) encrypted.
  type: bool
  returned: by the call describe
system:
  description: Whether the whole system of the host is encrypted instead, whose keys are changed by hand.
  type: bool
  returned: by the call describe, where begun is false
sentence:
  description: What was done.
  type: str
  returned: by each act
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.migration import key_calls
from ansible_collections.radiology.hardening.plugins.module_utils.migration.machine import Machine

CALLS = ["describe", "unlock", "rebind", "renew", "revoke", "collect", "record", "restore"]


def main() -> None:
    """Make one call."""
    texts = {name: {"type": "str", "default": "", "no_log": False} for name in ("confirm", "private_key")}
    secrets = {name: {"type": "str", "default": "", "no_log": True} for name in ("answer", "passphrase")}
    mappings = {name: {"type": "dict", "default": {}} for name in ("storage", "escrow", "evidence")}
    lists = {name: {"type": "list", "elements": "str", "default": []} for name in ("certificates", "recipients")}
    module = AnsibleModule(
        argument_spec={
            "act": {"type": "str", "default": "unlock", "choices": ["unlock", "rotate", "restore"]},
            "call": {"type": "str", "default": "describe", "choices": CALLS},
            "name": {"type": "str", "default": "studies"},
            "rebind": {"type": "bool", "default": False},
            **texts,
            **secrets,
            **mappings,
            **lists,
        },
        supports_check_mode=True,
    )
    given = module.params
    try:
        if module.check_mode and given["call"] != "describe":
            module.fail_json(msg=f"The call {given['call']} has no check mode: describe is the plan left unapplied.")
        found = key_calls.make(Machine(), given["name"], given)
    except HardeningError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=given["call"] not in key_calls.READING, **found)


if __name__ == "__main__":
    main()
