# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the roles would be given on a host: made out, of the accepted kind, and not weaker than the controls in force.

No sentence shows a value: it may have come from a vault.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.yaml import yaml_load
from ansible_collections.radiology.hardening.plugins.plugin_utils import catalogue, inputs
from ansible_collections.radiology.hardening.plugins.plugin_utils.remarks import Remarks

WORDS = {"str": "a text", "int": "a whole number", "bool": "true or false", "path": "a path", "dict": "a mapping"}
"""Type of an option -> how people call it."""

ENCRYPTED = frozenset({"EncryptedString", "AnsibleVaultEncryptedUnicode"})
"""The classes of a value that a vault encrypts, in ansible-core 2.19 and before it."""

OF_ANSIBLE = frozenset({"groups", "hostvars", "vars"})
"""Variables that hold those of all hosts, or all of them again."""

ALIKE = 0.85
"""How alike two names are of which one is taken for the other, misspelt."""


def check(
    remarks: Remarks,
    variables: Mapping[str, Any],
    render: inputs.Template,
    trust: inputs.Template,
    roles: Sequence[str],
) -> dict[str, Any]:
    """Check roles on the variables of one host; return what they are given, as far as it is accepted."""
    found: dict[str, Any] = {}
    for role in roles:
        accepted_here = given(remarks, role, variables, render, trust)
        found |= accepted_here
        if accepted_here.keys() == specification(role).keys():
            with remarks.refusals(str(variables["inventory_hostname"])):
                inputs.wanted(role, variables, render, trust)
    return found


def given(
    remarks: Remarks, role: str, variables: Mapping[str, Any], render: inputs.Template, trust: inputs.Template
) -> dict[str, Any]:
    """Return the inputs of one role that are accepted; a problem tells of each other one, and of a misspelt name."""
    host = str(variables["inventory_hostname"])
    options = specification(role)
    found: dict[str, Any] = {}
    for name, option in options.items():
        with remarks.refusals(f"{host}: {name} cannot be made out"):
            value = inputs.value(role, name, variables, render, trust)
            if ArgumentSpecValidator({name: option}).validate({name: value}).error_messages:
                remarks.problem(f"{host}: {name} is not what role {role} takes; accepted: {accepted(option)}.")
            else:
                found[name] = value
    for name in variables:
        near = difflib.get_close_matches(name, options, 1, ALIKE) if name.startswith(f"{role}_") else []
        if near and name not in options:
            remarks.problem(f"{host}: {name} is no setting of role {role}; accepted, and nearest to it: {near[0]}.")
    return found


@functools.cache
def specification(role: str, folder: Path = catalogue.ROLES) -> dict[str, Any]:
    """Return what a role's argument_specs.yml says of its variables."""
    path = folder / role / "meta" / "argument_specs.yml"
    options: dict[str, Any] = yaml_load(path.read_text(encoding="utf-8"))["argument_specs"]["main"]["options"]
    return options


def accepted(option: Mapping[str, Any]) -> str:
    """Say in half a sentence what an option accepts."""
    if "choices" in option:
        return "one of " + ", ".join(map(str, option["choices"]))
    if option["type"] == "list":
        return f"a list, each item {accepted({**option, 'type': option.get('elements', 'str')})}"
    inner = [f"{name} ({accepted(part)})" for name, part in option.get("options", {}).items()]
    return WORDS[option["type"]] + (f" with {', '.join(inner)}" if inner else "")


def closed(variables: Mapping[str, Any]) -> list[str]:
    """Return the names of the variables that hold a value which the run's vault passwords do not open."""
    return [
        name
        for name, value in variables.items()
        if name not in OF_ANSIBLE and not all(_opens(each) for each in _encrypted(value))
    ]


def _encrypted(value: Any) -> Iterator[Any]:
    """Yield the encrypted values in a value."""
    if type(value).__name__ in ENCRYPTED:
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _encrypted(each)


def _opens(value: Any) -> bool:
    try:
        str(value)
    except AnsibleError:
        return False
    return True
