# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Hold some TCP connections that say nothing. Usage: silence.py ADDRESS PORT COUNT SECONDS.

Prints `holding N` when all that could be opened are open.
"""

from __future__ import annotations

import socket
import sys
import time


def main(address: str, port: str, count: str, seconds: str) -> None:
    """Open, tell, wait, close."""
    held = []
    for _number in range(int(count)):
        try:
            held.append(socket.create_connection((address, int(port)), timeout=2))
        except OSError:
            break
    print(f"holding {len(held)}", flush=True)
    time.sleep(float(seconds))


if __name__ == "__main__":
    main(*sys.argv[1:])
