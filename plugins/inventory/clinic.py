# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = """
name: clinic
author: radiology.hardening authors (@radiology-hardening)
short_description: One clinic file yields hosts, groups and variables
version_added: 0.1.0
description:
  - Reads a YAML file that describes one clinic. It names networks, Orthanc servers, gateways, workstations,
    modalities, people and vantage points.
  - Yields one host each, called C(<host>.<clinic>), in the groups C(orthanc_servers), C(gateways), C(workstations),
    C(modalities), C(vantage_points), C(clinic_hosts) and C(clinic_<name>). Those without an C(ssh) block are in
    C(declared_only) as well, and no playbook logs in to them.
  - Refuses a file that cannot work before anything is touched, in one sentence that names file, line, key, what was
    found and what is accepted.
  - What the file may hold is told by C(meta/clinic.schema.json) of this collection, from which editors complete and
    explain.
  - Takes no hosts from the folder beside the file that bears the clinic's name, where its secrets and certificates are
    kept, nor from the folders beside it that its C(escrow) names, so that a folder of clinic files can be an inventory.
notes:
  - Name the plugin in C(enable_plugins) of the section C([inventory]) of C(ansible.cfg), or in the environment variable
    E(ANSIBLE_INVENTORY_ENABLED).
  - The clinic's group gets C(ansible_ssh_extra_args), so that ssh gives a host up that says nothing for two minutes.
    Group or host variables of your own outrank it.
  - Set C(any_unparsed_is_failed) there as well. Ansible else warns of a refused file and goes on without its hosts.
requirements:
  - jsonschema >= 4.0 (Python package, on the controller)
options:
  plugin:
    description: Marks the file as one for this plugin.
    required: true
    type: str
    choices: [radiology.hardening.clinic]
"""

EXAMPLES = """
# clinics/rue-lumiere.yml
plugin: radiology.hardening.clinic
name: rue-lumiere
networks:
  lan: {kind: lan, cidrs: ["192.168.10.0/24"]}
  admin: {kind: admin, cidrs: ["192.168.20.0/24"]}
orthanc_servers:
  pacs:
    ae_title: LUMIERE
    addresses: {lan: ["192.168.10.10"], admin: ["192.168.20.10"]}
    ssh: {user: engineer}
modalities:
  ct:
    ae_title: LUM_CT1
    addresses: {lan: ["192.168.10.30"]}
    tls: true
    may: [echo, store]
"""

from typing import Any

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.plugin_utils import clinic_file


class InventoryModule(BaseInventoryPlugin):
    """Yield a clinic file's hosts, groups and variables."""

    NAME = "radiology.hardening.clinic"

    def verify_file(self, path: str) -> bool:
        """Take files that name this plugin, broken ones and empty ones, to refuse them; and what a clinic keeps."""
        mine = (clinic_file.is_clinic_file, clinic_file.is_empty, clinic_file.is_kept_for_clinic)
        return super().verify_file(path) and any(is_mine(path) for is_mine in mine)

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Add the whole clinic, or nothing and raise AnsibleParserError with one sentence."""
        super().parse(inventory, loader, path, cache)
        if clinic_file.is_kept_for_clinic(path) and not clinic_file.is_clinic_file(path):
            return  # secrets, certificates or escrow of a clinic: taken, so that no other plugin reads hosts into them
        try:
            found = clinic_file.load(path)
            self._refuse_second_file(found)
        except HardeningError as error:
            raise AnsibleParserError(str(error)) from None
        for group, hosts in found.groups.items():
            inventory.add_group(group)
            for host in hosts:
                inventory.add_host(host, group=group)
        for name, value in found.shared.items():
            inventory.set_variable(found.group, name, value)
        for host, variables in found.hosts.items():
            for name, value in variables.items():
                inventory.set_variable(host, name, value)

    def _refuse_second_file(self, found: Any) -> None:
        """Raise HardeningError when another file has described a clinic of this name."""
        group = self.inventory.groups.get(found.group)
        first = group.vars.get("clinic", {}).get("file") if group else None
        mine = found.shared["clinic"]
        if first not in (None, mine["file"]):
            raise HardeningError(
                f'{mine["file"]}: name is "{mine["name"]}", as in {first}; accepted: one file for one clinic.'
            )
