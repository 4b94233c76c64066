# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Record what hardened servers say of themselves, for the agreement test.

record_facts.py                      of the demo's servers: run it after `make demo`
record_facts.py bookworm|trixie      of a virtual machine, which it makes and removes: the facts of its disks
"""

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

import virtual_clinic
from ansible_collections.radiology.hardening.plugins.plugin_utils import authority, device_certificates, revocation
from lab import Lab
from topology import TOPOLOGY
from virtual_guest import MACHINES

RELEASES = {"dmz-practice": "debian12", "forwarded-practice": "debian13"}
USED = {"orthanc": ("orthanc",), "dicom_tls": ("orthanc", "dicom_tls"), "firewall": ("firewall",)}
PLAYBOOK = """
- hosts: orthanc_servers
  become: true
  gather_facts: false
  vars:
    hardening_profile: strict
    scopes:
      orthanc: "{{ lookup('radiology.hardening.scope', 'orthanc') }}"
      dicom_tls: "{{ lookup('radiology.hardening.scope', 'dicom_tls') }}"
      firewall: "{{ lookup('radiology.hardening.scope', 'firewall') }}"
  tasks:
    - ansible.builtin.include_role: {name: radiology.hardening.firewall}
    - radiology.hardening.posture: {scope: "{{ scopes }}"}
      register: posture
    - ansible.builtin.copy:
        content: "{{ {'facts': posture.facts, 'scopes': scopes} | to_json }}"
        dest: "{{ folder }}/{{ clinic.name }}.json"
      become: false
      delegate_to: localhost
"""

OF_DISKS = """
- hosts: orthanc_servers
  become: true
  gather_facts: false
  vars:
    disk_encryption_kind: workstation
    control: disk_encryption.system_and_homes_encrypted
    scope: "{{ lookup('radiology.hardening.scope', 'disk_encryption') }}"
  tasks:
    - ansible.builtin.raw: "{{ (lookup('file', sabotage) | from_yaml)[control].prepare }}"
    - ansible.builtin.include_role: {name: radiology.hardening.disk_encryption}
    - radiology.hardening.posture: {scope: {disk_encryption: "{{ scope }}"}, surfaces: [orthanc, disk_encryption]}
      register: posture
    - ansible.builtin.copy:
        content: "{{ {'facts': posture.facts, 'scope': scope} | to_json }}"
        dest: "{{ folder }}/facts.json"
      become: false
      delegate_to: localhost
"""
"""Of a workstation, which every control of the area concerns: the machine of the sabotage is made one."""


def main(arguments: list[str]) -> int:
    """Record of the demo, or of a virtual machine."""
    if not arguments:
        return of_demo()
    (release,) = arguments
    with tempfile.TemporaryDirectory() as folder:
        try:
            virtual_clinic.up("record", release, Path(folder) / "inventory")
            of_disks(Path(folder) / "inventory", {"bookworm": "debian12", "trixie": "debian13"}[release], "record")
        finally:
            virtual_clinic.down("record")
    return 0


def of_disks(inventory: Path, release: str, name: str) -> None:
    """Harden the machine of this name, observe, and write the file of its release, without paths of this checkout."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "record.yml").write_text(OF_DISKS, encoding="utf-8")
        command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(inventory)]
        given = {"folder": folder, "sabotage": str(ROOT / "tests" / "sabotage" / "disk_encryption.yml")}
        command += ["-e", json.dumps(given), f"{folder}/record.yml"]
        subprocess.run(command, cwd=ROOT, check=True)
        known = json.loads((Path(folder) / "facts.json").read_text(encoding="utf-8"))
    text = json.dumps(known, indent=1, sort_keys=True).replace(str(MACHINES / name), "/clinics")
    (HARDENED / f"disk_encryption.{release}.json").write_text(f"{text}\n", encoding="utf-8")


def of_demo() -> int:
    """Observe the demo's servers, and write a file a role and release."""
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
    return {
        "certificate": authority.read(authority.certificate_path(directory, "pacs")),
        "authority": authority.read(authority.authority_path(directory)),
        "revoked": authority.read(revocation.list_path(directory)),
        "fingerprints": {device["name"]: device_certificates.admitted(directory, device) for device in devices},
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
