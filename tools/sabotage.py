# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Break controls on real hosts, one at a time; each has to be named by the audit and repaired by its role.

Usage: sabotage.py [CONTROL ...], all of them by default. Those of the role disk_encryption are broken on a virtual
machine of Debian 12 and on one of 13, or of what RADIOLOGY_RELEASE names, those of devices as sabotage_devices.py says,
those of the role workstation on two workstations in containers, of Debian 12 and 13, those of reading_laptop on two
such ones beside their servers, those of modality_box on two boxes beside modalities, the others that concern gateways
alone on two gateways, all others on two servers alike, behind their internet boxes. Two can run beside each other when
RADIOLOGY_LAB gives one a lab of another name. The last line is `N controls: N broken, N named, N repaired`.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESOURCES = ROOT / "molecule" / "resources"
sys.path[:0] = [str(RESOURCES), str(Path(__file__).resolve().parent), str(ROOT / ".ansible" / "collections")]

import sabotage_devices
import virtual_clinic
from ansible_collections.radiology.hardening.plugins.plugin_utils import catalogue
from lab import Lab

NAME = os.environ.get("RADIOLOGY_LAB", "sabotage")
STRICT = "strict"
RELEASES = os.environ.get("RADIOLOGY_RELEASE", "bookworm trixie").split()
HOSTS = ("pacs-1", "pacs-2", "box-1", "box-2")
IN_CONTAINERS = ("orthanc", "dicom_tls", "authentication", "firewall", "remote_access", "system")
IN_MACHINE = ("disk_encryption",)
ON_DEVICES = ("device",)
"""No role keeps these: what is seen of a device from outside, and what a person attests of it."""
STATIONS = ("ws-1", "ws-2")
AT_WORKSTATIONS = ("workstation",)
AT_LAPTOPS = ("reading_laptop",)
"""Their tunnels lead to the servers, which are hardened beside them."""
BOXES = ("side-1", "side-2")
AT_BOXES = ("modality_box",)
GATES = ("gate-1", "gate-2")
OF_GATEWAYS = tuple(
    control.id for control in catalogue.load() if control.concerns == ("gateway",) and control.role not in AT_BOXES
)
"""Controls that no other host is held to; the others of a gateway's are broken on servers."""
ON_A_WORKSTATION = "disk_encryption.system_and_homes_encrypted,disk_encryption.removable_media"
"""Controls of which a server is not judged; the machine is made a workstation for their sabotage."""
TALLY = re.compile(r"(\d+) controls: (\d+) broken, (\d+) named, (\d+) repaired")


def main(controls: list[str]) -> int:
    """Break and repair where each control can be broken, and tell the tally of all."""
    known = {control.id for control in catalogue.load()}
    if unknown := sorted(set(controls) - known):
        print(f"There is no control {', '.join(unknown)}; docs/controls.md lists them all.")
        return 2
    tallies = []
    for roles, break_there in (
        (IN_CONTAINERS, in_containers),
        (AT_WORKSTATIONS, at_workstations),
        (AT_LAPTOPS, at_laptops),
        (AT_BOXES, at_boxes),
        (IN_MACHINE, in_machine),
        (ON_DEVICES, on_devices),
    ):
        mine = [control for control in controls if control not in OF_GATEWAYS]
        chosen = [control for control in mine if control.partition(".")[0] in roles]
        if chosen or not controls:
            tallies.append(break_there(roles, chosen))
    of_gateways = [control for control in controls or OF_GATEWAYS if control in OF_GATEWAYS]
    if of_gateways:
        tallies.append(at_gateways(roles_of(of_gateways), of_gateways))
    return tell(tallies)


def roles_of(controls: Sequence[str]) -> list[str]:
    """Return the roles that keep some controls, each once."""
    return list(dict.fromkeys(control.partition(".")[0] for control in controls))


def tell(tallies: Sequence[tuple[int, ...]]) -> int:
    """Print the tally of all places; 0 when every control was broken, named and repaired."""
    controls, broken, named, repaired = (sum(column) for column in zip(*tallies, strict=True))
    print(f"{controls} controls: {broken} broken, {named} named, {repaired} repaired")
    return 0 if len({controls, broken, named, repaired}) == 1 and controls else 1


def in_containers(roles: Sequence[str], controls: list[str]) -> tuple[int, ...]:
    """Harden two servers in containers by the whole playbook, break and repair, and return the tally."""
    return in_lab(HOSTS, lambda inventory: break_in_containers(inventory, roles, controls))


def at_workstations(roles: Sequence[str], controls: list[str]) -> tuple[int, ...]:
    """Harden two workstations in containers by the whole playbook, break and repair, and return the tally."""
    return in_lab(STATIONS, lambda inventory: break_at_workstations(inventory, roles, controls), tunnel=True)


def at_laptops(roles: Sequence[str], controls: list[str]) -> tuple[int, ...]:
    """Harden two laptops and their gateways in containers by the whole playbook, break and repair, return the tally."""
    hosts = (*HOSTS, *STATIONS)
    return in_lab(hosts, lambda inventory: break_at_workstations(inventory, roles, controls), laptop=True)


def at_gateways(roles: Sequence[str], controls: list[str]) -> tuple[int, ...]:
    """Harden two gateways in containers by the whole playbook, break and repair, and return the tally."""
    return in_lab(GATES, lambda inventory: break_at_gateways(inventory, roles, controls))


