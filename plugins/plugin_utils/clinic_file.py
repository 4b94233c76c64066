# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One clinic file, from its path to what Ansible works with; what cannot work is refused in one sentence."""

from __future__ import annotations

import datetime
import functools
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

DEEPEST_KEPT = 6
"""Folders between a clinic file and what is kept for it: escrow/keys/<host>/<volume>/<file>, and one to spare."""

_NAME_LINE = re.compile(rb"^name\s*:\s*[\"']?([a-z][a-z0-9-]*)[\"']?\s*(?:#|$)", re.MULTILINE)


def is_clinic_file(path: str) -> bool:
    """Tell whether a file names this plugin."""
    with open(path, "rb") as file:
        return clinic_text.names_plugin(file.read(clinic_text.LARGEST))


def is_empty(path: str) -> bool:
    """Tell whether a YAML file says nothing at all: Ansible would pass over it, and over the clinic, without a word."""
    if not path.endswith((".yml", ".yaml")):
        return False
    with open(path, "rb") as file:
        return clinic_text.is_empty(file.read(clinic_text.LARGEST))


def is_kept_for_clinic(path: str) -> bool:
    """Tell whether a file is one of those that a clinic file near it has for its secrets, certificates and escrow.

    Ansible reads every file below an inventory folder as inventory; those are none, and the secrets least of all.
    """
    path = os.path.abspath(path)
    above = os.path.dirname(path)
    for _folder in range(DEEPEST_KEPT):
        for beside in _yaml_files(above):
            places = _kept_places(beside, os.stat(beside).st_mtime_ns)
            if any(path == place or path.startswith(place + os.sep) for place in places):
                return True
        above = os.path.dirname(above)
    return False


def load(path: str) -> clinic_variables.Inventory:
    """Read, check and build; raise HardeningError with the first problem by line and the number of the others."""
    try:
        with open(path, "rb") as file:
            content = file.read(clinic_text.LARGEST + 1)
    except OSError as error:
        raise HardeningError(f"{path} cannot be read: {error.strerror}.") from error
    return build(content, path)


def build(
    content: bytes, path: str, controls: Callable[[], list[str]] | None = None, today: datetime.date | None = None
) -> clinic_variables.Inventory:
    """Check the content of a clinic file and build its inventory; `path` is where it stands.

    `controls` returns the ids that waivers may name; those of the collection's roles when it is left out. `today` is by
    UTC when it is left out, as for waivers.
    """
    path = os.path.abspath(path)
    if clinic_text.is_empty(content):
        _refuse(path, [clinic_text.Problem(1, "the file is empty; accepted: a clinic file, or no file")])
    try:
        document = clinic_text.read(content)
    except clinic_text.UnreadableError as unreadable:
        _refuse(path, [unreadable.problem])
    found = document.problems + clinic_schema.problems(document)
    if found:
        _refuse(path, found)
    clinic = clinic_model.clinic(document.data, today or datetime.datetime.now(tz=datetime.UTC).date())
    found = clinic_checks.problems(document, clinic, controls or _controls)
    if found:
        _refuse(path, found)
    directory = os.path.join(os.path.dirname(path), clinic.name)
    return clinic_variables.inventory(clinic, path, directory)


def _yaml_files(folder: str) -> list[str]:
    """Return the YAML files of a folder that can be read; none of a folder that cannot."""
    try:
        listed = sorted(os.listdir(folder))
    except OSError:
        return []
    paths = [os.path.join(folder, entry) for entry in listed if entry.endswith((".yml", ".yaml"))]
    return [path for path in paths if os.path.isfile(path) and os.access(path, os.R_OK)]


@functools.lru_cache(maxsize=1024)
def _kept_places(path: str, _changed: int) -> tuple[str, ...]:
    """Return where a clinic file has things kept: the folder of its name, and what its escrow names beside it.

    Of a path in several parts, the whole first folder: a former certificate lies beside the present one. Even a file
    that cannot be read as YAML keeps the folder of its name. `_changed` is when the file last changed.
    """
    with open(path, "rb") as file:
        content = file.read(clinic_text.LARGEST)
    if not clinic_text.names_plugin(content):
        return ()
    name = _NAME_LINE.search(content)
    named = [name.group(1).decode()] if name else []
    folder = os.path.dirname(path)
    firsts = {
        os.path.relpath(os.path.join(folder, place), folder).split(os.sep)[0] for place in [*named, *_escrow(content)]
    }
    return tuple(os.path.join(folder, first) for first in sorted(firsts - {os.curdir, os.pardir}))


def _escrow(content: bytes) -> list[str]:
    """Return the paths that a clinic file names under escrow; none where it cannot be read."""
    try:
        data = clinic_text.read(content).data
    except clinic_text.UnreadableError:
        return []
    escrow = data.get("escrow") if isinstance(data, dict) else None
    if not isinstance(escrow, dict):
        return []
    lists = [escrow.get(key) for key in ("certificates", "folders")]
    return [place for listed in lists if isinstance(listed, list) for place in listed if isinstance(place, str)]


def _controls() -> list[str]:
    return [control.id for control in catalogue.load()]


def _refuse(path: str, problems: list[clinic_text.Problem]) -> NoReturn:
    first, *others = sorted(problems)
    more = f" (and {len(others)} more)" if others else ""
    raise HardeningError(f"{path}:{first.line}: {first.sentence}{more}.")
