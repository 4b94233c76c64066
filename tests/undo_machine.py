# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Undo what the role disk_encryption does, on machines of Debian 12 and 13 whose storage lies encrypted.

Each holds 50 studies more than those that were encrypted. What posture sees before the role ran has to be what it sees
after its undo and a start of the machine; every study has to come back as it was stored, and more be stored.
Usage: undo_machine.py [bookworm|trixie ...]. The last line is `N checks: N held`.
"""

from __future__ import annotations

import signal
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "molecule" / "resources"), str(ROOT / "tests" / "machine")]

import virtual_clinic
from clinic import image, study_uid
from undone import Undoing

NAME, SURFACE = "undo-machine", "disk_encryption"
STUDIES, SEED, SIZE = 50, 20261127, 64 << 10
"""Studies of one image each, and the bytes of its pixels."""
AN_IMAGE_OF_EACH = 8
"""Numbers of images that belong to one study."""


def on_machine(release: str) -> list[bool]:
    """Harden a machine, undo it, start it anew, and look at everything; return what held."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            clinic = virtual_clinic.up(NAME, release, Path(folder))
            stored = clinic.take([image(SEED, number * AN_IMAGE_OF_EACH, SIZE) for number in range(STUDIES)])
            studies = {study_uid(SEED, number) for number in range(STUDIES)}
            trial = Undoing(NAME, Path(folder), (SURFACE,))
            before = trial.facts()
            trial.demand("molecule/resources/converge.yml", roles=SURFACE)
            trial.changed(SURFACE, before, trial.facts())
            trial.undo(SURFACE, virtual_clinic.HOST)
            clinic.machine.reboot()
            clinic.wait_for_echo()  # its storage is open then
            trial.same(f"{release}: facts after the undo are those before", before, trial.facts())
            trial.check(f"{release}: {STUDIES} studies come back as they were", clinic.fetch(studies), stored)
            more = clinic.take([image(SEED + 1, 0, SIZE)])
            trial.check(f"{release}: one more is stored and comes back", clinic.fetch({study_uid(SEED + 1, 0)}), more)
            return trial.held
        finally:
            virtual_clinic.down(NAME)


def main(releases: list[str]) -> int:
    """Try each release, and tell the tally."""
    held = [each for release in releases or ["bookworm", "trixie"] for each in on_machine(release)]
    print(f"{len(held)} checks: {held.count(True)} held")
    return 0 if held and all(held) else 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does: nothing stays behind
    sys.exit(main(sys.argv[1:]))
