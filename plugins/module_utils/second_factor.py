# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A second factor for those who administer from outside: after the key over SSH a one-time code, by pam_oath.

sshd asks for both from the addresses of the tunnel alone (a Match block in the drop-in of ssh_daemon), and PAM for the
code there: pam_access leaves everybody else to the lines that Debian has. A login that is not enrolled has no code that
counts, and is refused. One login may have several secrets, and a code counts once (oath-toolkit 2.6.7 of Debian 12 and
2.6.12 of Debian 13, measured). Five wrong codes lock the login's password and code for a quarter of an hour.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import (
    account_lockout,
    own_programs,
    packages,
    second_factor_program,
    ssh_asked,
)
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.ssh_connections import all_within
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step

FOLDER = "/etc/radiology-second-factor"
SECRETS = second_factor_program.FILE
OUTSIDE = f"{FOLDER}/outside.conf"
"""Table of pam_access(8): the tunnel's addresses."""
PROGRAM = "/usr/local/sbin/radiology-second-factor"
PAM_FILE = "/etc/pam.d/radiology-second-factor"
SSHD = "/etc/pam.d/sshd"
INCLUDE = "@include radiology-second-factor"
AT_BOOT = "/etc/tmpfiles.d/radiology-second-factor.conf"
"""What a power cut may leave: two files of pam_oath, with either of which nobody comes in any more (tmpfiles.d(5))."""
REMOVED = "# Kept by radiology.hardening (role authentication).\n" + "".join(
    f"r! {path}\n" for path in (second_factor_program.LOCK, second_factor_program.NEXT)
)
PACKAGES = ("libpam-oath", "qrencode")
METHODS = "publickey,keyboard-interactive:pam"
"""AuthenticationMethods of sshd_config(5): the key, then what PAM asks."""
PAM = f"""\
# Kept by radiology.hardening (role authentication). Who comes through the tunnel gives a code; others pass by.
auth [success=ignore default=4] pam_access.so nodefgroup accessfile={OUTSIDE}
auth requisite pam_faillock.so preauth {account_lockout.ARGUMENTS}
auth [success=1 default=ignore] pam_oath.so usersfile={SECRETS} window={second_factor_program.DRIFT} digits=\
{second_factor_program.DIGITS}
auth [default=die] pam_faillock.so authfail {account_lockout.ARGUMENTS}
auth [success=done default=die] pam_faillock.so authsucc {account_lockout.ARGUMENTS}
"""
FACTS: dict[str, str] = {
    "outside.declared": "bool: the clinic file grants somebody SSH through the tunnel",
    "outside.one_factor": "list of str: device, address of the tunnel and login that sshd asks for less than two",
    "outside.asked": "bool: PAM asks whoever comes from there for a code, by the lines of the role",
    "outside.secrets_private": "bool: root alone reads the secrets, or nobody is enrolled yet",
    "outside.present": "bool: there are lines of the role in PAM, whatever they say",
    "outside.everybody": "bool: somebody is connected over SSH now, and nobody but through the tunnel",
}


