# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The host's disks: where patient data lie or pass, what encrypts them, and who can open it.

This surface never touches data and never asks for a key. What only encrypting, moving or a key would mend stays a
deliberate step (see deliberate), whose sentence names the command.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import (
    disk_key_files,
    disk_mount_points,
    disk_places,
    disk_removable,
    disk_scan,
    disk_stack,
    disk_swap,
    disk_traces,
    disk_volumes,
    expectation,
)
from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import deliberate
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step
from ansible_collections.radiology.hardening.plugins.module_utils.surfaces import orthanc

NAME = "disk_encryption"
OWN = (
    disk_swap.SLEEP,
    disk_swap.RESUME,
    disk_traces.CORE_FILE,
    disk_traces.TEMPORARY_UNIT,
    disk_traces.SCRATCH_DROP_IN,
    disk_removable.RULE,
)
"""Files that this surface alone writes: where they are and nothing is kept, an earlier release hardened the host."""
USES = (orthanc,)
FACTS: dict[str, str] = {
    "own_disks": "bool: the host has disks of its own; a container has those of its machine",
    "workstation": "bool: it has, and the clinic file calls it a workstation",
    "places": "list of dict: where patient data lie or pass, what protects each, and what lies under it",
    "data.in_clear": "list of str: folders of images, their index, their database, or declared, that are not encrypted",
    "data.not_luks2": "list of str: volumes under such folders that are not LUKS2, or not wholly encrypted",
    "data.closed": "dict: mount point to source of encrypted volumes that are to be mounted but are not",
    "data.advice": "list of str: how to encrypt, or to open, what is in clear: the command and the minutes it takes",
    "data.estimates": "dict: mount point to bytes, minutes and the assumed rate of encrypting what is in clear",
    "system.in_clear": "list of str: a workstation's system and homes that are not encrypted",
    "system.advice": "list of str: how to encrypt them",
    "mount_points.unguarded": "list of str: units that may write before the volume of their data is mounted",
    "mount_points.open": "list of str: mount points of patient data that can be written while nothing is mounted",
    "mount_points.hidden": "list of str: mount points of patient data with files in clear under them",
    "mount_points.unlisted": "list of str: mount points of patient data that a restart does not mount again",
    "scan.images_in_clear": "int: files with the letters DICM at offset 128 on local file systems in clear",
    "scan.by_mount_point": "dict: mount point to their number",
    "scan.bound_reached": "bool: the look was ended by its bound of seconds or files before all files were seen",
    "scan.files": "int: files that were opened",
    "scan.unreadable": "int: files that could not be read",
    "removable.unprotected": "list of str: ways by which a workstation writes to removable drives in clear",
    "removable.rule_in_force": "bool: udev has our rule",
    "removable.exempt": "list of str: UUIDs of file systems on such drives that the system itself runs from",
    "swap.in_clear": "list of str: swap, in use or in the file-system table, that is neither encrypted nor in memory",
    "swap.hibernation_exposed": "bool: systemd would hibernate, and swap has no lasting encryption",
    "swap.devices": "list of dict: what is swapped to",
    "swap.available_kib": "int: memory that is available",
    "swap.opener": "bool: systemd can open encrypted volumes",
    "swap.initramfs": "bool: the host makes its initramfs by initramfs-tools",
    "keyslots.unknown": "list of str: keyslots that neither a token names nor a declared passphrase explains",
    "recovery.not_escrowed": "list of str: volumes whose recovery key and header nobody else is proven to hold",
    "temporary.in_clear": "list of str: temporary folders and Orthanc's own that are neither encrypted nor in memory",
    "temporary.core_dumps_in_clear": "bool: a program that crashes leaves its memory on a disk in clear",
    "temporary.scratch": "str: where Orthanc packs archives; empty without it",
    "temporary.memory_at_next_start": "bool: /tmp is in memory from the next start on",
    "temporary.in_table": "bool: the file-system table names /tmp",
    "temporary.core_pattern": "str: the kernel's core_pattern",
    "parameters.weak": "list of str: volumes or passphrases with weaker parameters than declared",
    "unlock.exposed": "list of str: keys in clear, and bindings that prove nothing",
    "unlock.unbound": "list of str: a server's volumes with patient data that neither a TPM nor Tang opens",
    "volumes": "list of dict: the opened encrypted volumes, their header, keyslots, tokens and escrow; no secrets",
    "jobs": "dict: each deliberate encryption to the stage that it has reached",
}

