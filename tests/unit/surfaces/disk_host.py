# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A host that answers from a recording of a real one, and remembers what it was asked to change."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.host import Entry, Host, Result

RECORDINGS = Path(__file__).parent / "disk"


def recording(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((RECORDINGS / f"{name}.json").read_text(encoding="utf-8"))
    return copy.deepcopy(loaded)


class RecordedHost(Host):
    """Commands are keyed by their words, files by their paths; what was not recorded is not there."""

    def __init__(self, root: str = "/nowhere", asked: dict[str, Any] | None = None) -> None:
        super().__init__(root)
        asked = asked or {}
        self.runs: dict[str, list[Any]] = dict(asked.get("runs", {}))
        self.files: dict[str, str | None] = dict(asked.get("files", {}))
        self.lists: dict[str, list[str]] = dict(asked.get("lists", {}))
        self.stats: dict[str, dict[str, Any] | None] = dict(asked.get("stats", {}))
        self.done: list[str] = []

    def run(self, command, *, stdin=None, timeout=120):
        words = " ".join(command)
        self.done.append(words)
        status, output = self.runs.get(words, (127, ""))
        return Result(status, output, "" if status == 0 else "recorded")

    def read(self, path):
        text = self.files.get(path)
        return None if text is None else text.encode()

    def list(self, path):
        return tuple(self.lists.get(path, ()))

    def stat(self, path):
        known = self.stats.get(path)
        return None if known is None else Entry(**known)

    def write(self, path, content, *, mode=0o644, owner="root", group="root"):
        self.done.append(f"write {path}")
        self.files[path] = content if isinstance(content, str) else content.decode()

    def remove(self, path):
        self.done.append(f"remove {path}")
        self.files.pop(path, None)

    def folder(self, path, *, mode=0o755, owner="root", group="root"):
        self.done.append(f"folder {path} {mode:o} {owner}:{group}")

    def answers(self, *commands: str, output: str = "", status: int = 0) -> None:
        """Have commands answer so from now on."""
        self.runs.update({command: [status, output] for command in commands})
