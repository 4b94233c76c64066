# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One trouble on one server: what it is, what has to be said, and how it went."""

from __future__ import annotations

import dataclasses
import random
import re
import time
from collections.abc import Callable

from place import Place, Run
from witness import Witness

SENTENCE = re.compile(r"\A[^\n]{20,700}[.)]\Z")
"""One line that ends as a sentence does."""


def nothing(place: Place) -> None:
    """Leave the host as it is."""


@dataclasses.dataclass(frozen=True)
class Case:
    """A trouble: it is brought about while or before a run hardens the server, and ended before the next run."""

    name: str
    bring: Callable[[Place, random.Random], Run]
    """Brings it about, lets a run meet it, and returns that run when it is over."""
    end: Callable[[Place], None] = nothing
    """What a person does about it before the next run."""
    says: str = ""
    """What the one sentence of the run has to hold, as a regular expression; empty: nobody is left to say it."""
    tells: str = ""
    """What a run that mends the trouble by itself has to tell of it, as a regular expression."""
    on_hardened: bool = False
    """Whether it meets a server that is hardened already, in place of one as the practice left it."""


@dataclasses.dataclass
class Verdict:
    """How a case went on one server."""

    name: str
    release: str
    lost: bool = False
    converged: bool = False
    down: list[str] = dataclasses.field(default_factory=list)
    unsaid: str = ""
    told: str = ""
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        """Whether nothing is wrong with it."""
        return self.converged and not (self.lost or self.down or self.unsaid)

    def line(self) -> str:
        """Return what is printed of it."""
        wrong = [
            *(["the host is lost"] if self.lost else []),
            *([] if self.converged else ["the next run did not converge"]),
            *([f"down: {', '.join(self.down)}"] if self.down else []),
            *([self.unsaid] if self.unsaid else []),
        ]
        mark = "passed" if self.good else "FAILED"
        return f"{mark}  {self.release:9} {self.name:24} {self.seconds:4.0f} s  {'; '.join([*wrong, self.told])}"


def meet(case: Case, place: Place, seed: int) -> Verdict:
    """Let one server meet one trouble and judge what comes of it."""
    verdict = Verdict(case.name, place.release)
    began = time.monotonic()
    chance = random.Random(f"{seed} {case.name} {place.number}")
    witness = Witness(place)
    prepare(case, place)
    former = witness.look()
    run = case.bring(place, chance)
    verdict.told = f"{run.struck}: {said(run)}" if run.struck else said(run)
    if case.says:
        verdict.unsaid = unsaid(case.says, run)
    if case.tells and (run.status or not re.search(case.tells, run.output)):
        verdict.unsaid = f"the run does not tell {case.tells!r}"
    if run.hung:
        verdict.unsaid = "the run did not end by itself"
    seen, waited = witness.wait(former)
    verdict.down = seen.falls_short_of(former)
    verdict.told += f" [{'+'.join(former.dicom + former.web)} -> {'+'.join(seen.dicom + seen.web)} in {waited:.0f} s]"
    case.end(place)
    _converge(place, witness, verdict)
    place.hardened = verdict.good
    verdict.seconds = time.monotonic() - began
    return verdict


def prepare(case: Case, place: Place) -> None:
    """Have the server as the case wants to find it."""
    if not case.on_hardened:
        place.renew()
    elif not place.hardened:
        place.renew()
        run = place.harden().end()
        if run.status:
            raise SystemExit(f"{place.host} could not be hardened before {case.name}:\n{run.output[-3000:]}")
        place.hardened = True


def _converge(place: Place, witness: Witness, verdict: Verdict) -> None:
    """Run twice more: the first run has to end well, the second to change nothing, both services to serve."""
    first = place.harden().end()
    if first.status:
        verdict.lost = "UNREACHABLE" in first.output
        verdict.told += f" NEXT: {said(first)}"
        return
    second = place.harden().end()
    verdict.converged = second.status == 0 and second.changed == 0
    if not verdict.converged:
        verdict.told += f" SECOND: {said(second)} changed={second.changed}: {changes(second)}"
    seen = witness.look()
    if not ("TLS" in seen.dicom and "HTTPS" in seen.web):
        verdict.down.append(f"hardened, but it serves {'+'.join(seen.dicom + seen.web) or 'nothing'}")


def changes(run: Run) -> str:
    """Return the tasks of a run that changed something."""
    tasks = re.findall(r"TASK \[([^\n]*)\] \*+\n((?:(?!TASK \[).)*)", run.output, re.DOTALL)
    return ", ".join(name for name, said_there in tasks if "changed: [" in said_there)


def said(run: Run) -> str:
    """Return in one line how a run ended."""
    if run.sentences:
        return " | ".join(run.sentences).replace("\n", "\\n")[:400]
    return {0: "the run ended well", -9: "the controller was killed"}.get(run.status, f"status {run.status}")


def unsaid(wanted: str, run: Run) -> str:
    """Return what is wrong with what a run says of its trouble; empty where one clear sentence does."""
    sentences = run.sentences
    if len(sentences) != 1:
        return f"it says {len(sentences)} sentences in place of one"
    if not SENTENCE.match(sentences[0]) or "Traceback" in run.output:
        return "what it says is no clear sentence"
    return "" if re.search(wanted, sentences[0]) else f"the sentence lacks {wanted!r}"
