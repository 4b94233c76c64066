# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""sshd: asked with `sshd -T`, held by one drop-in that is read before all other settings.

OpenSSH takes the first value that it reads of a keyword, and a Match block over any of them
(sshd_config(5)): so what is read before the drop-in and what stands in Match blocks is looked at too. What it
was started with wins over both.
"""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import (
    second_factor,
    ssh_asked,
    ssh_command_line,
    ssh_undo,
    unit_state,
)
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host, in_one_line
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step

MAIN = "/etc/ssh/sshd_config"
FOLDER = "/etc/ssh/sshd_config.d"
FILE = f"{FOLDER}/00-radiology-hardening.conf"
INCLUDE = f"Include {FOLDER}/*.conf"
UNIT = "ssh.service"
BINARY = "/usr/sbin/sshd"
ASIDE = "# Set aside by radiology.hardening: "
ROOT_LOGINS = ("no", "prohibit-password", "forced-commands-only")
ROOT_STRICTNESS = ("no", "forced-commands-only", "prohibit-password", "yes")
"""Values of PermitRootLogin, the strictest first."""
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
"""Units of a time in sshd_config(5); a number alone is in seconds."""

KEYWORDS = {
    "PermitRootLogin": "prohibit-password",
    "PubkeyAuthentication": "yes",
    "PasswordAuthentication": "no",
    "KbdInteractiveAuthentication": "no",
    "PermitEmptyPasswords": "no",
    "HostbasedAuthentication": "no",
    "MaxAuthTries": "4",
    "LoginGraceTime": "30",
    "ClientAliveInterval": "300",
    "ClientAliveCountMax": "3",
    "X11Forwarding": "no",
    "AllowAgentForwarding": "no",
    "AllowTcpForwarding": "no",
    "AllowStreamLocalForwarding": "no",
    "GatewayPorts": "no",
    "PermitTunnel": "no",
    "PermitUserEnvironment": "no",
}
"""Keyword of sshd_config(5) -> value that the drop-in sets; PermitRootLogin is the site's choice."""

WEAK = {
    "Ciphers": ("*-cbc*", "arcfour*"),
    "KexAlgorithms": ("*-sha1",),
    "MACs": ("hmac-sha1*", "hmac-md5*", "hmac-ripemd160*", "umac-64*"),
}
"""Keyword -> patterns of what the drop-in takes out of OpenSSH's own choice, whose newer names thus stay."""

SPELLINGS = {"without-password": "prohibit-password"}
"""Old names that OpenSSH still prints or takes -> the present ones."""


def settings(scope: Mapping[str, Any]) -> dict[str, str]:
    """Return keyword -> value for the role's inputs (root_login: one of ROOT_LOGINS); PAM where it asks for a code."""
    without = {keyword: f"-{','.join(patterns)}" for keyword, patterns in WEAK.items()}
    asking_by_pam = {"UsePAM": "yes"} if second_factor.devices(scope.get("tunnel") or {}) else {}
    return {
        **KEYWORDS,
        **without,
        **asking_by_pam,
        "PermitRootLogin": str(scope.get("root_login") or KEYWORDS["PermitRootLogin"]),
    }


def render(scope: Mapping[str, Any]) -> str:
    """Return the drop-in's text."""
    lines = "".join(f"{keyword} {value}\n" for keyword, value in settings(scope).items())
    told = "# Kept by radiology.hardening (role authentication): SSH by key, for administration alone.\n"
    return f"{told}{lines}{second_factor.match(scope)}"


def asking(host: Host) -> list[str]:
    """Return the command by which sshd tells its settings, with the options that it was started with."""
    options = ssh_command_line.observe(host, unit_state.properties(host, UNIT))
    return [BINARY, "-T", *ssh_command_line.arguments(options)]


