# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How QEMU is called: the accelerator that really works here, and the words of one machine's command line."""

from __future__ import annotations

import functools
import json
import os
import subprocess
from pathlib import Path

import machine
from virtual_disk import Disk
from virtual_image import Image

QEMU = "qemu-system-x86_64"

KERNEL_OPTIONS = "root=LABEL=root rw console=ttyS0 net.ifnames=0 panic=-1 mitigations=off no5lvl quiet loglevel=4"
"""The kernel's command line; what it saves is time without KVM, but for root and console."""

CONSOLE = "socket,id=console,path=console.sock,server=on,wait=off,logfile=console.log,logappend=on"
"""Everything that the serial console says goes to a file; what a person would type there comes through a socket."""

PROBE_SECONDS = 15


@functools.cache
def accelerator(kernel: Path) -> str:
    """Return `kvm` where a kernel really starts under it, else `tcg`: that /dev/kvm exists proves nothing."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    version = subprocess.run([QEMU, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    here = f"{Path('/proc/sys/kernel/random/boot_id').read_text(encoding='ascii').strip()} {version}"
    noted = machine.cache() / "virtual" / "accelerator.json"
    known = json.loads(noted.read_text(encoding="utf-8")) if noted.is_file() else {}
    if known.get("here") != here:
        known = {"here": here, "accelerator": "kvm" if _boots_under_kvm(kernel) else "tcg"}
        fresh = noted.with_name(f"{noted.name}.{os.getpid()}")
        fresh.write_text(json.dumps(known), encoding="utf-8")
        fresh.replace(noted)
    return str(known["accelerator"])


def _boots_under_kvm(kernel: Path) -> bool:
    command = [QEMU, "-accel", "kvm", "-cpu", "host", "-m", "256", "-nodefaults", "-display", "none", "-no-reboot"]
    command += ["-serial", "stdio", "-kernel", str(kernel), "-append", "console=ttyS0 panic=-1"]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PROBE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as slow:
        return b"Linux version" in (slow.stdout or b"")
    return b"Linux version" in done.stdout


def command(
    folder: Path, image: Image, disks: list[Disk], *, ports: dict[int, int], memory_mib: int, cpus: int, also: str
) -> list[str]:
    """Return QEMU's command line for a machine whose TPM listens; its file names count from the machine's folder.

    `ports`: TCP ports of the loopback, and those of the machine that they lead to. `also` is added to the kernel's
    command line. A kernel and an initramfs in the folder go before the image's.
    """
    own = folder / "vmlinuz", folder / "initrd"
    kernel, initrd = own if own[1].is_file() else (image.kernel, image.initrd)
    kind = accelerator(image.kernel)
    words = [QEMU, "-name", folder.name, "-machine", "pc", "-m", str(memory_mib), "-smp", str(cpus)]
    words += (
        ["-accel", "kvm", "-cpu", "host"]
        if kind == "kvm"
        else ["-accel", "tcg,thread=multi,tb-size=256", "-cpu", "max"]
    )
    words += [
        "-display",
        "none",
        "-nodefaults",
        "-no-user-config",
    ]
    words += ["-kernel", str(kernel), "-initrd", str(initrd), "-append", f"{KERNEL_OPTIONS} {also}".strip()]
    words += ["-fw_cfg", "name=opt/lab/seed,file=seed.tar"]
    words += ["-object", "rng-random,id=random,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=random"]
    words += ["-chardev", "socket,id=tpm,path=tpm.sock", "-tpmdev", "emulator,id=tpm0,chardev=tpm"]
    words += ["-device", "tpm-crb,tpmdev=tpm0"]
    forwards = "".join(f",hostfwd=tcp:127.0.0.1:{outside}-:{inside}" for outside, inside in ports.items())
    words += ["-netdev", f"user,id=net{forwards}"]
    words += ["-device", "virtio-net-pci,netdev=net,romfile="]
    words += ["-chardev", CONSOLE, "-serial", "chardev:console"]
    words += ["-qmp", "unix:monitor.sock,server=on,wait=off"]
    # The order of the disks is the order of their names in the guest: the system's comes first.
    return [*words, *(word for disk in disks for word in disk.options(folder))]
