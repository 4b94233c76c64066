# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Guess passwords on all paths as fast as the server answers, while a reader goes on reading from the same address.

Usage: web_guesses.py ADDRESS, as root on the server. Shares no code with the collection. Ends with status 1 when more
than five guesses a second are looked at, when an answer tells anything but 401 or 429, when the reader is ever refused
or made to wait as the guesser is, or when the journal lacks the guesses or holds what was searched for.
"""

from __future__ import annotations

import base64
import concurrent.futures
import http.client
import json
import re
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

SECONDS = 3.0
A_SECOND = 5
LEAST = round(3 * A_SECOND * SECONDS)
"""Guesses: a busy machine goes on until it has made them."""
PATHS = (
    ("GET", "/system"),
    ("DELETE", "/instances/0"),
    ("PUT", "/modalities/0"),
    ("POST", "/tools/reset"),
    ("GET", "/dicom-web/studies?PatientName=Nobody%5EKnown"),
    ("HEAD", "/studies"),
    ("GET", "/app/explorer.html"),
    ("GET", "/nobody-has-heard-of-this"),
)
LOGIN = "c.moreau"


def connection(address: str) -> http.client.HTTPSConnection:
    """Return a connection; the certificate is others' matter."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return http.client.HTTPSConnection(address, timeout=60, context=context)


def basic(login: str, password: str) -> dict[str, str]:
    """Return the header that a browser sends."""
    return {"Authorization": "Basic " + base64.b64encode(f"{login}:{password}".encode()).decode()}


def reader() -> dict[str, str]:
    """Return the header of the person who is a reader."""
    text = Path("/etc/orthanc-web/people.map").read_text(encoding="ascii")
    found = re.search(r'Basic (\S+?)\$?" reader;', text)
    return {"Authorization": f"Basic {found[1].replace('[+]', '+')}"} if found else {}


def guess(address: str, ended: threading.Event) -> tuple[list[int], float]:
    """Return the statuses of as many guesses as there are, and the seconds that they took; then it has ended."""
    asked, statuses = connection(address), []
    began = time.monotonic()
    try:
        while time.monotonic() < began + SECONDS or len(statuses) < LEAST:
            method, path = PATHS[len(statuses) % len(PATHS)]
            asked.request(method, path, headers=basic(LOGIN, f"guess-{len(statuses)}"))
            answer = asked.getresponse()
            answer.read()
            statuses.append(answer.status)
    finally:
        ended.set()
    return statuses, time.monotonic() - began


def read(address: str, ended: threading.Event) -> list[int]:
    """Return the statuses of as many small requests of a reader as there are until then."""
    asked, statuses, header = connection(address), [], reader()
    while not ended.is_set():
        asked.request("GET", "/instances", headers=header)
        answer = asked.getresponse()
        answer.read()
        statuses.append(answer.status)
    return statuses


def journal(since: float) -> list[tuple[int, str]]:
    """Return priority and text of what the front wrote since then."""
    command = ["journalctl", "-u", "orthanc-web", "--since", f"@{since:.6f}", "-o", "json", "--no-pager"]
    subprocess.run(["journalctl", "--sync"], check=True)
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return [(int(entry["PRIORITY"]), str(entry["MESSAGE"])) for entry in map(json.loads, lines)]


def main(address: str) -> int:
    """Guess and read at once; return 0 when all was as it should be."""
    ended, began = threading.Event(), time.time()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        guessing = pool.submit(guess, address, ended)
        answers = read(address, ended)
        guessed, seconds = guessing.result()
    time.sleep(1)
    lines = journal(began)
    looked_at = len(guessed) - guessed.count(429)
    print(f"{len(guessed)} guesses in {seconds:.1f} s, {looked_at} looked at")
    print(f"{len(answers)} answers to a reader meanwhile")
    wrong = {
        "too many guesses were looked at": looked_at > A_SECOND * seconds + 1,  # the first comes at once
        "an answer tells more than 401 and 429": set(guessed) != {401, 429},
        "the reader was refused": set(answers) != {200},
        "the reader was slowed": len(answers) < len(guessed) / 10,  # of the same seconds, whatever else ran in them
        "the journal lacks the guesses": not any(
            level <= 4 and f'"{LOGIN}"' in text and address in text and " 401 " in text for level, text in lines
        ),
        "the journal holds what was searched for": any("Nobody" in text for level, text in lines),
    }
    print("\n".join(sentence for sentence, is_so in wrong.items() if is_so))
    return 1 if any(wrong.values()) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
