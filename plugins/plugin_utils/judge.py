# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The judge: controls, facts and attestations in, findings out. A pure function on the controller."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.expectation import MISSING, lookup
from ansible_collections.radiology.hardening.plugins.plugin_utils import attestations
from ansible_collections.radiology.hardening.plugins.plugin_utils.catalogue import Clause, Control, Waiver, weakened

VERDICTS = ("pass", "fail", "attested", "waived", "not_applicable", "not_audited", "error")
UNACCEPTABLE = frozenset({"fail", "error", "not_audited"})
"""Verdicts that make a whole report fail."""
WORST_FIRST = ("fail", "error", "not_audited", "attested", "pass")
"""What a person attests is weaker than what was measured: together they are attested."""
ATTESTED = "attested"
"""Where evidence that a person vouches for was seen from."""


@dataclasses.dataclass(frozen=True)
class View:
    """What one vantage point saw of a host; `facts` is None when it could not look, and `why` says so."""

    name: str
    kind: str
    facts: Mapping[str, Any] | None
    why: str = ""
    last_seen: str = ""
    """The day of which the facts are, where they stand in for what nobody saw today."""
    answers: bool | None = None
    """Whether anything of the host answered there, also where that proves nothing; None where nobody could look."""


@dataclasses.dataclass(frozen=True)
class Sight:
    """All that was seen of one host. `inside` is None when nobody looked inside; `why` says so."""

    host: str
    inside: Mapping[str, Any] | None
    outside: tuple[View, ...] = ()
    why: str = ""
    last_seen: str = ""
    """The day of which `inside` is, where it stands in for what nobody saw today."""
    look_inside: bool = True
    """False for a probe: the inside demands are then left out, not held against the host."""
    attestations: tuple[attestations.Attestation, ...] | None = None
    """What persons vouch for of a host that nobody logs in to; None where nothing is asked of persons."""


def judge(
    controls: tuple[Control, ...], sight: Sight, waivers: list[Waiver] | tuple[Waiver, ...], today: datetime.date
) -> list[dict[str, Any]]:
    """Return one finding a control, in the order given; each with all its evidence."""
    return [_finding(control, sight, waivers, today) for control in controls if _concerns(control, sight)]


def not_audited(
    controls: tuple[Control, ...],
    host: str,
    why: str,
    today: datetime.date | None = None,
    *,
    told_by_persons: bool = False,
) -> list[dict[str, Any]]:
    """Return the findings of a host that could not be looked at: every control not_audited, with the reason."""
    sight = Sight(host=host, inside=None, why=why, attestations=() if told_by_persons else None)
    return judge(controls, sight, [], today or datetime.datetime.now(tz=datetime.UTC).date())


def verdict_of(findings: list[dict[str, Any]]) -> str:
    """Return `pass` when something was judged or attested and nothing is unacceptable, else `fail`."""
    judged = [finding for finding in findings if finding["verdict"] in ("pass", "fail", "attested")]
    return "pass" if judged and not any(finding["verdict"] in UNACCEPTABLE for finding in findings) else "fail"


def _concerns(control: Control, sight: Sight) -> bool:
    """Tell whether any of a control's evidence is asked of this host: what only persons tell, of devices alone."""
    seen_from_outside = any(view.kind in control.expect_from for view in sight.outside)
    return seen_from_outside or (sight.look_inside and (not control.attest or sight.attestations is not None))


def _finding(
    control: Control, sight: Sight, waivers: list[Waiver] | tuple[Waiver, ...], today: datetime.date
) -> dict[str, Any]:
    vouched, person = _attested(control, sight, today)
    outside, why_not = _outside(control, sight), _why_not_applicable(control, sight)
    if why_not and any(item["verdict"] == "fail" for item in outside):
        why_not, evidence = [], outside  # somebody answers there all the same
    else:
        evidence = vouched + _inside(control, sight) + outside
    covering = next((waiver for waiver in waivers if _allows(waiver, control, sight, today)), None)
    if why_not:
        verdict, evidence = "not_applicable", why_not
    elif not evidence:
        verdict = "not_audited"
    else:
        verdict = min((item["verdict"] for item in evidence), key=WORST_FIRST.index)
        if covering and verdict not in ("pass", "attested"):
            verdict = "waived"
    return {
        "control": control.id,
        "host": sight.host,
        "verdict": verdict,
        "severity": control.severity,
        "title": control.title,
        "rationale": control.rationale,
        "catalogue": control.catalogue,
        "references": control.references,
        "evidence": evidence,
        "attestation": person.told() if person else None,
        "advice": _advice(control, sight) if verdict in ("fail", "waived") else [],
        "waiver": _waiver(covering) if verdict == "waived" and covering else None,
        "why_not_waived": _why_not_waived(control, sight, waivers, today) if verdict in UNACCEPTABLE else [],
    }