UNLOCK = "ansible-playbook radiology.hardening.unlock -l {name}"
RESTING = ("planned", "done", "scrubbed", "retiring", "retired")
"""Stages of a deliberate encryption in which it holds neither Orthanc nor the mount point."""
HELD = ("data.", "mount_points.", "temporary.in_clear", "keyslots.", "recovery.", "parameters.")
"""Facts that are left alone while it does: it mends them itself, and a restart of Orthanc would fail."""
ROTATE = "`ansible-playbook radiology.hardening.rotate_disk_keys -l {name}`"
REBIND = "`ansible-playbook radiology.hardening.unlock -l {name} -e rebind=true`"
Repair = Callable[[Any, Mapping[str, Any], Mapping[str, Any], Mapping[str, Any]], list[Step]]
"""Takes the value of an unmet fact, all facts, those of this surface, and the scope."""


def observe(host: Host, scope: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts; of a container nearly none, since its disks are another machine's."""
    if host.run(["systemd-detect-virt", "--container", "--quiet"]).ok:
        return {"own_disks": False, "workstation": False}
    stack = disk_stack.observe(host)
    name = str(scope.get("name", ""))
    workstation = scope.get("kind") == "workstation"
    places = disk_places.observe(host, stack, scope)
    volumes = disk_volumes.observe(host, stack)
    luks = [volume for volume in volumes if volume["kind"] in ("LUKS1", "LUKS2")]
    with_data = _under(stack, places, volumes, (*disk_places.DATA, *disk_places.SYSTEM))
    data, system = (disk_places.in_clear(places, purposes) for purposes in (disk_places.DATA, disk_places.SYSTEM))
    closed = disk_mount_points.closed(host, stack.mounts)
    estimates = disk_places.estimates(places, stack)
    seen = disk_scan.count(
        host, disk_scan.in_clear(stack), float(scope.get("scan_seconds") or 0), int(scope.get("scan_files") or 0)
    )
    return {
        "own_disks": True,
        "workstation": workstation,
        "places": places,
        "data": {
            "in_clear": data,
            "not_luks2": disk_volumes.not_luks2(with_data),
            "closed": closed,
            "estimates": estimates,
            "advice": _told(data, places, estimates, closed, name),
        },
        "system": {"in_clear": system, "advice": _told(system, places, estimates, closed, name)},
        "mount_points": disk_mount_points.observe(host, places),
        "scan": {
            "images_in_clear": seen.total,
            "by_mount_point": seen.images,
            "bound_reached": seen.bound_reached,
            "files": seen.files,
            "unreadable": seen.unreadable,
        },
        "removable": disk_removable.observe(host, stack, workstation),
        "swap": disk_swap.observe(host, stack),
        "keyslots": {"unknown": disk_volumes.unknown_keyslots(luks, int(scope.get("passphrases") or 0))},
        "recovery": {"not_escrowed": disk_volumes.not_escrowed(luks)},
        "temporary": disk_traces.observe(host, stack, places),
        "parameters": {"weak": disk_volumes.weak(volumes)},
        "unlock": {
            "exposed": disk_key_files.exposed(host, stack) + disk_volumes.loosely_bound(luks),
            "unbound": [] if workstation else disk_volumes.unbound(with_data),
        },
        "volumes": volumes,
        "jobs": disk_volumes.jobs(host),
    }


def plan(facts: Mapping[str, Any], wanted: Mapping[str, Mapping[str, Any]], scope: Mapping[str, Any]) -> list[Step]:
    """Return a step at least for each fact that is not as wanted: what is safe is done, the rest is deliberate."""
    mine = facts[NAME]
    if not mine["own_disks"]:
        return []
    unmet = [name for name in expectation.unmet(facts, wanted) if name.startswith(f"{NAME}.")]
    busy = {name: stage for name, stage in mine["jobs"].items() if stage not in RESTING}
    steps = []
    for name in unmet:
        fact = name.removeprefix(f"{NAME}.")
        if busy and fact.startswith(HELD):
            steps.append(_wait(busy))
        else:
            steps += REPAIRS[fact](expectation.lookup(facts, name), facts, mine, scope)
    return list({step.does: step for step in steps}.values())


def _under(
    stack: disk_stack.Stack,
    places: list[disk_places.Place],
    volumes: list[disk_volumes.Volume],
    purposes: tuple[str, ...],
) -> list[disk_volumes.Volume]:
    """Return the volumes that places of these purposes lie on."""
    names = {
        node.name
        for place in places
        if place["purpose"] in purposes and (mount := stack.mount_of(place["mount_point"])) is not None
        for top in stack.nodes_of(mount)
        for node in stack.below(top)
    }
    return [volume for volume in volumes if volume["name"] in names]


def _wait(busy: Mapping[str, str]) -> Step:
    told = ", ".join(f"{name} at stage {stage}" for name, stage in sorted(busy.items()))
    return deliberate(f"An encryption is under way ({told}): run this role again when it has ended")


def _told(
    said: Sequence[str],
    places: Sequence[disk_places.Place],
    estimates: Mapping[str, Any],
    closed: Mapping[str, str],
    name: str,
) -> list[str]:
    """Return what a person has to do about places in clear: open their volume, or encrypt what is there."""
    shut = [one for one in said if any(one.startswith((f"{point}/", f"{point} (")) for point in closed)]
    others = [one for one in said if one not in shut]
    return [
        *(f"{one}: its encrypted volume is not open; `{UNLOCK.format(name=name)}`" for one in shut),
        *disk_places.encrypt_sentences(others, places, estimates, name),
    ]


def _encrypt(value: Any, facts: Mapping[str, Any], mine: Mapping[str, Any], scope: Mapping[str, Any]) -> list[Step]:
    data = mine["data"]
    return [
        deliberate(sentence)
        for sentence in _told(value, mine["places"], data["estimates"], data["closed"], scope["name"])
    ]


def _reencrypt(value: Any, facts: Mapping[str, Any], mine: Mapping[str, Any], scope: Mapping[str, Any]) -> list[Step]:
    command = disk_places.ENCRYPT.format(name=scope["name"])
    return [deliberate(f"{said}: bring it to LUKS2, or its encryption to its end, by `{command}`") for said in value]


def _images(value: Any, facts: Mapping[str, Any], mine: Mapping[str, Any], scope: Mapping[str, Any]) -> list[Step]:
    where = ", ".join(f"{number} on {point}" for point, number in sorted(mine["scan"]["by_mount_point"].items()))
    return [
        deliberate(
            f"{value} DICOM files lie in clear ({where or 'their place is not known'}): move them into the encrypted "
            f"storage and remove them, or encrypt what holds them by `{disk_places.ENCRYPT.format(name=scope['name'])}`"
        )
    ]


def _bound(value: Any, facts: Mapping[str, Any], mine: Mapping[str, Any], scope: Mapping[str, Any]) -> list[Step]:
    return [
        deliberate(
            f"The look for images in clear ended at its bound after {mine['scan']['files']} files: give it more by "
            "disk_encryption_scan_seconds and disk_encryption_scan_files, so that it proves something"
        )
    ]


def _keys(advice: str) -> Repair:
    def repair(value: Any, facts: Mapping[str, Any], mine: Mapping[str, Any], scope: Mapping[str, Any]) -> list[Step]:
        return [deliberate(f"{said}: {advice.format(name=scope['name'])}") for said in value]

    return repair


def _points(which: str) -> Repair:
    def repair(value: Any, facts: Mapping[str, Any], mine: Mapping[str, Any], scope: Mapping[str, Any]) -> list[Step]:
        return disk_mount_points.steps(which, value)

    return repair


REPAIRS: dict[str, Repair] = {
    "data.in_clear": _encrypt,
    "data.not_luks2": _reencrypt,
    "system.in_clear": _encrypt,
    "mount_points.unguarded": _points("unguarded"),
    "mount_points.open": _points("open"),
    "mount_points.hidden": _points("hidden"),
    "mount_points.unlisted": _points("unlisted"),
    "scan.images_in_clear": _images,
    "scan.bound_reached": _bound,
    "removable.unprotected": lambda value, facts, mine, scope: disk_removable.steps(mine["removable"]),
    "swap.in_clear": lambda value, facts, mine, scope: disk_swap.steps(mine["swap"]),
    "swap.hibernation_exposed": lambda value, facts, mine, scope: disk_swap.sleep_steps(),
    "keyslots.unknown": _keys(
        f"ask whose key it is, remove it by `cryptsetup luksKillSlot`, then have the header escrowed anew by {ROTATE}"
    ),
    "recovery.not_escrowed": _keys(f"make a recovery key and have it escrowed by {ROTATE}"),
    "temporary.in_clear": lambda value, facts, mine, scope: disk_traces.steps(facts, mine, scope),
    "temporary.core_dumps_in_clear": lambda value, facts, mine, scope: disk_traces.core_steps(),
    "parameters.weak": _keys(
        "copy a volume of another cipher into a new one; bring a passphrase to Argon2id by `cryptsetup luksConvertKey"
        f" --pbkdf argon2id`, then have the changed header escrowed by {ROTATE}"
    ),
    "unlock.exposed": _keys(
        f"bind the volume by {REBIND}, then take the key file out of /etc/crypttab and destroy it by `shred -u`"
    ),
    "unlock.unbound": _keys(f"bind it to the TPM or to Tang by {REBIND}"),
}
"""What mends a fact that is not as a control wants it; every fact of the controls has its line."""
