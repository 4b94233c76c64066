# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an audit saw last of a device that may be away: kept beside the clinic file, and judged while it is.

Nothing of it is secret: it is what observers told of the host from inside, and vantage points from outside. It stands
in for a host that nobody reaches, for as many days as the clinic file allows (`away_days`). A host that answers in any
way, or refuses a login, is not away.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import math
import os
import re
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.plugin_utils import clinic_folder
from ansible_collections.radiology.hardening.plugins.plugin_utils.judge import Sight

FOLDER, INSIDE = "last-seen", "inside"
FORMAT = 1
ABOUT = """\
What an audit saw last of each device that may be away (away_days of the clinic file). It was made by the playbook audit
of radiology.hardening, which judges by it while the device is switched off or carried home.
"""
AHEAD = datetime.timedelta(minutes=10)
"""By so much another controller's clock may be ahead of ours."""
DEEPEST = 32
"""Far more than lists and mappings lie in each other in any facts."""
NOTHING = r"(?:(?:Connection|Operation) timed out|No route to host|Host is down)"
BY_ANOTHER = (
    r"(?:stdio forwarding failed\s+)?(?:kex|ssh)_exchange_identification: [^\n]+\n"
    r"(?:Connection closed by|banner exchange: Connection to) UNKNOWN port 65535\b[^\n]*"
)
UNANSWERED = (
    rf"\bssh: connect to host (?P<host>\S+) port \d+: {NOTHING}\s*\Z",
    rf"\bnc: connect to (?P<host>\S+) port \d+ \(tcp\) failed: {NOTHING}\s+{BY_ANOTHER}\s*\Z",
    rf"\bopen failed: connect failed: {NOTHING}\s+{BY_ANOTHER}\s*\Z",
)
"""What ssh(1), `nc -v` as its ProxyCommand, or its ProxyJump says at last of a host that sends nothing (OpenSSH 9.2).

At last, since what a host says, such as its banner, stands before what ssh says of it; the second half of what is said
with another's help tells that no SSH server answered, and is said again for each jump before the last.
"""


class Seen(NamedTuple):
    """What was seen from one place, and when."""

    facts: Mapping[str, Any]
    when: datetime.datetime


def path(variables: Mapping[str, Any]) -> str:
    """Return where it lies what was seen of a host."""
    return os.path.join(str(variables["clinic"]["directory"]), FOLDER, f"{variables['clinic_host']['name']}.json")


def days(variables: Mapping[str, Any]) -> int:
    """Return for how many days a host may be away."""
    return int((variables.get("clinic_host") or {}).get("away_days", 0))


def is_unheard(sight: Sight) -> bool:
    """Tell whether nothing comes from a host at any vantage point."""
    return not any(view.answers for view in sight.outside)


def is_looked_for(sight: Sight) -> bool:
    """Tell whether any vantage point looked for a host and met nothing of it; one that could not look tells nothing."""
    return any(view.answers is False for view in sight.outside)


def is_unanswered(said: str, known_as: Collection[str]) -> bool:
    """Tell whether nothing comes from a host over SSH, by what ssh(1) said of it, and not of a host on the way."""
    for found in filter(None, (re.search(each, said) for each in UNANSWERED)):
        named = found.groupdict().get("host")
        return named is None or named in known_as
    return False


def addresses(variables: Mapping[str, Any]) -> list[str]:
    """Return by what ssh(1) may name a host."""
    return [str(variables.get("ansible_host", "")), *map(str, variables["clinic_host"]["addresses"])]


def keep(variables: Mapping[str, Any], version: str, sight: Sight, now: datetime.datetime) -> str:
    """Write what was just seen of a host in the place of what was seen from there before; return where it lies."""
    clinic, where = variables["clinic"], path(variables)
    try:
        former = _current(_read(variables, version), variables, now)
    except HardeningError:
        former = {}  # what cannot be read stands for nothing, and is replaced
    fresh = {view.name: Seen(view.facts, now) for view in sight.outside if view.facts}
    parts = former | fresh | ({} if sight.inside is None else {INSIDE: Seen(sight.inside, now)})
    known = {
        "format": FORMAT,
        "clinic": clinic["name"],
        "host": variables["clinic_host"]["name"],
        "addresses": variables["clinic_host"]["addresses"],
        "collection": version,
        "parts": {
            name: {"seen": seen.when.isoformat(timespec="seconds"), "facts": seen.facts} for name, seen in parts.items()
        },
    }
    clinic_folder.lay(str(clinic["directory"]), where, json.dumps(known, indent=1, sort_keys=True) + "\n", ABOUT)
    return where


