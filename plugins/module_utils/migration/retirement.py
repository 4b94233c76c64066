# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Wiping what still lies in clear after a copy, and saying honestly what the wiping is worth."""

from __future__ import annotations

import os
import stat

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.migration import inspection, records, tree
from ansible_collections.radiology.hardening.plugins.module_utils.migration.job import Job
from ansible_collections.radiology.hardening.plugins.module_utils.migration.machine import Machine
from ansible_collections.radiology.hardening.plugins.module_utils.migration.new_volume import IN_CLEAR
from ansible_collections.radiology.hardening.plugins.module_utils.migration.strategy import Counter, Tell

BLOCK = 4 << 20
"""Bytes written at once."""
ON_A_ROTATING_DISK = "every block was overwritten once; on a rotating disk nothing can be read back from it"
ON_FLASH = (
    "the blocks were overwritten and given back, but flash keeps spare blocks that no command reaches: images may"
    " survive there until the drive is erased by its own firmware (NVMe sanitize, ATA secure erase) or destroyed"
)
ELSEWHERE = "; what snapshots, cloned files (reflinks) and backups hold of the images was not touched"


def worth(*, rotational: bool) -> str:
    """Return what overwriting is worth on such a disk."""
    return (ON_A_ROTATING_DISK if rotational else ON_FLASH) + ELSEWHERE


def scrubbed(job: Job, machine: Machine) -> str:
    """Return what it is worth that files were overwritten as they moved into a container, and the free space after."""
    folder = os.path.dirname(job.plan.container)
    rotational = inspection.block(machine, inspection.place(machine, folder).device).rotational
    space = os.statvfs(folder)
    left = (job.plan.reserve + (space.f_bfree - space.f_bavail) * space.f_frsize) >> 20
    return (
        "every file in clear was overwritten before it was removed, and the free space after the last but for"
        f" {left} MiB that stay free for the system: images that were removed before may survive there until the system"
        f" writes over them; of the rest, {worth(rotational=rotational)}"
    )


def retire(job: Job, machine: Machine, tell: Tell) -> None:
    """Wipe the former copy of a job that is done; called again after a cut, it goes on."""
    plan = job.plan
    if job.stage == "retired":
        return
    if plan.strategy == "in_place" or plan.tight:
        raise HardeningError(f"{plan.name} was encrypted without a second copy: there is nothing to retire.")
    if job.stage not in ("done", "retiring"):
        raise HardeningError(f"{plan.name} stands at {job.stage}: the former copy is kept until the job is done.")
    if not machine.shows_volume(plan.mount_point, plan.name):
        raise HardeningError(
            f"The encrypted volume is not mounted at {plan.mount_point}: the former copy may be the only one to be had."
        )
    if plan.source is not None:
        device = machine.device(plan.source)
        machine.confirm_serial(device, plan.source)
        if job.stage == "done" or machine.signatures(device):
            machine.confirm_file_system(device, plan.source)
        below = device
    else:
        below = inspection.place(machine, os.path.dirname(plan.mount_point)).device
    rotational = inspection.block(machine, below).rotational
    job.record("retiring")
    if plan.source is not None:
        _overwrite_device(below, plan.source.size, Counter(tell, f"{plan.name}: wiping", plan.source.size))
    else:
        _overwrite_folder(plan.mount_point + IN_CLEAR)
    job.record("retired", worth=worth(rotational=rotational))
    tell(f"{plan.name}: retired; {worth(rotational=rotational)}")


def _overwrite_device(device: str, size: int, counter: Counter) -> None:
    """Write zeros over a device that nothing has open."""
    try:
        handle = os.open(device, os.O_RDWR | os.O_EXCL)
    except OSError as error:
        raise HardeningError(f"{device} is in use: {error.strerror}. Nothing was wiped.") from error
    try:
        done = 0
        while done < size:
            done += os.write(handle, bytes(min(BLOCK, size - done)))
            counter.at(done)
        os.fsync(handle)
    finally:
        os.close(handle)


def _demand_no_other_name(folder: str) -> None:
    """HardeningError when a file has a name outside too, as hard-linked backups have: it would be overwritten there."""
    names: dict[int, int] = {}
    links: dict[int, tuple[str, int]] = {}
    for entry in tree.walk(folder):
        if entry.is_file and entry.status.st_nlink > 1:
            names[entry.status.st_ino] = names.get(entry.status.st_ino, 0) + 1
            links[entry.status.st_ino] = (entry.path, entry.status.st_nlink)
    shared = [path for inode, (path, count) in links.items() if count > names[inode]]
    if shared:
        raise HardeningError(
            f"{os.path.join(folder, shared[0])} has another name outside {folder} (a hard link; {len(shared)} such"
            " files), a backup perhaps, which would be overwritten too: give that a copy of its own, or remove it."
            " Nothing was wiped."
        )


def _overwrite_folder(folder: str) -> None:
    """Overwrite and remove every file of a folder, then the folder; other file systems are never entered."""
    if not os.path.isdir(folder):
        return
    device = os.lstat(folder).st_dev
    for parent, folders, _files in os.walk(folder):
        for name in folders:
            if os.lstat(os.path.join(parent, name)).st_dev != device:
                raise HardeningError(
                    f"Another file system is mounted at {os.path.join(parent, name)}: unmount it. Nothing was wiped."
                )
    _demand_no_other_name(folder)
    for _parent, folders, files, handle in os.fwalk(folder, topdown=False):  # by handles: the files are an account's
        for name in files:
            records.remove(name, handle)
        for name in folders:
            if stat.S_ISLNK(os.stat(name, dir_fd=handle, follow_symlinks=False).st_mode):
                os.unlink(name, dir_fd=handle)
            else:
                os.rmdir(name, dir_fd=handle)
    os.rmdir(folder)
    records.sync(os.path.dirname(folder))
