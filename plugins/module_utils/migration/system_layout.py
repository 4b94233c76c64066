# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Strategy system, the root of an installed system, is refused on every layout, each with the way out.

A root can only be encrypted by an initramfs, before it is mounted, with header and journal on a /boot of its own.
Nothing is offered here that was not seen to survive power cuts on a whole machine.
"""

from __future__ import annotations

from ansible_collections.radiology.hardening.plugins.module_utils.migration import inspection
from ansible_collections.radiology.hardening.plugins.module_utils.migration.inspection import Block, Place
from ansible_collections.radiology.hardening.plugins.module_utils.migration.machine import Machine

BOOT = "/boot"
WAY_OUT = (
    "save the files, install the system anew with encryption (the installer's guided partitioning, encrypted LVM) and"
    " put them back, or encrypt the images alone (strategy volume or container)"
)


def refusal(machine: Machine, place: Place, source: Block | None) -> str:
    """Return the one sentence that refuses strategy system for the file system that holds the folder."""
    if place.mount_point != "/":
        return (
            f"{place.folder} lies on {place.mount_point}, not on the system's root: leave strategy out, and"
            f" {place.mount_point} is encrypted where it is (in_place)."
        )
    if source is None:
        return f"/ is {place.file_system}, under which no block device is to be seen: {WAY_OUT}."
    kinds = (source.kind, *source.kinds_below)
    if "crypt" in kinds:
        return f"/ is encrypted already, by a volume under {source.path}: there is nothing to do; leave storage out."
    return f"{_reason(machine, place, source, kinds)}: {WAY_OUT}."


def _reason(machine: Machine, place: Place, source: Block, kinds: tuple[str, ...]) -> str:
    """Return why this root is not encrypted where it is, the hardest reason first."""
    under = [each for each in kinds if each not in ("part", "disk")]
    if under:
        return f"/ lies on {', '.join(under)} (LVM, RAID or the like), which no header can follow"
    if source.kind == "disk":
        return f"/ lies on {source.path}, a whole disk without partitions, which would look empty to every installer"
    if place.file_system != "ext4":
        return f"/ is {place.file_system}, on which nothing was proven against power cuts"
    boot = inspection.place(machine, BOOT)
    if boot.mount_point != BOOT or boot.device == place.device:
        return f"{BOOT} is no partition of its own, so nothing could be read before the root is open"
    if boot.file_system != "ext4":
        return f"{BOOT} is {boot.file_system}, which cannot keep a header and its journal in step"
    return f"{source.path} holds the running system, whose encryption at a start is not proven yet and so not offered"
