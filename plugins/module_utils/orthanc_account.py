# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The account that Orthanc runs as: whether a person can log in by it, and what it may do beside serving images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step

USER = "orthanc"
NO_LOGIN = "/usr/sbin/nologin"
CRONTAB = f"/var/spool/cron/crontabs/{USER}"
SUDO = f"/etc/sudoers.d/zz-radiology-{USER}"
SUDO_TEXT = f"# Written by radiology.hardening: of all rules the last one counts.\n{USER} ALL=(ALL:ALL) !ALL\n"


def observe(host: Host) -> dict[str, Any]:
    """Return the facts of the account; its shell is null where there is no such account."""
    rows = (line.split(":") for line in (host.text("/etc/passwd") or "").splitlines())
    return {
        "shell": next((row[6] for row in rows if row[0] == USER and len(row) == 7), None),
        "sudo": _sudo(host),
        "crontab": host.stat(CRONTAB) is not None,
    }


def steps(found: Mapping[str, Any], unmet: list[str]) -> list[Step]:
    """Return what shuts the account: a running server does not notice any of it."""
    mend = {
        "shell": Step(f"Give the account {USER} no login shell", lambda host: _no_login(host, str(found["shell"]))),
        "sudo": Step(f"Take sudo from the account {USER}", _no_sudo),
        "crontab": Step(f"Remove the crontab of the account {USER}", lambda host: host.remove(CRONTAB)),
    }
    return [mend[name] for name in found if f"orthanc.account.{name}" in unmet]


def _sudo(host: Host) -> list[str]:
    """Return the rules by which the account may run commands as another one; none where the last denies all."""
    answer = host.run(["sudo", "--non-interactive", "--list", f"--other-user={USER}"])
    _head, told, rules = answer.output.partition("may run the following commands")
    listed = [line.strip() for line in rules.splitlines()[1:] if line.strip()] if told else []
    return [] if listed and listed[-1].endswith("!ALL") else listed


def _no_login(host: Host, former: str) -> None:
    host.undone_by(f"Give the account {USER} its login shell again", "usermod", "--shell", former, USER)
    host.must(["usermod", "--shell", NO_LOGIN, USER])


def _no_sudo(host: Host) -> None:
    host.must(["visudo", "--check", "--quiet", "--file=-"], stdin=SUDO_TEXT)
    host.write(SUDO, SUDO_TEXT, mode=0o440)
