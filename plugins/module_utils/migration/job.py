# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A job: the deliberate encryption of one storage, as a folder on the system disk that outlives any power cut."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
from collections.abc import Iterator
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.migration import records

FOLDER = "/var/lib/radiology-hardening/storage"
"""Where every job has a folder of its name; on the system disk, never on the storage itself."""

STRATEGIES = ("in_place", "volume", "container", "system")


@dataclasses.dataclass(frozen=True)
class Device:
    """A block device as the engineer confirmed it."""

    path: str
    """A name that survives a reboot: /dev/disk/by-partuuid/... or /dev/disk/by-id/..."""
    size: int
    """Bytes."""
    serial: str = ""
    """The serial number of its disk; empty where the disk tells none."""
    file_system_uuid: str = ""
    """The UUID of the file system in clear; empty for a device that has to be empty."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """What was confirmed, whole; but for `Job.follow`, it does not change while the job runs."""

    name: str
    """The job's and the opened volume's name: /dev/mapper/<name>."""
    strategy: str
    """One of STRATEGIES."""
    mount_point: str
    """Where the programs find their files, before and after."""
    source: Device | None = None
    """The device in clear under the mount point; None where the files lie in a folder of another file system."""
    target: Device | None = None
    """Strategy volume: the empty device that becomes the encrypted volume."""
    container: str = ""
    """Strategy container: the file that becomes the encrypted volume."""
    container_size: int = 0
    """Bytes, a multiple of 1 MiB."""
    tight: bool = False
    """Strategy container: there is no room for a second copy, files move one by one."""
    file_system: str = "ext4"
    """Of the source (in_place, system), of the new volume (volume, container)."""
    sector_size: int = 4096
    """Bytes of an encryption sector; at most the block size of the file system."""
    luks_uuid: str = ""
    """Of the new volume (volume, container), chosen beforehand: a header of ours is known after a cut."""
    reserve: int = 64 << 20
    """Bytes that stay free beside a container while files move into it."""
    memory: int = 262144
    """KiB of memory that a keyslot's argon2id takes; 0 for PBKDF2 (a recovery key of 256 random bits needs no more)."""
    services: tuple[str, ...] = ()
    """Units that write below the mount point, in the order in which they start."""
    unlock: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Clevis' pin and its configuration: {"pin": "tpm2", "config": {"pcr_ids": "7"}}; empty: a person unlocks."""
    online: bool = False
    """Strategy in_place: the programs go on while the device is encrypted under them."""


class Job:
    """A plan, and how far it has come."""

    def __init__(self, folder: str) -> None:
        """Take the job in `folder`; HardeningError when there is none."""
        self.folder = folder
        content = records.read_json(self.path("plan.json"))
        if content is None:
            raise HardeningError(f"There is no job in {folder}: run the playbook encrypt_storage.")
        for end in ("source", "target"):
            content[end] = Device(**content[end]) if content[end] else None
        self.plan = Plan(**{**content, "services": tuple(content["services"])})

    @classmethod
    def create(cls, folder: str, plan: Plan) -> Job:
        """Record a new job at its first stage. A job that has begun is never replaced."""
        if records.read_json(os.path.join(folder, "stage.json")) is not None:
            raise HardeningError(f"{folder} holds a job already; it is resumed, not begun again.")
        records.synchronous_folder(folder)
        records.write_json(os.path.join(folder, "plan.json"), dataclasses.asdict(plan))
        job = cls(folder)
        job.record("planned")
        return job

    def follow(self, serial: str) -> None:
        """Take the disk of that serial number for the source's, after its content was copied there from a failing one.

        A cut leaves the former serial number, and the copy is confirmed again.
        """
        former = self.plan.source
        if former is None:
            raise HardeningError(f"The plan of {self.plan.name} names no device that could have been copied.")
        self.record(self.stage, copied_from=former.serial)
        self.plan = dataclasses.replace(self.plan, source=dataclasses.replace(former, serial=serial))
        records.write_json(self.path("plan.json"), dataclasses.asdict(self.plan))

    def path(self, name: str) -> str:
        """Return the path of one of the job's files."""
        return os.path.join(self.folder, name)

    @property
    def stage(self) -> str:
        """The last stage that was recorded; the first one, where the power went before it could be."""
        found = records.read_json(self.path("stage.json"))
        return "planned" if found is None else str(found["stage"])

    def record(self, stage: str, **details: Any) -> None:
        """Record that a stage is reached: durable when this returns, with what is worth knowing of it."""
        former = records.read_json(self.path("stage.json")) or {}
        records.write_json(self.path("stage.json"), {**former, **details, "stage": stage})

    @property
    def details(self) -> dict[str, Any]:
        """What was recorded beside the stages."""
        return records.read_json(self.path("stage.json")) or {}

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the job alone; HardeningError when another process does."""
        handle = os.open(self.path("lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError as error:
            raise HardeningError(f"The job in {self.folder} runs already.") from error
        finally:
            os.close(handle)


def begun(folder: str) -> Job | None:
    """Return the job in a folder; None when none was recorded whole, so that it has to be confirmed (again)."""
    return Job(folder) if os.path.exists(os.path.join(folder, "stage.json")) else None
