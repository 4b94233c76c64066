# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import yaml
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.plugin_utils import catalogue, frameworks

KNOWN = frameworks.load()
CONTROLS = catalogue.load()
FILE = {
    "name": "Moon",
    "title": "Rules of the moon",
    "clauses": {"1": {"title": "No cheese", "status": "part", "note": "Gouda."}},
}


def write(folder: Path, **changes: object) -> Path:
    (folder / "moon.yml").write_text(yaml.safe_dump({**FILE, **changes}), encoding="utf-8")
    return folder


def test_every_reference_resolves_and_every_status_is_true() -> None:
    assert list(frameworks.contradictions(CONTROLS, KNOWN)) == []
    assert len(KNOWN) >= 17
    assert sum(len(framework.clauses) for framework in KNOWN.values()) > 300


@pytest.mark.parametrize(
    ("references", "said"),
    [
        ({"moon": ["1"]}, "cites moon 1, which moon.yml does not list"),
        ({"gdpr": ["99"]}, "cites gdpr 99, which gdpr.yml does not list"),
        ({"gdpr": ["34"]}, "gdpr.yml says that nothing answers 34"),
    ],
)
def test_a_reference_that_leads_nowhere_is_told(references: dict[str, list[str]], said: str) -> None:
    forged = dataclasses.replace(CONTROLS[0], id="orthanc.forged", references=references)
    (found,) = frameworks.contradictions([*CONTROLS, forged], KNOWN)
    assert said in found
    assert "orthanc.forged" in found


def test_a_clause_that_lost_its_last_control_is_told() -> None:
    left = [control for control in CONTROLS if "recyf" not in control.references]
    assert "recyf.yml says that 5.B.4 is answered, but no control cites it." in frameworks.contradictions(left, KNOWN)


@pytest.mark.parametrize(
    "note", ["No control looks at logs yet.", "Held by the web front, and no control measures it."]
)
def test_a_note_that_denies_who_cites_the_clause_is_told(note: str) -> None:
    orthanc_book = KNOWN["orthanc_book"]
    clauses = {number: dataclasses.replace(clause, note=note) for number, clause in orthanc_book.clauses.items()}
    denying = {**KNOWN, "orthanc_book": dataclasses.replace(orthanc_book, clauses=clauses)}
    assert [
        found.partition(", which ")[0]
        for found in frameworks.contradictions(CONTROLS, denying)
        if "'no control'" in found
    ] == [f"orthanc_book.yml says 'no control' of {clause}" for clause in ("dicom-tls", "https", "security")]


def test_a_clause_knows_who_cites_it() -> None:
    cited = frameworks.citing(CONTROLS)
    assert {control.id for control in cited["orthanc_book", "https"]} == {"authentication.web_https_only"}


def test_a_file_is_read(tmp_path: Path) -> None:
    (framework,) = frameworks.load(write(tmp_path)).values()
    assert (framework.id, framework.name, framework.clauses["1"].note) == ("moon", "Moon", "Gouda.")


@pytest.mark.parametrize(
    "changes",
    [
        {"colour": "grey"},
        {"clauses": {"1": {"title": "No cheese", "status": "part"}}},
        {"clauses": {"1": {"title": "No cheese", "status": "none"}}},
        {"clauses": {"1": {"title": "No cheese", "status": "whole", "note": "Gouda."}}},
        {"clauses": {"1": {"title": "No cheese", "status": "mostly", "note": "Gouda."}}},
        {"clauses": {"1": {"status": "whole"}}},
        {"clauses": None},
    ],
)
def test_a_file_out_of_form_is_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    with pytest.raises(HardeningError):
        frameworks.load(write(tmp_path, **changes))
