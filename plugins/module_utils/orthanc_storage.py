# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What happens when the images fill their room: new ones are refused, or old patients are deleted."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import disk_databases, orthanc_options
from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import deliberate
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step

RESERVE_MIB = 10240
"""How much of a large disk stays free for the index and the system; of a small one a twentieth."""
UNCOUNTED = (
    "Orthanc did not say how much the images take, and they may take more than the {quota} MiB that would be allowed, "
    "so that none would be stored any more: no quota is set until it answers; then run this again"
)


def observe(host: Host, config: Mapping[str, Any], version: str) -> dict[str, Any]:
    """Return the facts; the room is that of the file system which holds the images."""
    limited = int(config.get("MaximumStorageSize") or 0) > 0
    rejects = config.get("MaximumStorageMode", "Recycle") == "Reject"
    recycles = not can_reject(version) or not rejects
    deletes = recycles and (limited or int(config.get("MaximumPatientCount") or 0) > 0)
    full = "deletes" if deletes else "rejects" if limited else "unbounded" if can_reject(version) else "disk"
    room, used = _room(host, "/" + str(config.get("StorageDirectory") or "").lstrip("/"))
    return {"when_full": full, "room_mib": room, "used_mib": used}


def can_reject(version: str) -> bool:
    """Tell whether this version knows a quota that refuses; before 1.11.2 every quota deletes old patients."""
    return orthanc_options.number(version) >= orthanc_options.number(orthanc_options.LATER["MaximumStorageMode"])


def quota_mib(found: Mapping[str, Any], chosen: int) -> int:
    """Return the quota: what was chosen, else the room less the reserve."""
    room = int(found["storage"]["room_mib"])
    return chosen or room - min(RESERVE_MIB, room // 20)


def stored_at_most_mib(found: Mapping[str, Any]) -> int | None:
    """Return how much the images take: as the server says, else no more than what is in use of their file system.

    None where neither is known, since the server does not answer and stores the images elsewhere.
    """
    storage, config = found["storage"], found["config"]
    if storage["stored_mib"] is not None:
        return int(storage["stored_mib"])
    databases = (section for section in config.values() if isinstance(section, dict))
    elsewhere = any(section.get("EnableStorage") for section in databases) or any(
        name in config for name in disk_databases.CLOUDS
    )
    return None if elsewhere else int(storage.get("used_mib") or 0) or None


def settings(found: Mapping[str, Any], chosen: int) -> dict[str, Any]:
    """Return the keys that have new images refused; those that delete no patient where a version cannot refuse.

    A quota below what is stored would refuse every image: none is set, and one that nobody chose is taken out.
    """
    if not can_reject(found["version"]):
        return {"MaximumStorageSize": 0, "MaximumPatientCount": 0}
    quota, stored = quota_mib(found, chosen), stored_at_most_mib(found)
    held: dict[str, Any] = {"MaximumStorageMode": "Reject"}
    if stored is not None and 0 < quota >= stored:
        return {"MaximumStorageSize": quota, **held}
    known, in_force = found["storage"]["stored_mib"], found["config"].get("MaximumStorageSize")
    exceeded = known is not None and isinstance(in_force, int) and 0 < in_force < int(known)
    return {"MaximumStorageSize": 0, **held} if exceeded and not chosen else held


def steps(found: Mapping[str, Any], chosen: int) -> list[Step]:
    """Return what only a person can mend: images beyond the quota, which would refuse all new ones, or uncounted."""
    stored, quota = stored_at_most_mib(found), quota_mib(found, chosen)
    if not can_reject(found["version"]) or (stored is not None and 0 < quota >= stored):
        return []
    if found["storage"]["stored_mib"] is None:
        return [deliberate(UNCOUNTED.format(quota=quota))]
    return [
        deliberate(
            f"The images take {stored} MiB, more than the {quota} MiB that would be allowed: enlarge their disk, or "
            "set orthanc_storage_maximum_mib"
        )
    ]


def _room(host: Host, folder: str) -> tuple[int, int]:
    """Return the size of the file system that holds a folder, or will hold it, and what is in use of it, in MiB.

    Zeros where df does not tell.
    """
    while folder != "/" and host.stat(folder) is None:
        folder = posixpath.dirname(folder)
    answer = host.run(["df", "--output=size,used", "--block-size=1M", folder])
    words = answer.output.split()[-2:] if answer.ok else []
    return (int(words[0]), int(words[1])) if len(words) == 2 and all(word.isdigit() for word in words) else (0, 0)
