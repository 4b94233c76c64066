# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Build and remove the lab: real systemd hosts on networks of their own, two clinics and the internet.

    lab.py images                                     make the images, which are cached
    lab.py up   [--name demo] [--hosts pacs-1,pacs-2] [--inventory FOLDER] [--tunnel]
    lab.py down [--name demo]
    lab.py status [--name demo]                       say of each host whether it runs
    lab.py exec [--name demo] HOST COMMAND...         run a command on a host of the lab

Labs of different names stand side by side; everything of one is called rhlab-NAME-..., lives in network
namespaces and containers, and is gone after `down`.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import datetime
import functools
import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import attested
import images
import inventory
import machine
import network
import practices
from topology import TOPOLOGY, Host

NEEDLESS = (
    "systemd-logind.service",
    "systemd-ask-password-console.path",
    "systemd-ask-password-wall.path",
    "systemd-modules-load.service",
)
"""Units that no host of the lab needs. Without them a host takes 4 inotify instances in place of 7 (measured, systemd
252 and 257); the kernel allows 128 to each user, all containers together (fs.inotify.max_user_instances)."""

TUNNELS = "/dev/net/tun"

EVERYBODY = tuple(name for name, host in TOPOLOGY.hosts.items() if host.kind not in ("gate", "side", "old"))
"""The hosts of a lab that names none: a gateway changes where the tunnel of its clinic ends, a box adds a modality."""

INOTIFY_LIMIT = Path("/proc/sys/fs/inotify/max_user_instances")


