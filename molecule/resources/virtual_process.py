# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The processes of a virtual machine: started so that Ctrl-C spares them, found again by the folder that they run in.

QEMU, swtpm, socat and ssh all run with the machine's folder as their working directory. That is how they are found,
also after the program that started them was killed: no file with a process id can be stale or name a stranger.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROGRAMS = ("qemu-system-", "swtpm", "socat", "tangd", "ssh")
"""How the names of the programs begin that a machine consists of; nothing else is ever signalled."""


class MachineError(Exception):
    """What a virtual machine did not do, in one sentence."""


def spawn(folder: Path, log: str, *command: str) -> subprocess.Popen[bytes]:
    """Start a program in the folder, away from the terminal; what it says goes to the file `log` there."""
    with (folder / log).open("ab") as said:
        return subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True
        )


def found(folder: Path, program: str = "") -> list[int]:
    """Return the ids of the machine's processes whose program's name begins so, of all its programs by default."""
    wanted = str(folder.resolve())
    listed = []
    for entry in os.listdir("/proc"):
        if not entry.isdecimal():
            continue
        try:
            where = os.readlink(f"/proc/{entry}/cwd")
            name = os.path.basename(os.readlink(f"/proc/{entry}/exe"))
        except OSError:  # ended meanwhile, a zombie, or someone else's
            continue
        if where.removesuffix(" (deleted)") == wanted and name.startswith(program or PROGRAMS):
            listed.append(int(entry))
    return sorted(listed)


def kill(folder: Path, program: str = "") -> None:
    """End the machine's processes as a power cut would, and return when they are gone.

    Raises MachineError when one is still there after ten seconds.
    """

    def gone() -> bool:
        left = found(folder, program)
        for process in left:
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                continue
        return not left

    wait(gone, 10, f"the processes {program} of {folder.name} to end")


def wait(reached: Callable[[], bool], seconds: float, what: str, every: float = 0.1) -> float:
    """Wait until something is true and return the seconds that it took; raises MachineError when it takes longer."""
    began = time.monotonic()
    while not reached():
        if time.monotonic() - began > seconds:
            raise MachineError(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(every)
    return time.monotonic() - began


def resident_mib(process: int) -> int:
    """Return the memory that a process holds, in MiB; 0 when it is gone."""
    try:
        with open(f"/proc/{process}/status", encoding="ascii", errors="replace") as file:
            return next((int(line.split()[1]) // 1024 for line in file if line.startswith("VmRSS:")), 0)
    except OSError:
        return 0


def monitor(folder: Path, command: str, **arguments: Any) -> Any:
    """Give QEMU's monitor one command (QEMU's QMP, version 1.0) and return its answer.

    Raises MachineError when QEMU does not answer or refuses.
    """
    # A socket's name has 107 bytes at most; a folder's may be longer.
    opened = os.open(folder, os.O_PATH)
    try:
        with socket.socket(socket.AF_UNIX) as channel:
            channel.settimeout(60)
            channel.connect(f"/proc/self/fd/{opened}/monitor.sock")
            with channel.makefile("rw", encoding="utf-8") as stream:
                stream.readline()
                for asked in ({"execute": "qmp_capabilities"}, {"execute": command, "arguments": arguments}):
                    stream.write(json.dumps(asked) + "\n")
                    stream.flush()
                    answer = _answer(stream)
    except OSError as error:
        raise MachineError(f"QEMU of {folder.name} did not answer {command}: {error}") from error
    finally:
        os.close(opened)
    if "error" in answer:
        raise MachineError(f"QEMU of {folder.name} refused {command}: {answer['error'].get('desc')}")
    return answer.get("return")


def _answer(stream: Any) -> dict[str, Any]:
    for line in stream:
        said: dict[str, Any] = json.loads(line)
        if "event" not in said:
            return said
    return {"error": {"desc": "it ended"}}
