# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an initramfs runs: `run FOLDER` encrypts the root and opens it. `files` names what that takes of Python.

Exit status: 0 the root is open; 3 it is not, and the sentence is on the console. Nothing of the strategy is written
a second time for the initramfs: it carries this interpreter and these very modules while the job is under way.
"""

from __future__ import annotations

import contextlib
import encodings.ascii
import encodings.latin_1
import encodings.utf_8
import os
import subprocess
import sys
import time

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.migration import escrow, luks, records
from ansible_collections.radiology.hardening.plugins.module_utils.migration.job import Job
from ansible_collections.radiology.hardening.plugins.module_utils.migration.machine import Machine
from ansible_collections.radiology.hardening.plugins.module_utils.migration.system import AwaitedBootError, System

NEEDS_A_PERSON = 3
SAID = "boot.json"
"""In the job's folder: the sentence with which an initramfs gave up, until it succeeds."""
ASK = "/lib/cryptsetup/askpass"
LOADED = (encodings.ascii, encodings.latin_1, encodings.utf_8)
"""Imported here because Python looks for them only when it decodes, which `files` would not see."""
PATIENCE = 60.0
"""Seconds for which a device may be late at a boot."""
TRIES = 5
"""How often the TPM is asked before a person is: a busy one may answer too late."""


def main(arguments: list[str]) -> int:
    """Run one command; see the module."""
    if arguments == ["files"]:
        sys.stdout.write("\n".join(files()) + "\n")
        return 0
    command, folder = arguments
    if command != "run":
        sys.stderr.write("usage: system_boot files | run FOLDER\n")
        return 2
    try:
        run(folder, Machine())
    except (HardeningError, AwaitedBootError, OSError) as error:
        tell(str(error))
        with contextlib.suppress(OSError):
            records.write_json(os.path.join(folder, SAID), {"sentence": str(error)})
        return NEEDS_A_PERSON
    records.remove(os.path.join(folder, SAID))
    return 0


def run(folder: str, machine: Machine) -> None:
    """Take the job to `encrypted` and open the root, with the key that it is bound to or that a person types."""
    job = Job(folder)
    if job.plan.source is None:
        raise HardeningError(f"The plan of {job.plan.name} names no device.")
    wait_for(job.plan.source.path)
    key = bound(machine, folder) or asked(machine, job)
    strategy = System(job, machine, key, tell)
    with job.locked():
        if strategy.is_before(System.WHOLE):
            strategy.run(until=System.WHOLE)
        device = machine.device(job.plan.source)
        machine.open_volume(device, job.plan.name, key, header=strategy.header)


def wait_for(path: str) -> None:
    """Wait until a device is there, as long as is usual at a boot."""
    until = time.monotonic() + PATIENCE
    while not os.path.exists(path) and time.monotonic() < until:
        time.sleep(0.5)


def bound(machine: Machine, folder: str) -> bytes | None:
    """Return the key that the TPM gives; None for a job that is bound to nothing, or when the TPM refuses."""
    if not os.path.exists(os.path.join(folder, escrow.BOUND)):
        return None
    for _try in range(TRIES):
        key = escrow.bound_key(machine, folder)
        if key is not None:
            return key
        time.sleep(3)
    return None


def asked(machine: Machine, job: Job) -> bytes:
    """Ask at the console for the recovery key until it is the right one."""
    final = job.path("header.final")
    header = final if os.path.exists(final) else job.path("header")
    while True:
        # This runs in an initramfs, where there is no AnsibleModule.
        done = subprocess.run(  # pylint: disable=ansible-bad-function
            (ASK, f"Recovery key of {job.plan.name}, whose encryption goes on: "), stdout=subprocess.PIPE, check=False
        )
        key = done.stdout.strip().upper()
        if key and luks.opens(machine, header, key):
            return key
        tell("This is not its recovery key.")
        time.sleep(1)


def tell(sentence: str) -> None:
    """Write a sentence on the console, and on the splash screen where there is one."""
    sys.stdout.write(f"radiology.hardening: {sentence}\n")
    sys.stdout.flush()
    Machine().run(("plymouth", "display-message", f"--text={sentence}"))


def files() -> list[str]:
    """Return every file of the interpreter and of this program that was loaded to get here, the interpreter first."""
    loaded = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    return [os.path.realpath(sys.executable), *sorted(os.path.realpath(path) for path in loaded if path)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))  # pylint: disable=ansible-bad-function
