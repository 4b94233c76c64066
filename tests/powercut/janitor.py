# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Take away the loop devices of a process that ended, however it ended.

Reads `+DEVICE` and `-DEVICE`, a line each, and at the end of the input detaches what was not taken back: the input
ends when the process that writes it is gone, killed or not. Its mounts go with its mount namespace.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable


def left(lines: Iterable[str]) -> list[str]:
    """Return the devices that were attached and not detached, the last one first."""
    devices: list[str] = []
    for line in lines:
        device = line[1:].strip()
        if line.startswith("+"):
            devices.append(device)
        elif device in devices:
            devices.remove(device)
    return devices[::-1]


if __name__ == "__main__":
    for each in left(sys.stdin):
        subprocess.run(("losetup", "--detach", each), check=False, capture_output=True)
