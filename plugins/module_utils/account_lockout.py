# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Accounts that wrong passwords lock for a while: pam_faillock, put into PAM by pam-auth-update.

pam-auth-update keeps what an administrator changed beside its own lines, and takes ours out again without a trace
(measured, Debian 12 and 13). Root is never locked, and a key over SSH passes by the password and so by the lock.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step

AUTH = "/etc/pam.d/common-auth"
ACCOUNT = "/etc/pam.d/common-account"
SETTINGS = "/etc/security/faillock.conf"
PROFILES = "/usr/share/pam-configs"
DENY = 5
"""Wrong passwords in a row that lock an account."""
UNLOCK_TIME = 900
"""Seconds that it stays locked (CIS Debian 12, 5.3.3.1.2)."""
BUILT_IN = {"deny": 3, "unlock_time": 600}
"""What pam_faillock(8) does where nothing is said."""

ARGUMENTS = f"deny={DENY} unlock_time={UNLOCK_TIME}"
BEFORE = f"""\
Name: Refuse accounts that wrong passwords have locked (radiology.hardening)
Default: yes
Priority: 1024
Auth-Type: Primary
Auth:
\trequisite\tpam_faillock.so preauth {ARGUMENTS}
Account-Type: Primary
Account:
\trequired\tpam_faillock.so
"""
AFTER = f"""\
Name: Count wrong passwords, and lock the account after {DENY} (radiology.hardening)
Default: yes
Priority: 0
Auth-Type: Primary
Auth:
\t[default=die]\tpam_faillock.so authfail {ARGUMENTS}
"""
OURS = {"radiology-lockout": BEFORE, "radiology-lockout-count": AFTER}
"""Name of a profile of pam-auth-update -> its text. Those of higher priority stand further above."""

UPDATE = ("env", "DEBIAN_FRONTEND=noninteractive", "pam-auth-update")


def observe(host: Host) -> dict[str, Any]:
    """Return what PAM does after wrong passwords; `deny` and `unlock_time` are null where it counts none."""
    auth, account = lines(host.text(AUTH) or ""), lines(host.text(ACCOUNT) or "")
    counting = _counting(auth)
    in_force = counting and any("pam_faillock.so" in words for words in account)
    told = {**BUILT_IN, **settings(host.text(SETTINGS) or ""), **_arguments(auth)}
    ours = all(host.text(f"{PROFILES}/{name}") is not None for name in OURS)
    return {
        "in_force": in_force,
        "deny": told["deny"] if counting else None,
        "unlock_time": told["unlock_time"] if counting else None,
        "of_others": counting and not ours,
    }


def steps(found: Mapping[str, Any], unmet: list[str]) -> list[Step]:
    """Return the step that has PAM lock accounts; refuse where it does so already, in another's way."""
    if not unmet:
        return []
    if found["of_others"]:
        raise HardeningError(
            f"pam_faillock is in {AUTH} already, with deny={found['deny']} and unlock_time={found['unlock_time']}: "
            f"have it lock after {DENY} wrong passwords at most and for {UNLOCK_TIME} seconds at least, there or in "
            f"{SETTINGS}, or waive authentication.accounts_locked."
        )
    return [
        Step(f"Lock an account for {UNLOCK_TIME // 60} minutes after {DENY} wrong passwords (pam_faillock)", _enable)
    ]


def lines(text: str) -> list[list[str]]:
    """Return the words of each line of a file of PAM, a bracketed control as one word; comments are dropped."""
    joined = re.sub(r"\\\n", " ", text)
    return [re.findall(r"\[[^\]]*\]|\S+", line) for line in joined.splitlines() if line.split("#")[0].strip()]


def settings(text: str) -> dict[str, int]:
    """Return deny and unlock_time of faillock.conf(5) or of a line's arguments; "never" is 0."""
    found = re.findall(r"(?m)(?:^|\s)(deny|unlock_time)\s*=\s*(\d+|never)\b", re.sub(r"#.*", "", text))
    return {name: 0 if value == "never" else int(value) for name, value in found}


def _counting(auth: list[list[str]]) -> bool:
    """Tell whether pam_faillock stands before the password and after it."""
    at = {word: number for number, words in enumerate(auth) for word in words if word in ("preauth", "authfail")}
    passwords = [number for number, words in enumerate(auth) if "pam_unix.so" in words]
    return len(at) == 2 and bool(passwords) and at["preauth"] < min(passwords) <= max(passwords) < at["authfail"]


def _arguments(auth: list[list[str]]) -> dict[str, int]:
    """Return what the lines themselves say: it counts before the file; of two that differ, the laxer is told."""
    told = [settings(" ".join(words)) for words in auth if "pam_faillock.so" in words]
    found: dict[str, int] = {}
    for name, laxer in (("deny", max), ("unlock_time", min)):
        values = [each[name] for each in told if name in each]
        if values:
            found[name] = laxer(values)
    return found


def _enable(host: Host) -> None:
    for name, text in OURS.items():
        host.write(f"{PROFILES}/{name}", text)
    host.undone_by("Have PAM count no wrong passwords again", *UPDATE, "--disable", *OURS)
    host.must([*UPDATE, "--enable", *OURS])
    if not observe(host)["in_force"]:
        raise HardeningError(
            f"pam-auth-update leaves {AUTH} as it is, since it was changed by hand: have it written anew by "
            "`pam-auth-update --force`, and put your changes in again."
        )
