# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a check has to say: problems, which make it fail, and notes, which do not."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator

from ansible.errors import AnsibleError, AnsibleUndefinedVariable
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError


@dataclasses.dataclass
class Remarks:
    """Sentences, in the order in which they were found; each is there once."""

    problems: list[str] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)

    def problem(self, sentence: str) -> None:
        """Add a problem, as one line that ends in a full stop."""
        _add(self.problems, sentence)

    def note(self, sentence: str) -> None:
        """Add a note, likewise."""
        _add(self.notes, sentence)

    def add(self, others: Remarks) -> None:
        """Add the remarks of others."""
        for sentence in others.problems:
            self.problem(sentence)
        for sentence in others.notes:
            self.note(sentence)

    @contextlib.contextmanager
    def refusals(self, where: str = "") -> Iterator[None]:
        """Turn a refusal into a problem, and go on; `where` begins its sentence where that names no file.

        Of a template that fails only the kind of error is told: what a filter says of its value could hold a secret.
        """
        begin = f"{where}: " if where else ""
        try:
            yield
        except (HardeningError, AnsibleUndefinedVariable) as error:
            self.problem(f"{begin}{error}")
        except AnsibleError as error:
            self.problem(f"{begin}its template fails ({type(error).__name__})")


def _add(listed: list[str], sentence: str) -> None:
    plain = " ".join(sentence.split())
    plain += "" if plain.endswith(".") else "."
    if plain not in listed:
        listed.append(plain)
