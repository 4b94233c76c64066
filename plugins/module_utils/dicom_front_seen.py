# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""With which certificate each device last came to the TLS front of Orthanc's DICOM port, by the front's own journal."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import dicom_front
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host

LINE = re.compile(
    r"^(?P<ended>\d+\.\d+) .* (?P<fingerprint>[0-9a-f]{40}) SUCCESS device=\S+ \S+ \d+ \d+ (?P<seconds>[\d.]+) \d+$",
    re.MULTILINE,
)
"""The front's log_format, behind the journal's time in seconds since 1970 (`short-unix`)."""


def observe(host: Host, devices: Sequence[Mapping[str, Any]], since: float) -> dict[str, Any]:
    """Return, of each device that came since then (in seconds since 1970), its newest session that has ended.

    Beside it the SHA-256 of the certificate that the front shows, and since when.
    """
    shown = host.stat(dicom_front.CERTIFICATE)
    found = {str(device["name"]): _newest(host, str(device["loopback"]), since) for device in devices}
    return {
        "devices": {name: session for name, session in found.items() if session},
        "shown": host.digest(dicom_front.CERTIFICATE) or "",
        "shown_since": shown.modified if shown else 0.0,
    }


def session(said: str) -> dict[str, Any]:
    """Return fingerprint (SHA-1) and begin of the session that a line of the journal tells of; nothing of another."""
    told = LINE.search(said)
    if not told:
        return {}
    return {"fingerprint": told["fingerprint"], "began": float(told["ended"]) - float(told["seconds"])}


def _newest(host: Host, loopback: str, since: float) -> dict[str, Any]:
    wanted = f" SUCCESS device={re.escape(loopback)} "
    command = ["journalctl", "-t", "dicom_front", f"--since=@{since:.0f}", "-g", wanted, "--case-sensitive=true"]
    command += ["-r", "-n", "1", "-o", "short-unix", "-q", "--no-pager"]
    answer = host.run(command)
    if answer.errors.strip():
        raise HardeningError(f"The journal does not tell which devices came: {answer.errors.strip()}")
    return session(answer.output)
