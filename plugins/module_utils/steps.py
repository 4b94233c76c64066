# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A plan is a list of steps; check mode is the list left unapplied."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Callable

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host

LONGEST = 160
"""Characters of a step that an error repeats; it may name every setting that it changes."""


@dataclasses.dataclass(frozen=True)
class Step:
    """One change to a host."""

    does: str
    """Imperative sentence for people; never holds a secret. It is what `--diff` prints."""
    do: Callable[[Host], None]
    """Brings the change about; raises HardeningError with the daemon's own words."""


def apply(host: Host, steps: list[Step]) -> None:
    """Bring a plan about, in its order; the first failure ends it and names the step, a long one by its beginning."""
    for step in steps:
        try:
            step.do(host)
        except HardeningError as error:
            raise HardeningError(f"{textwrap.shorten(step.does, LONGEST, placeholder=' ...')}: {error}") from error


def write(path: str, content: str, *, mode: int = 0o644, owner: str = "root", group: str = "root") -> Step:
    """Return the step that replaces a file."""
    return Step(f"Write {path}", lambda host: host.write(path, content, mode=mode, owner=owner, group=group))


def run(does: str, *command: str) -> Step:
    """Return the step that runs a command which has to succeed."""

    def do(host: Host) -> None:
        host.must(command)

    return Step(does, do)
