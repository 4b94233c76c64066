# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a disk may hold that nobody wants formatted: each made on a real block device, by its own program if there is one.

mdadm needs the kernel's md and zpool a kernel module, which a test machine may lack: their labels are laid by hand.
"""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Callable

import release

RAID_MAGIC, RAID_OFFSET = 0xA92B4EFC, 4096
"""Of a superblock in format 1.2 (linux/raid/md_p.h)."""
UBERBLOCK_MAGIC = 0x00BAB10C
"""Of ZFS (sys/uberblock_impl.h)."""


def run(*command: str, stdin: bytes = b"") -> bytes:
    """Run a command that has to succeed, and return its output."""
    done = subprocess.run(command, input=stdin, capture_output=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr.decode()}"
    return done.stdout


def ext4(device: str) -> None:
    """Make a file system that stays as it is while it is mounted and nothing writes to it."""
    run("mkfs.ext4", "-q", "-F", "-b", "4096", "-E", "lazy_itable_init=0,lazy_journal_init=0", device)


def xfs(device: str) -> None:
    """Make an XFS, which wants 300 MiB, or to be told that it may be smaller."""
    run("mkfs.xfs", "-q", "-f", "--unsupported", device)


def ntfs(device: str) -> None:
    """Make an NTFS, as a disk from a workstation has it."""
    run("mkntfs", "-Q", "-q", "-F", device)


def lvm(device: str) -> None:
    """Make a physical volume of LVM."""
    run(
        "pvcreate", "-qq", "-y", "--config", f'devices {{ filter=["a|^{device}$|","r|.*|"] use_devicesfile=0 }}', device
    )


def raid(device: str) -> None:
    """Write the superblock of a member of a mirror of two, format 1.2."""
    size = device_size(device) // 512
    block = bytearray(512)
    struct.pack_into("<III", block, 0, RAID_MAGIC, 1, 0)
    block[16:32] = os.urandom(16)
    block[32:64] = b"practice:0".ljust(32, b"\0")
    struct.pack_into("<QiiQII", block, 64, 1700000000, 1, 0, size - 2048, 0, 2)
    struct.pack_into("<QQQ", block, 128, 2048, size - 2048, RAID_OFFSET // 512)
    block[168:184] = os.urandom(16)
    struct.pack_into("<QQQII", block, 192, 1700000000, 1, 0, 0, 2)
    struct.pack_into("<HH", block, 256, 0, 1)
    total = sum(struct.unpack_from("<65I", block))
    struct.pack_into("<I", block, 216, (total & 0xFFFFFFFF) + (total >> 32) & 0xFFFFFFFF)
    write_at(device, RAID_OFFSET, bytes(block))


def zfs(device: str, labels: tuple[int, ...] = (0, 1, 2, 3)) -> None:
    """Write the labels of a member of a pool: what it belongs to, which Debian 13 reads, and uberblocks, as 12 does."""
    size = device_size(device) >> 18 << 18
    assert size >= 64 << 20, "blkid(8) looks for no pool on less"
    places = (0, 256 << 10, size - (512 << 10), size - (256 << 10))
    numbers = {"version": 5000, "state": 0, "txg": 4, "pool_guid": 77, "guid": 78, "top_guid": 78}
    pairs = [pair("name", 9, struct.pack(">I", 8) + b"practice")]
    pairs += [pair(name, 8, struct.pack(">Q", value)) for name, value in numbers.items()]
    listed = struct.pack("BBBB", 1, 1, 0, 0) + struct.pack(">II", 0, 1) + b"".join(pairs) + bytes(8)
    for label in (places[number] for number in labels):
        write_at(device, label + (16 << 10), listed)
        for number in range(4):
            block = struct.pack("<QQQQQ", UBERBLOCK_MAGIC, 5000, number + 1, 1, 1700000000)
            write_at(device, label + (128 << 10) + number * 1024, block)


def pair(name: str, kind: int, value: bytes) -> bytes:
    """Return a pair of a list as XDR writes it (sys/nvpair.h): its two sizes, its name, its type, one value."""
    text = name.encode()
    body = struct.pack(">I", len(text)) + text + bytes(-len(text) % 4) + struct.pack(">II", kind, 1) + value
    return struct.pack(">II", len(body) + 8, len(body) + 24) + body


def luks(device: str) -> None:
    """Make an encrypted volume with the cryptsetup of Debian 12."""
    options = ("--type", "luks2", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", "--batch-mode")
    run(*release.cryptsetup("bookworm"), "luksFormat", *options, "--key-file", "-", device, stdin=b"a key of others")


def partitions(device: str) -> None:
    """Write a GPT with one partition."""
    run("sfdisk", "--quiet", "--no-tell-kernel", device, stdin=b"label: gpt\nsize=16M\n")


def old_partitions(device: str) -> None:
    """Write a partition table as a BIOS reads it."""
    run("sfdisk", "--quiet", "--no-tell-kernel", device, stdin=b"label: dos\nsize=16M\n")


def swap(device: str) -> None:
    """Make swap, which may hold what a memory held."""
    run("mkswap", "--quiet", device)


def two_at_once(device: str) -> None:
    """Make an ext4 where a pool of ZFS was, whose last labels are still there: blkid(8) does not decide."""
    ext4(device)
    zfs(device, (2, 3))


NAMED = {
    "ext4": ext4,
    "xfs": xfs,
    "ntfs": ntfs,
    "LVM2_member": lvm,
    "linux_raid_member": raid,
    "zfs_member": zfs,
    "crypto_LUKS": luks,
    "gpt": partitions,
}
"""What the issue names, as wipefs(8) calls it, and how it is made."""
CONTENTS: dict[str, Callable[[str], None]] = {
    **NAMED,
    "dos": old_partitions,
    "swap": swap,
    "ext4, zfs_member": two_at_once,
}


def device_size(device: str) -> int:
    """Return the bytes of a block device."""
    return int(run("blockdev", "--getsize64", device))


def write_at(device: str, offset: int, content: bytes) -> None:
    """Write past every lock that others hold, as `dd` does, and bring it to the disk."""
    handle = os.open(device, os.O_WRONLY)
    try:
        assert os.pwrite(handle, content, offset) == len(content)
        os.fsync(handle)
    finally:
        os.close(handle)
