# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The screen that locks itself, and drives that a desktop opens by itself: settings of dconf which users cannot change.

GNOME, Cinnamon and MATE keep them in dconf. A database of ours with locks stands last in the profile `user`: a lock
holds against every database above it, the user's own first of all (dconf(7), "Locks"). A user's programs would read
another profile that DCONF_PROFILE or a file of his own names; none is asked for where /run/dconf/user has one of his
number (dconf 0.40, engine/dconf-engine-profile.c).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import deliberate
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step
from ansible_collections.radiology.hardening.plugins.module_utils.workstation_accounts import accounts

FACTS: dict[str, str] = {
    "session.idle_seconds": "int: seconds without a key or a move after which the screen locks; null: never",
    "session.loose": "list of str: settings about the lock that are otherwise, or that a user may change",
    "session.unheld_users": "list of str: logins whose programs may read a profile of dconf of their own",
    "session.other_desktops": "list of str: desktops on this machine that do not keep these settings in dconf",
    "session.advice": "list of str: what a person does about those desktops",
    "automount.by_desktops": "list of str: settings that let a desktop mount drives unasked, or that a user may change",
}
DATABASE = "radiology"
FOLDER = f"/etc/dconf/db/{DATABASE}.d"
KEYS, LOCKS, COMPILED = f"{FOLDER}/00-session", f"{FOLDER}/locks/00-session", f"/etc/dconf/db/{DATABASE}"
PROFILE = "/etc/dconf/profile/user"
OURS = f"system-db:{DATABASE}"
MANDATORY = "/run/dconf/user"
RULES = "/etc/tmpfiles.d/zz-radiology-dconf.conf"
DESKTOPS = ("/usr/share/xsessions", "/usr/share/wayland-sessions")
HELD = {"gnome", "x-cinnamon", "cinnamon", "mate"}
"""Names by which desktops call themselves in small letters (Desktop Entry Specification, DesktopNames)."""
DEFAULT = "lightdm-xsession.desktop"
"""Starts whichever of the others is the machine's default."""
IDLE = {
    "org/gnome/desktop/session/idle-delay": ("uint32 {}", 1),
    "org/cinnamon/desktop/session/idle-delay": ("uint32 {}", 1),
    "org/mate/session/idle-delay": ("{}", 60),
}
"""Key -> how its number is written, and how many seconds one of it is."""
STEADY = {
    "org/gnome/desktop/screensaver/idle-activation-enabled": "true",
    "org/gnome/desktop/screensaver/lock-enabled": "true",
    "org/gnome/desktop/screensaver/lock-delay": "uint32 0",
    "org/gnome/desktop/lockdown/disable-lock-screen": "false",
    "org/cinnamon/desktop/screensaver/lock-enabled": "true",
    "org/cinnamon/desktop/screensaver/lock-delay": "uint32 0",
    "org/cinnamon/desktop/lockdown/disable-lock-screen": "false",
    "org/mate/screensaver/idle-activation-enabled": "true",
    "org/mate/screensaver/lock-enabled": "true",
    "org/mate/screensaver/lock-delay": "0",
    "org/mate/desktop/lockdown/disable-lock-screen": "false",
}
DRIVES = {
    f"org/{desktop}/media-handling/{key}": value
    for desktop in ("gnome/desktop", "cinnamon/desktop", "mate")
    for key, value in (("automount", "false"), ("automount-open", "false"), ("autorun-never", "true"))
}
LEAST = 60
"""Seconds: MATE counts minutes, and takes 0 for never."""
PEOPLE = range(1000, 60000)
"""Numbers of people's accounts (adduser.conf(5), FIRST_UID and LAST_UID)."""
READ = 'for key; do printf "%s " "$key"; dconf read "/$key"; echo; done'


def observe(host: Host) -> tuple[dict[str, Any], list[str]]:
    """Return the facts below `session`, as dconf tells whoever has set nothing, and `automount.by_desktops`."""
    values = _values(host, [*IDLE, *STEADY, *DRIVES])
    locked = set(host.run(["dconf", "list-locks", "/"]).output.split()) if values else set()
    idle = [_seconds(key, values.get(key, "")) for key in IDLE]
    others, profile = _other_desktops(host), _profile(host)
    session = {
        "idle_seconds": max(each or 0 for each in idle) if all(idle) else None,
        "loose": [
            *_otherwise(values, STEADY),
            *(f"{key} may be changed by a user" for key in (*IDLE, *STEADY) if f"/{key}" not in locked),
        ],
        "unheld_users": [
            login for number, login in _people(host).items() if host.text(f"{MANDATORY}/{number}") != profile
        ],
        "other_desktops": others,
        "advice": [_advice(name) for name in others],
    }
    free = [f"{key} may be changed by a user" for key in DRIVES if f"/{key}" not in locked]
    return session, [*_otherwise(values, DRIVES), *free]


