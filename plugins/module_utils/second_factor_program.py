# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Give a second factor to somebody who administers this host from outside, or take it away.

radiology-second-factor enroll LOGIN    make a secret, show it once, and have the telephone prove that it has it
radiology-second-factor remove LOGIN    nobody comes in from outside as LOGIN any more
radiology-second-factor list            who has one

Run as root at a terminal of the host. Who lost the telephone comes in by the recovery codes, in their order, or is
enrolled anew by somebody in the practice; the former telephone then counts for nothing. This file is a program of its
own, which the role authentication puts on the host: it needs Python's standard library alone.
"""

# A program of its own, which speaks to a person and ends as programs do.
# pylint: disable=ansible-bad-function
from __future__ import annotations

import argparse
import base64
import contextlib
import hashlib
import hmac
import os
import pwd
import secrets
import socket
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterator, Sequence

FILE = "/etc/radiology-second-factor/users.oath"
"""Read and written by pam_oath too, whose format it has (oath-toolkit's UsersFile)."""
LOCK = f"{FILE}.lock"
"""The file by which pam_oath keeps all others out while it writes; with one left, nobody comes in (measured)."""
NEXT = f"{FILE}.new"
"""What pam_oath puts in the place of the file when it is written; one left by a kill shuts out everybody as well."""
STALE = 10
"""Seconds after which such a file was left by somebody who was killed: pam_oath has it for milliseconds."""
SECRET_BYTES = 20
"""RFC 4226, R6: 160 bits."""
PERIOD = 30
"""Seconds (RFC 6238)."""
DIGITS = 6
DRIFT = 1
"""Periods by which the telephone's clock may be before or behind."""
RECOVERIES = 8
"""How many recovery codes are shown."""
TRIES = 3


def code(secret: bytes, counter: int) -> str:
    """Return the one-time code of a counter (HOTP, RFC 4226)."""
    digest = hmac.new(secret, counter.to_bytes(8, "big"), hashlib.sha1).digest()
    offset = digest[-1] & 15
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**DIGITS:0{DIGITS}d}"


def matches(secret: bytes, typed: str, now: float) -> bool:
    """Tell whether a code is one that the telephone shows about now, in seconds since 1970 (TOTP, RFC 6238)."""
    period = int(now // PERIOD)
    return any(hmac.compare_digest(code(secret, period + step), typed) for step in range(-DRIFT, DRIFT + 1))


def address(secret: bytes, login: str, host: str) -> str:
    """Return the secret as telephones read it: an otpauth address."""
    label = urllib.parse.quote(f"{host}:{login}")
    about = {"secret": base64.b32encode(secret).decode(), "issuer": host, "digits": DIGITS, "period": PERIOD}
    return f"otpauth://totp/{label}?{urllib.parse.urlencode(about)}"


def lines(login: str, telephone: bytes, recovery: bytes) -> list[str]:
    """Return what pam_oath reads of a login: the telephone's secret, and that of the recovery codes."""
    return [f"HOTP/T{PERIOD}/{DIGITS}\t{login}\t-\t{telephone.hex()}", f"HOTP/E/{DIGITS}\t{login}\t-\t{recovery.hex()}"]


def enrolled(text: str) -> list[str]:
    """Return the logins that a file of pam_oath has."""
    return sorted({words[1] for words in map(str.split, text.splitlines()) if len(words) > 3 and words[0][0] != "#"})


def without(text: str, login: str) -> list[str]:
    """Return the lines of all others."""
    return [line for line in text.splitlines() if line.split()[1:2] != [login]]


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Wait until nobody comes in by the file, and have them wait."""
    while True:
        try:
            os.close(os.open(LOCK, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            break
        except FileExistsError:
            with contextlib.suppress(FileNotFoundError):
                if time.time() - os.stat(LOCK).st_mtime > STALE:
                    os.unlink(LOCK)
            time.sleep(0.1)
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(NEXT)
        yield
    finally:
        os.unlink(LOCK)


def read() -> str:
    """Return what the file says; nothing where there is none."""
    try:
        with open(FILE, encoding="ascii") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def write(rows: Sequence[str]) -> None:
    """Replace the file whole, for root alone."""
    temporary = f"{FILE}.tmp"
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write("".join(f"{row}\n" for row in rows))
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, FILE)


def show(secret: bytes, login: str) -> None:
    """Show the secret, as a picture where qrencode is installed; it goes there by a pipe."""
    told = address(secret, login, socket.gethostname())
    with contextlib.suppress(FileNotFoundError):
        subprocess.run(["qrencode", "--type=ANSIUTF8"], input=told, text=True, check=False)
    print(f"\nIn the authenticator program of the telephone, scan this, or type the secret in:\n\n  {told}\n")


def enroll(login: str) -> int:
    """Make a secret, have it proven, and only then let it count."""
    try:
        pwd.getpwnam(login)
    except KeyError:
        print(f"{login} has no account on this host.", file=sys.stderr)
        return 1
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        print("The secret is shown once, to a person: run this at a terminal.", file=sys.stderr)
        return 1
    telephone, recovery = secrets.token_bytes(SECRET_BYTES), secrets.token_bytes(SECRET_BYTES)
    show(telephone, login)
    for _try in range(TRIES):
        if matches(telephone, input("The code that the telephone shows now: ").strip(), time.time()):
            break
        print(f"It is another. This host has {time.strftime('%H:%M:%S %Z')}: the telephone's clock has to agree.")
    else:
        print("Nothing was changed.", file=sys.stderr)
        return 1
    with alone():
        write([*without(read(), login), *lines(login, telephone, recovery)])
    print(f"\n{login} comes in from outside by key and code now. Recovery codes, each for once and in this order:\n")
    print("\n".join(f"  {code(recovery, count)}" for count in range(RECOVERIES)))
    print("\nKeep them on paper, away from the telephone. Neither they nor the secret are shown again.")
    return 0


def remove(login: str) -> int:
    """Take a login out."""
    with alone():
        text = read()
        if login not in enrolled(text):
            print(f"{login} has no second factor on this host.", file=sys.stderr)
            return 1
        write(without(text, login))
    print(f"Nobody comes in from outside as {login} any more.")
    return 0


def main(arguments: Sequence[str]) -> int:
    """Do what is asked; 1 where nothing was changed."""
    parser = argparse.ArgumentParser(
        prog="radiology-second-factor", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    does = parser.add_subparsers(dest="does", required=True)
    for name in ("enroll", "remove"):
        does.add_parser(name).add_argument("login")
    does.add_parser("list")
    given = parser.parse_args(arguments)
    if os.geteuid() != 0:
        print("Run this as root: sudo radiology-second-factor.", file=sys.stderr)
        return 1
    if given.does == "list":
        with alone():  # which takes away what a power cut left
            print("\n".join(enrolled(read())) or "Nobody has a second factor on this host.")
        return 0
    return enroll(given.login) if given.does == "enroll" else remove(given.login)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
