# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What apt is told, as `apt-config dump` says it, and what of it decides about security updates."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator, Mapping

LINE = re.compile(r'^(\S+?)(?:::)? "(.*)";$')
PERIOD = re.compile(r"(\d+)([smhd]?)")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "": 86400}
"""apt.systemd.daily takes a number as days unless a letter follows it."""

PATTERNS = "unattended-upgrade::origins-pattern"
ALLOWED = "unattended-upgrade::allowed-origins"
BLACKLIST = "unattended-upgrade::package-blacklist"
WHITELIST = "unattended-upgrade::package-whitelist"
SHORT = {"o": "origin", "l": "label", "a": "archive", "n": "codename", "c": "component", "suite": "archive"}
"""Words of a pattern that mean others (unattended-upgrades, README)."""

Settings = Mapping[str, tuple[str, ...]]
"""Name in small letters -> its values in their order; of a setting that is no list the last one counts."""


def parse(dump: str) -> Settings:
    """Read `apt-config dump`; names are alike in any case, as apt takes them."""
    found: dict[str, tuple[str, ...]] = {}
    for line in dump.splitlines():
        told = LINE.match(line)
        if told and (told[2] or told[1].lower() not in (PATTERNS, ALLOWED, BLACKLIST, WHITELIST)):
            name = told[1].lower()
            found[name] = (*found.get(name, ()), told[2])
    return found


def days(settings: Settings, name: str) -> float | None:
    """Return every how many days one of apt's periodic works is done; None where it never is."""
    told = (settings.get(f"apt::periodic::{name.lower()}") or ("0",))[-1]
    if told == "always":
        return 0.0
    period = PERIOD.fullmatch(told)
    return int(period[1]) * SECONDS[period[2]] / 86400 or None if period else None


def is_true(settings: Settings, name: str, *, otherwise: bool) -> bool:
    """Tell what apt takes a setting for."""
    told = (settings.get(name.lower()) or ("",))[-1].lower()
    if told in ("1", "yes", "true", "with", "on", "enable"):
        return True
    return False if told in ("0", "no", "false", "without", "off", "disable") else otherwise


def takes(settings: Settings, archive: Mapping[str, str], codename: str) -> bool:
    """Tell whether unattended-upgrades installs what an archive offers, told by the words of its Release file."""
    return any(
        all(fnmatch.fnmatch(archive.get(SHORT.get(word, word), ""), value) for word, value in demands.items())
        for demands in _patterns(settings, codename)
        if demands
    )


def _patterns(settings: Settings, codename: str) -> Iterator[dict[str, str]]:
    """Yield what each pattern demands (2.9: `match_whitelist_string`): archives of both settings are installed."""
    known = {"${distro_codename}": codename, "${distro_id}": "Debian"}
    for text in settings.get(PATTERNS, ()):
        pairs = (part.partition("=") for part in re.split(r"(?<!\\),", _with(known, text)) if part)
        yield {word.strip(): value.strip().replace("\\,", ",") for word, _equals, value in pairs}
    for text in settings.get(ALLOWED, ()):
        origin, _mark, archive = _with(known, text.replace(":", " ")).partition(" ")
        yield {"origin": origin.strip(), "archive": archive.strip()}


def _with(known: Mapping[str, str], text: str) -> str:
    for variable, value in known.items():
        text = text.replace(variable, value)
    return text
