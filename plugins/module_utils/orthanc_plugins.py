# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which plugins Orthanc has loaded, which of them are declared, and which can go without anybody noticing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import deliberate
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step

PACKAGED = "/usr/share/orthanc/plugins"
"""Where Debian's packages put plugins."""
UNSAID = ("dicom-web",)
"""What may be loaded, and need not be, where the clinic file does not say."""
IDLE: dict[str, tuple[str, str]] = {
    "delayeddeletion": ("DelayedDeletion", "Enable"),
    "housekeeper": ("Housekeeper", "Enable"),
    "multitenantdicom": ("MultitenantDicom", "Servers"),
    "servefolders": ("ServeFolders", ""),
    "worklists": ("Worklists", "Enable"),
}
"""Plugins of Debian's package orthanc, which do nothing until a key of their section is set ("": any key)."""


def word(name: str) -> str:
    """Return what the names of a plugin and of its file share: of libOrthancDicomWeb.so and dicom-web, dicomweb."""
    stem = re.sub(r"^lib|\.so[.\d]*$", "", name.rpartition("/")[2]).lower()
    return re.sub(r"[^a-z0-9]|orthanc|modality", "", stem)


def observe(host: Host, config: Mapping[str, Any], loaded: list[str] | None, declared: Sequence[str]) -> dict[str, Any]:
    """Return the facts; `loaded` is what the server says, None where it does not."""
    allowed = {word(name) for name in declared or UNSAID}
    named = [file for path in config.get("Plugins") or [] for file in _files(host, str(path))]
    chosen = {word(file): file for file in [*_files(host, PACKAGED), *named] if word(file) in allowed}
    known = None if loaded is None else {word(name) for name in loaded}
    return {
        "loaded": loaded,
        "undeclared": None if loaded is None else [name for name in loaded if word(name) not in allowed],
        "missing": None if known is None else [name for name in declared if word(name) not in known],
        "in_use": sorted({file for file in named if word(file) not in allowed and _in_use(config, word(file))}),
        "without_file": [name for name in declared if word(name) not in chosen],
        "files": sorted(chosen.values()),
    }


def settings(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the key that loads the declared plugins, and such as may hold images, show them or serve somebody."""
    return {"Plugins": [*found["files"], *found["in_use"]]}


def undeclared(found: Mapping[str, Any]) -> list[Step]:
    """Return what only a person can decide: about plugins that may be in use."""
    if not found["in_use"]:
        return []
    return [
        deliberate(
            f"Orthanc loads {', '.join(found['in_use'])}, which the clinic file does not declare, and they may be in "
            "use: add them to plugins of the server there, or remove their packages"
        )
    ]


def missing(found: Mapping[str, Any]) -> list[Step]:
    """Return what only a person can bring about: that there is a file of each declared plugin."""
    return [
        deliberate(f"The clinic file declares the plugin {name}, of which there is no file: install its package")
        for name in found["without_file"]
    ]


def _files(host: Host, path: str) -> list[str]:
    entry = host.stat(path)
    if entry is None:
        return []
    if not entry.is_directory:
        return [path]
    return [f"{path.rstrip('/')}/{name}" for name in host.list(path) if re.search(r"\.so$", name)]


def _in_use(config: Mapping[str, Any], plugin: str) -> bool:
    """Tell whether somebody may need a plugin: all but Debian's own ones whose section leaves them idle."""
    if plugin not in IDLE:
        return True
    section, key = IDLE[plugin]
    told = config.get(section) or {}
    return bool(told.get(key) if key and isinstance(told, Mapping) else told)
