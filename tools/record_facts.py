# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Record what hardened servers say of themselves, for the agreement test.

record_facts.py                      of both practices of a lab, which it makes, hardens by profile strict and removes
record_facts.py laptops              of both practices' workstations as laptops that are carried home, likewise
record_facts.py gateways             of both practices' gateways, by the controls that concern them alone, likewise
record_facts.py boxes                of both practices' boxes beside an old modality, likewise
record_facts.py bookworm|trixie      of a virtual machine, which it makes and removes: the facts of its disks

RADIOLOGY_LAB gives the lab another name.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
HARDENED = ROOT / "tests" / "unit" / "surfaces" / "hardened"
sys.path.insert(0, str(ROOT / "molecule" / "resources"))
sys.path.insert(0, str(ROOT / ".ansible" / "collections"))

import virtual_clinic
from ansible_collections.radiology.hardening.plugins.module_utils import dicom_front
from ansible_collections.radiology.hardening.plugins.plugin_utils import (
    authority,
    clinic_folder,
    device_certificates,
    revocation,
)
from lab import Lab
from story import Practice
from topology import TOPOLOGY
from virtual_guest import MACHINES

NAME = os.environ.get("RADIOLOGY_LAB", "record")
RELEASES = {"dmz-practice": "debian12", "forwarded-practice": "debian13"}
HOSTS = ("pacs", "ct", "ws", "box")
USED = {
    "orthanc": ("orthanc",),
    "dicom_tls": ("orthanc", "dicom_tls"),
    "authentication": ("orthanc", "authentication"),
    "firewall": ("firewall",),
    "remote_access": ("remote_access",),
    "system": ("system",),
}
PLAYBOOK = """
- hosts: orthanc_servers:!declared_only
  become: true
  gather_facts: false
  vars:
    scopes:
      orthanc: "{{ lookup('radiology.hardening.scope', 'orthanc') }}"
      dicom_tls: "{{ lookup('radiology.hardening.scope', 'dicom_tls') }}"
      authentication: "{{ lookup('radiology.hardening.scope', 'authentication') }}"
      firewall: "{{ lookup('radiology.hardening.scope', 'firewall') }}"
      remote_access: "{{ lookup('radiology.hardening.scope', 'remote_access') }}"
      system: "{{ lookup('radiology.hardening.scope', 'system') }}"
  tasks:
    - radiology.hardening.posture: {scope: "{{ scopes }}", surfaces: "{{ scopes.keys() | list }}"}
      register: posture
    - ansible.builtin.copy:
        content: "{{ {'facts': posture.facts, 'scopes': scopes} | to_json }}"
        dest: "{{ folder }}/{{ clinic.name }}.json"
      become: false
      delegate_to: localhost

- hosts: "{{ group | default('workstations') }}"
  become: true
  gather_facts: false
  vars:
    scope: "{{ lookup('radiology.hardening.scope', role) }}"
  tasks:
    - radiology.hardening.posture: {scope: "{{ {role: scope} }}", surfaces: ["{{ role }}"]}
      register: posture
    - ansible.builtin.copy:
        content: "{{ {'facts': posture.facts, 'scope': scope} | to_json }}"
        dest: "{{ folder }}/{{ role }}.{{ clinic.name }}.json"
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
    """Record of servers in containers, or of a virtual machine."""
    if not arguments:
        return of_containers()
    if arguments == ["laptops"]:
        return of_others("reading_laptop", ("pacs", "ws", "box"), "workstations", laptop=True)
    if arguments == ["gateways"]:
        return of_others("firewall", ("gate",), "gateways", ".gateway")
    if arguments == ["boxes"]:
        return of_others("modality_box", ("side",), "gateways", ".gateway")
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


def of_containers() -> int:
    """Harden two servers whose devices have handed in their requests, observe, and write a file a role and release."""
    lab = Lab(NAME, tuple(f"{kind}-{number}" for number in TOPOLOGY.clinics.values() for kind in HOSTS))
    inventory = lab.state / "inventory"
    lab.up(inventory, tunnel=True)
    try:
        for clinic in TOPOLOGY.clinics:
            Practice(lab, clinic).hand_in_requests(inventory / clinic, ("ct",))
        play(inventory, ROOT / "playbooks" / "harden.yml", {"hardening_profile": "strict"})
        with tempfile.TemporaryDirectory() as folder:
            playbook = Path(folder) / "record.yml"
            playbook.write_text(PLAYBOOK, encoding="utf-8")
            play(inventory, playbook, {"hardening_profile": "strict", "folder": folder, "role": "workstation"})
            for clinic in TOPOLOGY.clinics:
                keep(clinic, inventory / clinic, json.loads((Path(folder) / f"{clinic}.json").read_text("utf-8")))
                seen = json.loads((Path(folder) / f"workstation.{clinic}.json").read_text("utf-8"))
                put("workstation", clinic, seen, str(inventory / clinic))
    finally:
        lab.down()
    return 0


def of_others(role: str, kinds: tuple[str, ...], group: str, ends: str = "", *, laptop: bool = False) -> int:
    """Harden hosts of these kinds, observe a group by one role, and write a file a release; `ends` ends its name."""
    lab = Lab(NAME, tuple(f"{kind}-{number}" for number in TOPOLOGY.clinics.values() for kind in kinds))
    inventory = lab.state / "inventory"
    lab.up(inventory, laptop=laptop)
    try:
        play(inventory, ROOT / "playbooks" / "harden.yml", {"hardening_profile": "strict"})
        with tempfile.TemporaryDirectory() as folder:
            playbook, given = Path(folder) / "record.yml", {"folder": folder, "role": role, "group": group}
            playbook.write_text(PLAYBOOK, encoding="utf-8")
            play(inventory, playbook, {"hardening_profile": "strict", **given})
            for clinic in TOPOLOGY.clinics:
                seen = json.loads((Path(folder) / f"{role}.{clinic}.json").read_text("utf-8"))
                put(f"{role}{ends}", clinic, seen, str(inventory / clinic))
    finally:
        lab.down()
    return 0


def play(inventory: Path, playbook: Path, variables: dict[str, str]) -> None:
    """Run a playbook that has to succeed."""
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".ansible" / "collections"),
        "ANSIBLE_VAULT_PASSWORD_FILE": str(ROOT / "molecule" / "resources" / "vault_password.py"),
        "RADIOLOGY_LAB": NAME,
    }
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(inventory), str(playbook)]
    subprocess.run([*command, "-e", json.dumps(variables)], cwd=ROOT, env=environment, check=True)


def keep(clinic: str, directory: Path, seen: dict[str, Any]) -> None:
    """Write what was seen of a clinic's server, without paths of this machine."""
    given = signed(str(directory), seen["scopes"]["dicom_tls"]["devices"])
    seen["scopes"]["dicom_tls"] |= given
    for role, used in USED.items():
        known = {"facts": {name: seen["facts"][name] for name in used}, "scope": seen["scopes"][role]}
        put(role, clinic, known, str(directory))


def put(role: str, clinic: str, known: dict[str, Any], directory: str = "") -> None:
    """Write the file of a role and release, without paths of this machine."""
    text = json.dumps(known, indent=1, sort_keys=True)
    text = text.replace(directory, f"/clinics/{clinic}") if directory else text
    (HARDENED / f"{role}.{RELEASES[clinic]}.json").write_text(f"{text}\n", encoding="utf-8")


def signed(directory: str, devices: list[dict[str, Any]]) -> dict[str, object]:
    """Return what the controller gives the module dicom_tls: certificates, which are public."""
    return {
        "certificate": clinic_folder.read(authority.certificate_path(directory, "pacs")),
        "authority": "".join(authority.authorities(directory)),
        "revoked": revocation.lists(directory),
        "fingerprints": {
            device["name"]: device_certificates.admitted(directory, device) for device in dicom_front.admitted(devices)
        },
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
