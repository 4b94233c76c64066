# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs that are killed: the controller, the module on the host, or the host's power, within every task."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator

import yaml
from case import Case
from place import ROOT, Place, Run

KINDS = ("controller", "module", "power")
SHORTEST = 0.3
"""Seconds between two tasks of which no duration is known, for the last one."""
Strike = Callable[[Place, Run], bool]


def tasks() -> int:
    """Return how many tasks the hardening of one server has: those of its roles, and the check of what each is given."""
    plays = yaml.safe_load((ROOT / "playbooks" / "harden.yml").read_text(encoding="utf-8"))
    (servers,) = (play for play in plays if play["hosts"].startswith("orthanc_servers"))
    names = [role["role"].rpartition(".")[2] for role in servers["roles"]]
    files = [ROOT / "roles" / name / "tasks" / "main.yml" for name in names]
    return sum(1 + len(yaml.safe_load(file.read_text(encoding="utf-8"))) for file in files)


def cases() -> Iterator[Case]:
    """Yield a case for each task and each way to be killed."""
    for task in range(tasks()):
        for kind in KINDS:
            yield Case(f"kill-{kind}-{task + 1:02}", _bring(kind, task))


def mine(case: Case, number: int) -> bool:
    """Tell whether a kill point is met by the server of this number: each is met by one, in turns."""
    kind, task = case.name.split("-")[1:]
    return (KINDS.index(kind) + int(task)) % 2 == number % 2


def _bring(kind: str, task: int) -> Callable[[Place, random.Random], Run]:
    strike: Strike = {"controller": _controller, "module": _module, "power": _power}[kind]

    def bring(place: Place, chance: random.Random) -> Run:
        seconds = chance.random() * _duration(place, task)
        run = place.harden()
        run.reach(task, seconds)
        while not strike(place, run) and not run.over():
            time.sleep(0.02)
        struck = run.tasks[-1][1] if run.tasks else "before the first task"
        run.struck = f"{time.monotonic() - run.began:.1f} s, in {struck.partition(' : ')[2] or struck}"
        run.end()
        return run

    return bring


def _duration(place: Place, task: int) -> float:
    """Return how long a task takes on this server when nothing troubles it, in seconds."""
    begins = [at for at, _name in timeline(place)]
    if len(begins) != tasks() + 1:
        raise SystemExit(f"The hardening has {len(begins) - 1} tasks, and its roles have {tasks()}.")
    return max(SHORTEST, begins[task + 1] - begins[task])


def timeline(place: Place) -> list[tuple[float, str]]:
    """Return when each task of a hardening began, and its end; measured once a server."""
    if place.timeline is None:
        place.renew()
        run = place.harden().end()
        if run.status:
            raise SystemExit(f"{place.host} could not be hardened at all:\n{run.output[-3000:]}")
        place.timeline = [*run.tasks, (run.seconds, "the end")]
        place.renew()
    return place.timeline


def _controller(place: Place, run: Run) -> bool:
    run.kill()
    return True


def _module(place: Place, run: Run) -> bool:
    """Kill what Ansible runs on the host, which is the only Python there; false where it runs nothing now."""
    return bool(place.on("sh", "-c", "pkill -KILL -x python3 && echo killed", check=False))


def _power(place: Place, run: Run) -> bool:
    place.lab.cut_power(place.host)
    place.lab.give_power(place.host)
    return True
