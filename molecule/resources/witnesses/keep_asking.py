# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ask a web server once a second over one connection, which is never made again, until it is answered no more.

Usage: keep_asking.py ADDRESS FILE. The file says `N answers`, and in the end `N answers, then none`.
"""

from __future__ import annotations

import http.client
import ssl
import sys
import time
from pathlib import Path

PATIENCE = 10
"""Seconds without an answer."""


def main(address: str, file: str) -> None:
    """Ask until there is no answer; whose the certificate is does not matter here."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    line = http.client.HTTPSConnection(address, timeout=PATIENCE, context=context)
    line.connect()
    line.auto_open = 0
    answers, end = 0, ""
    while not end:
        try:
            line.request("GET", "/")
            line.getresponse().read()
            answers += 1
        except (OSError, http.client.HTTPException):
            end = ", then none"
        told = Path(f"{file}.new")
        told.write_text(f"{answers} answers{end}", encoding="ascii")
        told.replace(file)
        time.sleep(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
