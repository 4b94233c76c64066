# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Encrypt the storage of a real machine with each strategy, its power cut at random moments, and look at every image.

    run.py [--strategy in_place|online|volume|roomy|tight|system|failing]... [--release bookworm|trixie]... [--mib N]
           [--kills N] [--seed N] [--short] [--keep]

Of each: studies are stored over DICOM; the playbook refuses another device's name, then runs; the machine's power
is cut while it works (five times online, once where everything but the end is done, images coming in all along), and
the machine goes on by itself after the boot; every study comes back over DICOM as it was; it opens by itself after a
reboot and a power cut, not with another TPM, nor with Tang away, then with the key from the escrow; no key and no image
is left in clear on its disks. `failing` is in_place on a disk that fails, `system` a whole machine's root, see
failing.py and system.py. Each strategy on one release, unless they are named. The last line is `N machines, N proven`.
"""

from __future__ import annotations

import argparse
import copy
import subprocess
import sys
import time

from clinic import IMAGE
from failing import FailingDisk
from system import run as encrypt_system
from trial import STRATEGIES, Trial, machine_name
from trial import run as try_out
from virtual_guest import VirtualMachine
from virtual_process import MachineError

RELEASES = {
    "in_place": "bookworm",
    "roomy": "bookworm",
    "system": "bookworm",
    "online": "trixie",
    "volume": "trixie",
    "tight": "trixie",
    "failing": "bookworm",
}
"""Where each strategy is tried when no release is named."""
KINDS = {"failing": FailingDisk}
"""Trials that play otherwise than by cutting the power at random moments."""
KILLS = {"online": 5}
"""Power cuts, where it is not three."""


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strategy", choices=(*STRATEGIES, "system"), action="append")
    parser.add_argument("--release", choices=("bookworm", "trixie"), action="append")
    parser.add_argument("--mib", type=int, default=512)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--seed", type=int, default=20261124)
    parser.add_argument("--keep", action="store_true", help="leave a machine up that failed, to look at it")
    parser.add_argument("--short", action="store_true", help="one strategy, 32 MiB, one cut, fewer boots")
    given = parser.parse_args()
    if given.short:
        given.strategy, given.release, given.mib, given.kills = ["in_place"], ["bookworm"], 32, 1
    if given.mib * (1 << 20) % IMAGE:
        parser.error(f"--mib is {given.mib}; accepted: multiples of {IMAGE >> 20}.")
    return given


def main() -> int:
    """Try each strategy; 1 unless all are proven."""
    given = arguments()
    asked = [
        (strategy, release)
        for strategy in given.strategy or RELEASES
        for release in given.release or [RELEASES[strategy]]
    ]
    proven = 0
    for strategy, release in asked:
        own = copy.copy(given)
        own.kills = given.kills or KILLS.get(strategy, 3)
        proven += one(strategy, release, own)
    print(f"{len(asked)} machines, {proven} proven")
    return 0 if proven == len(asked) else 1


def one(strategy: str, release: str, given: argparse.Namespace) -> bool:
    """Try one strategy on one release, and say what came of it."""
    began, cut = time.monotonic(), False
    try:
        if strategy == "system":
            encrypt_system(strategy, release, given)
        else:
            try_out(KINDS.get(strategy, Trial), strategy, release, given)
        print(f"{strategy} on {release}: proven in {time.monotonic() - began:.0f} s", flush=True)
        return True
    except (AssertionError, MachineError, OSError, subprocess.SubprocessError) as error:
        print(f"{strategy} on {release}: FAILED: {error}", flush=True)
        cut = given.keep
        return False
    finally:
        if not cut:
            VirtualMachine(machine_name(strategy, release)).destroy()


if __name__ == "__main__":
    sys.exit(main())
