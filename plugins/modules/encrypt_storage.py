#!/usr/bin/python
# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = """
module: encrypt_storage
author: radiology.hardening authors (@radiology-hardening)
short_description: Encrypt the disk that already holds images
version_added: 0.2.0
description:
  - One call of the deliberate act that the playbook C(encrypt_storage) is. Its action on the controller makes the calls
    in their order, shows what will be done, and keeps the sealed recovery key and the header's copies.
  - The work itself is done by a systemd unit of the host, which goes on after a reboot or a power cut.
options:
  call:
    description: The call to make.
    type: str
    choices: [describe, seal, prepare, start, status, retire]
    default: describe
  name:
    description: Name of the job and of the opened volume, as in C(/dev/mapper/<name>).
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
    description: The certificates (PEM) that the recovery key is sealed to.
    type: list
    elements: str
    default: []
  confirm:
    description: The serial number or UUID of the device that may be written.
    type: str
    default: ""
  answer:
    description: The answer to the challenge, made with the opened recovery key.
    type: str
    default: ""
  private_key:
    description: Path on the controller of a private key that opens the sealed recovery key, to answer at once.
    type: str
    default: ""
  passphrase:
    description: Passphrase of that private key.
    type: str
    default: ""
  retire:
    description: Wipe the former copy of a job that is done.
    type: bool
    default: false
  accept_different:
    description:
      - How many files may be lost, because a failing disk could not read them when its content was copied to another
        one. A job that stopped says the number.
    type: int
    default: 0
  evidence:
    description: Where the sealed key and the header's copies are kept.
    type: dict
    default: {}
"""

EXAMPLES = """
- name: Show what would be encrypted, and encrypt what the answer names
  radiology.hardening.encrypt_storage:
    storage: "{{ clinic_storage }}"
    escrow: "{{ clinic_escrow }}"
    confirm: "{{ confirm | default('') }}"
"""

RETURN = """
stage:
  description: The last stage that was recorded.
  type: str
  returned: when a job was begun
sentence:
  description: The last sentence of the job's journal.
  type: str
  returned: when a job was begun
done:
  description: Whether everything is encrypted, compared, and mounted.
  type: bool
  returned: when a job was begun
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.migration import deliberate
from ansible_collections.radiology.hardening.plugins.module_utils.migration.machine import Machine


def main() -> None:
    """Make one call."""
    texts = {name: {"type": "str", "default": "", "no_log": False} for name in ("confirm", "private_key")}
    secrets = {name: {"type": "str", "default": "", "no_log": True} for name in ("answer", "passphrase")}
    mappings = {name: {"type": "dict", "default": {}} for name in ("storage", "escrow", "evidence")}
    module = AnsibleModule(
        argument_spec={
            "call": {
                "type": "str",
                "default": "describe",
                "choices": ["describe", "seal", "prepare", "start", "status", "retire"],
            },
            "name": {"type": "str", "default": "studies"},
            "certificates": {"type": "list", "elements": "str", "default": []},
            "retire": {"type": "bool", "default": False},
            "accept_different": {"type": "int", "default": 0},
            **texts,
            **secrets,
            **mappings,
        },
        supports_check_mode=True,
    )
    given, machine = module.params, Machine()
    name, storage = given["name"], given["storage"]
    calls: dict[str, Any] = {
        "describe": lambda: deliberate.describe(machine, name, storage),
        "seal": lambda: deliberate.seal(machine, name, storage, given["certificates"]),
        "prepare": lambda: deliberate.prepare(machine, name, storage, given["confirm"], given["answer"]),
        "start": lambda: deliberate.start(
            machine, name, given["evidence"], given["confirm"], given["accept_different"]
        ),
        "status": lambda: deliberate.status(machine, name),
        "retire": lambda: deliberate.retire(machine, name),
    }
    try:
        if module.check_mode and given["call"] not in ("describe", "status"):
            module.fail_json(msg=f"The call {given['call']} has no check mode: describe is the plan left unapplied.")
        found = calls[given["call"]]()
    except HardeningError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=given["call"] not in ("describe", "status"), **found)


if __name__ == "__main__":
    main()
