# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A clinic of one virtual machine that encrypted its studies by our own deliberate act; the rest is as it was left.

    virtual_clinic.py up   --name N --hosts bookworm|trixie --inventory FOLDER
    virtual_clinic.py down --name N

The words are those of lab.py, so that scenarios of containers and of virtual machines are made by the same playbooks.
Left as it was: swap on a partition in clear, hibernation, core dumps, and an Orthanc that packs its archives in /tmp.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import time
from pathlib import Path

from machine import cache
from virtual_guest import ROOT, VirtualMachine
from virtual_image import RELEASES
from virtual_process import MachineError

sys.path.insert(0, str(ROOT / "tests" / "machine"))

from clinic import Clinic

HOST = "pacs.machine"
"""The server's name in the inventory."""
STUDIES_MIB, DATA_MIB, SWAP_MIB, MEMORY_MIB = 16, 64, 24, 768
SEED = 20261125
STORAGE = {"unlock": {"tpm2": {}}, "backup": {"accepted_without_by": "The scenario"}}
SWAP = """
printf 'label: gpt\\ntype=swap\\n' | sfdisk --quiet {disk}
udevadm settle
mkswap --quiet {disk}-part1
echo "UUID=$(blkid -p -s UUID -o value {disk}-part1) none swap sw 0 0" >>/etc/fstab
systemctl daemon-reload
swapon {disk}-part1
"""


def up(name: str, release: str, folder: Path) -> Clinic:
    """Make the machine, store studies, encrypt them, and write its inventory; what fails leaves nothing."""
    began = time.monotonic()
    machine = VirtualMachine(name, release)
    machine.known = {"release": release}
    try:
        machine.create(data_mib=DATA_MIB, spare_mib=SWAP_MIB, memory_mib=MEMORY_MIB)
        machine.start()
        machine.wait_for_ssh()
        machine.wait_for_boot()
        say(name, began, "booted")
        machine.run(SWAP.format(disk=machine.disks["spare"].device))
        clinic = Clinic(machine, STORAGE)
        clinic.prepare(f"{machine.disks['data'].device}-part1")
        clinic.store(STUDIES_MIB, SEED)
        say(name, began, f"holds {STUDIES_MIB} MiB of studies")
        key = f"escrow_private_key={clinic.folder}/escrow/clinic.key"
        clinic.must("encrypt_storage", f"confirm={machine.disks['data'].serial}", key)
        say(name, began, "has them encrypted")
        machine.write_inventory(folder, HOST)
        shutil.copy(clinic.folder / "machine.yml", folder)
        return clinic
    except BaseException:
        down(name)
        raise


def down(name: str) -> None:
    """Remove the machine, and what Ansible's vault script keeps for a lab of this name."""
    VirtualMachine(name).destroy()
    shutil.rmtree(cache() / "labs" / name, ignore_errors=True)


def say(name: str, began: float, what: str) -> None:
    """Print what was reached, and when."""
    print(f"virtual clinic {name}: {time.monotonic() - began:4.0f} s  {what}", flush=True)


def main() -> int:
    """Read the command line and obey."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("up", "down"):
        each = verbs.add_parser(verb)
        each.add_argument("--name", required=True)
        if verb == "up":
            each.add_argument("--hosts", choices=RELEASES, required=True)
            each.add_argument("--inventory", type=Path, required=True)
    given = parser.parse_args()
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, signal.default_int_handler)
    try:
        if given.verb == "up":
            up(given.name, given.hosts, given.inventory)
        else:
            down(given.name)
    except (MachineError, AssertionError) as error:
        raise SystemExit(f"virtual clinic: {error}") from error
    return 0


if __name__ == "__main__":
    sys.exit(main())
