# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The report of a clinic as data: one document, from what a run registered on its hosts."""

from __future__ import annotations

import datetime
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible.module_utils.common.yaml import yaml_load
from ansible_collections.radiology.hardening.plugins.plugin_utils import (
    attestations,
    catalogue,
    concerns,
    internet_scan,
    judge,
    report_home,
)

FORMAT = 1
NOT_LOOKED_AT = "it was not looked at in this run"
LOST = "the clinic file says that it is lost"
NOT_SEEN = "no vantage point of this run could look at it"
LOOKS = ("hardening_audit", "hardening_exposure")
"""Variables that the playbooks audit and probe register."""
SEVERITY_ORDER = {name: number for number, name in enumerate(catalogue.SEVERITIES)}
VERDICT_ORDER = {
    name: number
    for number, name in enumerate(("fail", "error", "not_audited", "waived", "attested", "pass", "not_applicable"))
}


class Rendered(Mapping[str, Any]):
    """The variables of a host, each rendered once: Ansible renders all that a variable holds each time it is read."""

    def __init__(self, variables: Mapping[str, Any]) -> None:
        """Take what Ansible knows of the host."""
        self._variables = variables
        self._read: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        """Return a variable; KeyError where there is none."""
        if name not in self._read:
            self._read[name] = self._variables[name]
        return self._read[name]

    def __contains__(self, name: object) -> bool:
        """Tell whether there is such a variable, without rendering it."""
        return name in self._variables

    def __iter__(self) -> Iterator[str]:
        """Yield the names."""
        return iter(self._variables)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._variables)


def version() -> str:
    """Return the collection's version: of its artifact, or of galaxy.yml in a checkout."""
    root = Path(__file__).resolve().parents[2]
    manifest, galaxy = root / "MANIFEST.json", root / "galaxy.yml"
    if manifest.is_file():
        return str(json.loads(manifest.read_text(encoding="utf-8"))["collection_info"]["version"])
    return str(yaml_load(galaxy.read_text(encoding="utf-8"))["version"])


def build(
    hostvars: Mapping[str, Any], groups: Mapping[str, Sequence[str]], now: datetime.datetime, *, limited: bool = False
) -> list[dict[str, Any]]:
    """Return a document a clinic, for every clinic of the inventory.

    In a run that --limit narrowed, for those alone at which anything was looked: the others keep their last report.
    """
    vantage_points = groups.get("vantage_points", [])
    known = {host: Rendered(hostvars[host]) for host in (*groups.get("clinic_hosts", []), *vantage_points)}
    clinics: dict[str, list[str]] = {}
    for host in groups.get("clinic_hosts", []):
        clinics.setdefault(str(known[host]["clinic"]["name"]), []).append(host)
    return [
        _document(
            {host: known[host] for host in hosts},
            {name: known[name] for name in vantage_points if known[name].get("clinic", {}).get("name") == clinic},
            now,
        )
        for clinic, hosts in sorted(clinics.items())
        if not limited or any(name in known[host] for host in hosts for name in LOOKS)
    ]


def _document(hosts: Mapping[str, Any], vantage: Mapping[str, Any], now: datetime.datetime) -> dict[str, Any]:
    first = next(iter(hosts.values()))
    judged = {name: known for name, known in hosts.items() if _is_judged(known)}
    profile = str(first.get("hardening_profile", "baseline"))
    findings = [finding for name, known in judged.items() for finding in _findings(name, known, profile, now.date())]
    findings.sort(key=lambda each: (VERDICT_ORDER[each["verdict"]], SEVERITY_ORDER[each["severity"]], each["control"]))
    points = [_vantage_point(name, known) for name, known in vantage.items()]
    shown = {name: known for name, known in hosts.items() if known["clinic_host"]["kind"] != "vantage_point"}
    return {
        "format": FORMAT,
        "collection": version(),
        "generated": now.isoformat(timespec="seconds"),
        "profile": profile,
        "verdict": _verdict(findings, judged),
        "clinic": {key: first["clinic"][key] for key in ("name", "title", "networks", "internet")},
        "hosts": [_host(name, known, judged) for name, known in shown.items()],
        "devices": first.get("clinic_devices", []),
        "vantage_points": points,
        "readable_series": {point["name"]: _readable_series(point) for point in points},
        "internet_scan": _internet_scan(first["clinic"], now),
        "waivers": _waivers(first, findings, now.date()),
        "cleartext": _cleartext(first, points, now.date()),
        "tunnels": report_home.tunnels(hosts, findings),
        "attestations": _attestations(first, findings, now.date()),
        "findings": findings,
        "counts": dict(Counter(finding["verdict"] for finding in findings)),
    }


