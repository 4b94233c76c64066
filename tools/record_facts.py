# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Record what the demo's hardened servers say of themselves, for the agreement test. Run it after `make demo`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HARDENED = ROOT / "tests" / "unit" / "surfaces" / "hardened"
sys.path.insert(0, str(ROOT / "molecule" / "resources"))
sys.path.insert(0, str(ROOT / ".ansible" / "collections"))

from ansible_collections.radiology.hardening.plugins.plugin_utils import authority
from lab import Lab
from topology import TOPOLOGY

RELEASES = {"dmz-practice": "debian12", "forwarded-practice": "debian13"}
USED = {"orthanc": ("orthanc",), "dicom_tls": ("orthanc", "dicom_tls"), "firewall": ("firewall",)}
PLAYBOOK = """
- hosts: orthanc_servers
  become: true
  gather_facts: false
  vars:
    scopes:
      orthanc: "{{ lookup('radiology.hardening.scope', 'orthanc') }}"
      dicom_tls: "{{ lookup('radiology.hardening.scope', 'dicom_tls') }}"
      firewall: "{{ lookup('radiology.hardening.scope', 'firewall') }}"
  tasks:
    - radiology.hardening.posture: {scope: "{{ scopes }}"}
      register: posture
    - ansible.builtin.copy:
        content: "{{ {'facts': posture.facts, 'scopes': scopes} | to_json }}"
        dest: "{{ folder }}/{{ clinic.name }}.json"
      become: false
      delegate_to: localhost
"""


def main() -> int:
    """Observe, and write a file a role and release."""
    inventory = Lab("demo").state / "inventory"
    with tempfile.TemporaryDirectory() as folder:
        playbook = Path(folder) / "record.yml"
        playbook.write_text(PLAYBOOK, encoding="utf-8")
        command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(inventory), str(playbook)]
        environment = {**os.environ, "RADIOLOGY_LAB": "demo"}
        subprocess.run([*command, "-e", f"folder={folder}"], cwd=ROOT, env=environment, check=True)
        for clinic in TOPOLOGY.clinics:
            seen = json.loads((Path(folder) / f"{clinic}.json").read_text(encoding="utf-8"))
            given = signed(str(inventory / clinic), seen["scopes"]["dicom_tls"]["devices"])
            seen["scopes"]["dicom_tls"] |= {**given, "clinic_directory": f"/clinics/{clinic}"}
            for role, used in USED.items():
                known = {"facts": {name: seen["facts"][name] for name in used}, "scope": seen["scopes"][role]}
                text = json.dumps(known, indent=1, sort_keys=True) + "\n"
                (HARDENED / f"{role}.{RELEASES[clinic]}.json").write_text(text, encoding="utf-8")
    return 0


def signed(directory: str, devices: list[dict[str, str]]) -> dict[str, object]:
    """Return what the controller gives the module dicom_tls: certificates, which are public."""
    names = [device["name"] for device in devices]
    certificates = {name: authority.read(authority.certificate_path(directory, name)) for name in names}
    return {
        "certificate": authority.read(authority.certificate_path(directory, "pacs")),
        "authority": authority.read(authority.authority_path(directory)),
        "fingerprints": {name: authority.fingerprint(text) for name, text in certificates.items()},
    }


if __name__ == "__main__":
    sys.exit(main())
