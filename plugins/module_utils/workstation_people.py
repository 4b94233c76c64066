# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whose accounts a workstation has: one for each person of the clinic file, and who of them administers it.

The group of this collection marks the accounts that it made or took over, so that one whose person is gone from the
file is closed: it expires, and PAM lets nobody in by it, by key neither; the home stays. An account is opened last, so
that a run which is killed leaves none with a password that need not be changed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import ssh_group
from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import deliberate
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step, run
from ansible_collections.radiology.hardening.plugins.module_utils.workstation_accounts import (
    NEVER_HAD,
    Account,
    accounts,
    groups,
    members,
)

FACTS: dict[str, str] = {
    "people.missing": "list of str: people of the clinic file who have no account by which they come in",
    "people.departed": "list of str: accounts by which somebody comes in whom the clinic file had, and has no more",
    "people.unable": "list of str: administrators of the clinic file who are not in the group sudo",
    "people.systems_own": "list of str: logins of the clinic file that are those of Debian's own accounts",
    "people.undeclared": "list of str: other accounts by which somebody comes in",
    "people.shared": "list of str: accounts by which somebody comes in, and whose name is of no person",
    "people.privileged": "list of str: `login in group` of accounts that may administer, and `login by sudoers`",
    "people.account_advice": "list of str: what a person does about accounts of nobody, and of everybody",
    "people.privilege_advice": "list of str: what a person does about what sudoers grants, and to undeclared accounts",
}
MARK = "radiology-people"
CLOSED = "1970-01-02"
"""Day on which a closed account has expired (usermod(8))."""
SUDO = "sudo"
ADMINISTRATOR = "administrator"
WHILE_THERE = 'id "$1" >/dev/null 2>&1 || exit 0; '
"""For the shell that undoes: an account that somebody has removed meanwhile needs nothing."""
LEAVE = WHILE_THERE + 'gpasswd --delete "$1" "$2" || test $? = 3'
"""3 says that the account is no member any more."""
JOIN = WHILE_THERE + 'gpasswd --add "$1" "$2"'
CLOSE = WHILE_THERE + 'usermod --expiredate "$2" "$1"'
PRIVILEGED = ("adm", "admin", "disk", "docker", "incus-admin", "libvirt", "lxd", "root", "shadow", "sudo", "wheel")
"""Groups by which one reads logs and disks, or becomes root."""
SYSTEMS_OWN = 1000
"""Below it are the numbers of Debian's own accounts (login.defs(5), UID_MIN)."""
OF_NOBODY = re.compile(
    r"(?:accueil|admin|administrat(?:eu|o)r|client|console|ct|demo|dicom|docteur|doctor|echo|gast|guest|imag(?:erie|ing)|"
    r"invite|irm|kiosk|lab|labo|medecin|mri|office|orthanc|pacs|poste|praxis|public|radio(?:logie|logist|logue|logy)?|"
    r"reader|reading(?:room)?|reception|roentgen|scanner|secretaire|secretariat|secretary|service|shared|staff|station|"
    r"student|tech|technician|temp|test|us|user|utilisateur|viewer|workstation|ws|xray)[-_.]?\d*"
)
"""Names that practices give to accounts which everybody uses."""


