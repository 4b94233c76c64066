# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Security updates that Debian installs by itself: apt's daily timers, and unattended-upgrades.

apt.systemd.daily touches its stamps only when the work succeeded (apt 2.6, measured), so that their age tells for how
long this host has gone without updates, whatever the reason.
"""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import (
    apt_configuration,
    packages,
    security_archive,
)
from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import deliberate
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step

FACTS: dict[str, str] = {
    "updates.installed": "bool: the program unattended-upgrade is on the host",
    "updates.every_days": "int or float: days between two installations, or two renewals of the package index, "
    "whichever is longer; null: one of them is never done, or at a shutdown alone",
    "updates.security": "bool: unattended-upgrades takes what Debian's security archive offers for this release",
    "updates.unsourced": "list of str: why corrections of this release do not reach this host: its security archive is "
    "no source of apt's, or comes behind another; of a host that never renewed its index: none",
    "updates.timers_off": "list of str: timers of apt that do not run, or do not start with the machine",
    "updates.days_behind": "int: days since the package index was renewed and updates were installed, whichever is "
    "longer ago; on a host that never did, since it was hardened; null: never",
    "updates.withheld": "list of str: packages on hold, and patterns of packages that updates are not installed of",
    "updates.unverified": "list of str: file:line of package sources whose signature is not checked, and such settings",
    "updates.advice.*": "list of str: what to do about unsourced, days_behind, withheld and unverified",
}
PACKAGE = "unattended-upgrades"
PROGRAM = "/usr/bin/unattended-upgrade"
FILE = "/etc/apt/apt.conf.d/99radiology-updates"
"""Read after all that Debian and most others put there: of a setting, apt takes the last."""
TEXT = """\
// Kept by radiology.hardening (role system): security updates are installed every day.
APT::Periodic::Enable "1";
APT::Periodic::Update-Package-Lists "1";
APT::Periodic::Unattended-Upgrade "1";
Unattended-Upgrade::InstallOnShutdown "false";
Unattended-Upgrade::Origins-Pattern:: "origin=Debian,codename=${distro_codename}-security,label=Debian-Security";
Unattended-Upgrade::Origins-Pattern:: "origin=Debian,codename=${distro_codename},label=Debian-Security";
"""
TIMERS = ("apt-daily.timer", "apt-daily-upgrade.timer")
STAMPS = (
    ("/var/lib/apt/periodic/update-stamp", packages.STAMP),
    ("/var/lib/apt/periodic/upgrade-stamp",),
)
"""For the index, and for what was installed: the files that are touched when it succeeds."""
LISTS = security_archive.LISTS
STATUS = "/var/lib/dpkg/status"
SOURCES = "/etc/apt/sources.list"
SOURCES_FOLDER = "/etc/apt/sources.list.d"
LAX = ("APT::Get::AllowUnauthenticated", "Acquire::AllowInsecureRepositories", "Acquire::AllowWeakRepositories")
"""Settings by which apt takes packages that nobody signed, or by a weak hash (apt.conf(5), apt-secure(8))."""
ONE_LINE = re.compile(r"^\s*deb(?:-src)?\s+\[[^\]]*\b(?:trusted|allow-insecure|allow-weak)=(?:yes|true|1)\b", re.I)
STANZA = re.compile(r"^(?:trusted|allow-insecure|allow-weak)\s*:\s*(?:yes|true|1)\s*$", re.I)
DISABLED = re.compile(r"^enabled\s*:\s*no\s*$", re.I)
DAY = 86400


def observe(host: Host, codename: str) -> dict[str, Any]:
    """Return the facts below `updates`."""
    settings = apt_configuration.parse(host.run(["apt-config", "dump"]).output)
    found = {
        "installed": host.stat(PROGRAM) is not None,
        "every_days": _every_days(settings),
        "security": apt_configuration.takes(settings, _archive(host, codename), codename),
        "unsourced": security_archive.unsourced(host, codename),
        "timers_off": _timers_off(host),
        "days_behind": _days_behind(host),
        "withheld": _withheld(host, settings),
        "unverified": [*_unverified(host), *_lax(settings)],
    }
    return {
        **found,
        "advice": {fact: [] if found[fact] in (0, []) else [advise(found)] for fact, advise in ADVICE.items()},
    }


def steps(found: Mapping[str, Any], unmet: list[str]) -> list[Step]:
    """Return the steps that have updates installed; what somebody decided otherwise is left to a person."""
    facts = [name.rpartition(".")[2] for name in unmet]
    done: list[Step] = []
    begins = "days_behind" in facts and found["days_behind"] is None and found["installed"] and found["every_days"]
    if {"installed", "every_days", "security"} & set(facts) or begins:
        installing = "" if found["installed"] else f" by {PACKAGE}, which is installed for it"
        done.append(Step(f"Have security updates installed every day{installing}", _enable))
    if "timers_off" in facts:
        done.append(Step(f"Start {' and '.join(found['timers_off'])}, now and with the machine", _start))
    left = [fact for fact in facts if fact in ADVICE and not (done and found[fact] is None)]
    return [*done, *(deliberate(ADVICE[fact](found)) for fact in left)]


def _behind(found: Mapping[str, Any]) -> str:
    days = found["days_behind"]
    if days is None:
        return "this host has never installed a security update by itself, nor was it hardened to do so"
    return (
        f"no security update was installed for {days} days: see `journalctl -u apt-daily -u "
        "apt-daily-upgrade` for the reason, then run `apt-get update && unattended-upgrade`"
    )


def _kept_back(found: Mapping[str, Any]) -> str:
    return f"no security update is installed of {', '.join(found['withheld'])}: end that, or waive it with a reason"


def _unsigned(found: Mapping[str, Any]) -> str:
    return f"packages are taken without a valid signature by {', '.join(found['unverified'])}: take that out"


ADVICE: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "unsourced": lambda found: security_archive.advise(found["unsourced"]),
    "days_behind": _behind,
    "withheld": _kept_back,
    "unverified": _unsigned,
}
"""Fact -> what a person does about it."""


def _every_days(settings: apt_configuration.Settings) -> float | int | None:
    at_shutdown = apt_configuration.is_true(settings, "Unattended-Upgrade::InstallOnShutdown", otherwise=False)
    if at_shutdown or not apt_configuration.is_true(settings, "APT::Periodic::Enable", otherwise=True):
        return None
    found = [apt_configuration.days(settings, name) for name in ("Update-Package-Lists", "Unattended-Upgrade")]
    longest = max((days for days in found if days is not None), default=0.0)
    whole = int(longest) if longest == int(longest) else longest
    return None if None in found else whole


def _archive(host: Host, codename: str) -> dict[str, str]:
    """Return the words of the security archive, as its Release file on this host says them, else Debian's own."""
    known = {"origin": "Debian", "label": "Debian-Security", "codename": f"{codename}-security", "component": "main"}
    for name in host.list(LISTS):
        if name.endswith(f"_dists_{codename}-security_InRelease"):
            head = (host.text(f"{LISTS}/{name}") or "")[:2000]
            told = dict(re.findall(r"(?m)^(Origin|Label|Suite|Codename): *(.*?) *$", head))
            words = {"archive" if word == "Suite" else word.lower(): value for word, value in told.items()}
            return {**known, **words, "site": name.partition("_")[0]}
    return known