def recall(variables: Mapping[str, Any], version: str, now: datetime.datetime, *, inside: bool) -> dict[str, Seen]:
    """Return what was seen of a host that is away, by place; HardeningError where it may not stand for it today.

    `inside` asks for what was seen inside; else what any vantage point saw will do.
    """
    found = _read(variables, version)
    asked = [seen.when for name, seen in found.items() if (name == INSIDE) is inside]
    if not asked:
        where = "inside" if inside else "from outside"
        raise HardeningError(f"{path(variables)} tells nothing of what was seen {where}.")
    last = max(asked)
    if last > now + AHEAD:
        dated = last.isoformat(timespec="seconds")
        raise HardeningError(f"{path(variables)} is dated {dated}, which is still to come.")
    current = _current(found, variables, now)
    if not any((name == INSIDE) is inside for name in current):
        ago = (now.date() - last.date()).days
        raise HardeningError(f"It was last seen on {last.date()}, {ago} days ago; its away_days are {days(variables)}.")
    return current


def standing_in(sight: Sight, known: Mapping[str, Seen]) -> tuple[Sight, datetime.datetime | None]:
    """Return a sight in which what was seen before stands in for what does not answer today, each with its day.

    And when the oldest of it was seen; None where nothing stands in. Nothing does where a vantage point could not look.
    """
    used = {
        view.name: known[view.name]
        for view in sight.outside
        if view.facts is None and view.answers is False and view.name in known
    }
    outside = tuple(
        dataclasses.replace(view, facts=seen.facts, why="", last_seen=str(seen.when.date()))
        if (seen := used.get(view.name))
        else view
        for view in sight.outside
    )
    stood = dataclasses.replace(sight, outside=outside)
    if sight.look_inside and (inside := known.get(INSIDE)):
        used[INSIDE] = inside
        stood = dataclasses.replace(stood, inside=inside.facts, last_seen=str(inside.when.date()))
    return stood, min((seen.when for seen in used.values()), default=None)


def unseen(sight: Sight, why: str) -> Sight:
    """Return a sight that says why nothing stands in for what the vantage points could not see."""
    told = tuple(
        dataclasses.replace(view, why=f"{view.why} {why}".strip())
        if view.facts is None and view.answers is False
        else view
        for view in sight.outside
    )
    return dataclasses.replace(sight, outside=told)


def _current(found: Mapping[str, Seen], variables: Mapping[str, Any], now: datetime.datetime) -> dict[str, Seen]:
    """Return what was seen within the days that the host may be away."""
    most = days(variables)
    return {
        name: seen
        for name, seen in found.items()
        if seen.when <= now + AHEAD and (now.date() - seen.when.date()).days <= most
    }


def _read(variables: Mapping[str, Any], version: str) -> dict[str, Seen]:
    """Return what is kept of a host, by place; HardeningError where that is nothing, or not of this host."""
    where, clinic, about = path(variables), variables["clinic"]["name"], variables["clinic_host"]
    host = about["name"]
    text = clinic_folder.read(where)
    if not text:
        raise HardeningError(f"No audit saw it yet that could stand for it: there is no {where}.")
    try:
        known = json.loads(text)
        of = (known["format"], known["clinic"], known["host"], known["collection"])
        at = ", ".join(sorted(known["addresses"]))
        parts = {name: _part(told) for name, told in known["parts"].items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
        raise HardeningError(f"{where} does not read as what an audit saw last of a host.") from None
    if not parts:
        raise HardeningError(f"{where} tells nothing of what was seen.")
    if of != (FORMAT, clinic, host, version):
        due = f"of {host} in {clinic}, by version {version} of the collection"
        raise HardeningError(f"{where} is of {of[2]} in {of[1]}, by version {of[3]}; what counts is {due}.")
    if at != (named := ", ".join(sorted(about["addresses"]))):
        raise HardeningError(f"{where} is of {host} at {at}; by the clinic file it is at {named} now.")
    return parts


def _part(told: Mapping[str, Any]) -> Seen:
    """Read what was seen from one place; ValueError, TypeError or KeyError where it is not as `keep` writes it."""
    when = datetime.datetime.fromisoformat(told["seen"])
    if when.tzinfo is None or not isinstance(told["facts"], dict) or not _is_told(told["facts"]):
        raise ValueError
    return Seen(told["facts"], when.astimezone(datetime.UTC))


def _is_told(value: Any, depth: int = DEEPEST) -> bool:
    """Tell whether facts can be judged, kept and reported: no deeper than any are, and of numbers that JSON knows."""
    if isinstance(value, (dict, list)):
        within = value.values() if isinstance(value, dict) else value
        return depth > 0 and all(_is_told(each, depth - 1) for each in within)
    return not isinstance(value, float) or math.isfinite(value)
