# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The files that an inventory is made of, looked at anew: Ansible may have gone on without a refused clinic file."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from ansible.errors import AnsibleError
from ansible_collections.radiology.hardening.plugins.plugin_utils import clinic_file, secrets
from ansible_collections.radiology.hardening.plugins.plugin_utils.remarks import Remarks

VARIABLES = ("group_vars", "host_vars")
"""Folders beside a source, or in it, with the variables of groups and hosts."""

NO_SOURCES = frozenset({*VARIABLES, "vars_plugins"})
"""Folders in which Ansible looks for no inventory."""


def check_vaults(remarks: Remarks, sources: Sequence[str], vault: Any) -> bool:
    """Tell which encrypted files of variables do not open with the run's vault; return whether all do."""
    folders = {path if os.path.isdir(path) else os.path.dirname(path) for path in _paths(sources)}
    opens = True
    for path in (
        file for folder in sorted(folders) for name in VARIABLES for file in _files(os.path.join(folder, name))
    ):
        with open(path, "rb") as file:
            content = file.read()
        try:
            if content.startswith(secrets.HEADER):
                vault.decrypt(content)
        except AnsibleError:
            opens = False
            remarks.problem(f"{path} does not open with this password: {secrets.HOW}")
    return opens


def check(remarks: Remarks, sources: Sequence[str], taken: Collection[str] | None) -> None:
    """Tell which clinic files were refused, and which Ansible did not take.

    `taken` are the paths of those that it did take; None where that cannot be told.
    """
    first: dict[str, str] = {}
    for path in _clinic_files(remarks, sources):
        with remarks.refusals():
            name = str(clinic_file.load(path).shared["clinic"]["name"])
            if first.setdefault(name, path) != path:
                remarks.problem(f'{path}: name is "{name}", as in {first[name]}; accepted: one file for one clinic')
            elif taken is not None and path not in taken:
                remarks.problem(
                    f"{path}: Ansible took no clinic from it; accepted: ansible.cfg with radiology.hardening.clinic"
                    " among enable_plugins in its section [inventory]"
                )


def _clinic_files(remarks: Remarks, sources: Sequence[str]) -> Iterator[str]:
    """Yield the paths of the clinic files among the sources; each once, in the order in which Ansible reads them."""
    seen: set[str] = set()
    for path in _paths(sources):
        if not os.path.exists(path):
            remarks.problem(f"{path} is given as inventory, but is not there; accepted: a clinic file or their folder.")
        for file in _files(path):
            if file not in seen and clinic_file.is_clinic_file(file):
                yield file
            seen.add(file)


def _paths(sources: Sequence[str]) -> list[str]:
    """Return the sources that are files or folders; one with a comma is a list of host names."""
    return [os.path.abspath(source) for source in sources if "," not in source]


def _files(path: str) -> Iterator[str]:
    if os.path.isfile(path):
        yield path
    elif os.path.isdir(path):
        for entry in sorted(os.listdir(path)):
            if not entry.startswith(".") and entry not in NO_SOURCES:
                yield from _files(os.path.join(path, entry))
