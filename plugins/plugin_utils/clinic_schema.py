# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A clinic file against its JSON Schema (Draft 2020-12), in sentences for people."""

from __future__ import annotations

import difflib
import functools
import json
import pathlib
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.plugin_utils.clinic_text import (
    Document,
    Path,
    Problem,
    dotted,
    shown,
)

try:
    import jsonschema
except ImportError:
    jsonschema = None  # type: ignore[assignment]

SCHEMA = pathlib.Path(__file__).resolve().parents[2] / "meta" / "clinic.schema.json"
"""The schema, where it ships with the collection; editors read the same file."""

_TYPES = {
    "object": "a mapping",
    "array": "a list",
    "string": "a text; put it in quotes",
    "boolean": "true or false",
    "integer": "a whole number",
}


@functools.cache
def schema() -> dict[str, Any]:
    """Return the JSON Schema of clinic files."""
    loaded: dict[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return loaded


def problems(document: Document) -> list[Problem]:
    """Return what the schema finds wrong; raise HardeningError when jsonschema is not installed."""
    if jsonschema is None:
        raise HardeningError(
            "The clinic file cannot be checked without the Python package jsonschema (4.0 or newer); "
            "install it beside Ansible, for instance with: python3 -m pip install jsonschema."
        )
    validator = jsonschema.Draft202012Validator(schema())
    found: set[Problem] = set()
    for error in validator.iter_errors(document.data):
        found |= set(_told(error, document))
    return sorted(found)


def accepted(rule: dict[str, Any]) -> str:
    """Say in half a sentence what a part of the schema accepts."""
    if "x-accepted" in rule:
        return str(rule["x-accepted"])
    if "$ref" in rule:
        return accepted(schema()["$defs"][rule["$ref"].rpartition("/")[2]])
    if "enum" in rule:
        return "one of " + ", ".join(rule["enum"])
    if "const" in rule:
        return str(rule["const"])
    if "minimum" in rule and "maximum" in rule:
        return f"a whole number from {rule['minimum']} to {rule['maximum']}"
    return _TYPES[rule["type"]]


def nearest(word: str, known: list[str]) -> str:
    """Say which known word is nearest to one that is not, or list the known ones."""
    close = _close(word, known)
    return f"accepted, and nearest to it: {close}" if close else "accepted: " + (", ".join(known) or "none")


def _close(word: str, known: list[str]) -> str:
    return next(iter(difflib.get_close_matches(word.lower(), known, 1, 0.6)), "")


def _told(error: Any, document: Document) -> list[Problem]:
    path: Path = tuple(error.absolute_path)
    rule: dict[str, Any] = error.schema
    found = error.instance
    if error.validator == "additionalProperties":
        known = list(rule.get("properties", {}))
        return [
            Problem(
                document.line((*path, key)),
                f"{dotted((*path, key))} is not a key that is known here; {nearest(key, known)}",
            )
            for key in found
            if key not in known
        ]
    if error.validator == "required":
        known = list(rule["properties"])
        misspelt = {_close(key, known) for key in found if key not in known}
        missing = [key for key in error.validator_value if key not in found and key not in misspelt]
        return [
            Problem(
                document.line(path),
                f"{dotted(path)} lacks {key}; accepted: {accepted(rule['properties'][key])}",
            )
            for key in missing
        ]
    if "propertyNames" in error.absolute_schema_path:
        path = (*path, found)
        return [Problem(document.line(path), f"{dotted(path)} cannot be a name; accepted: {accepted(rule)}")]
    if error.validator == "uniqueItems":
        return [Problem(document.line(path), f"{dotted(path)} names something twice; accepted: each once")]
    what = _kind(found) if error.validator == "type" else _size(found)
    wanted = accepted(rule)
    if error.validator == "type" and rule.get("type") == "string" and not isinstance(found, dict | list | None):
        wanted += ", in quotes"
    return [Problem(document.line(path), f"{dotted(path)} is {what}; accepted: {wanted}")]


def _kind(found: Any) -> str:
    """Say what a value of the wrong type is: YAML reads `NO` as false and 0815 as a number."""
    if found is None:
        return "empty"
    if isinstance(found, bool):
        return f"{shown(found)} (YAML reads yes, no, on and off so)"
    return f"the number {shown(found)}" if isinstance(found, int | float) else shown(found)


def _size(found: Any) -> str:
    """Say what a value of the right type but the wrong content is."""
    if found in ({}, []):
        return "empty"
    if isinstance(found, str) and 16 < len(found) <= 60:
        return f"{shown(found)} ({len(found)} characters)"
    return shown(found)
