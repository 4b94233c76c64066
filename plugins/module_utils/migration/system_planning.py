# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an installed system has to be like, so that a boot can encrypt its root; each sentence names the way out."""

from __future__ import annotations

import os
from collections.abc import Iterator

from ansible_collections.radiology.hardening.plugins.module_utils.migration import inspection, interlocks
from ansible_collections.radiology.hardening.plugins.module_utils.migration.inspection import Block, Place
from ansible_collections.radiology.hardening.plugins.module_utils.migration.job import Plan
from ansible_collections.radiology.hardening.plugins.module_utils.migration.machine import Machine
from ansible_collections.radiology.hardening.plugins.module_utils.migration.system import BOOT

CMDLINE, FSTAB, SWAPS = "/proc/cmdline", "/etc/fstab", "/proc/swaps"
INITRAMFS_TOOLS, DRACUT = "/usr/sbin/mkinitramfs", "/usr/bin/dracut"
RESUME = "/etc/initramfs-tools/conf.d/resume"
ROOM = 200 << 20
"""Bytes free on /boot: two headers and a copy of one (48 MiB), and an initramfs that grows by about 13 MiB, twice."""
LASTING = ("UUID=", "LABEL=", "/dev/disk/by-uuid/", "/dev/disk/by-label/")
"""How names of a file system begin that it keeps when it lies on an encrypted volume."""
WAY_OUT = (
    "install the system anew with encryption (the installer's guided partitioning with encrypted LVM), or encrypt the"
    " images alone (strategy volume or container)"
)


def refusals(machine: Machine, plan: Plan, place: Place, source: Block | None) -> Iterator[str]:
    """Yield what keeps the root of an installed system from being encrypted where it is."""
    if place.mount_point != "/":
        yield (
            f"{place.folder} lies on {place.mount_point}, not on the system's own file system: leave strategy out, or"
            " give the folder /."
        )
        return
    if source is None:
        yield f"/ is {place.file_system}, under which no block device is to be seen: {WAY_OUT}."
        return
    yield from _root(machine, place, source)
    yield from _boot(machine, place)
    yield from _start(source)
    yield from interlocks.free_name(machine, plan.name)
    if plan.unlock.get("pin") == "tang":
        yield (
            "Strategy system opens the root before there is a network, so Tang cannot unlock it: name tpm2 under"
            " unlock, or leave unlock out, and a person types the recovery key at every start."
        )


def notes(plan: Plan, source: Block | None, minutes: int) -> Iterator[str]:
    """Yield what the engineer has to know before the answer."""
    yield (
        f"at its next start the machine encrypts itself for about {minutes} min; nobody reaches it over the network"
        " meanwhile, its console says how far it is, and a power cut does no harm"
    )
    if plan.unlock:
        yield "when its TPM refuses, the machine waits at its console for the recovery key, unreachable by SSH"
    else:
        yield "a person types the recovery key at its console at every start; until then it is unreachable by SSH"
    yield (
        f"{BOOT} stays in clear, and Secure Boot does not check the initramfs there: whoever can change it can take the"
        " key at the next start; the header lies there too"
    )
    for swap in _swaps():
        if source is None or swap != source.path:
            yield f"swap on {swap} stays in clear: turn it off or encrypt it (role disk_encryption)"
    if _hibernates():
        yield "hibernation would write memory in clear: turn it off (RESUME=none in initramfs-tools' configuration)"


def _root(machine: Machine, place: Place, source: Block) -> Iterator[str]:
    """Yield what forbids of the root's own device and file system."""
    kinds = (source.kind, *source.kinds_below)
    if "crypt" in kinds:
        yield f"/ is encrypted already: {source.path} lies on a crypt device; there is nothing to do."
        return
    under = [each for each in kinds if each not in ("part", "disk")]
    if under:
        yield f"/ lies on {', '.join(under)} (LVM, RAID or the like), not on a partition of its own: {WAY_OUT}."
    elif source.kind == "disk":
        yield f"/ lies on {source.path}, a whole disk without partitions: {WAY_OUT}."
    if place.file_system != "ext4":
        yield f"/ is {place.file_system}; strategy system is proven for ext4 alone: {WAY_OUT}."
    yield from interlocks.nameable(source)
    yield from interlocks.healthy(machine, source, place.file_system)


def _boot(machine: Machine, root: Place) -> Iterator[str]:
    """Yield what keeps header and journal from lying safely on /boot."""
    found = inspection.place(machine, BOOT)
    if found.mount_point != BOOT or found.device == root.device:
        yield f"{BOOT} is no partition of its own, so nothing could be read before the root is open: {WAY_OUT}."
        return
    device = inspection.block(machine, found.device)
    if {device.kind, *device.kinds_below} - {"part", "disk"}:
        yield f"{BOOT} lies on {device.kind}; it has to be a plain partition: {WAY_OUT}."
    if found.file_system != "ext4":
        yield (
            f"{BOOT} is {found.file_system}, which cannot keep header and journal in step: make it ext4 (save its"
            " files, mkfs.ext4, put them back, correct /etc/fstab, update-grub), and run the playbook again."
        )
    if found.free < ROOM:
        yield (
            f"{BOOT} has {found.free >> 20} MiB free; headers and initramfs need {ROOM >> 20}: remove old kernels"
            " (apt autoremove --purge), or enlarge it."
        )


def _start(source: Block) -> Iterator[str]:
    """Yield what keeps this system's way of starting from finding an opened root."""
    if os.path.exists(DRACUT) or not os.path.exists(INITRAMFS_TOOLS):
        yield "The initramfs is not made by initramfs-tools: install initramfs-tools in the place of what makes it."
    words = [each[5:] for each in _read(CMDLINE).split() if each.startswith("root=")]
    if words and not words[-1].startswith(LASTING):
        yield (
            f"The kernel is told root={words[-1]}, which names the device in clear: have GRUB name it by"
            f" root=UUID={source.uuid} (remove GRUB_DISABLE_LINUX_UUID from /etc/default/grub, update-grub), restart,"
            " and run the playbook again."
        )
    for line in _read(FSTAB).splitlines():
        fields = line.split()
        is_root = len(fields) > 1 and fields[1] == "/" and not line.lstrip().startswith("#")
        if is_root and not fields[0].startswith(LASTING):
            yield f"{FSTAB} names / as {fields[0]}: write UUID={source.uuid} there, and run the playbook again."


def _swaps() -> list[str]:
    """Return the partitions in use as swap; a file goes with its file system, and zram is memory."""
    devices = [line.split()[0] for line in _read(SWAPS).splitlines()[1:] if line.split()[1:2] == ["partition"]]
    return [each for each in devices if not each.startswith(("/dev/zram", "/dev/dm-", "/dev/mapper/"))]


def _hibernates() -> bool:
    """Whether the kernel or the initramfs is told where a hibernated memory would lie."""
    told = [each for each in _read(CMDLINE).split() if each.startswith("resume=")]
    return bool(told) or "RESUME=" in _read(RESUME).replace("RESUME=none", "")


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
