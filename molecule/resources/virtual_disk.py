# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The disks of a virtual machine, and what its first boot gives it: host key, the engineer's key, a name."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

SBIN = {**os.environ, "PATH": "/usr/sbin:/sbin:/usr/bin:/bin"}


@dataclass(frozen=True)
class Disk:
    """One disk of a machine: its role (`system`, `data`, `spare`), the file that holds it, its serial number."""

    role: str
    file: str
    format: str
    serial: str
    bus: str = "virtio"

    @property
    def device(self) -> str:
        """Return the disk's name in the guest that does not depend on the order of the disks."""
        prefix = "virtio-" if self.bus == "virtio" else "nvme-QEMU_NVMe_Ctrl_"
        return f"/dev/disk/by-id/{prefix}{self.serial}"

    @property
    def defects(self) -> str:
        """Return the file beside it that says, for QEMU's blkdebug, which sectors cannot be read."""
        return f"{self.role}.defects"

    def options(self, folder: Path) -> list[str]:
        """Return QEMU's options. Raw disks bypass the lab machine's cache where its file system can do so."""
        cache = "none" if self.format == "raw" and direct(folder) else "writeback"
        file = f"blkdebug:{self.defects}:{self.file}" if (folder / self.defects).is_file() else self.file
        drive = f"file={file},format={self.format},if=none,id={self.role},cache={cache},discard=unmap"
        kind = "virtio-blk-pci" if self.bus == "virtio" else "nvme"
        return ["-drive", drive, "-device", f"{kind},drive={self.role},serial={self.serial}"]


def direct(folder: Path) -> bool:
    """Tell whether files in the folder can be written past the cache (O_DIRECT); a tmpfs, for one, cannot."""
    probe = folder / ".direct"
    try:
        os.close(os.open(probe, os.O_CREAT | os.O_WRONLY | os.O_DIRECT, 0o600))
    except OSError:
        return False
    finally:
        probe.unlink(missing_ok=True)
    return True


def serial(machine: str, role: str) -> str:
    """Return a disk's serial number, at most 20 characters: the same whenever a machine of this name is made."""
    return f"{role.upper()}-{hashlib.sha256(machine.encode()).hexdigest()[:8]}"


def lay_system(folder: Path, image: Path, mib: int) -> None:
    """Make the system disk: what changes on top of an image, as large as asked or as the image when that is larger."""
    whole = [str(max(mib << 20, size(image)))] if mib else []
    command = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(image), "system.qcow2", *whole]
    subprocess.run(command, cwd=folder, check=True)


def lay_raw(file: Path, mib: int, filesystem: str = "") -> None:
    """Make a disk of zeros; with `ext4`, one GPT partition that fills it, and a file system of 4096-byte blocks."""
    with file.open("wb") as made:
        made.truncate(mib << 20)
    if not filesystem:
        return
    table = "label: gpt\nstart=1MiB, name=images\n"
    subprocess.run(["sfdisk", "--quiet", "--no-tell-kernel", str(file)], input=table, text=True, check=True, env=SBIN)
    command = ["mkfs.ext4", "-q", "-F", "-b", "4096", "-L", "images", "-E", f"offset={1 << 20}", str(file)]
    # The last MiB holds the table's second copy.
    subprocess.run([*command, f"{mib - 2}M"], check=True, env=SBIN)


def size(image: Path) -> int:
    """Return the bytes that a qcow2 image shows to its guest."""
    # Bytes 24 to 31 of its header, QEMU's docs/interop/qcow2.txt.
    with image.open("rb") as file:
        return int.from_bytes(file.read(32)[24:32], "big")


def make_keys(folder: Path, name: str, port: int) -> None:
    """Make the engineer's key and the host key, pin the latter, and pack both for the first boot."""
    for file, comment in (("id", f"engineer of {name}"), ("host", name)):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(folder / file)]
        subprocess.run(command, check=True)
    public = (folder / "host.pub").read_text(encoding="ascii")
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {public}", encoding="ascii")
    engineer = "home/engineer/.ssh/authorized_keys"
    contents = {
        "etc/hostname": (f"{name}\n", 0o644, 0),
        "etc/hosts": (f"127.0.0.1 localhost\n127.0.1.1 {name}\n::1 localhost\n", 0o644, 0),
        "etc/ssh/ssh_host_ed25519_key": ((folder / "host").read_text(encoding="ascii"), 0o600, 0),
        "etc/ssh/ssh_host_ed25519_key.pub": (public, 0o644, 0),
        engineer: ((folder / "id.pub").read_text(encoding="ascii"), 0o600, 1000),
    }
    with tarfile.open(folder / "seed.tar", "w", format=tarfile.USTAR_FORMAT) as packed:
        for path, (text, mode, owner) in contents.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode, entry.uid, entry.gid = len(text.encode()), mode, owner, owner
            packed.addfile(entry, io.BytesIO(text.encode()))
    (folder / "seed.tar").chmod(0o600)
