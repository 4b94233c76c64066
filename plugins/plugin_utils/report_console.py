# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The report on a terminal: the verdict, what is readable, and every finding that is not a pass."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Collection, Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.plugin_utils.judge import ATTESTED

CONTROL = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
"""What moves a cursor, turns the reading direction, or has no place in XML or UTF-8."""

WIDTH = 110
SHOWN_AT_MOST = 90
INDENT = " " * 13


def plain(value: Any) -> str:
    """Return a value as one line of text that moves no cursor and colours nothing."""
    return CONTROL.sub(" ", str(value))


def table(document: Mapping[str, Any]) -> str:
    """Return the report as lines of text."""
    clinic = document["clinic"]
    lines = ["", f"{plain(clinic['title'])} ({plain(clinic['name'])}), profile {document['profile']}"]
    lines.append(headline(document))
    reasons = _reasons(document)
    for name, series in document["readable_series"].items():
        counted = reasons.get(name, "could not look") if series is None else f"{series} series readable"
        lines.append(f"  from {plain(name)}: {counted}")
    lines.append(f"  {plain(document['internet_scan']['said'])}")
    worth = [finding for finding in document["findings"] if finding["verdict"] not in ("pass", "not_applicable")]
    if worth:
        lines += ["", f"{'verdict':12} {'severity':9} {'control':46} host"]
        blind = {name for name, series in document["readable_series"].items() if series is None}
        lines += [line for finding in worth for line in _finding(finding, blind)]
    lines += [_link(each) for each in document["cleartext"]]
    unseen = [host for host in document["hosts"] if not host["audited"] and host["judged"]]
    absent = [host for host in document["hosts"] if host["last_seen"]]
    idle = [each for each in document["waivers"] if each["state"] != "in use"]
    lines += [f"  waiver of {each['control']} by {plain(each['owner'])}: {plain(each['said'])}" for each in idle]
    unused = [each for each in document["attestations"] if each["state"] not in ("in use", "not asked")]
    lines += [
        f"  attestation of {each['control']} on {plain(each['host'])} by {plain(each['by'])}: {plain(each['said'])}"
        for each in unused
    ]
    lines += [f"  {plain(host['name'])} was not audited: {plain(host['why'])}" for host in unseen]
    lines += [f"  {plain(host['name'])} was away: judged by what an audit saw on {when(host)}" for host in absent]
    return "\n".join(lines)


def when(host: Mapping[str, Any]) -> str:
    """Return when an audit last saw a host that is away: day and time by UTC."""
    return f"{host['last_seen'][:10]}, {host['last_seen'][11:16]} UTC"


def _link(link: Mapping[str, Any]) -> str:
    """Return the line about a device that the clinic file lets speak in clear."""
    owned = f"{plain(link['owner'])} ({plain(link['reason'])})"
    return f"  {plain(link['device'])} in clear until {link['expires']}, by {owned}: {plain(link['said'])}"


def _reasons(document: Mapping[str, Any]) -> dict[str, str]:
    """Return vantage point -> why nothing could be seen from it, which is said once and not with each finding."""
    unseen = [item for each in document["findings"] for item in each["evidence"] if item["verdict"] == "not_audited"]
    return {item["seen_from"]: f"could not look: {plain(item['why'])}" for item in unseen if item["why"]}


def headline(document: Mapping[str, Any]) -> str:
    """Return the verdict as a sentence with its figures."""
    counts = document["counts"]
    judged = counts.get("pass", 0) + counts.get("fail", 0)
    parts = [f"{counts[verdict]} {verdict.replace('_', ' ')}" for verdict in sorted(counts)]
    said = f"{document['verdict'].upper()}: {judged} checks judged; {', '.join(parts) or 'nothing was looked at'}"
    count = away(document)
    return f"{said}; {count}, judged by what an audit saw before" if count else said


def away(document: Mapping[str, Any]) -> str:
    """Return how many hosts are judged by what an audit saw of them before, in words; empty where none is."""
    count = sum(1 for host in document["hosts"] if host["last_seen"])
    return f"{count} host{'' if count == 1 else 's'} away" if count else ""


