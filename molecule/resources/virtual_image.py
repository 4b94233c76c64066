# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The images of the lab's virtual machines: Debian from Debian's packages, cached by a hash of this recipe.

A whole system disk: a GPT, a `boot` partition and a `root` partition (both ext4), a real kernel, a complete systemd.
What a machine of the lab gets of its own (host key, the engineer's key, name) comes from QEMU at its first boot.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import images
import machine
from virtual_disk import SBIN

RELEASES = ("bookworm", "trixie")

PACKAGES = (
    "age",
    "clevis",
    "clevis-luks",
    "clevis-systemd",
    "clevis-tpm2",
    "cryptsetup",
    "dmsetup",
    "dosfstools",
    "e2fsprogs",
    "fdisk",
    "initramfs-tools",
    "jose",
    "linux-image-cloud-amd64",
    "lvm2",
    "rsync",
    "smartmontools",
    "tpm2-tools",
    "udev",
    "xfsprogs",
    "zstd",
)
"""What a machine has besides the packages of a host in a container."""

ALSO = {"bookworm": (), "trixie": ("systemd-cryptsetup",)}

LATER = "clevis-initramfs cryptsetup-initramfs gddrescue mdadm"
"""Downloaded only: an encrypted system and RAID need them, and they make every other boot slower; gddrescue is what the
runbook has installed."""

FIRST_BOOT = r"""#!/bin/sh
# Take what QEMU brings for this machine, and fill the system disk. Runs once.
set -eu
modprobe -q qemu_fw_cfg || true
tar -x -C / -f - </sys/firmware/qemu_fw_cfg/by_name/opt/lab/seed/raw
hostname -F /etc/hostname
root=$(findmnt -no SOURCE /)
disk=${root%%[0-9]}
echo ', +' | sfdisk --quiet --no-reread --force -N 2 "$disk"
partx --update --nr 2 "$disk"
resize2fs "$root"
touch /etc/lab-first-boot-done
sync
"""

FIRST_BOOT_UNIT = """[Unit]
Description=Make this copy of the image a machine of its own
ConditionPathExists=!/etc/lab-first-boot-done
After=systemd-remount-fs.service local-fs.target
Before=ssh.service systemd-networkd.service basic.target
DefaultDependencies=no
[Service]
Type=oneshot
ExecStart=/usr/local/sbin/lab-first-boot
[Install]
WantedBy=basic.target
"""

NETWORK = """[Match]
Name=eth0
[Network]
Address=10.0.2.15/24
Gateway=10.0.2.2
DNS=10.0.2.3
IPv6AcceptRA=no
LinkLocalAddressing=no
"""

FSTAB = """LABEL=root / ext4 errors=remount-ro 0 1
LABEL=boot /boot ext4 x-systemd.device-timeout=600 0 2
"""
"""On a busy machine without KVM udev may find /boot after the 90 seconds of the default: that would be an emergency."""

NEEDLESS = (
    "apt-daily-upgrade.timer",
    "apt-daily.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "systemd-pstore.service",
)
"""Units that cost seconds at a boot without KVM, or that start work of their own in the middle of a test."""

FILES = {
    "/usr/local/sbin/lab-first-boot": FIRST_BOOT,
    "/etc/systemd/system/lab-first-boot.service": FIRST_BOOT_UNIT,
    "/etc/systemd/network/lab.network": NETWORK,
    "/etc/fstab": FSTAB,
    "/etc/resolv.conf": "nameserver 10.0.2.3\n",
    "/etc/initramfs-tools/conf.d/lab": "COMPRESS=zstd\nCOMPRESSLEVEL=3\nRESUME=none\n",
}

CUSTOMIZE = (
    "chroot $1 chmod 755 /usr/local/sbin/lab-first-boot",
    "chroot $1 systemctl unmask systemd-networkd-wait-online.service",
    "chroot $1 systemctl enable lab-first-boot.service systemd-networkd.service",
    "chroot $1 systemctl disable smartmontools.service rsync.service",
    f"chroot $1 systemctl mask {' '.join(NEEDLESS)}",
    "rm -f $1/etc/ssh/ssh_host_*",
    # As after an ordinary boot: without it the first one would rebuild caches for a quarter of a minute.
    "touch $1/etc/.updated $1/var/.updated",
    "chroot $1 update-initramfs -u",
)

APART = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
"""A build's mounts and processes end with the build, also when it is interrupted."""

BOOT_MIB = 160
"""The boot partition: one kernel, and room for two copies of its initramfs."""

SPARE_MIB = 320
"""What stays free on the root file system of an image that is not enlarged."""


@dataclass(frozen=True)
class Image:
    """An image in the cache: the system disk (qcow2, never written to), kernel and initramfs taken out of it."""

    release: str
    folder: Path

    @property
    def disk(self) -> Path:
        """Return the system disk."""
        return self.folder / "system.qcow2"

    @property
    def kernel(self) -> Path:
        """Return the kernel."""
        return self.folder / "vmlinuz"

    @property
    def initrd(self) -> Path:
        """Return the initramfs."""
        return self.folder / "initrd"


def recipe(release: str) -> list[str]:
    """Return mmdebstrap's command, but for the folder that it fills; two lines of one differ when the images do."""
    packages = sorted({*images.PACKAGES, *PACKAGES, *ALSO[release]})
    command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(packages)}"]
    command += ["--skip=cleanup/apt/lists,cleanup/apt/cache", '--aptopt=Acquire::Languages "none"']
    command += [f"--dpkgopt=path-exclude=/usr/share/{unread}/*" for unread in ("man", "doc", "locale", "info")]
    # What was installed need not be kept as packages; what may be installed later must.
    download = f"chroot $1 sh -c 'apt-get install -y --download-only --no-install-recommends {LATER}'"
    hooks = ["chroot $1 apt-get clean", *images.hooks(release), download]
    hooks += [_written(path, text) for path, text in FILES.items()]
    return [*command, *(f"--customize-hook={hook}" for hook in (*hooks, *CUSTOMIZE)), release]