def observe(host: Host, scope: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts below `people`."""
    known = {each.login: each for each in accounts(host)}
    roles = _roles(scope)
    ours, administering = set(members(host, MARK)), members(host, SUDO)
    engineer = str(scope.get("engineer") or "root")
    strangers = [each for each in known.values() if each.opens and each.login not in (engineer, "root", *roles)]
    shared = [
        each.login
        for each in known.values()
        if each.opens and each.login != engineer and OF_NOBODY.fullmatch(each.login.lower())
    ]
    further = {str(login) for login in scope.get("accounts") or []}
    undeclared = [each.login for each in strangers if each.login not in {*ours, *further, *shared}]
    privileged = _privileged(host, [each for each in known.values() if _may_not(each, scope, roles)])
    return {
        "missing": [login for login in roles if login != engineer and _is_missing(known.get(login), ours)],
        "departed": [each.login for each in strangers if each.login in ours],
        "unable": [login for login, role in roles.items() if role == ADMINISTRATOR and login not in administering],
        "systems_own": [login for login in roles if login in known and known[login].number < SYSTEMS_OWN],
        "undeclared": undeclared,
        "shared": shared,
        "privileged": privileged,
        "account_advice": [*map(_nobodys, undeclared), *map(_everybodys, shared)],
        "privilege_advice": [_take_out(told) for told in privileged if not _is_ours_to_take(told, scope)],
    }


def steps(facts: Mapping[str, Any], unmet: list[str], scope: Mapping[str, Any]) -> list[Step]:
    """Return what gives each person an account and no more; an account that nobody declared is left to a person."""
    if facts["systems_own"]:
        raise HardeningError(
            f"people of the clinic file has {', '.join(facts['systems_own'])}, an account of the system itself on this "
            "host: give the person another login."
        )
    names = {name.removeprefix("people.") for name in unmet}
    found: list[Step] = []
    if "missing" in names:
        found += [_opening(login, scope) for login in facts["missing"]]
    if "departed" in names:
        found += [_closing(login) for login in facts["departed"]]
    if "unable" in names:
        found += [_joining(login, SUDO) for login in facts["unable"] if login not in facts["missing"]]
    if "privileged" in names:
        mine = [told for told in facts["privileged"] if _is_ours_to_take(told, scope)]
        found += [_leaving(*told.split(" in group ")) for told in mine]
        found += [deliberate(_take_out(told)) for told in facts["privileged"] if told not in mine]
    if names & {"undeclared", "shared"}:
        found += [deliberate(_nobodys(login)) for login in facts["undeclared"]]
        found += [deliberate(_everybodys(login)) for login in facts["shared"]]
    return found


def _roles(scope: Mapping[str, Any]) -> dict[str, str]:
    """Return the people of the clinic file: login -> role."""
    return {str(person["login"]): str(person["role"]) for person in scope.get("people") or []}


def _is_missing(account: Account | None, ours: set[str]) -> bool:
    """Tell whether a person has no account, one that was closed, or one that never had a password or a key.

    An account that somebody locked with its password in it, or let expire on another day, stays so.
    """
    return account is None or account.login not in ours or _is_fresh(account)


def _is_fresh(account: Account | None) -> bool:
    """Tell whether an account is to get the first password: it was not opened yet, or was closed by this collection."""
    return account is None or account.closed or (account.secret in NEVER_HAD and not account.keys)


def _may_not(account: Account, scope: Mapping[str, Any], roles: Mapping[str, str]) -> bool:
    """Tell whether an account is of somebody who does not administer this machine."""
    exempt = {str(scope.get("engineer") or "root"), "root", "nobody", *map(str, scope.get("accounts") or [])}
    person = account.login in roles or account.number >= SYSTEMS_OWN
    return person and account.login not in exempt and roles.get(account.login) != ADMINISTRATOR


def _privileged(host: Host, people: list[Account]) -> list[str]:
    numbers, listed = groups(host), {name: members(host, name) for name in PRIVILEGED}
    found = []
    for each in people:
        held = [name for name in PRIVILEGED if each.login in listed[name] or numbers.get(name) == each.group]
        told = host.run(["sudo", "--non-interactive", "--list", "--other-user", each.login]).output
        found += [f"{each.login} in group {name}" for name in held]
        if not held and "may run the following commands" in told:
            found.append(f"{each.login} by sudoers")
    return found


def _is_ours_to_take(told: str, scope: Mapping[str, Any]) -> bool:
    """Tell whether it is a group that somebody of the clinic file leaves, while an engineer is known to administer."""
    return " in group " in told and told.split(maxsplit=1)[0] in _roles(scope) and bool(scope.get("engineer"))


def _opening(login: str, scope: Mapping[str, Any]) -> Step:
    names = {str(each["login"]): str(each.get("name") or "") for each in scope.get("people") or []}
    words = " ".join(re.sub(r"[^\w .'-]+", " ", names.get(login) or login).split())
    password = str((scope.get("initial_passwords") or {}).get(login) or "")
    joined = (MARK, SUDO) if _roles(scope).get(login) == ADMINISTRATOR else (MARK,)
    told = f"Have {login} come in by an account, with the first password of the vault where there is none"
    return Step(told, lambda host: _open(host, login, words, joined, password))


def _open(host: Host, login: str, words: str, joined: tuple[str, ...], password: str) -> None:
    account = next((each for each in accounts(host) if each.login == login), None)
    fresh = _is_fresh(account)
    if MARK not in groups(host):
        host.must(["groupadd", "--system", MARK])
    if fresh and not password:
        raise HardeningError("the controller gives no first password.")
    if account is None:
        host.undone_by(f"Close the account {login}, which was made here", "sh", "-c", CLOSE, "sh", login, CLOSED)
        made = [
            "--create-home",
            "--key",
            "HOME_MODE=0700",
            "--shell",
            "/bin/bash",
            "--comment",
            words,
            "--expiredate",
            CLOSED,
        ]
        host.must(["useradd", *made, login])
    elif fresh:
        host.must(["usermod", "--expiredate", CLOSED, login])
    for group in joined:
        _join(host, login, group)
    if SUDO in joined and ssh_group.NAME in groups(host):
        _join(host, login, ssh_group.NAME)  # whom sshd is told to let in; the role authentication came before
    if fresh:
        host.must(["chpasswd"], stdin=f"{login}:{password}\n")
        host.must(["chage", "--lastday", "0", login])
        host.must(["usermod", "--expiredate", "", login])


def _closing(login: str) -> Step:
    told = f"Close the account {login}, whose person is gone from the clinic file; the home stays"
    return run(told, "usermod", "--expiredate", CLOSED, login)


def _joining(login: str, group: str) -> Step:
    return Step(f"Put {login} into group {group}", lambda host: _join(host, login, group))


def _join(host: Host, login: str, group: str) -> None:
    if login not in members(host, group):
        host.undone_by(f"Take {login} out of group {group}", "sh", "-c", LEAVE, "sh", login, group)
        host.must(["gpasswd", "--add", login, group])


def _leaving(login: str, group: str) -> Step:
    def do(host: Host) -> None:
        if login in members(host, group):
            host.undone_by(f"Put {login} into group {group} again", "sh", "-c", JOIN, "sh", login, group)
            host.must(["gpasswd", "--delete", login, group])
        else:
            raise HardeningError(f"{group} is the first group of {login}: give another one by `usermod --gid`.")

    return Step(f"Take {login}, who does not administer this machine, out of group {group}", do)


def _take_out(told: str) -> str:
    login = told.split(maxsplit=1)[0]
    return (
        f"{told} may administer this machine: write {login} under people as an administrator, or take it out of the "
        "group or of sudoers"
    )


def _nobodys(login: str) -> str:
    return (
        f"somebody comes in as {login}, whom the clinic file does not name: write it under people or in "
        f"workstation_accounts, or close it by `usermod --expiredate {CLOSED} {login}`"
    )


def _everybodys(login: str) -> str:
    return (
        f"{login} is an account of everybody's: give each person one by the clinic file's people, and close it by "
        f"`usermod --expiredate {CLOSED} {login}`"
    )