def expected(item: Mapping[str, Any]) -> str:
    """Return what was expected, in words."""
    if item["operator"] == "empty":
        return "none" if item["expected"] else "some"
    if item["operator"] == "present":
        return "to be there" if item["expected"] else "not to be there"
    value = _words(item["expected"])
    word = {"at_least": "at least ", "at_most": "at most ", "in": "one of ", "subset_of": "only ", "matches": "like "}
    return word.get(item["operator"], "") + value


def observed(item: Mapping[str, Any]) -> str:
    """Return what was seen, in words; why, where nothing could be seen."""
    if item["verdict"] in ("error", "not_audited"):
        return item.get("why") or "nothing"
    return "nothing" if item["observed"] is None else _words(item["observed"])


def seen(item: Mapping[str, Any], most: int | None = None) -> str:
    """Return in words what was seen of a fact, in `most` characters, and what was expected, or that it was not seen."""
    day = f", on {item['last_seen']}" if item["last_seen"] else ""
    where = f"{plain(item['seen_from'])}{day}: {item['fact']}"
    shown = plain(observed(item))
    shown = textwrap.shorten(shown, most, placeholder=" ...") if most else shown
    if item["seen_from"] == ATTESTED:
        told = shown if item["verdict"] == "not_audited" else f"a person attests {shown}"
        return f"{told}; expected {expected(item)}"
    if item["verdict"] in ("error", "not_audited"):
        return f"{where} was not seen: {shown}"
    return f"{where} is {shown}; expected {expected(item)}"


def attested(attestation: Mapping[str, Any]) -> str:
    """Return who vouches for what until when; nobody measured it."""
    days = f"on {attestation['date']}, until {attestation['expires']}"
    return plain(f"attested by {attestation['by']} {days}, not measured: {attestation['seen']}")


def _words(value: Any) -> str:
    """Return a value as people say it: yes and no, none, a list with commas."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return str(value) or "empty"


def _finding(finding: Mapping[str, Any], blind: Collection[str]) -> list[str]:
    """Return a finding's lines; why the `blind` vantage points saw nothing at all is told once, above."""
    lines = [f"{finding['verdict']:12} {finding['severity']:9} {finding['control']:46} {plain(finding['host'])}"]
    lines += [
        f"{INDENT}{seen(item, SHOWN_AT_MOST)}"
        for item in finding["evidence"]
        if item["verdict"] not in ("pass", "not_audited", "attested")
    ]
    missing = [item for item in finding["evidence"] if item["seen_from"] == ATTESTED and item["verdict"] != "attested"]
    lines += [f"{INDENT}{seen(item)}" for item in missing if finding["verdict"] != "waived"]
    outside = [item for item in finding["evidence"] if item["seen_from"] != ATTESTED]
    unseen = {
        plain(item["seen_from"]): "" if item["seen_from"] in blind else plain(item["why"])
        for item in outside
        if item["verdict"] == "not_audited"
    }
    if untold := [name for name, why in unseen.items() if not why]:
        lines.append(f"{INDENT}not looked at from {', '.join(untold)}")
    lines += [f"{INDENT}not seen from {name}: {why}" for name, why in unseen.items() if why]
    for sentence in finding["advice"]:
        wrapped = textwrap.wrap(f"to do: {plain(sentence)}", WIDTH - len(INDENT), break_on_hyphens=False)
        lines += [f"{INDENT}{line}" for line in wrapped]
    if finding["attestation"]:
        lines.append(f"{INDENT}{attested(finding['attestation'])}")
    if finding["waiver"]:
        waiver = finding["waiver"]
        lines.append(f"{INDENT}waived by {plain(waiver['owner'])} until {waiver['expires']}: {plain(waiver['reason'])}")
    lines += [f"{INDENT}{plain(sentence)}" for sentence in finding["why_not_waived"]]
    return lines
