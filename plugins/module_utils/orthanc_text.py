# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Read Orthanc's configuration files as Orthanc does.

Its JSON takes // and /* */ comments, trailing commas and a byte order mark; of a key that stands twice in one
file the last one counts. A folder is read without its subfolders, every *.json of it (any case, hidden ones too),
and a key in two files stops the server (measured on 1.10.1 and 1.12.7).
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import orthanc_types
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host

STRING = r'"(?:\\.|[^"\\])*"'
COMMENT = re.compile(STRING + r"|//[^\n]*|/\*.*?\*/", re.DOTALL)
TRAILING_COMMA = re.compile(STRING + r"|,(?=\s*[}\]])", re.DOTALL)


def parse(text: str, path: str) -> dict[str, Any]:
    """Return the object that a file holds; HardeningError names the file, the line and what is wrong."""
    bare = COMMENT.sub(_without_comment, text.removeprefix("\ufeff"))
    bare = TRAILING_COMMA.sub(lambda found: found[0] if found[0].startswith('"') else "", bare)
    try:
        loaded = json.loads(bare, strict=False)
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        raise HardeningError(f"{path}, line {line}: this is not the JSON that Orthanc reads ({error}).") from error
    if not isinstance(loaded, dict):
        raise HardeningError(f"{path}: Orthanc reads one JSON object, but found {type(loaded).__name__}.")
    return loaded


def files(host: Host, path: str) -> list[str]:
    """Return the files that Orthanc reads when it is told this path, a file or a folder."""
    entry = host.stat(path)
    if entry is None:
        return []
    if not entry.is_directory:
        return [path]
    return [f"{path.rstrip('/')}/{name}" for name in host.list(path) if name.lower().endswith(".json")]


def read(host: Host, path: str, but: Collection[str] = ()) -> dict[str, dict[str, Any]]:
    """Return the content of each file, by its path; HardeningError where one is no JSON or has a value of a wrong type.

    Keys in `but` may have any type: they are about to be replaced.
    """
    contents = {file: parse(host.text(file) or "", file) for file in files(host, path)}
    for file, content in contents.items():
        orthanc_types.demand(content, file, but)
    return contents


def look(host: Host, path: str) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Return what can be understood of each file, by its path, and a sentence for each thing that cannot."""
    contents: dict[str, dict[str, Any]] = {}
    amiss: list[str] = []
    for file in files(host, path):
        try:
            content = parse(host.text(file) or "", file)
        except HardeningError as error:
            content = {}
            amiss.append(str(error))
        mistyped = orthanc_types.wrong(content)
        amiss += [f"{file}: {said}." for said in mistyped.values()]
        contents[file] = orthanc_types.understood(content, mistyped)
    return contents, amiss


def merge(contents: dict[str, dict[str, Any]]) -> tuple[dict[str, Any], list[str]]:
    """Return the meaning of all files together, and the keys that stand in two of them (the first one counts)."""
    merged: dict[str, Any] = {}
    twice = set()
    for content in contents.values():
        for key, value in content.items():
            if key in merged:
                twice.add(key)
            else:
                merged[key] = value
    return merged, sorted(twice)


def _without_comment(found: re.Match[str]) -> str:
    """Keep a string, and of a comment only its line ends, so that line numbers stay true."""
    return found[0] if found[0].startswith('"') else "\n" * found[0].count("\n") or " "
