#!/usr/bin/python
# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = """
module: posture
author: radiology.hardening authors (@radiology-hardening)
short_description: Observe the surfaces of a host in one call
version_added: 0.1.0
description:
  - Runs the observer of each surface, the same that the surface's own module plans from, and returns their facts.
  - Changes nothing. Returns no secret, fingerprints and modes at the most.
options:
  scope:
    description: Surface name to the inputs of its role, as the lookup P(radiology.hardening.scope#lookup) returns them.
    type: dict
    default: {}
  surfaces:
    description: Names of the surfaces to observe; all of them when empty.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - radiology.hardening.observer
seealso:
  - plugin: radiology.hardening.audit
    plugin_type: module
"""

EXAMPLES = """
- name: Look at the firewall and at Orthanc
  radiology.hardening.posture:
    scope:
      firewall: "{{ lookup('radiology.hardening.scope', 'firewall') }}"
"""

RETURN = """
facts:
  description: The facts, surface by surface; the pages of the roles below docs/roles list them.
  type: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.radiology.hardening.plugins.module_utils import surface
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host


def main() -> None:
    """Observe each surface that is asked for in its scope."""
    names = {"type": "list", "elements": "str", "default": []}
    module = AnsibleModule(
        argument_spec={"scope": {"type": "dict", "default": {}}, "surfaces": names}, supports_check_mode=True
    )
    host, scope, wanted = Host(), module.params["scope"], module.params["surfaces"]
    try:
        with host.looking():
            facts = {
                name: surface.named(name).observe(host, scope.get(name, {}))
                for name in surface.NAMES
                if not wanted or name in wanted
            }
    except HardeningError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, facts=facts)


if __name__ == "__main__":
    main()
