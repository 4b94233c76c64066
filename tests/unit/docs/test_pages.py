# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The pages of docs/: none stale, no link that leads nowhere, and commands that a shell can read."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible_collections.radiology.hardening.plugins.plugin_utils import catalogue

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tools"))

import page_sources
import write_docs

DOCS = ROOT / "docs"
CONTROLS = catalogue.load()
MARKDOWN = sorted([*DOCS.rglob("*.md"), *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md"))])
SECTIONS = ["What", "Why", "How to check by hand", "How it is repaired", "References"]


def without_code(text: str) -> str:
    return re.sub(r"`[^`\n]*`", "", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))


def anchors(path: Path) -> set[str]:
    """As GitHub makes them of headings, and those that a page sets itself."""
    text = path.read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE), re.MULTILINE)
    made = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return made | set(re.findall(r'<a id="([^"]+)">', text))


def test_every_page_is_what_its_source_says() -> None:
    assert write_docs.stale() == []


def test_a_page_that_is_edited_missing_or_left_over_is_told(tmp_path: Path) -> None:
    write_docs.write(tmp_path)
    assert write_docs.stale(tmp_path) == []
    (tmp_path / "controls" / "orthanc.removed.md").write_text("# Removed\n", encoding="utf-8")
    (tmp_path / "frameworks.md").write_text("# Frameworks\n", encoding="utf-8")
    (tmp_path / "roles" / "orthanc.md").unlink()
    (tmp_path / "disk-runbook.md").write_text("# Written by hand\n", encoding="utf-8")
    assert write_docs.stale(tmp_path) == [
        "docs/frameworks.md is not what its source says.",
        "docs/roles/orthanc.md is missing.",
        "docs/controls/orthanc.removed.md has no source any more.",
    ]
    write_docs.write(tmp_path)
    assert write_docs.stale(tmp_path) == []
    assert (tmp_path / "disk-runbook.md").is_file()


def test_the_check_that_ci_runs_fails_with_what_it_tells(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert write_docs.main(["--check"]) == 0
    monkeypatch.setattr(write_docs, "stale", lambda: ["docs/controls.md is missing."])
    assert write_docs.main(["--check"]) == 1
    assert capsys.readouterr().out == "docs/controls.md is missing.\nRun `make docs` and commit what it writes.\n"


@pytest.mark.parametrize("page", MARKDOWN, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text(encoding="utf-8"))):
        if link.startswith(("http://", "https://")):
            continue
        name, _hash, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{link} leads nowhere"
        assert target.is_relative_to(ROOT)
        assert not anchor or anchor in anchors(target), f"{link}: there is no {anchor}"


def test_every_generated_page_is_linked_to() -> None:
    links = {
        (page.parent / link.partition("#")[0]).resolve()
        for page in MARKDOWN
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    }
    assert {name for name in write_docs.pages() if (DOCS / name).resolve() not in links} == set()


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.id)
def test_a_control_s_page_tells_all_of_it(control: catalogue.Control) -> None:
    text = (DOCS / "controls" / f"{control.id}.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == SECTIONS
    for told in (control.title, control.rationale, control.severity, control.left_to_you, control.attest):
        assert told in text
    for look in control.by_hand:
        assert f"```{look.language}\n{look.run}\n```\n\nRight: {look.shows}\n" in text
    for clause in (*control.expect, *(clause for clauses in control.expect_from.values() for clause in clauses)):
        assert f"`{clause.fact}`" in text
    assert text.count("](../frameworks.md#") == sum(map(len, control.references.values()))


def test_every_line_by_hand_is_one_that_bash_can_read(tmp_path: Path) -> None:
    files = []
    for control in CONTROLS:
        for number, look in enumerate(look for look in control.by_hand if look.language == "bash"):
            files.append(tmp_path / f"{control.id}.{number}.sh")
            files[-1].write_text(f"{look.run}\n", encoding="utf-8")
    check = ["shellcheck", "--shell", "bash", "--severity", "warning", *map(str, files)]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.id)
def test_what_stands_for_something_is_told_on_the_page(control: catalogue.Control) -> None:
    told = dict(write_docs.words(control))
    commands = " ".join(look.run for look in control.by_hand)
    for word in filter(str.isupper, write_docs.WORDS):
        assert word in told or not re.search(rf"(^|[\s/@]){word}\b", commands)


def test_every_word_that_is_told_stands_somewhere() -> None:
    used = {word for control in CONTROLS for word, _told in write_docs.words(control)}
    assert used == set(write_docs.WORDS)


def test_what_no_role_keeps_says_what_is_left_to_a_person() -> None:
    assert not [control.id for control in CONTROLS if not control.expect and not control.left_to_you]


def test_what_only_a_person_mends_is_told() -> None:
    sabotages = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in (ROOT / "tests/sabotage").glob("*.yml")]
    mended = {name for listed in sabotages for name, entry in listed.items() if "mend" in entry}
    assert mended
    assert mended <= {control.id for control in CONTROLS if control.left_to_you}


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.id)
def test_what_is_left_to_a_person_names_playbooks_and_variables_that_exist(control: catalogue.Control) -> None:
    variables = {option["name"] for role in page_sources.roles() for option in role["options"]}
    playbooks = {path.stem for path in (ROOT / "playbooks").glob("*.yml")}
    for name in re.findall(r"`(\w+_\w+|unlock)`", control.left_to_you):
        assert name in variables | playbooks, name


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Sets C(a.b) to V(true).", "Sets `a.b` to `true`."),
        ("See M(radiology.hardening.audit).", "See [radiology.hardening.audit](../modules/audit.md)."),
        (
            "See M(ansible.builtin.apt), P(radiology.hardening.scope#lookup).",
            "See `ansible.builtin.apt`, `radiology.hardening.scope`.",
        ),
        ("B(Never), I(ever), RV(plan), O(scope).", "**Never**, *ever*, `plan`, `scope`."),
        ("PEM (text), SHA(1), PCI(x)", "PEM (text), SHA(1), PCI(x)"),
    ],
)
def test_ansible_s_macros_become_markdown(text: str, shown: str) -> None:
    assert write_docs.markup(text) == shown


def test_a_module_s_page_has_what_its_fragments_say() -> None:
    by_name = {module["name"]: module for module in page_sources.modules()}
    assert {"scope", "wanted"} == {option["name"] for option in by_name["firewall"]["options"]}
    assert {"scope", "wanted", "arming"} < {option["name"] for option in by_name["surface"]["options"]}
    assert by_name["firewall"]["attributes"]["check_mode"]["support"] == "full"
    assert "targets.addresses" in {option["name"] for option in by_name["exposure"]["options"]}


def test_every_fact_of_a_control_has_a_meaning() -> None:
    for control in CONTROLS:
        for clause in (*control.expect, *(clause for clauses in control.expect_from.values() for clause in clauses)):
            assert page_sources.meaning(clause.fact), clause.fact