def observe(host: Host, scope: Mapping[str, Any]) -> dict[str, Any]:
    """Return what sshd says of itself, and what else its files say of the same keywords."""
    unit = unit_state.properties(host, UNIT)
    options = ssh_command_line.observe(host, unit)
    command = [BINARY, "-T", *ssh_command_line.arguments(options)]
    wanted, read = settings(scope), list(lines(host))
    callers = [*ssh_asked.strangers(scope, ports(read)), *ssh_asked.engineers(host, scope, ports(read))]
    said = _laxest([found for each in callers if (found := _spoken(ssh_asked.answer(host, command, each)))], wanted)
    started_with = ssh_command_line.arguments([option for option in options if _clashes(*option, wanted)])
    files = [MAIN, *(f"{FOLDER}/{name}" for name in host.list(FOLDER))]
    shadows = [line for line in _shadows(host, read) if not line["match"] and _differs(line, wanted)]
    own = host.text(FILE) in (render(scope), render({**scope, "tunnel": {}}))
    exceptions = [
        line
        for line in read
        if line["match"] and not (own and _is_ours(line)) and (_differs(line, wanted) or _spares(line, scope))
    ]
    included = any(line["keyword"] == "Include" and _covers_ours(line["value"]) for line in read)
    elsewhere = (said.get("authorizedkeyscommand", "none"), said.get("trustedusercakeys", "none"))
    return {
        "installed": host.run([BINARY, "-V"]).status != 127,
        "file": host.digest(FILE),
        "included": included,
        "shadows": [line["where"] for line in shadows],
        "exceptions": [line["where"] for line in exceptions],
        "overriding": [
            *([_started_with(started_with)] if started_with else []),
            *([_told(line) for line in (*shadows, *exceptions)] if included else [_unread(host, wanted)]),
        ],
        "command_line": started_with,
        "unconfirmed": ssh_undo.UNDO.waits(host),
        "older_than_configuration": unit_state.is_older(host, unit, files),
        "authorized_keys": _authorized_keys(host, said.get("authorizedkeysfile", ".ssh/authorized_keys")),
        "UsePAM": said.get("usepam"),
        "keys_from_elsewhere": any(each != "none" for each in elsewhere),
        "weak_algorithms": _weak_algorithms(said),
        **{keyword: _typed(said.get(keyword.lower()), wanted[keyword]) for keyword in KEYWORDS},
    }


def plan(
    facts: Mapping[str, Any],
    unmet: list[str],
    digest: str,
    scope: Mapping[str, Any],
    more: tuple[Sequence[Step], Sequence[str]] = ((), ()),
) -> list[Step]:
    """Return the steps that hold sshd to the drop-in; `digest` is that of the rendered text.

    `more` are further steps below the same undo, and the files that they replace.
    """
    if not facts["installed"]:
        return []
    _refuse_lockout(facts, scope)
    steps: list[Step] = []
    if facts["file"] != digest or facts["unconfirmed"]:
        steps.append(
            Step(f"Let people in over SSH by key only ({FILE})", lambda host: write(host, FILE, render(scope)))
        )
    wanted = settings(scope)
    steps += [
        Step(f"Set aside what {where} says against it", lambda host, where=where: set_aside(host, where, wanted))  # type: ignore[misc]
        for where in dict.fromkeys([*facts["shadows"], *facts["exceptions"]])
        if not where.startswith(f"{FILE}:")  # which is written anew as a whole
    ]
    if facts["command_line"] and unmet:
        told = f"Start sshd without {' '.join(facts['command_line'])}, which keeps sessions open"
        steps.append(Step(told, lambda host: ssh_command_line.take_out(host, facts["command_line"])))
    # Last of what is written: a line before the others changes the numbers by which they are set aside.
    including = [] if facts["included"] else [Step(f"Read {FOLDER} first in {MAIN}", _include_first)]
    if not (steps or including or more[0]) and not facts["older_than_configuration"] and not unmet:
        return []
    return [
        ssh_undo.UNDO.arm(list(dict.fromkeys([*touched(facts), *more[1]])), str(scope.get("arming") or "")),
        *steps,
        *more[0],
        *including,
        Step("Reload sshd, which keeps sessions open", reload),
    ]


def touched(facts: Mapping[str, Any]) -> list[str]:
    """Return the files that a plan may replace: what a timed rollback has to keep."""
    others = (where.rpartition(":")[0] for where in (*facts.get("shadows", []), *facts.get("exceptions", [])))
    started = [ssh_command_line.DEFAULTS] if facts.get("command_line") else []
    return list(dict.fromkeys([FILE, MAIN, *started, *others]))


def reload(host: Host) -> None:
    """Have the running sshd read its files again; it checks them itself before."""
    host.must([BINARY, "-t"])
    if unit_state.is_active(unit_state.properties(host, UNIT)):
        host.must(["systemctl", "reload", UNIT])


def _refuse_lockout(facts: Mapping[str, Any], scope: Mapping[str, Any]) -> None:
    """Refuse what would lock out the engineer who runs this: no key of theirs, or root where root may not come."""
    engineer = str(scope.get("engineer") or "")
    if not engineer:
        return
    if engineer == "root" and settings(scope)["PermitRootLogin"] == "no":
        raise HardeningError(
            "You came in as root, and authentication_root_login is no: SSH would refuse you the next time. "
            "Come in as a person with sudo first, or choose authentication_root_login: prohibit-password."
        )
    if facts["authorized_keys"].get(engineer, 0) == 0 and not facts.get("keys_from_elsewhere"):
        raise HardeningError(
            f"SSH is to take keys only, and {engineer}, as whom you came in, has no authorized key on this host: "
            "add one (ssh-copy-id) and prove that it lets you in, then run this again."
        )


