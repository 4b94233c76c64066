# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The accounts of a machine, as its own files have them: who they are, and whether somebody comes in by them."""

from __future__ import annotations

import time
from typing import NamedTuple

from ansible_collections.radiology.hardening.plugins.module_utils.host import Host

PASSWD, SHADOW, GROUP = "/etc/passwd", "/etc/shadow", "/etc/group"
NO_SHELLS = ("nologin", "false", "sync")
NEVER_HAD = ("!", "!!", "*", "!*")
"""What stands in the place of a password that an account never had (shadow(5))."""
DAY = 86400
CLOSED_DAY = "1"
"""Days since 1970 in the eighth field of shadow(5), of an account that this collection closed."""


class Account(NamedTuple):
    """One account; `secret` is the second field of shadow(5), and never leaves this process."""

    login: str
    number: int
    group: int
    home: str
    shell: str
    secret: str
    expires: str
    keys: bool

    @property
    def closed(self) -> bool:
        """Whether this collection closed it: it expired on the second of January 1970."""
        return self.expires == CLOSED_DAY

    @property
    def expired(self) -> bool:
        """Whether it has expired."""
        return self.expires.isdigit() and int(self.expires) <= time.time() // DAY

    @property
    def has_shell(self) -> bool:
        """Whether it has a shell in which one works."""
        return not self.shell.endswith(NO_SHELLS)

    @property
    def opens(self) -> bool:
        """Whether somebody comes in by it: by a password, by none, or by a key over SSH."""
        by_password = not self.secret.startswith(("!", "*"))
        return self.has_shell and not self.expired and (by_password or self.keys)


def accounts(host: Host) -> list[Account]:
    """Return all accounts of the machine's own files, in their order."""
    secrets = {fields[0]: fields for fields in _rows(host, SHADOW, 9)}
    found = []
    for login, _x, number, group, _words, home, shell, *_more in _rows(host, PASSWD, 7):
        _login, secret, *_days, expires, _flag = secrets.get(login, [login, "!", *[""] * 7])
        keys = any(_has_keys(host, f"{home}/.ssh/{name}") for name in ("authorized_keys", "authorized_keys2"))
        found.append(Account(login, int(number), int(group), home, shell, secret, expires, keys))
    return found


def members(host: Host, group: str) -> tuple[str, ...]:
    """Return the logins that a group lists; none where there is no such group."""
    return next((tuple(filter(None, row[3].split(","))) for row in _rows(host, GROUP, 4) if row[0] == group), ())


def groups(host: Host) -> dict[str, int]:
    """Return the groups and their numbers."""
    return {row[0]: int(row[2]) for row in _rows(host, GROUP, 4)}


def _rows(host: Host, path: str, fields: int) -> list[list[str]]:
    """Return the fields of each row of this machine's own, less those that point to a directory of elsewhere."""
    rows = (host.text(path) or "").splitlines()
    return [row.split(":") for row in rows if row.count(":") >= fields - 1 and not row.startswith(("+", "-"))]


def _has_keys(host: Host, path: str) -> bool:
    return any(line.strip() and not line.lstrip().startswith("#") for line in (host.text(path) or "").splitlines())
