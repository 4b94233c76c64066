# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The frameworks whose clauses controls cite, each read from its file, and how far the controls answer each clause."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from ansible.module_utils.common.yaml import yaml_load
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.plugin_utils.catalogue import Control

FOLDER = Path(__file__).resolve().parents[2] / "roles" / "report" / "files" / "frameworks"
STATUSES = {"whole": "whole", "part": "in part", "none": "not covered"}
"""How far the controls answer a clause, and how people read it."""


@dataclasses.dataclass(frozen=True)
class Clause:
    """A clause under its issuer's number, with a title in our own words; `note` tells what is left of it."""

    id: str
    title: str
    status: str
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Framework:
    """A text with clauses; `name` is the short one that stands before a clause's number."""

    id: str
    name: str
    title: str
    clauses: dict[str, Clause]
    note: str = ""


@functools.cache
def load(folder: Path = FOLDER) -> dict[str, Framework]:
    """Return each framework under the name by which controls cite it, which is that of its file."""
    return {path.stem: _framework(path) for path in sorted(folder.glob("*.yml"))}


def citing(controls: Iterable[Control]) -> dict[tuple[str, str], list[Control]]:
    """Return the controls that cite each clause: (framework, clause) to them."""
    found: dict[tuple[str, str], list[Control]] = {}
    for control in controls:
        for name, clauses in control.references.items():
            for clause in clauses:
                found.setdefault((name, clause), []).append(control)
    return found


def contradictions(controls: Iterable[Control], frameworks: Mapping[str, Framework]) -> Iterator[str]:
    """Yield where controls and the files of the frameworks do not fit together."""
    cited = citing(controls)
    listed = {(name, clause.id): clause for name, known in frameworks.items() for clause in known.clauses.values()}
    for (name, clause), citers in cited.items():
        if (name, clause) not in listed:
            yield f"{citers[0].id} cites {name} {clause}, which {name}.yml does not list."
        elif listed[name, clause].status == "none":
            yield f"{name}.yml says that nothing answers {clause}, but {citers[0].id} cites it."
    for (name, clause), known in listed.items():
        if known.status != "none" and (name, clause) not in cited:
            yield f"{name}.yml says that {clause} is answered, but no control cites it."
        if (name, clause) in cited and "no control" in known.note.lower():
            yield f"{name}.yml says 'no control' of {clause}, which {cited[name, clause][0].id} cites."


def _framework(path: Path) -> Framework:
    loaded = yaml_load(path.read_text(encoding="utf-8"))
    try:
        clauses = {number: Clause(number, **given) for number, given in loaded.pop("clauses").items()}
        framework = Framework(path.stem, clauses=clauses, **loaded)
    except (AttributeError, KeyError, TypeError) as error:
        raise HardeningError(f"{path}: name, title and clauses are expected, of a clause title and status.") from error
    for clause in clauses.values():
        if clause.status not in STATUSES:
            raise HardeningError(f"{path}: the status of {clause.id} is one of {', '.join(STATUSES)}.")
        if bool(clause.note) == (clause.status == "whole"):
            raise HardeningError(f"{path}: {clause.id} needs a note on what is left, or is whole and needs none.")
    return framework