def _typed(said: str | None, like: str) -> str | int | None:
    """Return a number where the keyword's value is one."""
    return int(said) if said is not None and like.isdigit() and said.isdigit() else said


def _weak_algorithms(said: Mapping[str, str]) -> list[str] | None:
    """Return the keywords and names of weak algorithms that sshd accepts; None when it does not tell them all."""
    if any(keyword.lower() not in said for keyword in WEAK):
        return None
    return [f"{keyword} {name}" for keyword in WEAK for name in _weak_names(keyword, said[keyword.lower()])]


def _weak_names(keyword: str, value: str) -> list[str]:
    return [name for name in value.split(",") if any(fnmatch.fnmatchcase(name, weak) for weak in WEAK[keyword])]


def _spoken(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return what sshd says of a connection, in its present spelling."""
    return {keyword: SPELLINGS.get(value, value) for keyword, value in pairs}


def _laxest(answers: Sequence[Mapping[str, str]], wanted: Mapping[str, str]) -> dict[str, str]:
    """Return what sshd says of the first connection, and of the others what they are granted beyond the drop-in."""
    found: dict[str, str] = {}
    for each in reversed(answers):
        lax = {keyword.lower(): due for keyword, due in wanted.items() if keyword in KEYWORDS}
        kept = {key: found[key] for key, due in lax.items() if key in found and not _as_strict(key, found[key], due)}
        found = {**each, **kept}
    return found


def ports(read: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the ports that sshd's files name; none where Debian's own is meant."""
    return [line["value"] for line in read if line["keyword"] == "port" and not line["match"]]


def lines(host: Host) -> Iterator[dict[str, Any]]:
    """Yield the settings of sshd's files in the order in which it reads them, or will once it reads the folder too."""
    read = list(_lines(host, MAIN))
    if not any(line["keyword"] == "Include" and _covers_ours(line["value"]) for line in read):
        yield from (line for path in _included(host, f"{FOLDER}/*.conf") for line in _lines(host, path))
    yield from read


def _lines(host: Host, path: str, *, match: bool = False, depth: int = 0) -> Iterator[dict[str, Any]]:
    """Yield the settings of a file and of those that it includes, in the order in which sshd reads them."""
    for number, raw in enumerate((host.text(path) or "").splitlines(), 1):
        words = raw.strip().replace("=", " ", 1).split(None, 1)
        if not words or words[0].startswith("#"):
            continue
        keyword, value = words[0].lower(), (words[1] if len(words) > 1 else "").strip().strip('"')
        if keyword == "match":
            match = True  # `Match all` too: what follows it wins over all that stands outside of Match blocks
        elif keyword == "include":
            yield {"where": f"{path}:{number}", "keyword": "Include", "value": value, "match": match}
            if depth < 16:
                for included in _included(host, value):
                    yield from _lines(host, included, match=match, depth=depth + 1)
        else:
            yield {"where": f"{path}:{number}", "keyword": keyword, "value": value, "match": match}


def _included(host: Host, patterns: str) -> Iterator[str]:
    for pattern in patterns.split():
        absolute = pattern if pattern.startswith("/") else f"/etc/ssh/{pattern}"
        folder, name = os.path.split(absolute)
        yield from (f"{folder}/{found}" for found in host.list(folder) if fnmatch.fnmatchcase(found, name))


def _covers_ours(patterns: str) -> bool:
    absolute = (each if each.startswith("/") else f"/etc/ssh/{each}" for each in patterns.split())
    return any(fnmatch.fnmatchcase(FILE, pattern) for pattern in absolute)


def _shadows(host: Host, lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the settings that sshd reads before the drop-in and that therefore win over it.

    Debian's sshd_config includes the folder before any setting: what stands in the folder under
    an earlier name comes first, and so does what a site put above the Include.
    """
    own = [index for index, line in enumerate(lines) if line["keyword"] == "Include" and _covers_ours(line["value"])]
    above = [line for line in lines[: own[0]] if line["where"].startswith(f"{MAIN}:")] if own else []
    earlier = [name for name in host.list(FOLDER) if name.endswith(".conf") and f"{FOLDER}/{name}" < FILE]
    return [*above, *(line for name in earlier for line in _lines(host, f"{FOLDER}/{name}"))]


def _spares(line: Mapping[str, Any], scope: Mapping[str, Any]) -> bool:
    """Tell whether a line in a Match block asks somebody for less than two factors, where people come from outside."""
    outside = second_factor.devices(scope.get("tunnel") or {})
    return bool(outside) and line["keyword"] == "authenticationmethods" and not second_factor.both(line["value"])


def _is_ours(line: Mapping[str, Any]) -> bool:
    return str(line["where"]).startswith(f"{FILE}:")


def _told(line: Mapping[str, Any]) -> str:
    return f"{line['keyword']} {line['value']} in {line['where']} wins over {FILE}: take it out, or run the role again"


def _clashes(option: str, value: str, wanted: Mapping[str, str]) -> bool:
    """Tell whether an option of the command line is another file, or a setting that differs from the drop-in."""
    keyword, _space, said = value.replace("=", " ", 1).partition(" ")
    return option != "-o" or _differs({"keyword": keyword.lower(), "value": said.strip()}, wanted)


def _started_with(options: list[str]) -> str:
    """Say what sshd was started with, which wins over all of its files."""
    return (
        f"sshd was started with {' '.join(options)}, which wins over {FILE}: take it out of "
        f"{ssh_command_line.DEFAULTS}, or run the role again"
    )


def _unread(host: Host, wanted: Mapping[str, str]) -> str:
    """Say that the drop-in is not read at all, and what the main file says in its place."""
    differing = (line for line in _lines(host, MAIN) if _differs(line, wanted))
    said = [f"{line['keyword']} {line['value']} in {line['where']}" for line in differing]
    instead = f" ({', '.join(said)})" if said else ""
    return f"{MAIN} has no `{INCLUDE}`, so {FILE} is not read{instead}: put it on the first line, or run the role again"


def _differs(line: Mapping[str, Any], wanted: Mapping[str, str]) -> bool:
    for keyword in WEAK:
        if line["keyword"] == keyword.lower() and line["value"][:1] not in ("+", "-", "^"):
            return bool(_weak_names(keyword, line["value"]))  # a list of a site's own, which may be shorter than ours
    known = {keyword.lower(): value for keyword, value in wanted.items()}
    known["challengeresponseauthentication"] = known["kbdinteractiveauthentication"]
    if line["keyword"] == "authenticationmethods":
        return line["value"] not in ("any", "publickey")
    said = SPELLINGS.get(line["value"].lower(), line["value"].lower())
    return line["keyword"] in known and not _as_strict(line["keyword"], said, known[line["keyword"]])


def _as_strict(keyword: str, said: str, wanted: str) -> bool:
    """Whether a value is ours or stricter: what somebody keeps more tightly than we do stays."""
    if keyword == "permitrootlogin" and said in ROOT_STRICTNESS:
        return ROOT_STRICTNESS.index(said) <= ROOT_STRICTNESS.index(wanted)
    if wanted.isdigit() and re.fullmatch(r"(\d+[smhdw]?)+", said):
        parts = re.findall(r"(\d+)([smhdw]?)", said)
        return 0 < sum(int(number) * SECONDS.get(unit, 1) for number, unit in parts) <= int(wanted)
    return said == wanted


def _authorized_keys(host: Host, patterns: str) -> dict[str, int]:
    """Return login -> number of authorized keys, for accounts that may have a shell and own at least one."""
    counts: dict[str, int] = {}
    for line in (host.text("/etc/passwd") or "").splitlines():
        fields = line.split(":")
        if len(fields) < 7 or fields[6].endswith(("nologin", "false")):
            continue
        paths = (each.replace("%h", fields[5]).replace("%u", fields[0]) for each in patterns.split())
        texts = (host.text(each if each.startswith("/") else f"{fields[5]}/{each}") or "" for each in paths)
        keys = sum(1 for text in texts for row in text.splitlines() if row.strip() and not row.lstrip().startswith("#"))
        if keys:
            counts[fields[0]] = keys
    return counts


def write(host: Host, path: str, text: str) -> None:
    """Replace a file of sshd's, have sshd check all of them, and put the former one back when it says no."""
    former, entry = host.read(path), host.stat(path)
    host.write(path, text, mode=int(entry.mode, 8) if entry else 0o644)
    checked = host.run([BINARY, "-t"])
    if checked.ok:
        return
    if former is None:
        host.remove(path)
    else:
        host.write(path, former, mode=int(entry.mode, 8) if entry else 0o644)
    raise HardeningError(f"sshd refuses it, and {path} is as before: {in_one_line(checked.errors)}.")


def _include_first(host: Host) -> None:
    write(host, MAIN, f"{INCLUDE}\n{host.text(MAIN) or ''}")


def set_aside(host: Host, where: str, wanted: Iterable[str]) -> None:
    """Make a comment of a line of somebody's, which sets one of these keywords."""
    path, _colon, number = where.rpartition(":")
    rows = (host.text(path) or "").splitlines()
    index = int(number) - 1
    words = rows[index].strip().replace("=", " ", 1).split(None, 1) if index < len(rows) else []
    known = {keyword.lower() for keyword in wanted} | {"challengeresponseauthentication", "authenticationmethods"}
    if not words or words[0].lower() not in known:
        raise HardeningError(f"{where} changed meanwhile; run this again.")
    rows[index] = ASIDE + rows[index].strip()
    write(host, path, "\n".join(rows) + "\n")
