# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whom sshd lets in: members of one group (AllowGroups of sshd_config(5)), and those are the declared accounts.

The group and its members stand before sshd is told of it. An account that nobody declared, and that came in over SSH
within 90 days, is not shut out: it is told, and sshd lets in whoever has a key until a person has decided. AllowGroups
of several lines add up, so that a line of somebody's admits further accounts; AllowUsers and the Deny keywords refuse
members too. Lines of both kinds are set aside. The group stays when all is undone, with its members.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import (
    second_factor,
    ssh_asked,
    ssh_command_line,
    ssh_daemon,
)
from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import deliberate
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step
from ansible_collections.radiology.hardening.plugins.module_utils.workstation_accounts import (
    accounts,
    groups,
    members,
)

NAME = "radiology-ssh"
FILE = f"{ssh_daemon.FOLDER}/00-radiology-ssh-group.conf"
TEXT = f"""\
# Kept by radiology.hardening (role authentication): who comes in over SSH is a member of this group.
AllowGroups {NAME}
"""
DAYS = 90
LIMITED = "authentication.ssh_access.limited"
"""The fact that says whether the control is in force: a site may waive it."""
FACTS: dict[str, str] = {
    "ssh_access.limited": "bool: sshd lets in members of the group radiology-ssh alone; null: it does not say",
    "ssh_access.refused": "list of str: declared accounts of this host that sshd lets in from nowhere",
    "ssh_access.strangers": "list of str: members of the group whom nobody declared",
    "ssh_access.declared": "list of str: declared accounts that this host has",
    "ssh_access.members": "list of str: members of the group",
    "ssh_access.recent": "list of str: other accounts that sshd lets in, and that came in within 90 days",
    "ssh_access.idle": "list of str: other accounts that sshd lets in by a key, and that did not come in for as long",
    "ssh_access.file": "str: SHA-256 of the file that names the group to sshd; null: none",
    "ssh_access.lines": "list of str: file:line of others that admits more than the group, or refuses a member",
    "ssh_access.command_line": "list of str: options that sshd was started with and that say the same",
    "ssh_access.advice": "list of str: what a person does about accounts that nobody declared",
}
ALLOWS_GROUPS, ALLOWS_USERS, DENIES_USERS, DENIES_GROUPS = "allowgroups", "allowusers", "denyusers", "denygroups"
KEYWORDS = (ALLOWS_GROUPS, ALLOWS_USERS, DENIES_USERS, DENIES_GROUPS)
ACCEPTED = (
    "journalctl", "--quiet", "--no-pager", "--output=cat", f"--since=-{DAYS}d", "--grep=^Accepted ", "_UID=0",
    "--identifier=sshd", "--identifier=sshd-session",
)  # fmt: skip
"""What sshd itself wrote of logins; other accounts may write in its name, but not as root."""
SESSION = re.compile(r"(\S+) sshd(?:-session)?: (?P<login>[^\s@\[\]]+)@")
"""A session of now, as `ps` shows it: the account that the process is of, and its title."""
AT_TERMINAL = re.compile(r"(?P<login>\S+) +pts/\d+ +(?!:|(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)\b)\S")
"""A line of last(1) and lastlog(8) that has an address."""


