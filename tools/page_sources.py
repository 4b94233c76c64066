# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What roles, modules, playbooks and observers say of themselves, read for the pages of docs/."""

from __future__ import annotations

import ast
import importlib
import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.radiology.hardening.plugins.module_utils.wire.facts import FACTS as WIRE_FACTS
from ansible_collections.radiology.hardening.plugins.plugin_utils import catalogue

ROOT = Path(__file__).resolve().parents[1]
PLUGINS = ROOT / "plugins"
SURFACES = "ansible_collections.radiology.hardening.plugins.module_utils.surfaces."


def load(path: Path) -> Any:
    """Return what a YAML file holds."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def playbooks(role: str) -> list[tuple[str, str]]:
    """Return the playbooks that run a role, each with the hosts it runs it on."""
    found = [
        (path.stem, play["hosts"].partition(":!")[0])
        for path in sorted((ROOT / "playbooks").glob("*.yml"))
        for play in load(path)
        for each in play.get("roles", [])
        if each["role"].rpartition(".")[2] == role
    ]
    return list(dict.fromkeys(found))  # a role may come twice in a playbook


def repairs(control: catalogue.Control) -> list[tuple[str, str]]:
    """Return the playbooks that keep a control, each with the hosts it is asked of; a group is a kind in plural."""
    return [(name, hosts) for name, hosts in playbooks(control.role) if control.asked_of(hosts.removesuffix("s"))]


def roles() -> list[dict[str, Any]]:
    """Return what each role takes, keeps and sees."""
    return [_role(path.parent.parent) for path in sorted((ROOT / "roles").glob("*/meta/argument_specs.yml"))]


def _role(folder: Path) -> dict[str, Any]:
    spec = load(folder / "meta" / "argument_specs.yml")["argument_specs"]["main"]
    defaults = load(folder / "defaults" / "main.yml") or {}
    called = {task for each in load(folder / "tasks" / "main.yml") for task in each}
    return {
        "name": folder.name,
        "short": spec["short_description"],
        "description": _sentences(spec.get("description", [])),
        "options": list(_options(spec["options"], defaults)),
        "playbooks": playbooks(folder.name),
        "module": folder.name if f"radiology.hardening.{folder.name}" in called else "",
        "controls": catalogue.load(folder.name),
        "facts": _table(_observed(folder.name)),
    }


def modules() -> list[dict[str, Any]]:
    """Return what the documentation of each module says."""
    return [_module(path) for path in sorted((PLUGINS / "modules").glob("*.py"))]


def _module(path: Path) -> dict[str, Any]:
    texts = _texts(path)
    said = yaml.safe_load(texts["DOCUMENTATION"])
    for fragment in said.get("extends_documentation_fragment", []):
        shared = _texts(PLUGINS / "doc_fragments" / f"{fragment.rpartition('.')[2]}.py")
        for key, given in yaml.safe_load(shared["DOCUMENTATION"]).items():
            said[key] = {**given, **said.get(key, {})}
    return {
        "name": path.stem,
        "short": said["short_description"],
        "since": said["version_added"],
        "description": _sentences(said["description"]),
        "requirements": said.get("requirements", []),
        "options": list(_options(said.get("options", {}), {})),
        "attributes": said.get("attributes", {}),
        "examples": texts["EXAMPLES"].strip(),
        "returned": list(_options(yaml.safe_load(texts["RETURN"]) or {}, {})),
        "role": path.stem if (ROOT / "roles" / path.stem).is_dir() else "",
        "facts": _table(WIRE_FACTS) if path.stem == "exposure" else [],
    }


def _texts(path: Path) -> dict[str, str]:
    """Return the texts that a plugin's file assigns, those of its classes as well; nothing of it is run."""
    assigned = (node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Assign))
    return {
        node.targets[0].id: str(node.value.value)
        for node in assigned
        if isinstance(node.targets[0], ast.Name) and isinstance(node.value, ast.Constant)
    }


def _options(options: Mapping[str, Any], defaults: Mapping[str, Any], parent: str = "") -> Iterator[dict[str, Any]]:
    """Yield a row for each option, and for those inside it under a name with a dot."""
    for name, option in options.items():
        kind = option["type"] + (f" of {option['elements']}" if "elements" in option else "")
        meaning = " ".join(_sentences(option["description"]))
        if option.get("choices"):
            meaning += f" One of {', '.join(f'V({choice})' for choice in option['choices'])}."
        yield {
            "name": parent + name,
            "type": kind + (", required" if option.get("required") else ""),
            "default": defaults.get(name, option.get("default")),
            "returned": option.get("returned", ""),
            "meaning": meaning,
        }
        inside = option.get("suboptions") or option.get("options") or option.get("contains") or {}
        yield from _options(inside, {}, f"{parent}{name}.")


def _sentences(said: str | list[str]) -> list[str]:
    return [said] if isinstance(said, str) else list(said)


def _observed(role: str) -> dict[str, str]:
    """Return the facts of a role's observer, in full: `<role>.<path>` to type and meaning; none without one."""
    if importlib.util.find_spec(f"{SURFACES}{role}") is None:
        return {}
    return {f"{role}.{path}": said for path, said in importlib.import_module(f"{SURFACES}{role}").FACTS.items()}


def _table(facts: Mapping[str, str]) -> list[tuple[str, str, str]]:
    parts = ((name, *said.partition(": ")) for name, said in facts.items())
    return [(name, kind, meaning) for name, kind, _colon, meaning in parts]


def meaning(fact: str) -> str:
    """Return what a fact means, as its observer, or that of the family that it belongs to, declares it."""
    known = {**_observed(fact.partition(".")[0]), **WIRE_FACTS}
    family = next((name for name in known if name.endswith(".*") and fact.startswith(name[:-1])), "")
    return known[fact if fact in known else family].partition(": ")[2]
