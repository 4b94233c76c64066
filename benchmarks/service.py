# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Measure what hardening costs those who use a server and those who run it, as ratios in one run.

    service.py [--rounds N] [--images N] [--release bookworm|trixie] [--json FILE]

For each release a box that tells the time, and three hosts: a hardened server, an untouched package (in clear, its
default configuration but for the one setting that lets other hosts ask its web server), and a workstation that uses
both over the same network.

- `storescu`, `pynetdicom`: C-STORE of 300 images of 512 x 512 in one association, over TLS with the device's own
  certificate into the hardened server, against the untouched package in clear.
- `dicomweb`: small instances retrieved one after another over one connection, HTTPS with a login against HTTP.
- `audit`, `second run`: CPU-seconds of the controller and of the host together; `tasks`: those of a hardening. A
  CPU-second is worth more on one machine than on another: beside each stands how many runs of benchmarks/ping.yml,
  which logs in to the host and does nothing, it costs on this one.

Both servers and the workstation come before whatever else the machine does (sched(7), nice value and autogroup): a busy
machine would slow the one that computes, and not the other, which waits. The ways take turns, each ratio is taken
within a round, and the median over the rounds counts. The table is printed, and written as JSON to
build/bench/service.json. The last line is `bench: N figures, N hold`.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESOURCES = ROOT / "molecule" / "resources"
sys.path[:0] = [str(RESOURCES), str(ROOT / ".ansible" / "collections")]

import attested
import yaml
from ansible_collections.radiology.hardening.plugins.plugin_utils import catalogue
from lab import Lab
from practices import AE_TITLES, PREFIXES
from story import Practice
from topology import TOPOLOGY

NAME = os.environ.get("RADIOLOGY_LAB", "bench")
BY = "A made-up person of the benchmark"
PINGS = "; %s times a ping"
HARDEN, PING = "playbooks/harden.yml", "benchmarks/ping.yml"
CLIENT = Path(__file__).with_name("client.py")
AT_LEAST = {"storescu": 4.0, "pynetdicom": 4.0, "dicomweb": 0.5}
"""Ratios of rates, hardened to untouched."""
AT_MOST = {"audit": 3.0, "second run": 10.0, "tasks": 45}
"""CPU-seconds, and the tasks of a hardening."""
SMALL = 200
"""Small instances that are retrieved."""
TIMES = 5
"""How often each is retrieved in a round."""
UNTOUCHED = """
python3 - <<'EDIT'
import re
path = "/etc/orthanc/orthanc.json"
text, count = re.subn(r'("RemoteAccessAllowed"\\s*:\\s*)false', r"\\1true", open(path).read())
assert count == 1
open(path, "w").write(text)
EDIT
systemctl start orthanc
"""
EMPTY = """
for patient in $(curl -s {login} http://127.0.0.1:8042/patients | tr -cs '0-9a-f-' ' '); do
  curl -s -o /dev/null {login} -X DELETE http://127.0.0.1:8042/patients/$patient
done
"""

HURRY = """
for process in /proc/[0-9]*; do
  renice -n -20 -p "${process#/proc/}" > /dev/null 2>&1 || true
  if [ -e "$process/autogroup" ]; then echo -20 > "$process/autogroup" || true; fi
done
"""