def _attested(
    control: Control, sight: Sight, today: datetime.date
) -> tuple[list[dict[str, Any]], attestations.Attestation | None]:
    """Return what a person vouches for as evidence, and the attestation; not audited where none holds today."""
    if not control.attest or not sight.look_inside or sight.attestations is None:
        return [], None
    person, ended = attestations.best(sight.attestations, control.id, sight.host, today)
    item = {
        "seen_from": ATTESTED,
        "vantage_kind": None,
        "fact": control.id,
        "operator": "is",
        "expected": control.attest,
        "observed": person.seen if person else None,
        "verdict": "attested" if person else "not_audited",
        "why": "" if person else "; ".join(ended) or sight.why or "nobody attests it",
        "last_seen": "",
    }
    return [item], person


def _why_not_applicable(control: Control, sight: Sight) -> list[dict[str, Any]]:
    """Return what shows that the control does not concern this host: its condition was looked at and is not met."""
    if control.applies_when is None or sight.inside is None:
        return []
    observed = lookup(sight.inside, control.applies_when.fact)
    if observed is MISSING or control.applies_when.met_by(observed):
        return []
    condition = _seen_inside(control.applies_when, sight)
    return [{**condition, "verdict": "not_applicable"}]


def _advice(control: Control, sight: Sight) -> list[str]:
    """Return what the host itself says is to be done."""
    said = lookup(sight.inside, control.advice) if control.advice and sight.inside is not None else []
    return [str(sentence) for sentence in said] if isinstance(said, list) else []


def _inside(control: Control, sight: Sight) -> list[dict[str, Any]]:
    if not sight.look_inside:
        return []
    return [_seen_inside(clause, sight) for clause in control.expect]


def _seen_inside(clause: Clause, sight: Sight) -> dict[str, Any]:
    return {**_evidence(clause, sight.inside, "inside", None, sight.why), "last_seen": sight.last_seen}


def _outside(control: Control, sight: Sight) -> list[dict[str, Any]]:
    """Return what each vantage point saw; of what can be seen from outside alone, that none of them could."""
    found = [
        {**_evidence(clause, view.facts, view.name, view.kind, view.why), "last_seen": view.last_seen}
        for view in sight.outside
        for clause in control.expect_from.get(view.kind, ())
    ]
    if found or control.expect or control.attest:
        return found
    kind, (clause, *_others) = next(iter(control.expect_from.items()))
    why = f"the clinic file names no vantage point of kind {' or '.join(control.expect_from)} that could look"
    return [_evidence(clause, None, "outside", kind, sight.why or why)]


def _evidence(
    clause: Clause, facts: Mapping[str, Any] | None, seen_from: str, kind: str | None, why: str
) -> dict[str, Any]:
    observed = MISSING if facts is None else lookup(facts, clause.fact)
    if facts is None:
        verdict = "not_audited"
    elif clause.met_by(observed):
        verdict = "pass"
    elif observed is MISSING and clause.operator != "present":
        verdict, why = "error", "it could not be measured"
    else:
        verdict = "fail"
    return {
        "seen_from": seen_from,
        "vantage_kind": kind,
        "fact": clause.fact,
        "operator": clause.operator,
        "expected": clause.expected,
        "observed": None if observed is MISSING else observed,
        "verdict": verdict,
        "why": why if verdict in ("error", "not_audited") else "",
        "last_seen": "",
    }


def _allows(waiver: Waiver, control: Control, sight: Sight, today: datetime.date) -> bool:
    """Whether a waiver covers what was seen. One with a weaker value asks that this be kept, and all else as ever."""
    if not waiver.covers(control.id, sight.host, today):
        return False
    return waiver.value is None or not _short_of(weakened(control, waiver.value), sight)


def _short_of(kept: Control, sight: Sight) -> list[str]:
    """Return the demands of a control that were not seen to be met, inside and from outside, as half-sentences."""
    inside = [(clause, _seen_inside(clause, sight)) for clause in kept.expect if sight.look_inside]
    outside = [
        (clause, _evidence(clause, view.facts, view.name, view.kind, view.why))
        for view in sight.outside
        for clause in kept.expect_from.get(view.kind, ())
    ]
    return list(dict.fromkeys(str(clause) for clause, item in inside + outside if item["verdict"] != "pass"))


def _why_not_waived(
    control: Control, sight: Sight, waivers: list[Waiver] | tuple[Waiver, ...], today: datetime.date
) -> list[str]:
    """Return, for each waiver of this control, why it does not stand: it expired, or its weaker value is not kept."""
    found = []
    for waiver in waivers:
        if not waiver.concerns(control.id, sight.host):
            continue
        if today > waiver.expires:
            found.append(f"the waiver of {waiver.owner} ended on {waiver.expires.isoformat()}")
        else:
            short_of = ", ".join(_short_of(weakened(control, waiver.value), sight))
            found.append(f"the waiver of {waiver.owner} still demands {short_of}")
    return found


def _waiver(waiver: Waiver) -> dict[str, Any]:
    found = {"reason": waiver.reason, "owner": waiver.owner, "expires": waiver.expires.isoformat()}
    return found if waiver.value is None else {**found, "value": waiver.value}
