# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Prove one control on a lab that stays: break it, have it named and repaired. Usage: control.py CONTROL ...

The lab is made at the first call, and stays hardened for the next one: two containers, of Debian 12 and 13 (servers, or
workstations for that role's controls, or gateways for those that concern them alone), or a virtual machine where a
control of disk_encryption is named; for a control of devices it is a lab of its own, which is made in seconds and goes
at the end. It is hardened again when the sources of roles or plugins changed since, and made anew when the lab's own
did, when it does not run, or when the last proof did not end well. `make demo-down` and `make clean` remove it.
RADIOLOGY_LAB gives it another name. The last line is as of sabotage.py.
"""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

os.environ.setdefault("RADIOLOGY_LAB", "control")

import sabotage
import virtual_clinic
from ansible_collections.radiology.hardening.plugins.plugin_utils import catalogue
from lab import Lab
from machine import cache
from virtual_guest import VirtualMachine

NAME = sabotage.NAME
SOURCES = ("roles/**/*", "plugins/**/*", "playbooks/*", "tools/sabotage.py")
"""What a hardened host depends on."""
RECIPE = (
    "inventories/lab/*",
    *(f"molecule/resources/{name}.*" for name in ("images", "inventory", "lab", "network", "practices", "topology")),
    "molecule/resources/virtual_*",
)
"""What the lab itself depends on."""
STAMPS = cache() / "control"
Break = Callable[[Path, Sequence[str], list[str]], tuple[int, ...]]


@dataclasses.dataclass(frozen=True)
class Place:
    """Where controls of some roles can be broken: how it is made, hardened, broken and removed."""

    name: str
    roles: tuple[str, ...]
    runs: Callable[[], bool]
    make: Callable[[Path], None]
    harden: Callable[[Path], None]
    break_there: Break
    remove: Callable[[], None]
    only: tuple[str, ...] = ()

    def takes(self, control: str) -> bool:
        """Tell whether a control is broken here: it is one of `only`, or of the roles and no gateway's alone."""
        mine = control.partition(".")[0] in self.roles and control not in sabotage.OF_GATEWAYS
        return control in self.only if self.only else mine

    @property
    def stamp(self) -> Path:
        """Says of which sources the place is, while it is hardened and whole."""
        return STAMPS / f"{NAME}-{self.name}.json"

    @property
    def inventory(self) -> Path:
        """The folder of its inventory."""
        return STAMPS / f"{NAME}-{self.name}-inventory"

    def prove(self, controls: list[str]) -> tuple[int, ...]:
        """Have the place stand as hardened by these sources, break there, and return the tally."""
        self._stand()
        stamp = self.stamp.read_text(encoding="utf-8")
        self.stamp.unlink()  # broken: only a proof that ends well makes it whole again
        began = time.monotonic()
        found = self.break_there(self.inventory, self.roles, controls)
        if len(set(found)) == 1:
            self.stamp.write_text(stamp, encoding="utf-8")
        print(f"control: proven in {time.monotonic() - began:.0f} s on the {self.name}, which stay", flush=True)
        return found

    def _stand(self) -> None:
        began, now = time.monotonic(), {"recipe": digest(RECIPE), "sources": digest(SOURCES)}
        known = json.loads(self.stamp.read_text(encoding="utf-8")) if self.stamp.is_file() else {}
        if known.get("recipe") != now["recipe"] or not self.runs():
            self.stamp.unlink(missing_ok=True)
            shutil.rmtree(self.inventory, ignore_errors=True)
            self.make(self.inventory)
            known = {}
        if known.get("sources") != now["sources"]:
            self.stamp.unlink(missing_ok=True)
            self.harden(self.inventory)
            print(f"control: the {self.name} are hardened after {time.monotonic() - began:.0f} s", flush=True)
        self.stamp.write_text(json.dumps(now), encoding="utf-8")


def places() -> tuple[Place, ...]:
    """Return all places."""
    lab, stations, machine = Lab(NAME, sabotage.HOSTS), Lab(f"{NAME}-ws", sabotage.STATIONS), VirtualMachine(NAME)
    laptops = Lab(f"{NAME}-home", (*sabotage.HOSTS, *sabotage.STATIONS))
    gates = Lab(f"{NAME}-gate", sabotage.GATES)
    boxes = Lab(f"{NAME}-side", sabotage.BOXES)
    return (
        Place(
            "containers",
            sabotage.IN_CONTAINERS,
            lab.runs,
            lab.up,
            sabotage.harden_containers,
            sabotage.break_in_containers,
            lab.down,
        ),
        Place(
            "workstations",
            sabotage.AT_WORKSTATIONS,
            stations.runs,
            lambda inventory: stations.up(inventory, tunnel=True),
            sabotage.harden_containers,
            sabotage.break_at_workstations,
            stations.down,
        ),
        Place(
            "laptops",
            sabotage.AT_LAPTOPS,
            laptops.runs,
            lambda inventory: laptops.up(inventory, laptop=True),
            sabotage.harden_containers,
            sabotage.break_at_workstations,
            laptops.down,
        ),
        Place(
            "gateways",
            tuple(sabotage.roles_of(sabotage.OF_GATEWAYS)),
            gates.runs,
            gates.up,
            sabotage.harden_containers,
            sabotage.break_at_gateways,
            gates.down,
            sabotage.OF_GATEWAYS,
        ),
        Place(
            "boxes",
            sabotage.AT_BOXES,
            boxes.runs,
            boxes.up,
            sabotage.harden_containers,
            sabotage.break_at_gateways,
            boxes.down,
        ),
        Place(
            f"machine of {sabotage.RELEASES[0]}",
            sabotage.IN_MACHINE,
            lambda: machine.known["release"] == sabotage.RELEASES[0] and machine.running,
            lambda inventory: virtual_clinic.up(NAME, sabotage.RELEASES[0], inventory),
            sabotage.harden_machine,
            sabotage.break_in_machine,
            lambda: virtual_clinic.down(NAME),
        ),
    )


def digest(patterns: Sequence[str]) -> str:
    """Return a hash of the names and contents of every file of these patterns, and of where they are."""
    found = hashlib.sha256(str(sabotage.ROOT).encode())
    for pattern in patterns:
        for path in sorted(sabotage.ROOT.glob(pattern)):
            if path.is_file() and "__pycache__" not in path.parts:
                found.update(f"\0{path.relative_to(sabotage.ROOT)}\0".encode() + path.read_bytes())
    return found.hexdigest()


def remove() -> None:
    """Leave nothing of what stands."""
    for place in places():
        if place.stamp.exists() or place.inventory.exists():
            place.remove()
            place.stamp.unlink(missing_ok=True)
            shutil.rmtree(place.inventory, ignore_errors=True)


def main(controls: list[str]) -> int:
    """Prove each control where it can be broken, and tell the tally."""
    known = {control.id for control in catalogue.load()}
    unknown = sorted(set(controls) - known)
    if unknown or not controls:
        print(f"There is no control {', '.join(unknown)}." if unknown else "Name a control: make control ID=<id>.")
        return 2
    STAMPS.mkdir(exist_ok=True)
    tallies = []
    with (STAMPS / f"{NAME}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # one at a time on one lab
        for place in places():
            chosen = [control for control in controls if place.takes(control)]
            if chosen:
                tallies.append(place.prove(chosen))
    of_devices = [control for control in controls if control.partition(".")[0] in sabotage.ON_DEVICES]
    if of_devices:
        tallies.append(sabotage.on_devices(sabotage.ON_DEVICES, of_devices))
    return sabotage.tell(tallies)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main(sys.argv[1:]))
