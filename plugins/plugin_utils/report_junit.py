# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The report as JUnit XML: a test suite a host, a test case a control, as CI systems read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

from ansible_collections.radiology.hardening.plugins.plugin_utils.report_console import attested, plain, seen

ELEMENTS = {
    "fail": "failure",
    "error": "error",
    "not_audited": "error",
    "waived": "skipped",
    "attested": "skipped",
    "not_applicable": "skipped",
}


def xml(document: Mapping[str, Any]) -> str:
    """Return the whole file."""
    root = ElementTree.Element("testsuites", name=plain(document["clinic"]["name"]))
    hosts: dict[str, list[Mapping[str, Any]]] = {}
    for finding in document["findings"]:
        hosts.setdefault(finding["host"], []).append(finding)
    seen_before = {each["name"]: each["last_seen"] for each in document["hosts"] if each["last_seen"]}
    for host, findings in hosts.items():
        _suite(root, host, findings, document["generated"], seen_before.get(host, ""))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _suite(
    root: ElementTree.Element, host: str, findings: Sequence[Mapping[str, Any]], generated: str, last_seen: str
) -> None:
    kinds = [ELEMENTS.get(finding["verdict"]) for finding in findings]
    suite = ElementTree.SubElement(
        root,
        "testsuite",
        name=plain(host),
        tests=str(len(findings)),
        failures=str(kinds.count("failure")),
        errors=str(kinds.count("error")),
        skipped=str(kinds.count("skipped")),
        timestamp=generated,
    )
    if last_seen:
        properties = ElementTree.SubElement(suite, "properties")
        ElementTree.SubElement(properties, "property", name="away, judged by what was seen on", value=plain(last_seen))
    for finding in findings:
        name = f"{finding['control']} - {plain(finding['title'])}"
        case = ElementTree.SubElement(suite, "testcase", classname=plain(host), name=name)
        days = sorted({item["last_seen"] for item in finding["evidence"] if item["last_seen"]})
        kind = ELEMENTS.get(finding["verdict"])
        if days and not kind:
            ElementTree.SubElement(case, "system-out").text = f"away, judged by what was seen on {', '.join(days)}"
        if kind:
            element = ElementTree.SubElement(case, kind, message=_message(finding))
            told = [f"to do: {plain(sentence)}" for sentence in finding["advice"]]
            told += [plain(sentence) for sentence in finding["why_not_waived"]]
            element.text = "\n".join([*(plain(seen(item)) for item in finding["evidence"]), *told])


def _message(finding: Mapping[str, Any]) -> str:
    if finding["waiver"]:
        waiver = finding["waiver"]
        return plain(f"waived by {waiver['owner']} until {waiver['expires']}: {waiver['reason']}")
    if finding["verdict"] == "attested":
        return attested(finding["attestation"])
    worst = next((item for item in finding["evidence"] if item["verdict"] == finding["verdict"]), None)
    return plain(seen(worst)) if worst else finding["verdict"].replace("_", " ")
