# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From what the clinic file asks, and what lies under the folder, to a plan; or to the sentences that forbid it."""

from __future__ import annotations

import dataclasses
import os
import sqlite3
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.migration import (
    inspection,
    interlocks,
    system_planning,
)
from ansible_collections.radiology.hardening.plugins.module_utils.migration.inspection import Block, Content, Place
from ansible_collections.radiology.hardening.plugins.module_utils.migration.job import STRATEGIES, Device, Plan
from ansible_collections.radiology.hardening.plugins.module_utils.migration.machine import Machine

RECORDS = "/var/lib/radiology-hardening"
"""Below it lie every job's records, and containers."""
CONTAINERS = os.path.join(RECORDS, "volumes")
LUKS = 32 << 20
"""Bytes that a LUKS2 header and the alignment of its data take at most."""


@dataclasses.dataclass(frozen=True)
class Proposal:
    """What would be done, and what forbids it."""

    plan: Plan
    place: Place
    source: Block | None
    target: Block | None
    content: Content
    studies: int | None
    minutes: int
    refusals: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """What the engineer has to know of it beside."""

    @property
    def device(self) -> Block:
        """The device that the engineer's answer has to name: the one that is written."""
        found = self.target if self.plan.target else self.source
        if found is None:
            raise HardeningError(f"No device lies under {self.place.folder}.")
        return found


def propose(machine: Machine, name: str, given: Mapping[str, Any]) -> Proposal:
    """Return the plan for the folder that `given` (the clinic file's `storage`) names. Reads, changes nothing."""
    place = inspection.place(machine, str(given["folder"]))
    source = inspection.block(machine, place.device) if place.device.startswith("/dev/") else None
    own = place.mount_point != "/" and source is not None
    target = inspection.block(machine, _device_called(machine, str(given["onto"]))) if given.get("onto") else None
    strategy = str(given.get("strategy") or ("volume" if target else "in_place" if own else "container"))
    if strategy not in STRATEGIES:
        raise HardeningError(f"strategy is {strategy}; accepted are {', '.join(STRATEGIES)}.")
    if strategy == "system":
        return _system(machine, name, given, place, source)
    content = inspection.content(place.mount_point if own and strategy != "container" else place.folder)
    services = tuple(given.get("services") or ("orthanc.service",))
    plan = Plan(
        name=name,
        strategy=strategy,
        mount_point=place.mount_point if own and strategy != "container" else place.folder,
        services=services,
        unlock=dict(given.get("unlock") or {}),
        online=strategy == "in_place" and bool(given.get("online")),
        memory=_memory(),
        luks_uuid=str(uuid.uuid4()),
    )
    if own and source is not None and strategy != "container":
        device = Device(source.stable_path or source.path, source.size, source.serial, source.uuid)
        plan = dataclasses.replace(plan, source=device)
    if strategy == "in_place" and source is not None:
        sector = _sector_size(machine, source)
        plan = dataclasses.replace(plan, file_system=place.file_system, sector_size=sector)
    if strategy == "volume" and target is not None:
        plan = dataclasses.replace(plan, target=Device(target.stable_path or target.path, target.size, target.serial))
    if strategy == "container":
        plan = _container(plan, place, content.blocks)
    minutes = _minutes(plan, source, content.size)
    found = Proposal(plan, place, source, target, content, _studies(place.folder), minutes)
    return dataclasses.replace(found, refusals=(*_refusals(machine, found), *_always(machine, given)))


def _system(machine: Machine, name: str, given: Mapping[str, Any], place: Place, source: Block | None) -> Proposal:
    """Return the plan for the root of the installed system."""
    device = None if source is None else Device(source.stable_path, source.size, source.serial, source.uuid)
    sector = 4096 if source is None else _sector_size(machine, source)
    unlock = dict(given.get("unlock") or {})
    plan = Plan(name, "system", "/", device, sector_size=sector, memory=_memory(), unlock=unlock)
    content = inspection.content("/")
    minutes = _minutes(plan, source, 0)
    refusals = (*system_planning.refusals(machine, plan, place, source), *_always(machine, given))
    notes = tuple(system_planning.notes(plan, source, minutes))
    return Proposal(plan, place, source, None, content, None, minutes, refusals, notes)


def still_forbids(machine: Machine, plan: Plan, given: Mapping[str, Any]) -> list[str]:
    """Return what forbids to go on with a job that was confirmed, and of which no image was moved yet."""
    ends = [each for each in (plan.source, plan.target) if each is not None]
    found = list(_always(machine, given))
    for end in ends:
        device = machine.device(end)
        machine.confirm_serial(device, end)
        found += interlocks.healthy(machine, inspection.block(machine, device), "")
    return found


def _always(machine: Machine, given: Mapping[str, Any]) -> Iterator[str]:
    """Yield the sentences that concern the machine, whatever the plan is."""
    yield from interlocks.version(machine)
    yield from interlocks.power()
    yield from interlocks.backup(given.get("backup") or {}, time.time())


