# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Devices that cannot speak TLS: for each the clinic file may name one port on which it alone speaks in clear.

Such a declaration has an owner, a reason and a last day; after that day it opens nothing, and the audit names it.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

from ansible_collections.radiology.hardening.plugins.plugin_utils import clinic_days
from ansible_collections.radiology.hardening.plugins.plugin_utils.clinic_model import Clinic, Host
from ansible_collections.radiology.hardening.plugins.plugin_utils.clinic_text import Path, dotted

Found = Iterator[tuple[Path, str]]

SERVED = {
    443: "the web front's",
    2762: "the DICOM front's",
    4242: "Orthanc's for DICOM",
    8042: "Orthanc's for the web",
}
"""TCP ports of a hardened server, on one of which another program would keep its own from starting."""

SSH = 22


def problems(clinic: Clinic) -> Found:
    """Links in clear: of devices without TLS that are in the clinic's hands, for two years, each on its own port."""
    taken = {**SERVED, **{_ssh(server): f"that of {dotted(server.path)}.ssh" for server in clinic.servers}}
    for device in clinic.devices:
        declared = device.given.get("cleartext")
        if declared is None:
            continue
        path: Path = (*device.path, "cleartext")
        key = dotted(path)
        if device.given["tls"]:
            yield path, f"{key} is given, but tls is true; accepted: cleartext only where tls is false"
        if device.given.get("lost"):
            yield path, f"{key} is given, but the device is lost; accepted: no cleartext, it is let in nowhere"
        port = declared["port"]
        if port in taken:
            yield (*path, "port"), f"{key}.port is {port}, which is {taken[port]}; accepted: a port of its own"
        taken.setdefault(port, f"that of {key}")
        yield from clinic_days.of_an_exception(path, declared["expires"], clinic.today)


def in_force(clinic: Clinic, device: Host) -> bool:
    """Tell whether a device may speak in clear today; the day on which its declaration expires still counts."""
    declared = device.given.get("cleartext")
    return declared is not None and clinic.today <= datetime.date.fromisoformat(declared["expires"])


def declared_of(clinic: Clinic, device: Host) -> dict[str, Any]:
    """Return what the clinic file declares of a device's link in clear, and whether it holds; nothing without one."""
    declared = device.given.get("cleartext")
    if declared is None:
        return {}
    return {
        **{key: str(declared[key]) for key in ("owner", "reason", "expires")},
        "port": int(declared["port"]),
        "in_force": in_force(clinic, device),
    }


def services(clinic: Clinic) -> list[dict[str, Any]]:
    """Return what a server may be reached for in clear: each declared device alone, by its port, until its day ends."""
    return [
        {
            "name": f"dicom-clear-{device.name}",
            "port": int(device.given["cleartext"]["port"]),
            "sources": [str(address) for address in clinic.addresses(device, "lan")],
            "until": str(device.given["cleartext"]["expires"]),
        }
        for device in clinic.devices
        if in_force(clinic, device)
    ]


def ports(clinic: Clinic) -> list[int]:
    """Return the ports of all declarations, those that have expired too: a probe tries them from everywhere."""
    return sorted(int(device.given["cleartext"]["port"]) for device in clinic.devices if "cleartext" in device.given)


def is_called(clinic: Clinic, device: Host) -> bool:
    """Tell whether the servers call a device: it listens, and it speaks TLS or is declared in clear."""
    reachable = device.given["tls"] or in_force(clinic, device)
    return bool(device.given.get("port") and reachable and not device.given.get("lost"))


def _ssh(server: Host) -> int:
    return int(server.given.get("ssh", {}).get("port", SSH))