def observe(host: Host, scope: Mapping[str, Any], sshd: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts below `ssh_access`; `sshd` are those of ssh_daemon."""
    command, read = ssh_daemon.asking(host), list(ssh_daemon.lines(host))
    ports = ssh_daemon.ports(read)
    strangers = [ssh_asked.answer(host, command, each) for each in ssh_asked.strangers(scope, ports)]
    here = [login for login in declared(scope) if _there(host, login)]
    listed = members(host, NAME)
    lately = came_in(host)
    others = [login for login in _others(host, here, sshd, lately) if _lets_in(host, command, login, ports)]
    recent = {*lately} & {*others}
    found = {
        "limited": None if not all(strangers) else all(_of(said, ALLOWS_GROUPS) == [NAME] for said in strangers),
        "refused": [login for login in here if not _lets_in(host, command, login, ports)],
        "strangers": [login for login in listed if login not in (*here, "root")],
        "declared": here,
        "members": list(listed),
        "recent": [login for login in others if login in recent],
        "idle": [login for login in others if login not in recent],
        "file": host.digest(FILE),
        "lines": [line["where"] for line in read if _contradicts(host, line, here)],
        "command_line": [word for word in command[2:] if word.partition("=")[0].split(" ")[0].lower() in KEYWORDS],
    }
    return {**found, "advice": _advice(found)}


def declared(scope: Mapping[str, Any]) -> list[str]:
    """Return the logins that may come in over SSH, whether this host has them or not."""
    administrators = [str(each["login"]) for each in scope.get("people") or [] if each.get("role") == "administrator"]
    outside = [str(peer["person"]) for peer in second_factor.devices(scope.get("tunnel") or {})]
    root = [] if scope.get("root_login") == "no" else ["root"]
    named = [
        str(scope.get("ssh_user") or ""),
        *root,
        *administrators,
        *outside,
        *map(str, scope.get("ssh_accounts") or []),
    ]
    return [login for login in dict.fromkeys(named) if login]


def came_in(host: Host) -> list[str]:
    """Return the logins that came in over SSH within 90 days, or are in now, as far as this host remembers."""
    found = re.findall(r"(?m)^Accepted \S+ for (\S+) from ", host.run(ACCEPTED).output)
    for line in host.run(["ps", "-eo", "user:32=,args="]).output.splitlines():
        now = SESSION.match(" ".join(line.split()))
        if now and now[1] in ("root", now["login"]):
            found.append(now["login"])
    for command in (["last", "-w", "-s", f"-{DAYS}days"], ["lastlog", "-t", str(DAYS)]):
        found += [at["login"] for line in host.run(command).output.splitlines() if (at := AT_TERMINAL.match(line))]
    return list(dict.fromkeys(found))


def before(found: Mapping[str, Any], scope: Mapping[str, Any], *, wanted: bool) -> list[Step]:
    """Return what the group needs before sshd is told of it; `wanted` says whether the control is in force."""
    due = _due(found, scope)
    missing = [login for login in due if login not in found["members"]]
    if not wanted or not missing:
        return []
    told = f"Put {', '.join(missing)} into group {NAME}, whose members come in over SSH"
    return [Step(told, lambda host: _join(host, missing))]


def within(found: Mapping[str, Any], unmet: Sequence[str], scope: Mapping[str, Any], *, wanted: bool) -> list[Step]:
    """Return what is done below the timed undo of sshd: who is not declared comes in no more."""
    if not wanted:
        there = found["file"] is not None
        return [Step(f"Let in whoever has a key again ({FILE})", lambda host: host.remove(FILE))] if there else []
    names = {name.rpartition(".")[2] for name in unmet}
    due = _due(found, scope)
    held = [login for login in found["recent"] if login not in due]
    gone = [login for login in found["strangers"] if login not in (*due, *held)]
    steps: list[Step] = []
    if gone and "strangers" in names:
        steps.append(
            Step(f"Take {', '.join(gone)}, whom nobody declared, out of group {NAME}", lambda host: _leave(host, gone))
        )
    if held or not names & {"limited", "refused", "lines"}:
        return steps
    steps += [
        Step(f"Set aside what {where} says of who comes in", lambda host, where=where: _set_aside(host, where))  # type: ignore[misc]
        for where in found["lines"]
    ]
    if found["command_line"]:
        told = f"Start sshd without {' '.join(found['command_line'])}, which keeps sessions open"
        options = [word for option in found["command_line"] for word in ("-o", option)]
        steps.append(Step(told, lambda host: ssh_command_line.take_out(host, options)))
    if "limited" in names:
        out = [login for login in found["idle"] if login not in due]
        told = f"; {', '.join(out)}, whom nobody declared, no more" if out else ""
        steps.append(Step(f"Let in members of group {NAME} alone over SSH{told} ({FILE})", _limit))
    return steps


def left(found: Mapping[str, Any], unmet: Sequence[str], scope: Mapping[str, Any]) -> list[Step]:
    """Return what a person decides: whether somebody who came in lately is to do so again, and what refuses others."""
    due = _due(found, scope)
    steps: list[Step] = [deliberate(_undeclared(login)) for login in found["recent"] if login not in due and unmet]
    if any(name.endswith(".refused") for name in unmet) and not found["lines"]:
        joining = [login for login in due if login not in found["members"]]
        steps += [deliberate(_refused(login)) for login in found["refused"] if login not in joining]
    if any(name.endswith(".strangers") for name in unmet):
        own = [login for login in found["strangers"] if login in due and login not in found["declared"]]
        steps += [deliberate(_undeclared(login)) for login in own]
    return steps


def touched(found: Mapping[str, Any]) -> list[str]:
    """Return the files that the timed undo keeps."""
    started = [ssh_command_line.DEFAULTS] if found["command_line"] else []
    return [FILE, *started, *(where.rpartition(":")[0] for where in found["lines"])]


def _due(found: Mapping[str, Any], scope: Mapping[str, Any]) -> list[str]:
    """Return who has to be in the group: declared accounts, and whoever runs this."""
    return [login for login in dict.fromkeys([*found["declared"], str(scope.get("engineer") or "")]) if login]


def _there(host: Host, login: str) -> bool:
    return bool(host.run(["getent", "passwd", login]).output.strip())


def _others(host: Host, here: Iterable[str], sshd: Mapping[str, Any], lately: Iterable[str]) -> list[str]:
    """Return the accounts that nobody declared and that could come in by a key: not expired, and with a shell."""
    known = {each.login: each for each in accounts(host)}
    keys: Iterable[str] = known if sshd["keys_from_elsewhere"] else sshd["authorized_keys"]
    of_elsewhere = [login for login in lately if login not in known and _there(host, login)]
    able = [login for login in keys if login in known and known[login].has_shell and not known[login].expired]
    return [login for login in (*able, *of_elsewhere) if login not in (*here, "root")]


def _lets_in(host: Host, command: Sequence[str], login: str, ports: Sequence[str]) -> bool:
    """Tell whether sshd lets in an account that has a key, from an address that no line names."""
    said = ssh_asked.answer(
        host, command, ssh_asked.connection(login, ssh_asked.ELSEWHERE, port=(*ports, ssh_asked.PORT)[0])
    )
    theirs = host.run(["id", "-Gn", login]).output.split()
    allowed = {keyword: _of(said, keyword) for keyword in KEYWORDS}
    return (
        bool(said)
        and not any(_names(pattern, login) for pattern in allowed[DENIES_USERS] if "@" not in pattern)
        and not any(_names(pattern, each) for pattern in allowed[DENIES_GROUPS] for each in theirs)
        and (not allowed[ALLOWS_USERS] or any(_names(pattern, login) for pattern in allowed[ALLOWS_USERS]))
        and (
            not allowed[ALLOWS_GROUPS]
            or any(_names(pattern, each) for pattern in allowed[ALLOWS_GROUPS] for each in theirs)
        )
    )


def _names(pattern: str, name: str) -> bool:
    """Tell whether a pattern of sshd's means a name; what it says of hosts (USER@HOST) is left out."""
    return fnmatch.fnmatchcase(name, pattern.partition("@")[0])


def _of(said: Sequence[tuple[str, str]], keyword: str) -> list[str]:
    """Return all values of a keyword that stands on several lines."""
    return [word for name, value in said if name == keyword for word in value.split()]


def _contradicts(host: Host, line: Mapping[str, Any], here: Sequence[str]) -> bool:
    """Tell whether a line of somebody's admits more than the group, or refuses a declared account from anywhere."""
    keyword, patterns = line["keyword"], str(line["value"]).replace('"', "").split()
    if keyword == ALLOWS_GROUPS:
        return patterns != [NAME]
    if keyword == ALLOWS_USERS:
        return any(not any(_names(pattern, login) for pattern in patterns) for login in here)
    if keyword == DENIES_USERS:
        return any(_names(pattern, login) for pattern in patterns if "@" not in pattern for login in here)
    if keyword != DENIES_GROUPS:
        return False
    theirs = {each for login in here for each in (*host.run(["id", "-Gn", login]).output.split(), NAME)}
    return any(_names(pattern, each) for pattern in patterns for each in theirs)


def _join(host: Host, logins: Iterable[str]) -> None:
    if NAME not in groups(host):
        host.must(["groupadd", "--system", NAME])
    for login in logins:
        host.must(["gpasswd", "--add", login, NAME])


def _leave(host: Host, logins: Iterable[str]) -> None:
    for login in logins:
        if login in members(host, NAME):
            host.must(["gpasswd", "--delete", login, NAME])


def _limit(host: Host) -> None:
    ssh_daemon.write(host, FILE, TEXT)


def _set_aside(host: Host, where: str) -> None:
    ssh_daemon.set_aside(host, where, KEYWORDS)


def _advice(found: Mapping[str, Any]) -> list[str]:
    named = dict.fromkeys([*found["recent"], *found["strangers"]])
    refused = [login for login in found["refused"] if login in found["members"] and not found["lines"]]
    return [*map(_undeclared, named), *map(_refused, refused)]


def _undeclared(login: str) -> str:
    return (
        f"{login}, whom nobody declared, comes in over SSH: write it in authentication_ssh_accounts, or a person under "
        "people of the clinic file as an administrator; else take its authorized keys away, and out of the group by "
        f"`gpasswd --delete {login} {NAME}`. Until then SSH goes on to let it in"
    )


def _refused(login: str) -> str:
    asked = ssh_asked.connection(login, ssh_asked.ELSEWHERE)
    return (
        f"sshd lets in {login} from nowhere: look at what `sshd -T -C {asked} | "
        "grep -E '^(allow|deny)(users|groups)'` shows"
    )
