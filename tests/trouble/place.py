# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A server in a lab of its own, its two devices on the LAN, and the runs that harden it."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RESOURCES = ROOT / "molecule" / "resources"
sys.path.insert(0, str(RESOURCES))

import yaml
from lab import Lab
from topology import TOPOLOGY

NAME = os.environ.get("RADIOLOGY_LAB", "trouble")
CLINICS = {number: clinic for clinic, number in TOPOLOGY.clinics.items()}
DEVICES = ("ct", "ws")
FAILED = re.compile(r"^fatal: \[[^]]+\]: (?:FAILED|UNREACHABLE)! => (\{.*\})$", re.MULTILINE)
RECAP = re.compile(r"ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)")
PATIENCE = 600
"""Seconds after which a run counts as one that does not end."""


def of_role(role: str, task: str) -> bool:
    """Tell whether a task, by the name that Ansible prints, is a role's own; the check of its arguments is not."""
    whose, _colon, what = task.partition(" : ")
    return whose.rpartition(".")[2] == role and not what.startswith("Validating arguments")


class Run:
    """One run of a playbook, which may be killed: what it printed, and when each of its tasks began."""

    def __init__(self, place: Place, playbook: str, *more: str) -> None:
        """Start it in a process group of its own."""
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".ansible" / "collections"),
            "ANSIBLE_VAULT_PASSWORD_FILE": str(RESOURCES / "vault_password.py"),
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
            "ANSIBLE_FORCE_COLOR": "0",
            "RADIOLOGY_LAB": place.lab.name,
        }
        program = str(Path(sys.executable).with_name("ansible-playbook"))
        self.began = time.monotonic()
        self.tasks: list[tuple[float, str]] = []
        """Seconds after the start at which each task of a role began, and its name, which begins with the role's."""
        self.struck = ""
        """When it was killed, and in which task."""
        self.hung = False
        """Whether it had to be ended."""
        self._lines: list[str] = []
        self.process = subprocess.Popen(
            [program, "-i", str(place.inventory), *more, str(ROOT / playbook)],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self._lines.append(line)
            if line.startswith("TASK [") and " : " in line:
                self.tasks.append((time.monotonic() - self.began, line[6:].rpartition("]")[0]))

    def kill(self) -> None:
        """Kill the controller and its workers, which get no chance to tidy."""
        os.killpg(self.process.pid, signal.SIGKILL)

    def reach(self, task: int, more: float = 0.0) -> None:
        """Wait until a task has begun, and some more seconds; or until it is over."""
        while len(self.tasks) <= task and not self.over():
            time.sleep(0.02)
        begun = self.tasks[task][0] if len(self.tasks) > task else 0.0
        self.rest(self.began + begun + more - time.monotonic())

    def reach_role(self, role: str) -> None:
        """Wait until a role has begun its work, its arguments being checked; or until the run is over."""
        while not self.over() and not any(of_role(role, task) for _begun, task in self.tasks):
            time.sleep(0.02)

    def rest(self, seconds: float) -> None:
        """Let it run for some seconds."""
        time.sleep(max(0.0, seconds))

    def over(self) -> bool:
        """Tell whether it has ended."""
        return self.process.poll() is not None

    def end(self) -> Run:
        """Wait for its end, but not for ever: a run that hangs is a fault."""
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.hung = True
            self.kill()
            self.process.wait()
        self._reader.join(10)
        self.seconds = time.monotonic() - self.began
        return self

    @property
    def output(self) -> str:
        """All that it printed until now."""
        return "".join(self._lines)

    @property
    def status(self) -> int:
        """Its exit status; negative when it was killed."""
        return int(self.process.returncode)

    @property
    def changed(self) -> int:
        """Tasks that changed something; -1 when it did not come to its end."""
        found = [int(changed) for _ok, changed, _unreachable, _failed in RECAP.findall(self.output)]
        return sum(found) if found else -1

    @property
    def sentences(self) -> list[str]:
        """What it says of each task that failed."""
        return [str(json.loads(said).get("msg", "")) for said in FAILED.findall(self.output)]


class Place:
    """One Orthanc server (Debian 12 is number 1, Debian 13 number 2) and what its clinic needs to harden it."""

    def __init__(self, number: int) -> None:
        """Take the number of its clinic in the lab's topology."""
        self.number = number
        self.clinic = CLINICS[number]
        self.host = f"pacs-{number}"
        self.release = TOPOLOGY.hosts[self.host].release
        hosts = (self.host, f"box-{number}")  # the box tells the time, and is asked for what it forwards
        self.lab = Lab(f"{NAME}-{number}", hosts, tuple(f"{kind}-{number}" for kind in DEVICES))
        self.folder = ROOT / "build" / "trouble" / self.lab.name
        self.inventory = self.folder / "inventory"
        self.directory = self.inventory / self.clinic
        """The clinic's folder on the controller."""
        self.hardened = False
        self.timeline: list[tuple[float, str]] | None = None
        """Seconds at which each task of an untroubled hardening began, the name of each, and the end."""

    def renew(self) -> None:
        """Have the server as the practice left it, and a clinic that was never hardened."""
        shutil.rmtree(self.inventory, ignore_errors=True)
        self.lab.up(self.inventory)
        for kind in DEVICES:
            self._hand_in_request(kind)
        self.hardened = False

    def remove(self) -> None:
        """Leave nothing behind."""
        self.lab.down()
        shutil.rmtree(self.folder, ignore_errors=True)

    def harden(self) -> Run:
        """Start the hardening as an engineer would."""
        return Run(self, "playbooks/harden.yml", "--diff")

    def engineer(self) -> bool:
        """Tell whether the engineer comes in over a new connection."""
        hosts = yaml.safe_load((self.inventory / "lab.yml").read_text(encoding="utf-8"))["all"]["children"]
        told = hosts[f"lab_{self.number}"]["hosts"][f"pacs.{self.clinic}"]
        command = ["ssh", "-o", "ControlPath=none", "-o", "BatchMode=yes", "-o", "ConnectTimeout=5"]
        command += ["-i", told["ansible_ssh_private_key_file"], *shlex.split(told["ansible_ssh_common_args"])]
        command += [f"{told['ansible_user']}@{told['ansible_host']}", "true"]
        return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 0

    def on(self, *command: str, stdin: str | None = None, check: bool = True) -> str:
        """Run a command on the server as root, not through the engineer's door, and return what it printed."""
        return self.lab.execute(self.host, *command, stdin=stdin, check=check).stdout

    def shell(self, script: str, *, check: bool = True) -> str:
        """Run a shell script on the server as root."""
        return self.on("bash", "-euo", "pipefail", "-s", stdin=script, check=check)

    def address(self, kind: str) -> str:
        """Return the IPv4 address of a host of the clinic on the LAN."""
        return TOPOLOGY.hosts[f"{kind}-{self.number}"].plain(f"lan{self.number}")[0]

    def key(self, kind: str) -> Path:
        """Return where a device's private key lies."""
        return self.folder / f"{kind}.key"

    def _hand_in_request(self, kind: str) -> None:
        request = self.directory / "requests" / f"{kind}.csr"
        request.parent.mkdir(parents=True, exist_ok=True)
        command = ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        command += ["-keyout", str(self.key(kind)), "-out", str(request), "-subj", f"/CN={kind}"]
        command += ["-addext", f"subjectAltName=DNS:{kind},IP:{self.address(kind)}"]
        command += ["-addext", "extendedKeyUsage=serverAuth,clientAuth"]
        subprocess.run(command, check=True, capture_output=True)
