# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Break controls on real hosts, one at a time; each has to be named by the audit and repaired by its role.

Usage: sabotage.py [CONTROL ...], all of them by default. The last line is `N controls: N broken, N named, N repaired`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESOURCES = ROOT / "molecule" / "resources"
sys.path.insert(0, str(RESOURCES))

from lab import Lab

NAME = "sabotage"
ROLES = "orthanc,dicom_tls,authentication,firewall"
TALLY = re.compile(r"\d+ controls: \d+ broken, \d+ named, \d+ repaired")


def main(controls: list[str]) -> int:
    """Harden two servers, break and repair, and tell the tally."""
    lab = Lab(NAME, ("pacs-1", "pacs-2"))
    inventory = lab.state / "inventory"
    lab.up(inventory)
    try:
        playbook(inventory, "playbooks/harden.yml", [])
        told = playbook(inventory, "molecule/resources/sabotage.yml", controls)
    finally:
        lab.down()
    tallies = sorted(set(TALLY.findall(told)))
    print("\n".join(tallies) or "nothing was broken")
    return 0 if tallies else 1


def playbook(inventory: Path, path: str, controls: list[str]) -> str:
    """Run a playbook, showing its tasks as they begin, and return what it printed; end here when it fails."""
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".ansible" / "collections"),
        "ANSIBLE_VAULT_PASSWORD_FILE": str(RESOURCES / "vault_password.py"),
        "ANSIBLE_FORCE_COLOR": "0",
        "RADIOLOGY_LAB": NAME,
        "RADIOLOGY_ROLE": ROLES,
        "RADIOLOGY_CONTROLS": ",".join(controls),
    }
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(inventory), str(ROOT / path)]
    lines = []
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as run:
        for line in run.stdout or ():
            lines.append(line)
            if line.startswith(("TASK [Break ", "TASK [Repair ")):
                print(line[6:].partition("]")[0], flush=True)
    if run.returncode:
        sys.exit("".join(lines[-60:]))
    return "".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