class Lab:
    """One instance of the lab, by its name; `hosts` are those that it is made of."""

    def __init__(self, name: str, hosts: tuple[str, ...] = (), stations: tuple[str, ...] = ()) -> None:
        """Take the instance's name and the names of its hosts, those of EVERYBODY by default.

        Of `stations` the place on the networks is made alone, no container: what stands there is run by the machine.
        """
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,40}", name):
            raise SystemExit(f"lab: no lab can be called {name!r}; accepted: small letters, digits, _ and -.")
        unknown = {*hosts, *stations} - set(TOPOLOGY.hosts)
        if unknown:
            raise SystemExit(f"lab: no host {', '.join(sorted(unknown))}; accepted: {', '.join(TOPOLOGY.hosts)}.")
        self.name = name
        self.hosts = [TOPOLOGY.hosts[host] for host in hosts or EVERYBODY]
        self.stations = [TOPOLOGY.hosts[station] for station in stations]
        self.state = machine.cache() / "labs" / name

    def up(self, folder: Path, *, tunnel: bool = False, laptop: bool = False, ipsec: bool = False) -> None:
        """Make networks, hosts and inventory; what an earlier call left unfinished is removed first.

        With `tunnel` the clinic files say of the workstations that their viewers speak no TLS, with `laptop` that they
        are carried home, with `ipsec` that those who read from home come by IPsec.
        """
        began = time.monotonic()
        self.down()
        images.exists_everywhere(sorted({host.release for host in self.hosts}))
        self.state.mkdir(parents=True)
        self._make_key()
        with machine.alone():
            machine.share_namespaces()
        self._say("laying the networks")
        network.lay(self.name, [*self.hosts, *self.stations])
        self._say(f"starting {len(self.hosts)} hosts")
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(self._start, self.hosts))
            list(pool.map(self._settle, self.hosts))
        inventory.write(folder, self.name, self.state, self.hosts, tunnel=tunnel, laptop=laptop, ipsec=ipsec)
        for clinic in TOPOLOGY.clinics:
            self._attest(folder / f"{clinic}.yml", clinic)
        self._say(f"up in {time.monotonic() - began:.0f} s; inventory in {folder}")

    def down(self) -> None:
        """Remove the hosts, the networks and the state of this instance, and nothing else."""
        mine = self._containers()
        if mine:
            machine.podman("rm", "--force", "--time", "0", *sorted(mine))
        network.remove(self.name)
        shutil.rmtree(self.state, ignore_errors=True)

    def status(self) -> bool:
        """Say of each host whether it runs; true when all of them do."""
        for host, state in self.states().items():
            print(f"{host:12} {state}")
        return self.runs()

    def states(self) -> dict[str, str]:
        """Return podman's word for the state of each host."""
        found = self._containers()
        return {host.name: found.get(network.namespace(self.name, host.name), "absent") for host in self.hosts}

    def runs(self) -> bool:
        """Tell whether all hosts run."""
        return set(self.states().values()) == {"running"}

    def execute(
        self, host: str, *command: str, stdin: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on a host as root and return what it answered."""
        return machine.podman("exec", "-i", network.namespace(self.name, host), *command, check=check, stdin=stdin)

    def cut_power(self, host: str) -> None:
        """End a host at once, with all that it held in memory; its rules of nftables are such memory too."""
        name = network.namespace(self.name, host)
        machine.podman("kill", "--signal", "KILL", name)
        machine.podman("wait", name)
        machine.root("ip", "netns", "exec", name, "nft", "flush", "ruleset")

    def give_power(self, host: str) -> None:
        """Start a host whose power was cut, and wait until it has booted.

        Podman clears away after a container that ends on its own time; one that is started before that finds no files.
        """
        name = network.namespace(self.name, host)
        machine.podman("container", "cleanup", name)
        machine.podman("start", name)
        self._booted(TOPOLOGY.hosts[host])

    def _start(self, host: Host) -> None:
        name = network.namespace(self.name, host.name)
        options = ["--detach", "--name", name, "--hostname", host.name, "--systemd=always", "--cap-add=ALL"]
        options += ["--network", f"ns:/run/netns/{name}", "--tmpfs", "/tmp"]
        # A host whose kernel has no WireGuard carries a tunnel by a program, which needs this device.
        options += ["--device", TUNNELS] if Path(TUNNELS).exists() else []
        # Neither the machine's name server nor its hosts file: each sudo would wait ten seconds for the former.
        options += ["--dns=none", "--no-hosts"]
        masks = [f"systemd.mask={unit}" for unit in NEEDLESS]
        machine.podman("run", *options, images.tag(host.release), "/sbin/init", *masks)

    def _settle(self, host: Host) -> None:
        """Let the engineer in, and give the host the state in which the practice left it."""
        key = (self.state / "id.pub").read_text(encoding="utf-8")
        self._booted(host)
        self.execute(host.name, "sh", "-eu", "-s", stdin=practices.settle(host, key))

    def _attest(self, file: Path, clinic: str) -> None:
        """Write into a clinic file, where this lab has one, what the lab sees of its modalities."""
        asked = {
            host.kind: functools.partial(self._said, host.name)
            for host in self.hosts
            if host.clinic == clinic and host.kind in attested.MODALITIES
        }
        if file.is_file() and asked:
            today = datetime.datetime.now(tz=datetime.UTC).date()
            file.write_text(attested.attest(file.read_text(encoding="utf-8"), asked, today), encoding="utf-8")

    def _said(self, host: str, line: str) -> str:
        return self.execute(host, "sh", "-c", line).stdout

    def _booted(self, host: Host) -> None:
        """Wait until a host has booted; a minute at the most."""
        for _attempt in range(60):
            done = self.execute(host.name, "systemctl", "is-system-running", "--wait", check=False)
            if done.stdout.strip() in ("running", "degraded"):
                return
            state = self._containers().get(network.namespace(self.name, host.name), "absent")
            if state != "running":
                limit = INOTIFY_LIMIT.read_text(encoding="ascii").strip()
                raise SystemExit(
                    f"lab {self.name}: {host.name} did not boot, it is {state}. Each host takes four of the {limit} "
                    "inotify instances that fs.inotify.max_user_instances allows: remove another lab, or raise it."
                )
            time.sleep(0.5)
        raise SystemExit(f"lab {self.name}: {host.name} is not up after a minute: {done.stdout or done.stderr}")

    def _containers(self) -> dict[str, str]:
        """Return the containers of this instance and the state of each."""
        listed = json.loads(machine.podman("ps", "--all", "--format", "json").stdout or "[]") or []
        found = {name: container["State"] for container in listed for name in container["Names"]}
        return {name: state for name, state in found.items() if name in network.names(self.name)}

    def _make_key(self) -> None:
        command = [
            "ssh-keygen",
            "-q",
            "-t",
            "ed25519",
            "-N",
            "",
            "-C",
            f"lab {self.name}",
            "-f",
            str(self.state / "id"),
        ]
        subprocess.run(command, check=True)

    def _say(self, what: str) -> None:
        print(f"lab {self.name}: {what}", flush=True)


def main() -> int:
    """Read the command line and obey."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("images", "up", "down", "status", "exec"):
        each = verbs.add_parser(verb)
        each.add_argument("--name", default="demo")
        each.add_argument("--hosts", default="")
        each.add_argument("--inventory", type=Path)
        each.add_argument("--tunnel", action="store_true")
        each.add_argument("--laptop", action="store_true")
        each.add_argument("--ipsec", action="store_true")
        if verb == "exec":
            each.add_argument("host")
            each.add_argument("command", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    lab = Lab(given.name, tuple(filter(None, given.hosts.split(","))))
    if given.verb == "images":
        images.exists_everywhere(sorted({host.release for host in lab.hosts}))
    elif given.verb == "up":
        folder = given.inventory or lab.state / "inventory"
        lab.up(folder, tunnel=given.tunnel, laptop=given.laptop, ipsec=given.ipsec)
    elif given.verb == "down":
        lab.down()
    elif given.verb == "status":
        return 0 if lab.status() else 1
    else:
        done = lab.execute(given.host, *given.command, check=False)
        sys.stdout.write(done.stdout)
        sys.stderr.write(done.stderr)
        return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