def steps(facts: Mapping[str, Any], unmet: Iterable[str], seconds: int) -> list[Step]:
    """Return what holds the settings; a desktop that keeps them elsewhere is left to a person."""
    asked = list(unmet)
    found = []
    if asked and seconds < LEAST:
        raise HardeningError(f"workstation_lock_seconds is {seconds}; accepted: {LEAST} to 600.")
    if any(name != "session.other_desktops" for name in asked):
        told = f"Have desktops lock the screen after {seconds} s and open no drive unasked, whatever their users set"
        found.append(Step(told, lambda host: _hold(host, seconds)))
    others = facts["other_desktops"] if "session.other_desktops" in asked else []
    return found + [deliberate(_advice(name)) for name in others]


def _hold(host: Host, seconds: int) -> None:
    values = {key: written.format(seconds // unit) for key, (written, unit) in IDLE.items()} | STEADY | DRIVES
    host.keep(COMPILED)
    host.write(KEYS, _key_file(values))
    host.write(LOCKS, "".join(f"/{key}\n" for key in sorted(values)))
    host.write(PROFILE, _profile(host))
    host.must(["dconf", "update"])
    host.made(COMPILED)
    host.write(RULES, _rules(host))
    host.undone_by("Let people's programs read a profile of dconf of their own again", "rm", "-rf", MANDATORY)
    host.must(["systemd-tmpfiles", "--create", RULES])
    session, by_desktops = observe(host)
    left = [*session["loose"], *by_desktops, *session["unheld_users"]]
    if left:
        raise HardeningError(f"dconf does not hold all of {KEYS}: {'; '.join(left)}.")


def _key_file(values: Mapping[str, str]) -> str:
    """Return a key file of dconf: a group for each folder, its keys below it."""
    groups: dict[str, list[str]] = {}
    for key, value in sorted(values.items()):
        folder, _slash, name = key.rpartition("/")
        groups.setdefault(folder, []).append(f"{name}={value}")
    told = (f"[{folder}]\n" + "\n".join(lines) + "\n" for folder, lines in groups.items())
    return "# Written by radiology.hardening (role workstation).\n" + "\n".join(told)


def _profile(host: Host) -> str:
    """Return the profile with our database last, so that its locks outrank all others; others' lines stay."""
    lines = [line for line in (host.text(PROFILE) or "user-db:user\n").splitlines() if line.strip() != OURS]
    return "\n".join([*lines, OURS]) + "\n"


def _rules(host: Host) -> str:
    """Return rules of tmpfiles.d(5) by which each person's programs read the profile, from the start on."""
    links = (f"L+ {MANDATORY}/{number} - - - - {PROFILE}\n" for number in _people(host))
    return f"# Written by radiology.hardening (role workstation).\nd {MANDATORY} 0755 root root -\n{''.join(links)}"


def _people(host: Host) -> dict[int, str]:
    """Return number and login of each person's account."""
    return {each.number: each.login for each in accounts(host) if each.number in PEOPLE}


def _values(host: Host, keys: list[str]) -> dict[str, str]:
    """Return what dconf tells nobody's programs, who have no settings of their own; nothing where there is no dconf."""
    command = ["runuser", "-u", "nobody", "--", "env", "-i", "PATH=/usr/bin:/bin", "HOME=/nonexistent"]
    result = host.run([*command, "sh", "-c", READ, "sh", *keys])
    rows = (line.partition(" ") for line in result.output.splitlines() if line.strip())
    return {key: value for key, _space, value in rows} if result.ok else {}


def _seconds(key: str, value: str) -> int | None:
    """Return after how many seconds a desktop's screen locks; null where it never does."""
    number = re.fullmatch(r"(?:uint32 )?([0-9]+)", value.strip())
    return int(number[1]) * IDLE[key][1] or None if number else None


def _otherwise(values: Mapping[str, str], wanted: Mapping[str, str]) -> list[str]:
    return [f"{key} is {values.get(key) or 'not set'}" for key, value in wanted.items() if values.get(key) != value]


def _other_desktops(host: Host) -> list[str]:
    found = set()
    for path in (f"{folder}/{name}" for folder in DESKTOPS for name in host.list(folder) if name != DEFAULT):
        told = re.search(r"(?m)^DesktopNames\s*=\s*(.+)$", host.text(path) or "")
        names = re.split(r"[;:\s]+", told[1].lower()) if told else []
        if path.endswith(".desktop") and not HELD & set(names):
            found.add(path.rpartition("/")[2].removesuffix(".desktop"))
    return sorted(found)


def _advice(name: str) -> str:
    return (
        f"The desktop {name} keeps its lock in settings of its own: take it off the machine, or have it lock after ten "
        "minutes for everybody and waive the control."
    )