def at_boxes(roles: Sequence[str], controls: list[str]) -> tuple[int, ...]:
    """Harden two boxes beside modalities in containers by the whole playbook, break and repair, return the tally."""
    return in_lab(BOXES, lambda inventory: break_at_gateways(inventory, roles, controls))


def in_lab(
    hosts: tuple[str, ...],
    break_there: Callable[[Path], tuple[int, ...]],
    *,
    tunnel: bool = False,
    laptop: bool = False,
) -> tuple[int, ...]:
    """Harden hosts in containers by the whole playbook, break and repair, and return the tally.

    With `tunnel` the viewers on workstations speak no TLS; with `laptop` the workstations are carried home.
    """
    lab = Lab(NAME, hosts)
    inventory = lab.state / "inventory"
    lab.up(inventory, tunnel=tunnel, laptop=laptop)
    try:
        harden_containers(inventory)
        return break_there(inventory)
    finally:
        lab.down()


def in_machine(roles: Sequence[str], controls: list[str]) -> tuple[int, ...]:
    """Harden a virtual machine of each release whose studies lie encrypted, break and repair, and return the tally."""
    told = set()
    for release in RELEASES:
        with tempfile.TemporaryDirectory() as folder:
            inventory = Path(folder)
            try:
                virtual_clinic.up(NAME, release, inventory)
                harden_machine(inventory)
                told.add(break_in_machine(inventory, roles, controls))
            finally:
                virtual_clinic.down(NAME)
    return agreed(told)


def on_devices(_roles: Sequence[str], controls: list[str]) -> tuple[int, ...]:
    """Break what devices promise in a lab of their own, and return the tally."""
    return sabotage_devices.on_devices(f"{NAME}-devices", controls)


def harden_containers(inventory: Path) -> None:
    """Harden servers or workstations by the whole playbook, under the profile that holds every control."""
    playbook(inventory, "playbooks/harden.yml", IN_CONTAINERS, [], more=("-e", f"hardening_profile={STRICT}"))


def harden_machine(inventory: Path) -> None:
    """Harden a virtual machine by the role that only it can prove."""
    playbook(inventory, "molecule/resources/converge.yml", IN_MACHINE, [])


def break_in_containers(inventory: Path, roles: Sequence[str], controls: list[str]) -> tuple[int, ...]:
    """Break and repair on servers that harden_containers hardened, and return the tally."""
    return tally(playbook(inventory, "molecule/resources/sabotage.yml", roles, controls, held=STRICT))


def break_at_workstations(inventory: Path, roles: Sequence[str], controls: list[str]) -> tuple[int, ...]:
    """Break and repair on workstations that harden_containers hardened, and return the tally."""
    path = "molecule/resources/sabotage.yml"
    return tally(playbook(inventory, path, roles, controls, held=STRICT, targets="workstations"))


def break_at_gateways(inventory: Path, roles: Sequence[str], controls: list[str]) -> tuple[int, ...]:
    """Break and repair on gateways that harden_containers hardened, and return the tally."""
    path = "molecule/resources/sabotage.yml"
    return tally(playbook(inventory, path, roles, controls, held=STRICT, targets="gateways"))


def break_in_machine(inventory: Path, roles: Sequence[str], controls: list[str]) -> tuple[int, ...]:
    """Break and repair on a hardened virtual machine, and return the tally."""
    return tally(playbook(inventory, "molecule/resources/sabotage.yml", roles, controls, ON_A_WORKSTATION))


def tally(told: str) -> tuple[int, ...]:
    """Return controls, broken, named and repaired of a run; every host has to tell the same."""
    return agreed({tuple(map(int, figures)) for figures in TALLY.findall(told)})


def agreed(tallies: set[tuple[int, ...]]) -> tuple[int, ...]:
    """Return the one tally that all hosts tell; end here where they tell others."""
    if len(tallies) != 1:
        sys.exit(f"The hosts tell {len(tallies)} different tallies: {sorted(tallies)}")
    return tallies.pop()


def playbook(
    inventory: Path,
    path: str,
    roles: Sequence[str],
    controls: list[str],
    elsewhere: str = "",
    *,
    held: str = "",
    targets: str = "",
    more: Sequence[str] = (),
) -> str:
    """Run a playbook, showing its tasks as they begin, and return what it printed; end here when it fails.

    `held` is the profile under which the hosts are hardened already, `targets` the group of hosts where they are no
    servers, `more` further arguments of ansible-playbook.
    """
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".ansible" / "collections"),
        "ANSIBLE_VAULT_PASSWORD_FILE": str(RESOURCES / "vault_password.py"),
        "ANSIBLE_FORCE_COLOR": "0",
        "RADIOLOGY_LAB": NAME,
        "RADIOLOGY_ROLE": ",".join(roles),
        "RADIOLOGY_CONTROLS": ",".join(controls),
        "RADIOLOGY_NOT_APPLICABLE": elsewhere,
        "RADIOLOGY_HELD": held,
        "RADIOLOGY_TARGETS": targets,
    }
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(inventory), str(ROOT / path), *more]
    lines = []
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as run:
        for line in run.stdout or ():
            lines.append(line)
            if line.startswith(("TASK [Break ", "TASK [Repair ", "TASK [Mend ")):
                print(line[6:].partition("]")[0], flush=True)
    if run.returncode:
        sys.exit("".join(lines[-60:]))
    return "".join(lines)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does: nothing stays behind
    sys.exit(main(sys.argv[1:]))