def devices(tunnel: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the devices of the tunnel that are granted SSH."""
    return [peer for peer in tunnel.get("peers") or [] if "ssh" in peer["services"]]


def match(scope: Mapping[str, Any]) -> str:
    """Return the block of sshd_config(5) for whoever comes through the tunnel; nothing where nobody does."""
    tunnel = scope.get("tunnel") or {}
    if not devices(tunnel):
        return ""
    return (
        f"Match Address {','.join(tunnel['network'])}\n  KbdInteractiveAuthentication yes\n"
        f"  AuthenticationMethods {METHODS}\n  PermitRootLogin no\n"
    )


def both(methods: str) -> bool:
    """Tell whether each way in AuthenticationMethods of sshd_config(5) takes the key and what PAM asks."""
    return all({"publickey", "keyboard-interactive:pam"} <= set(way.split(",")) for way in methods.split())


def observe(host: Host, scope: Mapping[str, Any], sshd: Sequence[str], logins: Iterable[str]) -> dict[str, Any]:
    """Return the facts; `sshd` is the command by which sshd tells its settings, `logins` are those that have keys."""
    tunnel = scope.get("tunnel") or {}
    granted, entry = devices(tunnel), host.stat(SECRETS)
    return {
        "declared": bool(granted),
        "one_factor": [
            f"{peer['name']} {address} {login}"
            for peer in granted
            for address in peer["addresses"]
            for login in sorted({"root", str(peer["person"]), *logins})
            if not _asks_for_both(host, sshd, ssh_asked.connection(login, address))
        ],
        "asked": _is_asked(host, tunnel),
        "secrets_private": entry is None or (entry.mode, entry.owner) == ("0600", "root"),
        "present": INCLUDE in (host.text(SSHD) or "").splitlines() or host.stat(PAM_FILE) is not None,
        "everybody": all_within(host, [peer["services"]["ssh"] for peer in granted], tunnel.get("network") or []),
    }


def steps(found: Mapping[str, Any], unmet: list[str], scope: Mapping[str, Any]) -> list[Step]:
    """Return what has PAM ask for the code, before sshd sends anybody there; or what takes it out again."""
    if not found["declared"]:
        taken_out = Step("Ask nobody for a code over SSH: nobody administers from outside any more", _take_out)
        return [taken_out] if found["present"] else []
    names = {name.rpartition(".")[2] for name in unmet}
    planned: list[Step] = []
    if "one_factor" in names and found["everybody"]:
        raise HardeningError(
            "You came in through the tunnel, where SSH is to ask for a code that Ansible cannot give: run this from a "
            "network of kind admin, or waive authentication.second_factor."
        )
    if "asked" in names:
        told = "Ask who administers from outside for a one-time code (pam_oath); `radiology-second-factor` enrols them"
        planned.append(Step(told, lambda host: _enable(host, scope["tunnel"])))
    if "secrets_private" in names:
        planned.append(Step(f"Keep {SECRETS} for root alone", lambda host: host.own(SECRETS, mode=0o600)))
    return planned


def _asks_for_both(host: Host, command: Sequence[str], caller: str) -> bool:
    said = dict(ssh_asked.answer(host, command, caller))
    asked = (said.get("kbdinteractiveauthentication"), said.get("usepam")) == ("yes", "yes")
    return asked and both(said.get("authenticationmethods", "any"))


def _is_asked(host: Host, tunnel: Mapping[str, Any]) -> bool:
    """Tell whether the role's lines are the first that sshd's PAM reads, and all that they name is there."""
    rows = [line for line in (host.text(SSHD) or "").splitlines() if line.split("#")[0].strip()]
    return (
        rows[:1] == [INCLUDE]
        and host.text(PAM_FILE) == PAM
        and (not devices(tunnel) or host.text(OUTSIDE) == _table(tunnel))
        and (host.text(PROGRAM), host.text(AT_BOOT)) == (own_programs.text(second_factor_program), REMOVED)
        and not packages.missing(host, PACKAGES)
    )


def _table(tunnel: Mapping[str, Any]) -> str:
    told = "# Kept by radiology.hardening (role authentication): where one administers from outside.\n"
    return f"{told}+:ALL:{' '.join(tunnel['network'])}\n-:ALL:ALL\n"


def _enable(host: Host, tunnel: Mapping[str, Any]) -> None:
    for step in packages.plan(host, PACKAGES):
        step.do(host)
    host.folder(FOLDER, mode=0o700)
    host.write(OUTSIDE, _table(tunnel))
    host.write(PAM_FILE, PAM)
    host.write(PROGRAM, own_programs.text(second_factor_program), mode=0o755)
    host.write(AT_BOOT, REMOVED)
    host.write(SSHD, f"{INCLUDE}\n{_without(host)}")


def _take_out(host: Host) -> None:
    host.write(SSHD, _without(host))
    host.remove(PAM_FILE)


def _without(host: Host) -> str:
    rows = (host.text(SSHD) or "").splitlines(keepends=True)
    return "".join(row for row in rows if row.strip() != INCLUDE)
