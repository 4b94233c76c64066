# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The report as one self-contained HTML page."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from ansible_collections.radiology.hardening.plugins.plugin_utils import (
    catalogue,
    frameworks,
    report_console,
    report_drawing,
    report_home,
)
from markupsafe import Markup

CHECK = "each of one control on one host"
TEMPLATES = Path(__file__).resolve().parents[2] / "roles" / "report" / "templates"


def html(document: Mapping[str, Any], evidence: str) -> str:
    """Return the page of a document; `evidence` is the text of report.json, whose digest the page carries."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    told = {name: getattr(report_console, name) for name in ("plain", "expected", "observed", "attested", "when")}
    environment.filters.update(references=references, granted=report_home.granted, **told)
    page = environment.get_template("report.html.j2")
    return page.render(
        report=document,
        sentence=sentence(document),
        drawing=Markup(report_drawing.svg(document)),  # noqa: S704 # every text in it is escaped there
        reached=report_drawing.sentences(document),
        groups=groups(document["findings"]),
        passed=[finding for finding in document["findings"] if finding["verdict"] == "pass"],
        vouched=[finding for finding in document["findings"] if finding["verdict"] == "attested"],
        elsewhere=[finding for finding in document["findings"] if finding["verdict"] == "not_applicable"],
        states=report_home.STATES,
        digest=hashlib.sha256(evidence.encode()).hexdigest(),
    )


def references(finding: Mapping[str, Any]) -> str:
    """Return a finding's references with readable names."""
    known = frameworks.load()
    return "; ".join(f"{known[name].name} {', '.join(clauses)}" for name, clauses in finding["references"].items())


def groups(findings: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[Mapping[str, Any]]]]:
    """Return what wants attention by severity, the gravest first; empty groups are left out."""
    worth = [finding for finding in findings if finding["verdict"] not in ("pass", "attested", "not_applicable")]
    found = [(name, [finding for finding in worth if finding["severity"] == name]) for name in catalogue.SEVERITIES]
    return [(name, listed) for name, listed in found if listed]


def sentence(document: Mapping[str, Any]) -> str:
    """Return what an officer wants to know first, in a sentence."""
    internet = [
        series
        for point in document["vantage_points"]
        if point["kind"] == "internet" and (series := document["readable_series"][point["name"]]) is not None
    ]
    deaf = any(point["unproven"] for point in document["vantage_points"])
    readable = (
        "Whether the internet can read image series is not proven. " if deaf else "Nobody looked from the internet. "
    )
    if internet:
        count = max(internet)
        readable = (
            "From the internet no image series can be read. "
            if count == 0
            else f"From the internet, {count} image series can be read by anyone. "
        )
    counts = document["counts"]
    wanting = sum(counts.get(verdict, 0) for verdict in ("fail", "error", "not_audited"))
    judged = counts.get("pass", 0) + counts.get("fail", 0)
    if document["verdict"] == "pass":
        spared, vouched = counts.get("not_applicable", 0), counts.get("attested", 0)
        waived = counts.get("waived", 0)
        away = report_console.away(document)
        rest = f" Waived: {waived}, each with its owner and its last day below." if waived else ""
        rest += f" Attested by persons and not measured: {vouched}, named below." if vouched else ""
        rest += f" Judged by what an audit saw before: {away}, named below." if away else ""
        rest += f" Not applicable: {spared}, each with its reason below." if spared else ""
        return f"{readable}All of the {judged} checks that were judged hold, {CHECK}.{rest}"
    if not judged:
        return f"{readable}No control could be judged, so nothing is proven."
    asked = wanting + counts.get("pass", 0)
    return f"{readable}{wanting} of {asked} checks, {CHECK}, do not hold or could not be judged."
