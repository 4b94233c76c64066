# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The budgets and rules of the collection, checked on its YAML as data."""

from __future__ import annotations

import importlib
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.radiology.hardening.plugins.plugin_utils import catalogue

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path.parent.parent for path in (ROOT / "roles").glob("*/tasks/main.yml"))
CONTROLLED = sorted({control.role for control in catalogue.kept_by_roles()})
TOPICS = sorted({control.role for control in catalogue.load()})
FORBIDDEN_MODULES = {"command", "shell", "raw", "script"}


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def tasks(role: Path) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = load(role / "tasks" / "main.yml")
    return listed


@pytest.mark.parametrize("role", ROLES, ids=lambda path: path.name)
def test_role_budget(role: Path) -> None:
    listed = tasks(role)
    assert len(listed) <= 8
    assert len((role / "tasks" / "main.yml").read_text(encoding="utf-8").splitlines()) <= 60
    for task in listed:
        assert task["name"][0].isupper()
        assert not {key.rpartition(".")[2] for key in task} & FORBIDDEN_MODULES
        assert not {"ignore_errors", "loop", "with_items"} & set(task)
        assert "ansible_check_mode" not in str(task)
        assert "groups[" not in str(task)


@pytest.mark.parametrize("role", ROLES, ids=lambda path: path.name)
def test_role_says_what_it_takes(role: Path) -> None:
    options = load(role / "meta" / "argument_specs.yml")["argument_specs"]["main"]["options"]
    defaults = load(role / "defaults" / "main.yml") or {}
    assert set(defaults) == set(options)
    assert all(name.startswith(f"{role.name}_") for name in options)
    assert all(option.get("description") and option.get("type") for option in options.values())


def test_the_whole_hardening_of_a_host_is_at_most_45_tasks() -> None:
    hardened = set()
    for play in load(ROOT / "playbooks" / "harden.yml"):
        names = [role["role"].rpartition(".")[2] for role in play["roles"]]
        hardened |= set(names)
        assert {"tasks", "post_tasks", "handlers"}.isdisjoint(play)
        assert all("ansible.builtin.meta" in task for task in play.get("pre_tasks", []))
        validations = len(names)  # Ansible's own, of each role's arguments
        assert 0 < validations + sum(len(tasks(ROOT / "roles" / name)) for name in names) <= 45
    assert hardened == set(CONTROLLED)


def test_no_file_is_over_400_lines() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    long = {
        name: count
        for name in listed
        if re.search(r"\.(py|yml|yaml|sh|j2)$", name)
        and (count := len((ROOT / name).read_text(encoding="utf-8", errors="replace").splitlines())) > 400
    }
    assert not long


@pytest.mark.parametrize("module", sorted((ROOT / "plugins" / "modules").glob("*.py")), ids=lambda path: path.stem)
def test_a_module_is_thin(module: Path) -> None:
    text = module.read_text(encoding="utf-8")
    below_docs = text.rpartition('"""\n\n')[2] if 'RETURN = """' in text else text
    assert len(below_docs.splitlines()) <= 60


def test_owners_and_modes_are_given_by_handles_alone() -> None:
    """A path may be another's link by then; in its own folders alone, of root in root's, kept.py may name one."""
    sources = [path for path in (ROOT / "plugins" / "module_utils").rglob("*.py") if path.parent.name != "migration"]
    by_path = re.compile(r"os\.l?ch(?:own|mod)\(|shutil\.chown|\.chmod\(|\"ch(?:own|mod)\"")
    found = [path.name for path in sources for _call in by_path.findall(path.read_text(encoding="utf-8"))]
    assert found == ["kept.py"]


def test_ids_are_unique_and_named_after_their_role() -> None:
    ids = [control.id for control in catalogue.load()]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"[a-z_]+\.[a-z_0-9]+", identifier) for identifier in ids)


@pytest.mark.parametrize("control", catalogue.load(), ids=lambda control: control.id)
def test_a_control_names_declared_facts_and_cites_a_framework(control: catalogue.Control) -> None:
    assert control.references
    clauses = [*control.expect, *([control.applies_when] if control.applies_when else [])]
    for clause in clauses:
        assert declared(clause.fact), f"{clause.fact} is not declared by an observer"
    assert not control.advice or declared(control.advice), f"{control.advice} is not declared by an observer"
    for clause in (clause for clauses in control.expect_from.values() for clause in clauses):
        assert clause.fact in wire_facts(), f"{clause.fact} is not declared by the probe"


def declared(fact: str) -> bool:
    name, path = fact.split(".", 1)
    module = importlib.import_module(f"ansible_collections.radiology.hardening.plugins.module_utils.surfaces.{name}")
    families = [known[:-1] for known in module.FACTS if known.endswith(".*")]
    return path in module.FACTS or any(path.startswith(family) for family in families)


def wire_facts() -> set[str]:
    return set(importlib.import_module("ansible_collections.radiology.hardening.plugins.module_utils.wire.facts").FACTS)


@pytest.mark.parametrize("role", TOPICS)
def test_every_control_has_its_sabotage(role: str) -> None:
    listed = load(ROOT / "tests" / "sabotage" / f"{role}.yml")
    known = {control.id for control in catalogue.load()}
    assert set(listed) == {control.id for control in catalogue.load(role)}
    for entry in listed.values():
        assert entry["break"].strip()
        assert set(entry["follows"]) <= known


def test_the_package_ansible_satisfies_requirements() -> None:
    import importlib.metadata
    import json

    from packaging.specifiers import SpecifierSet

    wanted = {item["name"]: item["version"] for item in load(ROOT / "requirements.yml")["collections"]}
    assert wanted == load(ROOT / "galaxy.yml")["dependencies"]
    folder = Path(str(importlib.metadata.distribution("ansible").locate_file("ansible_collections")))
    for name, range_ in wanted.items():
        manifest = json.loads((folder / name.replace(".", "/") / "MANIFEST.json").read_text(encoding="utf-8"))
        assert manifest["collection_info"]["version"] in SpecifierSet(range_)


@pytest.mark.parametrize("path", sorted((ROOT / "plugins").glob("*/*.py")), ids=lambda path: path.stem)
def test_no_sentence_is_told_twice(path: Path) -> None:
    """Ansible prints the cause of an error after the error: one that repeats its cause has to leave it out."""
    assert "(str(error)) from error" not in path.read_text(encoding="utf-8")
