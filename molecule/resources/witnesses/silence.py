# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Hold some TCP connections that say nothing, and open those again that the other side ends, until this is ended.

Usage: silence.py ADDRESS PORT COUNT FILE. The file says how many were opened until now, once all were at least tried.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import time
from pathlib import Path

PAUSE = 1.0
"""Seconds between two looks at which are still open."""


def is_open(connection: socket.socket) -> bool:
    """Tell whether the other side has neither ended nor refused it."""
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def main(address: str, port: str, count: str, file: str) -> None:
    """Open, look, open again."""
    held: list[socket.socket] = []
    opened, told = 0, Path(f"{file}.new")
    while True:
        for connection in [each for each in held if not is_open(each)]:
            held.remove(connection)
            connection.close()
        for _number in range(int(count) - len(held)):
            with contextlib.suppress(OSError):
                held.append(socket.create_connection((address, int(port)), timeout=2))
                opened += 1
        told.write_text(f"{opened}\n", encoding="ascii")
        told.replace(file)
        time.sleep(PAUSE)


if __name__ == "__main__":
    main(*sys.argv[1:])
