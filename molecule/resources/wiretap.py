# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Capture what a host of the lab sends and hears, or all that crosses one of the lab's networks."""

from __future__ import annotations

import concurrent.futures
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import machine
import network
from lab import Lab

PROGRAM = Path(__file__).with_name("witnesses") / "capture.py"
SETTLE = 1.0
"""Seconds after the last word for which is listened on."""
PATIENCE = 60.0
"""Seconds within which the capture has to have begun."""


def on_host(lab: Lab, host: str, words: Sequence[str], meanwhile: Callable[[], object]) -> dict[str, Any]:
    """Do something, and return what the networks of a host carried meanwhile, as witnesses/capture.py tells it."""
    return _captured(lab, host, [], words, meanwhile)


def on_network(lab: Lab, name: str, words: Sequence[str], meanwhile: Callable[[], object]) -> dict[str, Any]:
    """Do something, and return what crossed one of the lab's networks meanwhile, between whomever."""
    switch = network.namespace(lab.name, "switch")
    listed = json.loads(machine.root("ip", "-netns", switch, "-json", "link", "show", "master", name).stdout)
    return _captured(lab, "switch", ["--on", ",".join(port["ifname"] for port in listed)], words, meanwhile)


def _captured(
    lab: Lab, where: str, more: list[str], words: Sequence[str], meanwhile: Callable[[], object]
) -> dict[str, Any]:
    entered = f"--net=/run/netns/{network.namespace(lab.name, where)}"
    with tempfile.TemporaryDirectory() as name, concurrent.futures.ThreadPoolExecutor(1) as pool:
        folder = Path(name)
        tap = pool.submit(machine.root, "nsenter", entered, sys.executable, str(PROGRAM), *more, name, *words)
        try:
            began = time.monotonic()
            while not folder.joinpath("listening").exists() and not tap.done():
                if time.monotonic() - began > PATIENCE:
                    raise SystemExit(f"lab: no capture began on {where} within {PATIENCE:.0f} s")
                time.sleep(0.1)
            meanwhile()
            time.sleep(SETTLE)
        finally:
            folder.joinpath("stop").touch()
        told: dict[str, Any] = json.loads(tap.result().stdout)
    return told
