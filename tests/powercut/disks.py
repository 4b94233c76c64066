# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Disks that remember every write and every flush.

Each is a file that a process of ours serves through FUSE from its memory, with a loop device on it. File systems and
cryptsetup on top are the real ones; what reaches the file is what would reach a disk, in the order in which it does.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap
import multiprocessing
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

Write = tuple[str, int, bytes]
"""Disk, offset in bytes, content."""
Operation = tuple[str, int, bytes] | tuple[str]
"""A write, or, with the disk's name alone, a flush of the disk's write cache."""

ROOT = Path("/run/radiology-powercut")
"""Everything is mounted below it, in a mount namespace of each process's own, so paths are the same in all."""
CLONE_NEWNS, MS_REC, MS_PRIVATE, PR_SET_PDEATHSIG = 0x00020000, 0x4000, 0x40000, 1


def die_with_parent() -> None:
    """Have the kernel kill this process when the one that started it is gone."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def own_mounts() -> None:
    """Give this process mounts of its own; they vanish with it."""
    library = ctypes.CDLL(None, use_errno=True)
    if library.unshare(CLONE_NEWNS) or library.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None):
        raise OSError(ctypes.get_errno(), "no mounts of my own: this needs root")
    ROOT.mkdir(exist_ok=True)
    if library.mount(b"tmpfs", str(ROOT).encode(), b"tmpfs", 0, b"mode=0700"):
        raise OSError(ctypes.get_errno(), f"{ROOT} cannot be mounted")


class Loops:
    """The loop devices of this process; the janitor takes away what it leaves, even when it is killed."""

    def __init__(self) -> None:
        """Start the janitor at the first use."""
        self.janitor: subprocess.Popen[str] | None = None

    def tell(self, line: str) -> None:
        """Tell the janitor what came or went."""
        if self.janitor is None:
            program = (sys.executable, str(Path(__file__).with_name("janitor.py")))
            self.janitor = subprocess.Popen(program, stdin=subprocess.PIPE, text=True, start_new_session=True)
        assert self.janitor.stdin is not None
        self.janitor.stdin.write(line + "\n")
        self.janitor.stdin.flush()

    def attach(self, path: str, *options: str) -> str:
        """Return a new loop device on a file or device."""
        command = ("losetup", "--find", "--show", *options, path)
        device = subprocess.check_output(command, text=True).strip()
        self.tell(f"+{device}")
        return device

    def detach(self, device: str) -> None:
        """Take a loop device away. The janitor forgets it first: its number is anybody's at once."""
        self.tell(f"-{device}")
        subprocess.run(("losetup", "--detach", device), check=True)


LOOPS = Loops()


@contextlib.contextmanager
def loop(path: str, *options: str) -> Iterator[str]:
    """Yield a loop device for the length of a look."""
    device = LOOPS.attach(path, *options)
    try:
        yield device
    finally:
        LOOPS.detach(device)


class Disks:
    """A set of disks with loop devices, one server process behind them."""

    def __init__(self, sizes: Mapping[str, int]) -> None:
        """Start the server, with room for disks of these sizes in bytes."""
        self.folder = ROOT / "disks"
        self.folder.mkdir()
        self.memory = {disk: mmap.mmap(-1, size) for disk, size in sizes.items()}
        self.connection, far = multiprocessing.Pipe()
        fork = multiprocessing.get_context("fork")  # the memory is shared with the server
        self.server = fork.Process(target=serve, args=(str(self.folder), far, self.memory), daemon=True)
        self.server.start()
        far.close()
        self.devices: dict[str, str] = {}
        until = time.monotonic() + 30
        while not os.path.ismount(self.folder):
            if time.monotonic() > until or not self.server.is_alive():
                raise RuntimeError("the disks' server does not start: is fuse3 installed?")
            time.sleep(0.02)

    def load(self, images: Mapping[str, bytes | bytearray]) -> None:
        """Take away the disks that are there and give these in their place, with an empty log."""
        self.detach()
        for disk, image in images.items():
            self.memory[disk][: len(image)] = image
        generation = self._ask("load")
        for disk in images:
            self.devices[disk] = LOOPS.attach(str(self.folder / f"{generation}-{disk}"))

    def detach(self) -> None:
        """Take the loop devices away."""
        for device in self.devices.values():
            LOOPS.detach(device)
        self.devices = {}

    def log(self) -> list[Operation]:
        """Return every operation since the disks were loaded."""
        found: list[Operation] = self._ask("log")
        return found

    def count(self) -> int:
        """Return how many operations there were since the disks were loaded."""
        found: int = self._ask("count")
        return found

    def images(self) -> dict[str, bytes]:
        """Return what the disks hold now."""
        return {disk: self.memory[disk][:] for disk in self.devices}

    def close(self) -> None:
        """End the server."""
        self.detach()
        subprocess.run(("umount", "--lazy", str(self.folder)), check=False)
        self.server.kill()
        self.server.join()

    def _ask(self, question: str) -> Any:
        self.connection.send(question)
        return self.connection.recv()


def serve(folder: str, connection: Connection, memory: Mapping[str, mmap.mmap]) -> None:
    """Serve the disks until the folder is unmounted or the other end is gone."""
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the other end decides
    import mfusepy  # needs libfuse, which only this process wants

    class Served(mfusepy.Operations):  # type: ignore[misc]
        """The files of the folder: `<generation>-<disk>`."""

        def getattr(self, path: str, fh: Any = None) -> dict[str, Any]:
            if path == "/":
                return {"st_mode": stat.S_IFDIR | 0o700, "st_nlink": 2}
            return {"st_mode": stat.S_IFREG | 0o600, "st_nlink": 1, "st_size": len(content(path)[1])}

        def readdir(self, path: str, fh: Any) -> list[str]:
            return [".", ".."]

        def open(self, path: str, flags: int) -> int:
            content(path)
            return 0

        def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
            return bytes(content(path)[1][offset : offset + size])

        def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
            disk, held = content(path)
            held[offset : offset + len(data)] = data
            log.append((disk, offset, bytes(data)))
            return len(data)

        def fsync(self, path: str, datasync: int, fh: int) -> int:
            log.append((content(path)[0],))
            return 0

        def flush(self, path: str, fh: int) -> int:
            return 0

    log: list[Operation] = []
    generation = 0

    def content(path: str) -> tuple[str, mmap.mmap]:
        number, _dash, disk = path[1:].partition("-")
        if number != str(generation) or disk not in memory:
            raise mfusepy.FuseOSError(errno.ENOENT)
        return disk, memory[disk]

    def answer() -> None:
        nonlocal log, generation
        while True:
            try:
                question = connection.recv()
            except EOFError:
                os._exit(0)
            if question == "load":
                log = []
                generation += 1
                connection.send(generation)
            elif question == "count":
                connection.send(len(log))
            else:
                connection.send(list(log))

    threading.Thread(target=answer, daemon=True).start()
    with contextlib.redirect_stderr(sys.stderr):
        mfusepy.FUSE(Served(), folder, foreground=True, nothreads=True)