def _readable_series(point: Mapping[str, Any]) -> int | None:
    """Return how many series a vantage point could read; None where that none can be read is not proven."""
    wires = [seen["facts"]["wire"] for seen in point["sees"]]
    most = max((int(wire["dicom"]["readable_series"]) for wire in wires if wire.get("reachable")), default=0)
    looked = any(wire.get("reachable") for wire in wires) and not point["unproven"]
    return most if most or looked else None


def _is_judged(known: Mapping[str, Any]) -> bool:
    """Tell whether the verdict is on this host too: not on a device of which a probe had no way to see anything."""
    unseen = (known.get("hardening_audit") or {}).get("findings") == []
    return concerns.is_judged(known) and not (unseen and concerns.kind_of(known) in concerns.DEVICES)


def _verdict(findings: list[dict[str, Any]], judged: Mapping[str, Any]) -> str:
    """Return `pass` when every host, looked at alone, passes: one host's controls do not stand for another's."""
    alone = [judge.verdict_of([each for each in findings if each["host"] == name]) for name in judged]
    return "pass" if alone and set(alone) == {"pass"} else "fail"


def _findings(name: str, known: Mapping[str, Any], profile: str, today: datetime.date) -> list[dict[str, Any]]:
    audit = known.get("hardening_audit") or {}
    if "findings" in audit:
        return list(audit["findings"])
    asked, by_persons = concerns.controls(known, profile), concerns.told_by_persons(known)
    return judge.not_audited(asked, name, _why(audit), today, told_by_persons=by_persons)


def _internet_scan(clinic: Mapping[str, Any], now: datetime.datetime) -> dict[str, Any]:
    """Return what is kept of the last look from the internet, in this run or before it, and a sentence about it."""
    found = internet_scan.state(clinic, now)
    kept = {key: found[key] for key in ("scanned", "vantage_points", "addresses", "undeclared", "wanting")}
    return {**kept, "said": internet_scan.said(found)}


def _waivers(known: Mapping[str, Any], findings: list[dict[str, Any]], today: datetime.date) -> list[dict[str, Any]]:
    """Return the clinic's waivers, each with its state (`in use`, `expired`, `idle`) and a sentence about it."""
    found = []
    for waiver in catalogue.waivers_of(known.get("hardening_waivers", [])):
        about = [each for each in findings if waiver.concerns(each["control"], each["host"])]
        covered = sorted(each["host"] for each in about if each["verdict"] == "waived")
        if today > waiver.expires:
            state, said = "expired", f"it ended on {waiver.expires.isoformat()}"
        elif covered:
            state, said = "in use", f"it covers {', '.join(covered)}"
        elif any(each["verdict"] in judge.UNACCEPTABLE for each in about):
            state, said = "idle", "it allows less than what was seen"
        else:
            state, said = "idle", "it covers nothing, since the control is kept or not asked: take it out"
        found.append(
            {
                "control": waiver.control,
                "host": waiver.host or "",
                "reason": waiver.reason,
                "owner": waiver.owner,
                "expires": waiver.expires.isoformat(),
                "value": waiver.value,
                "state": state,
                "said": said,
            }
        )
    return found