class Bench:
    """The three hosts of one release."""

    def __init__(self, number: int, images: int) -> None:
        """Take the number of the clinic and how many images are stored."""
        self.images = images
        self.clinic = next(name for name, known in TOPOLOGY.clinics.items() if known == number)
        self.lab = Lab(f"{NAME}-{number}", tuple(f"{kind}-{number}" for kind in ("pacs", "ws", "laptop", "box")))
        self.practice = Practice(self.lab, self.clinic)
        self.inventory = self.lab.state / "inventory"
        self.pacs, self.ws, self.stock = (f"{kind}-{number}" for kind in ("pacs", "ws", "laptop"))
        self.tasks = 0
        self.release = TOPOLOGY.hosts[self.pacs].release

    def make(self) -> None:
        """Make, harden, and have images to store."""
        self.lab.up(self.inventory)
        directory = self.inventory / self.clinic
        file = self.inventory / f"{self.clinic}.yml"
        told = yaml.safe_load(file.read_text(encoding="utf-8"))
        del told["vantage_points"]  # the audit of the host alone is measured
        del told["workstations"]["ws"]["ssh"]  # and its hardening
        kinds = dict.fromkeys(told["modalities"], "modality") | dict.fromkeys(told["workstations"], "workstation")
        today, devices = datetime.datetime.now(tz=datetime.UTC).date(), catalogue.load("device")
        told["hardening_attestations"] = attested.made_up(devices, kinds, BY, today)
        told["hardening_waivers"] = [
            {"control": each.id, "reason": "Nobody looks from outside", "owner": BY, "expires": str(today)}
            for each in devices
            if not each.attest
        ]
        file.write_text(yaml.safe_dump(told), encoding="utf-8")
        self.practice.hand_in_requests(directory, ("ws",))
        self.shell(self.stock, UNTOUCHED)
        self.playbook(HARDEN)
        self.practice.fetch_certificates(directory, ("ws",))
        self.client("make", str(self.images), "512", "/root/large")
        self.client("make", str(SMALL), "64", "/root/small")

    def shell(self, host: str, script: str) -> str:
        """Run a shell script on a host."""
        return self.lab.execute(host, "bash", "-eu", "-s", stdin=script).stdout

    def client(self, *words: str) -> float:
        """Run the client on the workstation; return the seconds that it measured."""
        source = CLIENT.read_text(encoding="utf-8")
        return float(self.lab.execute(self.ws, "python3", "-", *words, stdin=source).stdout)

    def person(self) -> str:
        """Return an administrator's login and password, out of the clinic's vault."""
        program = str(Path(sys.executable).with_name("ansible-vault"))
        command = [program, "view", str(self.inventory / self.clinic / "vault.yml")]
        environment = {
            **os.environ,
            "ANSIBLE_VAULT_PASSWORD_FILE": str(RESOURCES / "vault_password.py"),
            "RADIOLOGY_LAB": self.lab.name,
        }
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        passwords = yaml.safe_load(done.stdout)["passwords"]
        login = next(login for login in sorted(passwords) if login.startswith("c."))
        return f"{login}:{passwords[login]}"

    def login(self) -> str:
        """Return a login and password of Orthanc itself, out of what the hardened server was told."""
        told = json.loads(self.lab.execute(self.pacs, "cat", "/etc/orthanc/hardened/orthanc.json").stdout)
        login = next(login for login in sorted(told["RegisteredUsers"]) if login.startswith("c."))
        return f"{login}:{told['RegisteredUsers'][login]}"

    def empty(self) -> None:
        """Remove every image from both servers, and have both come first."""
        self.shell(self.stock, EMPTY.format(login="-u orthanc:orthanc"))
        self.shell(self.pacs, EMPTY.format(login=f"-u {self.login()}"))
        for server in (self.stock, self.pacs):
            self.shell(server, HURRY)

    def where(self, *, hardened: bool) -> list[str]:
        """Return how the client reaches a server: address and port, AE titles, and `tls`."""
        calling, called = f"{PREFIXES[self.clinic]}_WS1", AE_TITLES[self.clinic]
        if hardened:
            return [f"{self.practice.address('pacs')}:2762", calling, called, "tls"]
        return [f"{self.practice.address('laptop')}:4242", calling, "ORTHANC", "clear"]

    def store(self, how: str, *, hardened: bool) -> float:
        """Return images a second of a C-STORE."""
        self.empty()
        return self.images / self.client(how, *self.where(hardened=hardened), "/root/large")

    def retrieve(self, *, hardened: bool) -> float:
        """Return instances a second over DICOMweb."""
        self.empty()
        self.client("pynetdicom", *self.where(hardened=hardened), "/root/small")
        server = self.practice.address("pacs" if hardened else "laptop")
        given = [f"https://{server}", self.person()] if hardened else [f"http://{server}:8042", "orthanc:orthanc"]
        return SMALL * TIMES / self.client("dicomweb", *given, str(SMALL), str(TIMES))

    def playbook(self, name: str, *more: str) -> float:
        """Run a playbook, by its path, and return the CPU-seconds of controller and server together."""
        before, here = self.on_server(), spent()
        command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(self.inventory), *more]
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".ansible" / "collections"),
            "ANSIBLE_VAULT_PASSWORD_FILE": str(RESOURCES / "vault_password.py"),
            "RADIOLOGY_LAB": self.lab.name,
        }
        done = subprocess.run(
            [*command, str(ROOT / name)],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"{name}: {done.stdout[-3000:]}{done.stderr[-500:]}")
        if name == HARDEN:
            self.tasks = done.stdout.count("\nTASK [")
        return spent() - here + self.on_server() - before

    def on_server(self) -> float:
        """Return the CPU-seconds that all of the hardened server has taken until now."""
        said = self.lab.execute(self.pacs, "cat", "/sys/fs/cgroup/cpu.stat").stdout
        return int(said.split()[1]) / 1e6


