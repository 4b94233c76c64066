# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What people may choose as passwords of their accounts, and how these are kept: pam_pwquality and pam_unix.

Debian's package libpam-pwquality brings a profile of pam-auth-update, which puts it before pam_unix. Without the
dictionary of cracklib-runtime, which is only recommended, it refuses every password. A drop-in counts before those that
are sorted before it, and /etc/security/pwquality.conf before all of them (all measured, Debian 12 and 13).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import account_lockout, packages
from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import deliberate
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step

PAM_FILE = "/etc/pam.d/common-password"
MAIN = "/etc/security/pwquality.conf"
"""Read after the drop-ins, so that it counts before them."""
DROP_INS = "/etc/security/pwquality.conf.d"
FILE = f"{DROP_INS}/zz-radiology.conf"
PACKAGES = ("cracklib-runtime", "libpam-pwquality")
PROFILE = "pwquality"
MODULE = "pam_pwquality.so"
DICTIONARY = "/var/cache/cracklib/cracklib_dict.pwd"
MINLEN = 14
"""Characters: 65 bits in small letters alone. The CNIL asks for 50 of an account that wrong passwords lock
(recommendation 2022-100), CIS Debian 12 for 14 characters (5.3.3.2.2)."""
CREDITS = ("dcredit", "ucredit", "lcredit", "ocredit")
"""By how many characters fewer a password may do which has digits, capitals and so on; below 0 they are asked for."""
BUILT_IN = {"minlen": 8, "dictcheck": 1, "enforcing": 1, "enforce_for_root": 0, **dict.fromkeys(CREDITS, 0)}
"""What pwquality.conf(5) says of where nothing is said (libpwquality 1.4.5)."""
TEXT = f"""\
# Written by radiology.hardening (role authentication): how long passwords are, and none that a dictionary has.
minlen = {MINLEN}
{"".join(f"{name} = 0{chr(10)}" for name in CREDITS)}dictcheck = 1
usercheck = 1
enforcing = 1
enforce_for_root
"""
ENABLED = f"Refuse new passwords of fewer than {MINLEN} characters, or of a dictionary (pam_pwquality)"
LAXER = "new passwords may be weaker than the role has them, by what counts before its file: {}. Take that out"
HASHES = ("yescrypt", "gost_yescrypt", "blowfish", "sha512", "sha256", "md5", "bigcrypt")
"""Arguments of pam_unix(8) that say how a new password is kept; without one of them it is DES."""
HASH = "yescrypt"


def observe(host: Host) -> dict[str, Any]:
    """Return what PAM asks of a new password; `minlen` and `dictcheck` are null where it asks nothing."""
    lines = _lines(host)
    told = BUILT_IN | {name: value for _where, name, value in _told(host, lines)}
    checked, enforced = _before(lines), bool(told["enforcing"])
    return {
        "checked": checked,
        "minlen": enforced * (told["minlen"] - sum(max(0, told[name]) for name in CREDITS)) if checked else None,
        "dictcheck": enforced and bool(told["dictcheck"]) and host.stat(DICTIONARY) is not None if checked else None,
        "enforce_for_root": checked and bool(told["enforce_for_root"]),
        "overriding": [
            f"{where}: {name}={value}" for where, name, value in _told(host, lines) if _laxer(where, name, value)
        ],
        "hashing": _hashing(lines),
    }


def steps(found: Mapping[str, Any], unmet: list[str]) -> list[Step]:
    """Return the steps that have PAM refuse weak passwords and keep new ones well; leave others' files to a person."""
    names = {name.rpartition(".")[2] for name in unmet}
    planned: list[Step] = []
    if names - {"hashing"}:
        if found["overriding"]:
            planned.append(deliberate(LAXER.format(", ".join(found["overriding"]))))
        if not found["overriding"] or names & {"checked", "enforce_for_root"}:
            planned.append(Step(ENABLED, _enable))
    if "hashing" in names:
        planned.append(Step(f"Keep new passwords by {HASH} instead of {found['hashing']} (pam_unix)", _keep))
    return planned


def settings(text: str) -> dict[str, int]:
    """Return what lines of pwquality.conf(5), or a module's arguments, say of what we look at; a bare name is 1."""
    told = re.findall(
        rf"(?m)(?:^|[ \t])({'|'.join(BUILT_IN)})(?:[ \t]*=[ \t]*(-?\d+))?(?=\s|$)", re.sub(r"#.*", "", text)
    )
    return {name: int(value) if value else 1 for name, value in told}


def _lines(host: Host) -> list[list[str]]:
    """Return the words of each line by which PAM takes new passwords."""
    return account_lockout.lines(re.sub(r"#.*", "", host.text(PAM_FILE) or ""))


def _told(host: Host, lines: list[list[str]]) -> Iterator[tuple[str, str, int]]:
    """Yield place, name and value of each setting, in the order in which the later one counts."""
    files = [f"{DROP_INS}/{name}" for name in sorted(host.list(DROP_INS)) if name.endswith(".conf")]
    for path in (*files, MAIN):
        for name, value in settings(host.text(path) or "").items():
            yield path, name, value
    for words in lines:
        if MODULE in words:
            for name, value in settings(" ".join(words)).items():
                yield PAM_FILE, name, value


def _laxer(where: str, name: str, value: int) -> bool:
    """Tell whether a setting would go on to count before ours, and is weaker."""
    if where.startswith(DROP_INS) and where <= FILE:
        return False
    return value < MINLEN if name == "minlen" else value > 0 if name in CREDITS else value == 0


def _before(lines: list[list[str]]) -> bool:
    """Tell whether a password that pam_pwquality refuses never comes to pam_unix."""
    asked = [number for number, words in enumerate(lines) if MODULE in words and {"requisite", "required"} & set(words)]
    taken = [number for number, words in enumerate(lines) if "pam_unix.so" in words]
    return bool(asked and taken) and min(asked) < min(taken)


def _hashing(lines: list[list[str]]) -> str | None:
    """Return pam_unix's word for how it keeps a password, of two lines the last; null where no line takes any."""
    for words in reversed(lines):
        if "pam_unix.so" in words:
            return next((word for word in reversed(words) if word in HASHES), "DES")
    return None


def _enable(host: Host) -> None:
    """Say first what undoes it: the package puts itself into PAM when it is installed."""
    host.write(FILE, TEXT)
    enabled = _before(_lines(host))
    if not enabled:
        host.undone_by("Have PAM look at no new password again", *account_lockout.UPDATE, "--disable", PROFILE)
    for step in packages.plan(host, PACKAGES):
        step.do(host)
    if host.stat(DICTIONARY) is None:
        host.must(["update-cracklib"])
    if not enabled:
        host.must([*account_lockout.UPDATE, "--enable", PROFILE])
    if not _before(_lines(host)):
        raise HardeningError(
            f"pam-auth-update leaves {PAM_FILE} as it is, since it was changed by hand: have it written anew by "
            "`pam-auth-update --force`, and put your changes in again."
        )


def _keep(host: Host) -> None:
    """Change the one word in the line, which pam-auth-update leaves as it finds it from then on."""
    lines = (host.text(PAM_FILE) or "").splitlines(keepends=True)
    host.write(PAM_FILE, "".join(map(_kept_well, lines)))


def _kept_well(line: str) -> str:
    if "pam_unix.so" not in line.partition("#")[0]:
        return line
    without = re.sub(rf"[ \t]+({'|'.join(HASHES)})(?=\s)", "", line)
    return re.sub(r"(pam_unix\.so[^\n#]*?)(?=[ \t]*(?:#|\n|$))", rf"\1 {HASH}", without, count=1)
