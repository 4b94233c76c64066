# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The stock commands, as their manual gives them: a check on the check. Under the same power cuts they lose images."""

from __future__ import annotations

import subprocess
from pathlib import Path

from simulated import IMAGES, KEY, SYSTEM, SimulatedMachine, run

HEADER = SYSTEM / "stock" / "header"
COMMON = ("--batch-mode", "--key-file", "-", "--header", str(HEADER))


def begin(host: SimulatedMachine) -> None:
    """Initialise and encrypt."""
    run("umount", str(IMAGES))
    HEADER.parent.mkdir()
    options = ("--type", "luks2", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", "--sector-size", "4096")
    _call(host, "reencrypt", "--encrypt", "--init-only", "--resilience", "journal", *options, must=True)
    subprocess.run(("sync",), check=True)
    go_on(host)


def go_on(host: SimulatedMachine) -> None:
    """Repair and resume, as the manual says for an interrupted run."""
    _call(host, "repair")
    _call(host, "reencrypt", "--resume-only", "--resilience", "journal")


def _call(host: SimulatedMachine, *words: str, must: bool = False) -> None:
    command = (*host.cryptsetup, *words, *COMMON, host.disks.devices["data"])
    subprocess.run(command, input=KEY, check=must, capture_output=True)


def header() -> Path:
    """Return where the header lies."""
    return HEADER