def spent() -> float:
    """Return the CPU-seconds of this process's children until now."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(bench: Bench, rounds: int) -> list[dict[str, object]]:
    """Let the ways take turns and return a row for each figure."""
    ways: dict[str, Callable[[bool], float]] = {
        "storescu": lambda hardened: bench.store("storescu", hardened=hardened),
        "pynetdicom": lambda hardened: bench.store("pynetdicom", hardened=hardened),
        "dicomweb": lambda hardened: bench.retrieve(hardened=hardened),
    }
    rows = []
    for name, way in ways.items():
        pairs = []
        for number in range(rounds):
            first = number % 2 == 0
            rates = {hardened: way(hardened) for hardened in (first, not first)}
            pairs.append((rates[True], rates[False]))
            print(f"{bench.release} {name}: hardened {rates[True]:.1f}/s, untouched {rates[False]:.1f}/s", flush=True)
        figure = statistics.median(ours / theirs for ours, theirs in pairs)
        ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
        rows.append(row(bench, name, figure, [ours, theirs]))
    report = f"report_directory={bench.lab.state}/report"
    for name, playbook in (("second run", (HARDEN,)), ("audit", ("playbooks/audit.yml", "-e", report))):
        costs = [(bench.playbook(*playbook), bench.playbook(PING)) for _number in range(rounds)]
        seconds, pings = ([each[part] for each in costs] for part in (0, 1))
        figure, ping = statistics.median(seconds), statistics.median(pings)
        told = f"{', '.join(f'{each:.1f}' for each in seconds)} CPU-s; {figure / ping:.1f} times a ping's {ping:.1f}"
        print(f"{bench.release} {name}: {told}", flush=True)
        rows.append({**row(bench, name, figure, seconds), "pings": round(figure / ping, 1)})
        if playbook == (HARDEN,):
            rows.append(row(bench, "tasks", bench.tasks, [bench.tasks]))
    return rows


def row(bench: Bench, name: str, figure: float, measured: list[float]) -> dict[str, object]:
    """Return one line of the table."""
    return {
        "release": bench.release,
        "name": name,
        "figure": round(figure, 2),
        "bound": AT_LEAST.get(name) or AT_MOST[name],
        "holds": figure >= AT_LEAST[name] if name in AT_LEAST else figure <= AT_MOST[name],
        "measured": [round(each, 1) for each in measured],
    }


def main() -> int:
    """Measure, print the table and the verdict; 1 when a figure does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--release", choices=["bookworm", "trixie"])
    parser.add_argument("--json", type=Path, default=ROOT / "build" / "bench" / "service.json")
    given = parser.parse_args()
    began = time.monotonic()
    rows: list[dict[str, object]] = []
    for number in TOPOLOGY.clinics.values():
        bench = Bench(number, given.images)
        if given.release in (None, bench.release):
            try:
                bench.make()
                rows += measure(bench, given.rounds)
            finally:
                bench.lab.down()
    print(f"\n{'release':10} {'what':12} {'figure':>8} {'bound':>8}  measured")
    for each in rows:
        sign = ">=" if each["name"] in AT_LEAST else "<="
        verdict = "holds" if each["holds"] else "DOES NOT HOLD"
        print(
            f"{each['release']:10} {each['name']:12} {each['figure']:8} {sign} {each['bound']:5}  "
            f"{each['measured']} {verdict}{PINGS % each['pings'] if 'pings' in each else ''}"
        )
    given.json.parent.mkdir(parents=True, exist_ok=True)
    given.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    print(f"measured in {time.monotonic() - began:.0f} s; {given.json}")
    holding = sum(bool(each["holds"]) for each in rows)
    print(f"bench: {len(rows)} figures, {holding} hold")
    return 0 if rows and holding == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