def _cleartext(
    known: Mapping[str, Any], points: Sequence[Mapping[str, Any]], today: datetime.date
) -> list[dict[str, Any]]:
    """Return the devices that the clinic file lets speak in clear, each with its state and a sentence about it."""
    found = []
    for device in known.get("clinic_devices", []):
        link = device.get("cleartext")
        if not link:
            continue
        days = (datetime.date.fromisoformat(link["expires"]) - today).days
        ended = f"it ended on {link['expires']}: renew it or take it out"
        said = (
            ended if days < 0 else f"it lets {device['address']} in on port {link['port']} alone, for {days} days more"
        )
        if device.get("port") and days >= 0:
            said += f"; Orthanc calls its port {device['port']} in clear"
        answers = sorted(place for point in points for place in _declared_in_clear(point, int(link["port"])))
        if answers:
            said += f"; seen from {', '.join(answers)}"
        state = "expired" if days < 0 else "in force"
        about = {key: link[key] for key in ("port", "owner", "reason", "expires")}
        found.append({"device": device["name"], "address": device["address"], **about, "state": state, "said": said})
    return found


def _declared_in_clear(point: Mapping[str, Any], port: int) -> list[str]:
    """Return `vantage point at address:port` where a declared port answered in clear."""
    dicom = [seen["facts"]["wire"].get("dicom", {}) for seen in point["sees"]]
    places = [place for each in dicom for place in each.get("cleartext_declared", [])]
    return [f"{point['name']} at {place}" for place in places if place.endswith(f":{port}")]


def _why(answer: Mapping[str, Any]) -> str:
    return " ".join(str(answer.get("msg") or NOT_LOOKED_AT).split())


def _attestations(
    known: Mapping[str, Any], findings: list[dict[str, Any]], today: datetime.date
) -> list[dict[str, Any]]:
    """Return what persons attest, each with state (in use, contradicted, not valid, not asked, idle) and sentence."""
    found = []
    for each in attestations.of(known.get("hardening_attestations", [])):
        about = [one for one in findings if (one["control"], one["host"]) == (each.control, each.host)]
        stands = any(one["attestation"] == each.told() for one in about)
        verdicts = {one["verdict"] for one in about}
        if why_not := each.why_not(today):
            state, said = "not valid", why_not
        elif not any(item["seen_from"] == judge.ATTESTED for one in about for item in one["evidence"]):
            state, said = "not asked", "this run asks no person about it"
        elif stands and verdicts & {"fail", "error"}:
            state, said = "contradicted", "what was seen from outside says otherwise, and counts"
        elif stands:
            state, said = "in use", "it stands for what nobody can measure"
        else:
            state, said = "idle", "a newer one stands: take it out"
        found.append({"control": each.control, "host": each.host, **each.told(), "state": state, "said": said})
    return found


def _host(name: str, known: Mapping[str, Any], judged: Mapping[str, Any]) -> dict[str, Any]:
    audit = known.get("hardening_audit") or {}
    audited = name in judged and "findings" in audit
    lost = not concerns.is_judged(known)
    why = "" if audited else LOST if lost else _why(audit) if name in judged else NOT_SEEN
    return {
        "name": name,
        "title": known["clinic_host"].get("title", ""),
        "kind": known["clinic_host"]["kind"],
        "addresses": list(known["clinic_host"]["addresses"]),
        "ae_title": known["clinic_host"].get("ae_title", ""),
        "managed": bool(known.get("clinic_managed")),
        "judged": name in judged,
        "audited": audited,
        "why": why,
        "last_seen": str(audit.get("last_seen", "")) if audited else "",
    }


def _vantage_point(name: str, known: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a vantage point saw; `unproven` are the hosts whose silence proves nothing, each with its reason."""
    vantage, exposure = known["clinic_vantage"], known.get("hardening_exposure") or {}
    targets = exposure.get("targets") or {}
    deaf = {host: why for host in targets if (why := internet_scan.deaf(host, vantage, exposure))}
    return {
        "name": name,
        "kind": vantage["kind"],
        "sees": [{"host": host, "facts": facts} for host, facts in targets.items() if host not in deaf],
        "unproven": [{"host": host, "why": why} for host, why in deaf.items()],
        "why": "" if targets else _why(exposure),
    }