def _refusals(machine: Machine, found: Proposal) -> Iterator[str]:
    """Yield every sentence that forbids the plan."""
    plan, place, source, content = found.plan, found.place, found.source, found.content
    yield from interlocks.free_name(machine, plan.name)
    yield from interlocks.writing(place, plan.services, plan.mount_point)
    yield from interlocks.system_disk(machine, RECORDS, place, plan.strategy, content.entries)
    if source is None:
        yield (
            f"{place.folder} lies on {place.file_system}, under which no block device is to be seen: name a folder on a"
            " local disk."
        )
        return
    yield from interlocks.source(place, source, plan.strategy)
    yield from interlocks.layout(place, plan.strategy, plan.mount_point)
    yield from interlocks.alone(source)
    if plan.online and place.file_system != "ext4":
        yield f"{place.mount_point} is {place.file_system}; online is proven for ext4 alone: leave it out."
    if plan.source is not None and len(source.signatures) < 2:  # of several things blkid(8) tells no UUID
        yield from interlocks.nameable(source)
    yield from interlocks.healthy(machine, source, place.file_system)
    if plan.strategy == "volume":
        yield from _target_refusals(machine, found)
    if plan.strategy == "container":
        yield from interlocks.room(place, "container", _needed(content), plan.container_size)
        yield from interlocks.room_for_files(place, content.entries, plan.container_size)
        if not plan.tight:
            yield from interlocks.former_name(plan.mount_point)
        else:
            yield from interlocks.room(place, "container", content.largest + plan.reserve, place.free)
            yield from interlocks.one_name(plan.mount_point, content.linked)


def _target_refusals(machine: Machine, found: Proposal) -> Iterator[str]:
    """Yield what forbids to make a volume of the spare device."""
    target = found.target
    if target is None:
        yield "Strategy volume needs onto: the serial number or UUID of a spare disk or partition."
        return
    yield from interlocks.nameable(target)
    yield from interlocks.alone(target)
    yield from interlocks.healthy(machine, target, "")
    yield from interlocks.room(found.place, "volume", _needed(found.content), target.size)
    yield from interlocks.room_for_files(found.place, found.content.entries, target.size)
    try:
        machine.confirm_empty(target.path)
    except HardeningError as error:
        yield str(error)


def _needed(content: Content) -> int:
    """Return the bytes of a volume that takes the files: their blocks, their inodes, a twentieth, and the header."""
    return content.blocks + content.entries * 256 + content.blocks // 20 + LUKS


def _container(plan: Plan, place: Place, size: int) -> Plan:
    """Return the plan with a container beside the folder, as large as may be; tight when both do not fit."""
    space = os.statvfs(place.folder)
    kept = max(256 << 20, space.f_blocks * space.f_frsize // 20)
    roomy = place.free - kept
    tight = roomy < size + size // 20 + LUKS
    container_size = (roomy + size if tight else roomy) >> 20 << 20
    path = os.path.join(CONTAINERS, f"{plan.name}.luks")
    return dataclasses.replace(plan, container=path, container_size=max(0, container_size), tight=tight)


def _device_called(machine: Machine, called: str) -> str:
    """Return the device that a path, a serial number or a UUID names; HardeningError unless it is exactly one."""
    if called.startswith("/dev/"):
        return called
    output = machine.must(("lsblk", "-n", "-r", "-p", "-o", "NAME,TYPE,SERIAL,PARTUUID"))
    rows = [line.split(" ") for line in output.decode().splitlines()]
    found = [row[0] for row in rows if called in row[2:]]
    if len(found) != 1:
        raise HardeningError(
            f"onto is {called}, which {len(found)} devices of this host bear; accepted: the serial number of a spare"
            " disk, the PARTUUID of a spare partition, or a path below /dev/disk/by-id."
        )
    return found[0]


def _sector_size(machine: Machine, device: Block) -> int:
    """Return the encryption sector: what the file system writes at least at once, up to 4096, if the device fits."""
    block_size = int(machine.probe(device.path).get("BLOCK_SIZE", "512"))
    size = min(4096, block_size)
    return size if device.size % size == 0 else 512


def _memory() -> int:
    """Return the KiB that a keyslot's argon2id takes here: a quarter of the memory, at most 1 GiB."""
    return min(1 << 20, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4096)


def _studies(folder: str) -> int | None:
    """Return the studies that Orthanc's index (schema version 6) counts; None where there is no such index."""
    path = os.path.join(folder, "index")
    if not os.path.isfile(path):
        return None
    try:
        database = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
        try:
            return int(database.execute("SELECT COUNT(*) FROM Resources WHERE resourceType = 1").fetchone()[0])
        finally:
            database.close()
    except sqlite3.Error:
        return None


def _minutes(plan: Plan, source: Block | None, size: int) -> int:
    """Return about how many minutes the whole takes, from how fast the device is read now."""
    rate = _rate(source.path) if source else 0
    if not rate or source is None:
        return 0
    if plan.strategy in ("in_place", "system"):
        passes = 2.2 * source.size + 2 * size
    else:
        passes = (6.2 if plan.tight else 3.2) * size  # read, copied, read back, overwritten, compared
    return max(1, round(passes / rate / 60))


def _rate(device: str) -> float:
    """Return bytes a second, from reading up to 128 MiB of a device for at most two seconds, past the cache."""
    handle = os.open(device, os.O_RDONLY)
    try:
        os.posix_fadvise(handle, 0, 128 << 20, os.POSIX_FADV_DONTNEED)
        begun, done = time.monotonic(), 0
        while done < 128 << 20 and time.monotonic() - begun < 2:
            count = len(os.read(handle, 4 << 20))
            if not count:
                break
            done += count
        return done / max(time.monotonic() - begun, 0.001)
    finally:
        os.close(handle)
