# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One clinic file, from its path to what Ansible works with; what cannot work is refused in one sentence."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.plugin_utils import (
    catalogue,
    clinic_checks,
    clinic_model,
    clinic_schema,
    clinic_text,
    clinic_variables,
)


def is_clinic_file(path: str) -> bool:
    """Tell whether a file names this plugin."""
    with open(path, "rb") as file:
        return clinic_text.names_plugin(file.read(clinic_text.LARGEST))


def is_kept_for_clinic(path: str) -> bool:
    """Tell whether a file lies in the folder that a clinic file beside it has for its secrets and certificates.

    Ansible reads every file below an inventory folder as inventory; those are none, and the secrets least of all.
    """
    first = os.path.dirname(os.path.abspath(path))
    for folder in (first, os.path.dirname(first)):  # vault.yml lies in the folder itself, certificates one level below
        above, name = os.path.split(folder)
        beside = [entry for entry in sorted(os.listdir(above)) if entry.endswith((".yml", ".yaml"))]
        if any(_describes(os.path.join(above, entry), name) for entry in beside):
            return True
    return False


def load(path: str) -> clinic_variables.Inventory:
    """Read, check and build; raise HardeningError with the first problem by line and the number of the others."""
    try:
        with open(path, "rb") as file:
            content = file.read(clinic_text.LARGEST + 1)
    except OSError as error:
        raise HardeningError(f"{path} cannot be read: {error.strerror}.") from error
    return build(content, path)


def build(content: bytes, path: str, controls: Callable[[], list[str]] | None = None) -> clinic_variables.Inventory:
    """Check the content of a clinic file and build its inventory; `path` is where it stands.

    `controls` returns the ids that waivers may name; those of the collection's roles when it is left out.
    """
    path = os.path.abspath(path)
    try:
        document = clinic_text.read(content)
    except clinic_text.UnreadableError as unreadable:
        _refuse(path, [unreadable.problem])
    found = document.problems + clinic_schema.problems(document)
    if found:
        _refuse(path, found)
    clinic = clinic_model.clinic(document.data)
    found = clinic_checks.problems(document, clinic, controls or _controls)
    if found:
        _refuse(path, found)
    directory = os.path.join(os.path.dirname(path), clinic.name)
    return clinic_variables.inventory(clinic, path, directory)


def _describes(path: str, clinic: str) -> bool:
    """Tell whether a file is the clinic file of this name."""
    if not (os.path.isfile(path) and os.access(path, os.R_OK) and is_clinic_file(path)):
        return False
    with open(path, "rb") as file:
        return (
            re.search(rb"^name\s*:\s*[\"']?" + re.escape(clinic.encode()) + rb"[\"']?\s*(#|$)", file.read(), re.M)
            is not None
        )


def _controls() -> list[str]:
    return [control.id for control in catalogue.load()]


def _refuse(path: str, problems: list[clinic_text.Problem]) -> NoReturn:
    first, *others = sorted(problems)
    more = f" (and {len(others)} more)" if others else ""
    raise HardeningError(f"{path}:{first.line}: {first.sentence}{more}.")
