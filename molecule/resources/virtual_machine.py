# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A real Debian machine under QEMU: TPM 2.0, a Tang server on the lab's side, a data disk and a spare one, SSH.

    virtual_machine.py up --name N --release bookworm|trixie [--data MIB] [--spare MIB] [--system MIB]
                       [--bus virtio|nvme] [--memory MIB] [--inventory FOLDER] [--host NAME]
    virtual_machine.py status                         say of each machine whether it runs
    virtual_machine.py down-all                       remove every machine of this checkout
    virtual_machine.py ssh --name N -- COMMAND...     run a command in it as root
    virtual_machine.py power-cut | start | reboot | new-tpm | inventory | down --name N
    virtual_machine.py tang --name N stop|start       make Tang unreachable, or serve again

Everything of a machine stands in build/virtual/NAME and is gone after `down`. It answers on the loopback only.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

import yaml
from virtual_guest import MACHINES, VirtualMachine
from virtual_image import RELEASES
from virtual_process import MachineError

__all__ = ["MACHINES", "RELEASES", "MachineError", "VirtualMachine"]


def status() -> None:
    """Say of each machine its release, whether it runs, its port, and the memory that it takes."""
    for folder in sorted(MACHINES.glob("*/machine.json")):
        one = VirtualMachine(folder.parent.name)
        state = f"runs, {sum(one.memory_mib().values())} MiB" if one.running else "off"
        tang = "serves" if one.tang().running else "silent"
        print(f"{one.name:20} {one.known['release']:9} port {one.known['port']:<6} {state}; Tang {tang}")


def up(given: argparse.Namespace) -> None:
    """Make a machine and wait until it has booted; an interrupted call leaves nothing."""
    one = VirtualMachine(given.name)
    one.known = {"release": given.release}
    try:
        sizes = {
            "data_mib": given.data,
            "spare_mib": given.spare,
            "system_mib": given.system,
            "memory_mib": given.memory,
        }
        one.create(**sizes, bus=given.bus)
        one.start()
        one.tang().start()
        seconds = one.wait_for_ssh()
        if given.inventory:
            one.write_inventory(given.inventory, given.host)
        print(f"virtual machine {one.name}: {one.wait_for_boot()}, SSH after {seconds:.0f} s", flush=True)
    except BaseException:
        one.destroy()
        raise


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("status")
    verbs.add_parser("down-all")
    for verb in ("up", "ssh", "power-cut", "start", "reboot", "new-tpm", "tang", "inventory", "down"):
        each = verbs.add_parser(verb)
        each.add_argument("--name", required=True)
        if verb == "up":
            each.add_argument("--release", choices=RELEASES, required=True)
            for disk, mib in (("data", 768), ("spare", 1024), ("system", 0)):
                each.add_argument(f"--{disk}", type=int, default=mib, metavar="MIB")
            each.add_argument("--memory", type=int, default=1024, metavar="MIB")
            each.add_argument("--bus", choices=("virtio", "nvme"), default="virtio")
            each.add_argument("--inventory", type=Path, metavar="FOLDER")
            each.add_argument("--host", default="", help="the name in the inventory, by default the machine's")
        elif verb == "ssh":
            each.add_argument("command", nargs=argparse.REMAINDER)
        elif verb == "tang":
            each.add_argument("state", choices=("stop", "start"))
    return parser.parse_args()


def obey(given: argparse.Namespace) -> int:
    """Do what the command line says and return the exit status."""
    one = VirtualMachine(given.name)
    if given.verb == "down":
        one.destroy()
        return 0
    if not one.known.get("port"):
        raise SystemExit(f"virtual machine {one.name}: there is none; `up` makes it.")
    if given.verb == "ssh":
        done = one.run(given.command[given.command[:1] == ["--"] :], check=False)
        sys.stdout.write(done.stdout)
        sys.stderr.write(done.stderr)
        return done.returncode
    if given.verb == "tang":
        (one.tang().start if given.state == "start" else one.tang().stop)()
    elif given.verb == "power-cut":
        one.power_cut()
    elif given.verb == "new-tpm":
        one.power_cut()
        one.new_tpm()
    elif given.verb == "inventory":
        print(yaml.safe_dump({"all": {"hosts": {one.name: one.inventory()}}}, width=1000), end="")
    elif given.verb == "reboot":
        print(f"virtual machine {one.name}: SSH after {one.reboot():.0f} s")
    else:
        one.start()
        print(f"virtual machine {one.name}: SSH after {one.wait_for_ssh():.0f} s")
    return 0


def main() -> int:
    """Read the command line and obey. A signal that asks to end is answered as Ctrl-C is."""
    given = arguments()
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, signal.default_int_handler)
    try:
        if given.verb == "status":
            status()
        elif given.verb == "down-all":
            for folder in MACHINES.glob("*/"):
                VirtualMachine(folder.name).destroy()
        elif given.verb == "up":
            up(given)
        else:
            return obey(given)
    except MachineError as error:
        raise SystemExit(f"virtual machine: {error}") from error
    except KeyboardInterrupt:
        raise SystemExit("virtual machine: interrupted") from None
    return 0


if __name__ == "__main__":
    sys.exit(main())
