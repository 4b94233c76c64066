# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""With which certificate each device last came to the TLS front of Orthanc's DICOM port, by the front's own journal."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import dicom_front
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host

LINE = re.compile(
    r"^(?P<ended>\d+\.\d+) .* (?P<fingerprint>[0-9a-f]{40}) SUCCESS device=\S+ \S+ \d+ \d+ (?P<seconds>[\d.]+) \d+"
    r"( (?P<left>\d+))?$",
    re.MULTILINE,
)
"""The front's log_format, behind the journal's time in seconds since 1970 (`short-unix`).

At its end the whole days that were left of the device's certificate; fronts of former versions did not tell them.
"""

DAMAGED = re.compile(r"ignoring file|is truncated|corrupted or uncleanly shut down")
"""What journalctl says of a file that a power cut left; it goes on with the others."""
UNREAD = "The journal does not tell which devices came"

DAY = 86400
LEAST_DAYS = 30
"""A certificate with fewer days left is told of: whoever brings the next one to the device needs some."""
LOOKED_BACK = 90
"""Days; of a device that has not come for longer nothing is told before it comes again."""
ENDS = "{name} comes with a certificate that ends about {day}: run harden, then bring certificates/{name}.crt to it"


def observe(host: Host, devices: Sequence[Mapping[str, Any]], since: float) -> dict[str, Any]:
    """Return, of each device that came since then (in seconds since 1970), its newest session that has ended.

    Beside it the SHA-256 of the certificate that the front shows, and since when.
    """
    shown = host.stat(dicom_front.CERTIFICATE)
    found = {str(device["name"]): session(_newest(host, str(device["loopback"]), since)) for device in devices}
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


def ending(host: Host, devices: Sequence[Mapping[str, Any]], now: float) -> list[str]:
    """Return a sentence for each device that last came with a certificate of which fewer than LEAST_DAYS are left.

    Where the journal tells nothing at all, a sentence that says so. `now` is in seconds since 1970. A certificate ends
    up to a day later than it is told, since its days are whole ones.
    """
    found = []
    for device in devices:
        try:
            told = LINE.search(_newest(host, str(device["loopback"]), now - LOOKED_BACK * DAY))
        except HardeningError as error:
            return [str(error)]
        ends = float(told["ended"]) + int(told["left"]) * DAY if told and told["left"] else None
        if ends is not None and ends < now + LEAST_DAYS * DAY:
            day = datetime.datetime.fromtimestamp(ends, tz=datetime.UTC).date()
            found.append(ENDS.format(name=device["name"], day=day))
    return found


def _newest(host: Host, loopback: str, since: float) -> str:
    """Return the journal's newest line of a device that came since then."""
    wanted = f" SUCCESS device={re.escape(loopback)} "
    command = ["journalctl", "-t", "dicom_front", f"--since=@{since:.0f}", "-g", wanted, "--case-sensitive=true"]
    command += ["-r", "-n", "1", "-o", "short-unix", "-q", "--no-pager"]
    answer = host.run(command)
    said = [line for line in answer.errors.splitlines() if line.strip() and not DAMAGED.search(line)]
    if said and not answer.output:
        raise HardeningError(f"{UNREAD}: {' '.join(said)}")
    return answer.output