def image(release: str) -> Image:
    """Return the image of a release, made when the cache has none (about two minutes).

    Raises SystemExit with a sentence when the release is unknown or a command fails.
    """
    if release not in RELEASES:
        raise SystemExit(f"virtual machine: no Debian {release}; accepted: {', '.join(RELEASES)}.")
    shelf = machine.cache() / "virtual"
    shelf.mkdir(exist_ok=True)
    # Where this Python lies says nothing about the image.
    whole = "\n".join([*recipe(release), f"{BOOT_MIB} {SPARE_MIB}"]).replace(sys.executable, "python")
    digest = hashlib.sha256(whole.encode()).hexdigest()[:12]
    made = Image(release, shelf / f"{release}-{digest}")
    with (shelf / f"{release}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.folder.is_dir():
            _make(made)
    return made


def _written(path: str, text: str) -> str:
    """Return the hook that writes a file of the image."""
    quoted = text.replace("'", "'\\''")
    return f"mkdir -p $1{path.rpartition('/')[0]} && printf '%s' '{quoted}' >$1{path}"


def _make(made: Image) -> None:
    began = time.monotonic()
    print(f"virtual machine: building the image of Debian {made.release} (about two minutes)", flush=True)
    work = made.folder.with_name(f"{made.release}.building")
    tree, out = work / "tree", work / "out"
    _remove(work)
    out.mkdir(parents=True)
    try:
        machine.root(*APART, *recipe(made.release), str(tree))
        for file, link in ((out / "vmlinuz", "vmlinuz"), (out / "initrd", "initrd.img")):
            file.write_bytes(b"")
            newest = f'cp "$(ls "$1"/boot/{link}-* | tail -n 1)" "$2"'
            machine.root("sh", "-c", newest, "sh", str(tree), str(file))
        _lay(tree, work)
        command = ["qemu-img", "convert", "-O", "qcow2", str(work / "raw"), str(out / "system.qcow2")]
        subprocess.run(command, check=True)
        shutil.move(out, made.folder)
    finally:
        _remove(work)
    print(f"virtual machine: image of Debian {made.release} made in {time.monotonic() - began:.0f} s", flush=True)


def _remove(work: Path) -> None:
    """Remove what a build made; after an interrupted one its processes may take a moment to end."""
    for _attempt in range(5):
        machine.root("rm", "-rf", "--one-file-system", str(work), check=False)
        if not work.exists():
            return
        time.sleep(1)


def _lay(tree: Path, work: Path) -> None:
    """Lay the tree onto a disk: `raw` in the work folder, partition 1 `boot`, partition 2 `root`."""
    boot = work / "boot"
    machine.root("mv", str(tree / "boot"), str(boot))
    machine.root("install", "-d", "-m", "755", str(tree / "boot"))
    used = int(machine.root("du", "-sm", str(tree)).stdout.split()[0])
    # A tenth for inodes, journal and the blocks kept for root.
    root_mib = int(used * 1.12) + 64 + SPARE_MIB
    raw = work / "raw"
    with raw.open("wb") as file:
        file.truncate((1 + BOOT_MIB + root_mib + 1) << 20)
    parts = (("boot", boot, 1, BOOT_MIB), ("root", tree, 1 + BOOT_MIB, root_mib))
    lines = [f"start={start}MiB, size={size}MiB, name={label}\n" for label, _source, start, size in parts]
    table = "".join(["label: gpt\n", *lines])
    subprocess.run(["sfdisk", "--quiet", str(raw)], input=table, text=True, check=True, env=SBIN)
    for label, source, start, size in parts:
        options = f"offset={start << 20},root_owner=0:0"
        command = ["mkfs.ext4", "-q", "-F", "-b", "4096", "-L", label, "-d", str(source), "-E", options]
        machine.root("env", "PATH=/usr/sbin:/sbin:/usr/bin:/bin", *command, str(raw), f"{size}M")