def _timers_off(host: Host) -> list[str]:
    shown = host.run(["systemctl", "show", *TIMERS, "--property=Id,ActiveState,UnitFileState"]).output
    told = [dict(line.partition("=")[::2] for line in part.splitlines()) for part in shown.split("\n\n")]
    running = {
        each.get("Id")
        for each in told
        if each.get("ActiveState") == "active" and each.get("UnitFileState") in ("enabled", "static")
    }
    return [timer for timer in TIMERS if timer not in running]


def _days_behind(host: Host) -> int | None:
    ours = host.stat(FILE)
    ages = []
    for paths in STAMPS:
        touched = [entry.modified for entry in map(host.stat, paths) if entry is not None]
        latest = max(touched, default=ours.modified if ours else None)
        if latest is None:
            return None
        ages.append(int(max(0.0, time.time() - latest) // DAY))
    return max(ages)


def _withheld(host: Host, settings: apt_configuration.Settings) -> list[str]:
    held = re.findall(r"(?m)^Package: (\S+)\nStatus: hold ", host.text(STATUS) or "")
    patterns = settings.get(apt_configuration.BLACKLIST, ())
    only = settings.get(apt_configuration.WHITELIST, ())
    return [
        *(f"{name} (on hold)" for name in sorted(held)),
        *(f"{text} (Package-Blacklist)" for text in patterns),
        *([f"all but {' '.join(only)} (Package-Whitelist)"] if only else []),
    ]


def _unverified(host: Host) -> Iterator[str]:
    folder = [f"{SOURCES_FOLDER}/{name}" for name in host.list(SOURCES_FOLDER)]
    for path in [SOURCES, *folder]:
        text = host.text(path) or ""
        if path.endswith(".list"):
            yield from (f"{path}:{number}" for number, line in enumerate(text.splitlines(), 1) if ONE_LINE.match(line))
        elif path.endswith(".sources"):
            yield from _of_stanzas(path, text)


def _of_stanzas(path: str, text: str) -> Iterator[str]:
    """Yield the lines of deb822 stanzas that are in use; an empty line ends one (sources.list(5))."""
    numbered = enumerate(text.splitlines(), 1)
    for is_stanza, lines in itertools.groupby(numbered, key=lambda line: bool(line[1].strip())):
        stanza = list(lines) if is_stanza else []
        if not any(DISABLED.match(line) for _number, line in stanza):
            yield from (f"{path}:{number}" for number, line in stanza if STANZA.match(line))


def _lax(settings: apt_configuration.Settings) -> list[str]:
    told = [name for name in LAX if apt_configuration.is_true(settings, name, otherwise=False)]
    return [f"{name} of apt's configuration" for name in told]


def _enable(host: Host) -> None:
    for step in packages.plan(host, [PACKAGE]):
        step.do(host)
    host.write(FILE, TEXT)
    settings = apt_configuration.parse(host.run(["apt-config", "dump"]).output)
    if _every_days(settings) not in (0, 1):
        raise HardeningError(
            f"A file of /etc/apt/apt.conf.d that is read after {FILE}, or /etc/apt/apt.conf, sets APT::Periodic "
            "or InstallOnShutdown otherwise: `apt-config dump` shows what is in force. Take it out there."
        )


def _start(host: Host) -> None:
    for timer in TIMERS:
        host.must(["systemctl", "unmask", timer])
        host.must(["systemctl", "enable", "--now", timer])
