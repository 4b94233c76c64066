# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a role is given on a host, read alike by the role and by the audit."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ansible.module_utils.common.yaml import yaml_load
from ansible_collections.radiology.hardening.plugins.plugin_utils import catalogue, concerns, home_devices

Template = Callable[[Any], Any]
"""Renders a value that may hold Jinja expressions, on the variables of one host."""


@functools.cache
def defaults(role: str, roles: Path = catalogue.ROLES) -> Mapping[str, Any]:
    """Return a role's defaults, unrendered."""
    path = roles / role / "defaults" / "main.yml"
    return (yaml_load(path.read_text(encoding="utf-8")) or {}) if path.is_file() else {}


def inputs(role: str, variables: Mapping[str, Any], template: Template, trust: Template) -> dict[str, Any]:
    """Return the role's inputs on a host: each variable as set, else its default, rendered.

    `trust` marks a default as the collection's own, so that it may be rendered.
    """
    return {name: value(role, name, variables, template, trust) for name in defaults(role)}


def value(role: str, name: str, variables: Mapping[str, Any], template: Template, trust: Template) -> Any:
    """Return one of the role's inputs on a host."""
    return template(variables[name]) if name in variables else template(trust(defaults(role)[name]))


def wanted(role: str, variables: Mapping[str, Any], template: Template, trust: Template) -> dict[str, Any]:
    """Return what the controls in force demand of the role's facts; HardeningError where an input falls short."""
    kind = concerns.kind_of(variables)
    asked = tuple(control for control in catalogue.load(role) if control.asked_of(kind))
    controls = catalogue.in_force(asked, **selection(variables, template))
    catalogue.refuse_weaker(controls, inputs(role, variables, template, trust))
    return catalogue.wanted(controls)


def scope(role: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return inputs with the role's prefix removed, as modules and observers take them.

    Public keys that hosts made are read now: the same run may have made them.
    """
    found = {name.removeprefix(f"{role}_"): value for name, value in given.items()}
    return home_devices.with_keys(found) if role in home_devices.ROLES else found


def selection(variables: Mapping[str, Any], template: Template) -> dict[str, Any]:
    """Return profile, waivers, host and today: the arguments of `catalogue.in_force` on a host."""
    return {
        "profile": template(variables.get("hardening_profile", "baseline")),
        "waivers": catalogue.waivers_of(template(variables.get("hardening_waivers", []))),
        "host": variables["inventory_hostname"],
        "today": datetime.datetime.now(tz=datetime.UTC).date(),
    }
