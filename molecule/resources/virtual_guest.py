# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One virtual machine: made, switched on, asked, cut off from power, given another TPM, and removed again."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import virtual_qemu
import yaml
from virtual_disk import Disk, lay_raw, lay_system, make_keys, serial
from virtual_image import Image, image
from virtual_process import MachineError, found, kill, monitor, resident_mib, spawn, wait
from virtual_tang import Tang, free_port

ROOT = Path(__file__).resolve().parents[2]
MACHINES = ROOT / "build" / "virtual"

SECONDS = 420
"""How long a boot may take: half a minute to a minute by itself, several times that on a loaded machine without KVM."""


class VirtualMachine:
    """One machine, by its name. It is made by `create`, or found again by its name alone."""

    def __init__(self, name: str, release: str = "") -> None:
        """Take the name, and the Debian release of a machine to be created."""
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,40}", name):
            raise SystemExit(f"virtual machine: none can be called {name!r}; accepted: small letters, digits and -.")
        self.name = name
        self.folder = MACHINES / name
        self.known: dict[str, Any] = {"release": release}
        if self._noted.is_file():
            self.known = json.loads(self._noted.read_text(encoding="utf-8"))

    def __enter__(self) -> VirtualMachine:
        """Return the machine; it is destroyed at the end of the block, however that comes about."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Leave nothing behind."""
        self.destroy()

    def create(
        self,
        *,
        data_mib: int = 768,
        spare_mib: int = 1024,
        system_mib: int = 0,
        memory_mib: int = 1024,
        cpus: int = 2,
        bus: str = "virtio",
        filesystem: str = "ext4",
    ) -> None:
        """Make its disks, keys and TPM; what stood under its name is destroyed.

        The data disk gets one partition with the file system (`ext4`, or an empty string for a disk without any
        signature), the spare disk nothing. A system disk of 0 MiB is as large as the image. `bus`: virtio or nvme.
        """
        self.destroy()
        release = self.known["release"]
        source = image(release)
        self.folder.mkdir(parents=True, mode=0o700)
        disks = [Disk("system", "system.qcow2", "qcow2", serial(self.name, "system"))]
        lay_system(self.folder, source.disk, system_mib)
        for role, mib, kind in (("data", data_mib, filesystem), ("spare", spare_mib, "")):
            if mib:
                disks.append(Disk(role, f"{role}.raw", "raw", serial(self.name, role), bus))
                lay_raw(self.folder / disks[-1].file, mib, kind)
        self.known = {
            "release": release,
            "image": str(source.folder),
            "port": free_port(),
            "dicom": free_port(),
            "tang": free_port(),
            "memory": memory_mib,
            "cpus": cpus,
            "disks": [vars(disk) for disk in disks],
        }
        make_keys(self.folder, self.name, self.known["port"])
        (self.folder / "tpm").mkdir(mode=0o700)
        self._noted.write_text(json.dumps(self.known, indent=1), encoding="utf-8")

    @property
    def running(self) -> bool:
        """Tell whether its QEMU runs."""
        return bool(found(self.folder, "qemu-system-"))

    @property
    def console(self) -> Path:
        """Return the file with everything that its console ever said."""
        return self.folder / "console.log"

    @property
    def ports(self) -> dict[int, int]:
        """Return the ports of the lab's loopback that lead into the machine, and where to: SSH and DICOM."""
        both = {self.known["port"]: 22, self.known.get("dicom"): 4242}
        return {outside: inside for outside, inside in both.items() if outside}

    @property
    def disks(self) -> dict[str, Disk]:
        """Return its disks by their roles: system, data, spare."""
        return {disk["role"]: Disk(**disk) for disk in self.known["disks"]}

    def start(self, also: str = "") -> None:
        """Switch it on; `also` is added to the kernel's command line for this time. Does nothing when it runs.

        Raises MachineError when QEMU or the TPM does not start.
        """
        if not self._noted.is_file():
            raise SystemExit(f"virtual machine {self.name}: there is none; `up` makes it.")
        if self.running:
            return
        self._switched_off()
        for stale in ("tpm.sock", "monitor.sock", "console.sock"):
            (self.folder / stale).unlink(missing_ok=True)
        words = ["swtpm", "socket", "--tpm2", "--tpmstate", "dir=tpm", "--ctrl", "type=unixio,path=tpm.sock"]
        spawn(self.folder, "tpm.log", *words, "--terminate", "--flags", "startup-clear")
        wait((self.folder / "tpm.sock").exists, 10, f"the TPM; see {self.folder / 'tpm.log'}")
        source = Image(self.known["release"], Path(self.known["image"]))
        disks = list(self.disks.values())
        size = {"memory_mib": self.known["memory"], "cpus": self.known["cpus"]}
        words = virtual_qemu.command(self.folder, source, disks, ports=self.ports, also=also, **size)
        process = spawn(self.folder, "qemu.log", *words)
        wait(lambda: (self.folder / "monitor.sock").exists() or process.poll() is not None, 20, "QEMU")
        if process.poll() is not None:
            said = (self.folder / "qemu.log").read_text(encoding="utf-8", errors="replace")
            raise MachineError(f"QEMU of {self.name} did not start: {said[-400:].strip()}")

    def wait_for_ssh(self, seconds: float = SECONDS) -> float:
        """Wait until the engineer can log in, and return the seconds that it took."""
        began = time.monotonic()
        try:
            wait(self._greets, seconds, f"SSH of {self.name}", every=0.3)
            wait(self._open_master, max(20.0, seconds - time.monotonic() + began), f"a login on {self.name}", every=1)
        except MachineError as error:
            raise MachineError(f"{error}; its console said last:\n{self._last_words()}") from error
        return time.monotonic() - began

    def wait_for_boot(self, seconds: float = SECONDS) -> str:
        """Wait until systemd has started everything, and return how it is: `running` or `degraded`."""
        done = self.run(["systemctl", "is-system-running", "--wait"], check=False, seconds=seconds)
        return done.stdout.strip()

    def run(
        self, command: list[str] | str, check: bool = True, seconds: float = 300, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as root, given as words or as a script for `sh -eu`, and return what it answered.

        It goes the engineer's way, SSH and sudo, so it works on a hardened machine too. Raises MachineError when it
        has to succeed and does not, and when it takes longer.
        """
        words = ["sh", "-euc", command] if isinstance(command, str) else command
        whole = [*self._ssh(), "--", "sudo", "-n", shlex.join(words)]
        try:
            done = subprocess.run(
                whole, cwd=self.folder, input=stdin or "", capture_output=True, text=True, timeout=seconds, check=False
            )
        except subprocess.TimeoutExpired as slow:
            raise MachineError(f"{self.name}: no end after {seconds:.0f} s: {shlex.join(words)[:300]}") from slow
        if check and done.returncode:
            said = (done.stderr.strip() or done.stdout.strip())[-1000:]
            raise MachineError(f"{self.name}: rc {done.returncode}: {shlex.join(words)[:300]}: {said}")
        return done

    def begin(self, command: list[str], output: Path, errors: Path) -> subprocess.Popen[bytes]:
        """Begin a command as root, its output added to one file, its errors written to another.

        It ends with the machine, or with the connection, at the latest.
        """
        whole = [*self._ssh(), "--", "sudo", "-n", shlex.join(command)]
        with output.open("ab") as out, errors.open("wb") as err:
            return subprocess.Popen(whole, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=out, stderr=err)

    def type(self, text: str) -> None:
        """Type a line at its console, as a person in front of it would; raises MachineError when it is off."""
        # A socket's name has 107 bytes at most; a folder's may be longer.
        opened = os.open(self.folder, os.O_PATH)
        try:
            with socket.socket(socket.AF_UNIX) as line:
                line.connect(f"/proc/self/fd/{opened}/console.sock")
                line.settimeout(60)
                line.sendall(text.encode() + b"\r")
                # Closed at once, the line would lose what the machine has not yet taken.
                line.shutdown(socket.SHUT_WR)
                while line.recv(4096):
                    pass
        except OSError as error:
            raise MachineError(f"{self.name} takes nothing at its console: {error}") from error
        finally:
            os.close(opened)

    def power_cut(self) -> None:
        """Take its power away, in the middle of whatever it does; what QEMU had not yet written is lost."""
        kill(self.folder, "qemu-system-")
        self._switched_off()

    def shut_down(self, seconds: float = 120) -> None:
        """Press its power button and wait until it is off; raises MachineError when that takes longer."""
        if self.running:
            monitor(self.folder, "system_powerdown")
            wait(lambda: not self.running, seconds, f"{self.name} to shut down")
        self._switched_off()

    def reboot(self, also: str = "") -> float:
        """Shut down, start, wait for SSH, and return the seconds that all this took."""
        began = time.monotonic()
        self.shut_down()
        self.start(also)
        self.wait_for_ssh()
        return time.monotonic() - began

    def destroy(self) -> None:
        """End everything of this machine and delete its folder."""
        kill(self.folder)
        if self.folder.is_dir():
            shutil.rmtree(self.folder)

    def use_own_kernel(self) -> None:
        """Take kernel and initramfs from the running machine's /boot: the next starts use them, as GRUB would."""
        for file, link in (("vmlinuz", "vmlinuz"), ("initrd", "initrd.img")):
            newest = f"cat $(ls -v /boot/{link}-* | tail -n 1)"
            with (self.folder / f"{file}.new").open("wb") as taken:
                whole = [*self._ssh(), "--", "sudo", "-n", "sh", "-c", shlex.quote(newest)]
                subprocess.run(whole, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=taken, check=True)
            (self.folder / f"{file}.new").replace(self.folder / file)

    def wear_out(self, role: str, sectors: Iterable[int]) -> None:
        """Let a disk fail: it cannot read these sectors of 512 bytes. The machine has to be off."""
        self._needs_off()
        rule = '[inject-error]\nevent = "none"\niotype = "read"\nerrno = "5"\nsector = "{}"\n'
        text = "\n".join(rule.format(each) for each in sectors)
        (self.folder / self.disks[role].defects).write_text(text, encoding="ascii")

    def take_out(self, role: str) -> None:
        """Take a disk out, for good. The machine has to be off."""
        self._needs_off()
        self.known["disks"] = [each for each in self.known["disks"] if each["role"] != role]
        self._noted.write_text(json.dumps(self.known, indent=1), encoding="utf-8")

    def new_tpm(self) -> None:
        """Give it another TPM, which knows nothing of the former one's keys. The machine has to be off."""
        self._needs_off()
        shutil.rmtree(self.folder / "tpm")
        (self.folder / "tpm").mkdir(mode=0o700)

    def keep_tpm(self) -> None:
        """Keep a copy of the TPM's state, to come back to it after `new_tpm`. The machine has to be off."""
        self._needs_off()
        shutil.rmtree(self.folder / "tpm-kept", ignore_errors=True)
        shutil.copytree(self.folder / "tpm", self.folder / "tpm-kept")

    def restore_tpm(self) -> None:
        """Put the TPM back that was kept last. The machine has to be off."""
        self._needs_off()
        shutil.rmtree(self.folder / "tpm")
        shutil.copytree(self.folder / "tpm-kept", self.folder / "tpm")

    def tang(self) -> Tang:
        """Return its Tang server, which has yet to be started the first time."""
        return Tang(self.folder, self.known["tang"])

    def memory_mib(self) -> dict[str, int]:
        """Return the memory that QEMU and the TPM hold on the lab machine, in MiB."""
        return {program: sum(map(resident_mib, found(self.folder, program))) for program in ("qemu-system-", "swtpm")}

    def inventory(self) -> dict[str, object]:
        """Return the connection variables of the machine as an Ansible host; its host key is pinned."""
        return {
            "ansible_host": "127.0.0.1",
            "ansible_port": self.known["port"],
            "ansible_user": "engineer",
            "ansible_ssh_private_key_file": str(self.folder / "id"),
            "ansible_ssh_common_args": f"-o UserKnownHostsFile={self.folder}/known_hosts -o StrictHostKeyChecking=yes "
            "-o IdentitiesOnly=yes",
            # A name may be used again for another machine, on another port.
            "ansible_control_path": f"%(directory)s/vm-{self.known['port']}-%%C",
            "ansible_python_interpreter": "/usr/bin/python3",
        }

    def write_inventory(self, folder: Path, host: str = "") -> None:
        """Write `virtual.yml` into a folder: an inventory of this machine alone, called `host` or by its own name."""
        folder.mkdir(parents=True, exist_ok=True)
        listed = {"all": {"hosts": {host or self.name: self.inventory()}}}
        (folder / "virtual.yml").write_text(yaml.safe_dump(listed, width=1000), encoding="utf-8")

    @property
    def _noted(self) -> Path:
        return self.folder / "machine.json"

    def _ssh(self) -> list[str]:
        options = ["IdentitiesOnly=yes", "BatchMode=yes", "ConnectTimeout=60", "ServerAliveInterval=20"]
        options += ["UserKnownHostsFile=known_hosts", "StrictHostKeyChecking=yes", "ControlPath=ssh.sock"]
        named = [word for option in options for word in ("-o", option)]
        return ["ssh", "-F", "none", "-i", "id", *named, "-p", str(self.known["port"]), "engineer@127.0.0.1"]

    def _greets(self) -> bool:
        """Tell whether sshd answers; QEMU takes connections long before."""
        if not self.running:
            raise MachineError(f"{self.name} went off")
        try:
            with socket.create_connection(("127.0.0.1", self.known["port"]), timeout=5) as channel:
                return channel.recv(4) == b"SSH-"
        except OSError:
            return False

    def _open_master(self) -> bool:
        """Log in once; later commands go through this connection. A refused login is told from a wrong host key."""
        command = [*self._ssh(), "-M", "-N", "-f"]
        with (self.folder / "ssh.log").open("ab") as said:
            done = subprocess.run(
                command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
                check=False,
            )
        return done.returncode == 0

    def _switched_off(self) -> None:
        """End what belongs to a machine that is on: the connection, and the TPM, which has no power either."""
        kill(self.folder, "ssh")
        (self.folder / "ssh.sock").unlink(missing_ok=True)
        wait(lambda: not found(self.folder, "swtpm"), 10, "the TPM to end")

    def _needs_off(self) -> None:
        if self.running:
            raise MachineError(f"{self.name} is on: cut its power or shut it down first")

    def _last_words(self) -> str:
        said = self.console.read_text(encoding="utf-8", errors="replace") if self.console.is_file() else ""
        return "\n".join(said.splitlines()[-15:])
