# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Root's password: locked, so that who administers a host comes in by name or by a key, and nobody by guessing.

A locked password shuts the console, `su` and the emergency shell; keys over SSH and sudo go on to work, save where
sshd does without PAM and takes a locked account for a closed one (OpenSSH, platform_locked_account), and where sudo is
told to ask for root's password in place of one's own (sudoers(5): rootpw, runaspw, targetpw).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import deliberate
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step

STATES = {"L": "locked", "LK": "locked", "P": "set", "PS": "set", "NP": "none"}
"""What passwd(1) prints -> the fact."""

AGAIN = {"set": "--unlock", "none": "--delete"}
"""State before -> option of passwd(1) that brings it back: the lock keeps the password behind a mark."""


OF_ROOT = ("rootpw", "runaspw", "targetpw")
"""Settings by which sudo asks whoever wants to be root for root's password."""
IN_NEED = (
    "sudo asks {} for root's password, which is not locked therefore: take rootpw, runaspw and targetpw out of sudoers "
    "(visudo), so that sudo asks for each person's own, then run this again"
)
QUOTED = re.compile(r'"[^"]*"')
ADMINISTRATORS = ("sudo", "admin", "wheel")
"""Groups of those who become root, who need not stand in /etc/passwd."""
FIRST_PERSON = 1000
"""The number of the first account of a person (Debian, UID_MIN)."""


def observe(host: Host, scope: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state of root's password, null where passwd does not tell, and who needs it for sudo."""
    words = host.run(["passwd", "--status", "root"]).output.split()
    state = STATES.get(words[1]) if len(words) > 1 else None
    return {"password": state, "sudo_asks": [] if state == "locked" else _in_need(host, scope)}


def _in_need(host: Host, scope: Mapping[str, Any]) -> list[str]:
    """Return the logins of whom sudo asks root's password, by what sudo itself says of each."""
    accounts = [line.split(":") for line in (host.text("/etc/passwd") or "").splitlines()]
    people = {
        each[0]
        for each in accounts
        if len(each) > 6
        and each[2].isdigit()
        and int(each[2]) >= FIRST_PERSON
        and not each[6].endswith(("nologin", "false"))
    }
    groups = host.run(["getent", "group", *ADMINISTRATORS]).output.splitlines()
    people |= {login for line in groups for login in line.rpartition(":")[2].split(",") if login}
    engineer = str(scope.get("engineer") or "root")
    asked = sorted({*people, engineer} - {"root"})
    return [login for login in asked if needs_root(host.run(["sudo", "-n", "-l", "-U", login]).output)]


def needs_root(said: str) -> bool:
    """Tell whether an account needs root's password for something that it may, by `sudo -l -U` (sudo 1.9.13, 1.9.16).

    What is set for some commands or for one target alone counts as well: root may be that one.
    """
    settings, _line, allowed = said.partition("may run the following commands on ")
    general, _line, special = settings.partition("Runas and Command-specific defaults for ")
    in_force: dict[str, bool] = {}
    for word in QUOTED.sub("", general).replace(",", " ").split():
        in_force[word.lstrip("!")] = not word.startswith("!")
    others = QUOTED.sub("", special).replace(",", " ").split()
    entries = [line for line in allowed.splitlines()[1:] if line.strip()]
    asks = [line for line in entries if "NOPASSWD:" not in line or " PASSWD:" in line]
    if not asks or not in_force.get("authenticate", True):
        return False
    return any(in_force.get(name) or name in others for name in OF_ROOT)


def steps(
    found: Mapping[str, Any],
    unmet: list[str],
    sshd: Mapping[str, Any],
    scope: Mapping[str, Any],
    to_be: Mapping[str, str],
) -> list[Step]:
    """Return the lock, or refuse where it would lock out the engineer too; `to_be`: the settings that sshd gets.

    Where these have PAM back, root's keys count again at the end of the run: of use to whoever is in by another name.
    """
    if not unmet:
        return []
    if scope.get("becomes_by") == "su":
        raise HardeningError(
            "You become root by su, which asks for root's password, and that is to be locked: "
            "use sudo (become_method: sudo), or waive authentication.root_locked."
        )
    if found.get("sudo_asks"):
        return [deliberate(IN_NEED.format(", ".join(found["sudo_asks"])))]
    mended = to_be.get("UsePAM") == "yes" and scope.get("engineer") not in (None, "", "root")
    if sshd["installed"] and sshd.get("UsePAM") == "no" and to_be["PermitRootLogin"] != "no" and not mended:
        raise HardeningError(
            "sshd works without PAM here (UsePAM no) and would refuse root's keys once root's password is locked: "
            "set UsePAM yes, or authentication_root_login: 'no'."
        )
    return [Step("Lock root's password, by which nobody has to come in", lambda host: _lock(host, found))]


def _lock(host: Host, found: Mapping[str, Any]) -> None:
    if found["password"] in AGAIN:
        host.undone_by("Give root its former password again", "passwd", AGAIN[found["password"]], "root")
    host.must(["passwd", "--lock", "root"])
