# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What happens when the images fill their room: new ones are refused, or old patients are deleted."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import orthanc_options
from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import deliberate
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step

RESERVE_MIB = 10240
"""How much of a large disk stays free for the index and the system; of a small one a twentieth."""


def observe(host: Host, config: Mapping[str, Any], version: str) -> dict[str, Any]:
    """Return the facts; the room is that of the file system which holds the images."""
    limited = int(config.get("MaximumStorageSize") or 0) > 0
    rejects = config.get("MaximumStorageMode", "Recycle") == "Reject"
    recycles = not can_reject(version) or not rejects
    deletes = recycles and (limited or int(config.get("MaximumPatientCount") or 0) > 0)
    full = "deletes" if deletes else "rejects" if limited else "unbounded" if can_reject(version) else "disk"
    return {"when_full": full, "room_mib": _room(host, "/" + str(config.get("StorageDirectory") or "").lstrip("/"))}


def can_reject(version: str) -> bool:
    """Tell whether this version knows a quota that refuses; before 1.11.2 every quota deletes old patients."""
    return orthanc_options.number(version) >= orthanc_options.number(orthanc_options.LATER["MaximumStorageMode"])


def quota_mib(found: Mapping[str, Any], chosen: int) -> int:
    """Return the quota: what was chosen, else the room less the reserve."""
    room = int(found["storage"]["room_mib"])
    return chosen or room - min(RESERVE_MIB, room // 20)


def settings(found: Mapping[str, Any], chosen: int) -> dict[str, Any]:
    """Return the keys that have new images refused; those that delete no patient where a version cannot refuse."""
    if not can_reject(found["version"]):
        return {"MaximumStorageSize": 0, "MaximumPatientCount": 0}
    quota = quota_mib(found, chosen)
    held = {"MaximumStorageSize": quota} if 0 < quota >= int(found["storage"]["stored_mib"] or 0) else {}
    return {**held, "MaximumStorageMode": "Reject"}


def steps(found: Mapping[str, Any], chosen: int) -> list[Step]:
    """Return what only a person can mend: images beyond the quota, which would refuse all new ones."""
    stored, quota = int(found["storage"]["stored_mib"] or 0), quota_mib(found, chosen)
    if not can_reject(found["version"]) or 0 < quota >= stored:
        return []
    return [
        deliberate(
            f"The images take {stored} MiB, more than the {quota} MiB that would be allowed: enlarge their disk, or "
            "set orthanc_storage_maximum_mib"
        )
    ]


def _room(host: Host, folder: str) -> int:
    """Return the size of the file system that holds a folder, or will hold it, in MiB; 0 where df does not tell."""
    while folder != "/" and host.stat(folder) is None:
        folder = posixpath.dirname(folder)
    answer = host.run(["df", "--output=size", "--block-size=1M", folder])
    size = answer.output.split("\n")[1].strip() if answer.ok and "\n" in answer.output else ""
    return int(size) if size.isdigit() else 0
