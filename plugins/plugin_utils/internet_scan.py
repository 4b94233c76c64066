# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The dated evidence of a look from the internet, kept beside the clinic file: made by a probe, read by each audit.

It says when which vantage points tried which ports of which addresses, and what answered; nothing of it is secret. It
counts for an address only where the vantage point heard of somebody else in the same protocol, IPv4 or IPv6, meanwhile:
one that is cut off hears silence from everywhere. An address to which the internet knows no way, such as one of a
network that is the practice's own, is told apart and counts as well: nobody comes there.
"""

from __future__ import annotations

import datetime
import ipaddress
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.firewall_scan import LOOK
from ansible_collections.radiology.hardening.plugins.plugin_utils import clinic_folder

FOLDER, FILE = "internet-scan", "evidence.json"
FORMAT = 1
ABOUT = """\
evidence.json says when the clinic was last looked at from the internet, from where, and what answered. It was made by
the playbooks probe and audit of radiology.hardening, and is replaced by the next look. The audit reads it.
"""
AHEAD = datetime.timedelta(minutes=10)
"""By so much another controller's clock may be ahead of ours."""
LISTS, TEXTS = ("addresses", "no_way", "open", "undeclared"), ("vantage_point", "host", "ports")
INTERNET = "internet"

Looks = list[dict[str, Any]]


def path(directory: str) -> str:
    """Return where the evidence of a clinic lies."""
    return os.path.join(directory, FOLDER, FILE)


def looks(name: str, vantage: Mapping[str, Any], exposure: Mapping[str, Any]) -> Looks:
    """Return what a vantage point really looked at: an entry a host; none where it heard nothing at all."""
    targets = {host: seen["wire"].get("ports") or {} for host, seen in (exposure.get("targets") or {}).items()}
    heard = _heard(exposure)
    found = []
    for host, ports in targets.items():
        here, nowhere = (
            [address for address in ports.get(key, []) if ipaddress.ip_address(address).version in heard]
            for key in ("looked_at", "no_way")
        )
        if vantage["kind"] == INTERNET and here:
            about = {"vantage_point": name, "host": host, "addresses": here, "no_way": nowhere, "ports": ports["tried"]}
            over_udp = [f"{place} (UDP)" for place in ports.get("udp", [])]
            undeclared = [*ports["undeclared"], *over_udp]
            found.append({**about, "open": [*ports["open"], *over_udp], "undeclared": undeclared})
    return found


def deaf(host: str, vantage: Mapping[str, Any], exposure: Mapping[str, Any]) -> str:
    """Return why the silence of a host proves nothing, seen from a vantage point on the internet; empty where it does.

    What answered there is told all the same.
    """
    ports = exposure["targets"][host]["wire"].get("ports") or {}
    if vantage["kind"] != INTERNET or ports.get("open") or ports.get("udp"):
        return ""
    unheard = {ipaddress.ip_address(address).version for address in ports.get("looked_at", [])} - _heard(exposure)
    if not unheard:
        return ""
    over = " and ".join(f"IPv{version}" for version in sorted(unheard))
    asked = ", ".join(vantage.get("control_targets") or []) or "none"
    return f"nobody answered it over {over}, so that silence proves nothing; control_targets that it asked: {asked}"


def keep(clinic: Mapping[str, Any], found: Looks, now: datetime.datetime) -> str:
    """Write the evidence of one run atomically in the place of the former one, and return where it lies."""
    known = {"format": FORMAT, "clinic": clinic["name"], "scanned": now.isoformat(timespec="seconds"), "looks": found}
    where = path(str(clinic["directory"]))
    clinic_folder.lay(str(clinic["directory"]), where, json.dumps(known, indent=1, sort_keys=True) + "\n", ABOUT)
    return where


def state(clinic: Mapping[str, Any], now: datetime.datetime) -> dict[str, Any]:
    """Return what the evidence of a clinic says today: age_days, undeclared, wanting, advice, and who looked when.

    Evidence that cannot be read, is of another clinic, or is dated to come, has no age, and one sentence that says so.
    """
    known, why = _read(clinic, now)
    found: dict[str, Any] = {"scanned": "", "vantage_points": [], "addresses": [], "age_days": None, "undeclared": []}
    if known:
        when, entries = known["scanned"], known["looks"]
        found |= {
            "scanned": when.isoformat(timespec="seconds"),
            "vantage_points": _each(entry["vantage_point"] for entry in entries),
            "addresses": _each(address for entry in entries for address in entry["addresses"]),
            "age_days": max((now.date() - when.date()).days, 0),
            "undeclared": _each(place for entry in entries for place in entry["undeclared"]),
        }
        nowhere = _each(address for entry in entries for address in entry["no_way"])
        why = _uncovered(clinic.get("exposed") or [], [*found["addresses"], *nowhere])
    return {**found, "wanting": [why] if why else [], "advice": [_advice(found, why)]}


