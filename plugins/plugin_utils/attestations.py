# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What persons vouch for on devices that nobody logs in to: who looked, when, what was seen, until when it holds."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterable
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.plugin_utils import catalogue

KEYS = ("host", "by", "date", "expires", "controls")
LONGEST = datetime.timedelta(days=366)
"""How long an attestation may hold: what a person saw a year ago says little of today."""
SHORTEST_SEEN = 10
"""Characters of what was seen; `ok` is no evidence."""


@dataclasses.dataclass(frozen=True)
class Attestation:
    """What one person saw of one control on one host."""

    control: str
    host: str
    by: str
    date: datetime.date
    expires: datetime.date
    seen: str

    def why_not(self, today: datetime.date) -> str:
        """Say why it does not hold today; empty where it does. The days of the look and of expiry count."""
        if today < self.date:
            return f"the attestation of {self.by} is dated {self.date.isoformat()}, a day still to come"
        if today > self.expires:
            return f"the attestation of {self.by} ended on {self.expires.isoformat()}"
        return ""

    def told(self) -> dict[str, str]:
        """Return it as the report's data."""
        return {
            "by": self.by,
            "date": self.date.isoformat(),
            "expires": self.expires.isoformat(),
            "seen": self.seen,
        }


def attestable() -> dict[str, catalogue.Control]:
    """Return the controls that a person can attest, by id."""
    return {control.id: control for control in catalogue.load() if control.attest}


def day(text: Any) -> datetime.date | None:
    """Return a date as 2027-01-31, or None."""
    try:
        return datetime.date.fromisoformat(str(text))
    except ValueError:
        return None


def wrong_span(date: datetime.date, expires: datetime.date) -> str:
    """Say what is wrong with the time for which an attestation is to hold; empty where nothing is."""
    if expires < date:
        return "before its date; accepted: a later day"
    if expires - date > LONGEST:
        return f"more than a year after its date; accepted: at the latest {(date + LONGEST).isoformat()}"
    return ""


def of(listed: Any) -> list[Attestation]:
    """Read `hardening_attestations`; what is incomplete, or vouches for no such control, is refused by name."""
    if not isinstance(listed or [], list) or any(not isinstance(entry, dict) for entry in listed or []):
        raise HardeningError(f"hardening_attestations: accepted: a list of mappings with {', '.join(KEYS)}.")
    known = attestable()
    found: list[Attestation] = []
    for entry in listed or []:
        where = f"hardening_attestations: that of {entry.get('host', 'no host')}"
        missing = [key for key in KEYS if not entry.get(key)]
        if missing:
            raise HardeningError(f"{where} lacks {', '.join(missing)}.")
        date, expires = day(entry["date"]), day(entry["expires"])
        if date is None or expires is None:
            raise HardeningError(f"{where} has no readable date or expires; accepted: a date as 2027-01-31.")
        if wrong := wrong_span(date, expires):
            raise HardeningError(f"{where} expires {expires.isoformat()}, {wrong}.")
        if not isinstance(entry["controls"], dict) or not set(entry["controls"]) <= set(known):
            raise HardeningError(f"{where}: controls accepts a mapping of {', '.join(known)} to what was seen.")
        for control, seen in entry["controls"].items():
            if not isinstance(seen, str) or len(seen.strip()) < SHORTEST_SEEN:
                raise HardeningError(f"{where} does not say what was seen for {control}; accepted: a sentence.")
            found.append(Attestation(control, str(entry["host"]), str(entry["by"]), date, expires, seen.strip()))
    return found


def best(
    given: Iterable[Attestation], control: str, host: str, today: datetime.date
) -> tuple[Attestation | None, list[str]]:
    """Return the newest attestation that holds today for a control on a host, or None and why each other does not."""
    mine = sorted((each for each in given if (each.control, each.host) == (control, host)), key=lambda each: each.date)
    holding = [each for each in mine if not each.why_not(today)]
    return (holding[-1], []) if holding else (None, [each.why_not(today) for each in mine])
