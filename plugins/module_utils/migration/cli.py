# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the units run: `run NAME` takes a job to its end, `unlock NAME` opens its volume, `retire NAME` wipes.

Exit status: 0 done; 3 a person has to mend something first, the sentence is in the journal; 4 the job
that runs does it itself; 1 try again later.
"""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import sys
import time

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.migration import (
    engine,
    escrow,
    job,
    records,
    retirement,
    system_boot,
    unlock,
)
from ansible_collections.radiology.hardening.plugins.module_utils.migration.machine import Machine
from ansible_collections.radiology.hardening.plugins.module_utils.migration.system import AwaitedBootError

NEEDS_A_PERSON = 3
STILL_RUNNING = 4
OF_A_DISK = (errno.EIO, errno.EBADMSG, errno.EUCLEAN, errno.EROFS)
"""Errors of a disk that fails, or of a file system on it: to read it again and again would only hasten its end."""


def main(arguments: list[str]) -> int:
    """Run one command; see the module."""
    try:
        command, name = arguments
        folder = os.path.join(job.FOLDER, name)
        return {"run": run, "unlock": open_volume, "retire": retire}[command](folder)
    except (ValueError, KeyError):
        sys.stderr.write("usage: cli run|unlock|retire NAME\n")
        return 2
    except HardeningError as error:
        tell(str(error))
        if arguments[0] != "unlock":
            note(arguments[1], str(error), failed=True)
        return NEEDS_A_PERSON
    except OSError as error:
        said = ": ".join(str(each) for each in (error.strerror or error, error.filename) if each)
        tell(said)
        if arguments[0] != "unlock":
            note(arguments[1], said, failed=True)
        return NEEDS_A_PERSON if error.errno in OF_A_DISK else 1


def run(folder: str) -> int:
    """Take the job to its end; wait for its key as long as it takes. Cut after its end, it asks for no key any more."""
    machine, name = Machine(), os.path.basename(folder)
    if not engine.is_over(job.Job(folder)):
        needed = engine.strategy_of(job.Job(folder), machine, b"", tell_nobody).needs_key()
        while (key := escrow.bound_key(machine, folder) or (_asked(machine, folder) if needed else b"")) is None:
            _say(name, f"{name}: waiting for the key: the TPM, or the Tang server, does not give it now")
            _wait(folder, 30)
        try:
            engine.carry_out(folder, machine, key, lambda sentence: _say(name, sentence))
        except AwaitedBootError as waiting:
            before = records.read_json(os.path.join(folder, system_boot.SAID)) or {}
            _say(name, " ".join((*filter(None, (before.get("sentence"),)), str(waiting))))
            return 0
    escrow.forget(folder)
    found = job.Job(folder)
    if found.plan.tight:
        found.record(found.stage, worth=retirement.scrubbed(found, machine))
    records.remove(os.path.join(folder, "armed"))
    return 0


def open_volume(folder: str) -> int:
    """Open the job's volume, unless its job runs: that opens it itself, when and as it may be opened."""
    machine, found = Machine(), job.Job(folder)
    if unlock.is_the_jobs(found, machine):
        if machine.shows_volume(found.plan.mount_point, found.plan.name):
            return 0
        tell(f"{found.plan.name} is still being encrypted ({found.stage}): its job opens it.")
        return STILL_RUNNING
    unlock.unlock(found, machine)
    machine.start_later(found.plan)
    return 0


def retire(folder: str) -> int:
    """Wipe what still lies in clear."""
    name = os.path.basename(folder)
    retirement.retire(job.Job(folder), Machine(), lambda sentence: _say(name, sentence))
    return 0


def _asked(machine: Machine, folder: str) -> bytes | None:
    """Ask a person for the recovery key of a job that is bound to nothing, until the playbook unlock brings it."""
    if os.path.exists(os.path.join(folder, escrow.BOUND)):
        return None
    name = os.path.basename(folder)
    question = f"Recovery key of {name}, whose encryption goes on:"
    _say(name, f"{name}: waiting for the key: it is bound to nothing, so a person gives it, by the playbook unlock")
    # A unit of its own, where there is no AnsibleModule.
    with subprocess.Popen(  # pylint: disable=ansible-bad-function
        ("systemd-ask-password", "--timeout=0", question), stdout=subprocess.PIPE
    ) as asked:
        while asked.poll() is None and not os.path.exists(escrow.in_memory(folder)):
            time.sleep(1)
        if asked.poll() is None:
            asked.terminate()
        given = asked.stdout.read().strip() if asked.stdout else b""
    return given or escrow.bound_key(machine, folder)


def _wait(folder: str, seconds: float) -> None:
    """Wait, but not once the playbook unlock has brought the key."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and not os.path.exists(escrow.in_memory(folder)):
        time.sleep(1)


def _say(name: str, sentence: str) -> None:
    tell(sentence)
    note(name, sentence)


def tell(sentence: str) -> None:
    """Write a sentence into the journal."""
    sys.stdout.write(_text(sentence) + "\n")
    sys.stdout.flush()


def _text(sentence: str) -> str:
    """Return a sentence in which the bytes of a file's name that are no text are escaped."""
    return sentence.encode("utf-8", "backslashreplace").decode()


def tell_nobody(dummy: str) -> None:
    """Drop a sentence: for calls that are over in seconds."""


def note(name: str, sentence: str, *, failed: bool = False) -> None:
    """Keep the last sentence in memory, where the engineer's terminal reads it."""
    path = progress_path(name)
    with contextlib.suppress(OSError):
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        records.write_json(path, {"sentence": _text(sentence), "failed": failed, "time": time.time()})


def progress_path(name: str) -> str:
    """Return where the last sentence of a job lies."""
    return f"/run/radiology-hardening/{name}.progress.json"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))  # pylint: disable=ansible-bad-function