def said(found: Mapping[str, Any]) -> str:
    """Return what is known of the last look from the internet as a sentence of the report."""
    if not found["scanned"]:
        return f"Last look from the internet: none that counts; {'; '.join(found['wanting'])}."
    when, answered = found["scanned"], ", ".join(found["undeclared"])
    told = f"undeclared, {answered} answered" if answered else "nothing answered that is not declared"
    more = "".join(f"; {why}" for why in found["wanting"])
    from_where, whom = ", ".join(found["vantage_points"]), ", ".join(found["addresses"])
    return (
        f"Last look from the internet: {when[:10]}, {when[11:16]} UTC, from {from_where} at {whom or 'no address'}: "
        f"{told}{more}."
    )


def _read(clinic: Mapping[str, Any], now: datetime.datetime) -> tuple[dict[str, Any], str]:
    """Return the evidence, its day read, or why there is none that counts."""
    where = path(str(clinic.get("directory") or ""))
    try:
        text = clinic_folder.read(where)
    except HardeningError as error:
        return {}, str(error).rstrip(".")
    if not text:
        return {}, "nobody has looked from the internet yet"
    try:
        known = _parsed(text)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}, f"{where} does not read as evidence of a look from the internet"
    if known["clinic"] != clinic["name"]:
        return {}, f"{where} is of the clinic {known['clinic']}, not of {clinic['name']}"
    if known["scanned"] > now + AHEAD:
        return {}, f"{where} is dated {known['scanned'].isoformat(timespec='seconds')}, which is still to come"
    return known, ""


def _parsed(text: str) -> dict[str, Any]:
    """Read evidence; ValueError, TypeError, KeyError or AttributeError where anything is not as `keep` writes it."""
    known = json.loads(text)
    when = datetime.datetime.fromisoformat(known["scanned"])
    entries = known["looks"]
    if known["format"] != FORMAT or when.tzinfo is None or not isinstance(known["clinic"], str) or not entries:
        raise ValueError
    for entry in entries:
        lists = [entry[name] for name in LISTS]
        if not all(isinstance(listed, list) and all(isinstance(each, str) for each in listed) for listed in lists):
            raise ValueError
        if not all(isinstance(entry[name], str) for name in TEXTS):
            raise ValueError
    return {**known, "scanned": when.astimezone(datetime.UTC)}


def _uncovered(exposed: Sequence[str], covered: Sequence[str]) -> str:
    """Say which addresses that the clinic file names nobody looked at; empty where there are some, and none is left."""
    if not exposed:
        return "the clinic file names no address of its internet box (addresses of internet)"
    left = [address for address in exposed if address not in covered]
    return f"nobody could look at {', '.join(left)}, which the clinic file names" if left else ""


def _advice(found: Mapping[str, Any], why: str) -> str:
    """Return in one sentence what is missing, and what a person runs."""
    if why:
        return f"{why[0].upper()}{why[1:]}: {LOOK}."
    day = found["scanned"][:10]
    if found["undeclared"]:
        places = ", ".join(found["undeclared"])
        return f"On {day} {places} answered the internet: close it in the pages of the internet box, then {LOOK}."
    return f"The last look from the internet is of {day}, {found['age_days']} days ago: {LOOK}."


def _heard(exposure: Mapping[str, Any]) -> set[int]:
    """Return the versions of IP over which anybody answered a vantage point."""
    seen = [told["wire"].get("ports") or {} for told in (exposure.get("targets") or {}).values()]
    return {
        _version(place)
        for place in (*(exposure.get("answered") or []), *(place for ports in seen for place in ports.get("open", [])))
    }


def _version(place: str) -> int:
    """Return the version of IP of an address:port."""
    return 6 if place.startswith("[") else 4


def _each(texts: Any) -> list[str]:
    return list(dict.fromkeys(texts))
