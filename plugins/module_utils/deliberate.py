# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What stands in a plan, but what only a person may bring about: it cannot be undone, or it needs a key.

A deliberate step is never done by an ordinary run. In check mode it counts as a change, because the host is not as
the controls want it; an ordinary run leaves it, warns of it, and says `changed` only of what it did.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step

LEFT = "Left to you: "
"""Begins what a person has to do, in warnings and in the plan of check mode."""


@dataclasses.dataclass(frozen=True)
class Deliberate(Step):
    """A step that a person takes; its sentence names the command or the act."""


def deliberate(sentence: str) -> Deliberate:
    """Return the step that only says what a person has to do."""
    return Deliberate(sentence, _refuse)


def parted(steps: Iterable[Step]) -> tuple[list[Step], list[Step]]:
    """Return the steps of an ordinary run, and those that are left to a person."""
    listed = list(steps)
    return (
        [step for step in listed if not isinstance(step, Deliberate)],
        [step for step in listed if isinstance(step, Deliberate)],
    )


def _refuse(host: Host) -> None:
    raise HardeningError("this is a deliberate act; an ordinary run never does it.")
