# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The only seam to the machine: read, write, run.

Surfaces never touch the operating system in another way, so a test can hand them
a folder as the root of a host and a table of answers in place of its commands.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import grp
import hashlib
import os
import pwd
import stat
import subprocess
import tempfile
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

from ansible_collections.radiology.hardening.plugins.module_utils import own_path
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError

if TYPE_CHECKING:
    from ansible_collections.radiology.hardening.plugins.module_utils.kept import Ledger

LOCK = "/run/radiology-hardening.lock"
"""Held by whoever changes this host; it ends with its process, even a killed one."""

STEADY = (
    *("/usr/sbin/sshd", "apt-config", "dpkg", "dpkg-query", "getent", "id", "ip", "openssl", "systemctl"),
    *("systemd-analyze", "systemd-detect-virt"),
)
"""Programs whose answer stays the same as long as nothing is changed."""

WITH_OWN_MOUNTS = ("unshare", "--mount", "--propagation", "private", "sh", "-c")
"""Runs a line of shell in a mount namespace of its own: what it mounts and unmounts is not so for the host."""

PATIENCE = 600
"""Seconds for which another run's change is waited for."""


@dataclasses.dataclass(frozen=True)
class Result:
    """What a command answered: exit status, and its two outputs as text."""

    status: int
    output: str
    errors: str

    @property
    def ok(self) -> bool:
        """Whether the command exited with 0."""
        return self.status == 0


@dataclasses.dataclass(frozen=True)
class Entry:
    """A file or folder: permission bits as four octal digits, owner and group by name, size in bytes."""

    mode: str
    owner: str
    group: str
    size: int
    is_directory: bool
    modified: float
    """Seconds since the epoch."""


class Host:
    """The machine that the module runs on, seen below `root`."""

    def __init__(self, root: str = "/") -> None:
        """Take `root` as the host's file system; commands run on the real machine."""
        self.root = root
        self.ledger: Ledger | None = None
        """Keeps what a surface replaces, before it is replaced; none where nothing is to be undone later."""
        self.remarks: list[str] = []
        """What is left to a person, and came to light only when a step was taken."""
        self._known: dict[tuple[str, ...], Result] | None = None
        """What steady programs answered, by their command, while one only looks."""

    def path(self, path: str) -> str:
        """Return where the host's absolute `path` lies for this process."""
        return path if self.root == "/" else os.path.join(self.root, path.lstrip("/"))

    def read(self, path: str) -> bytes | None:
        """Return the content of a file; None when there is none, as of a process that has ended.

        A FIFO, a socket, a device or a link to itself, which an account may lay where we look for a file of its own, is
        none either.
        """
        try:
            with open(self.path(path), "rb", opener=_at_once) as file:
                return file.read() if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else None
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError, ProcessLookupError):
            return None
        except OSError as error:
            if error.errno in (errno.ENXIO, errno.ELOOP):
                return None
            raise HardeningError(f"{path} cannot be read: {error.strerror}.") from error

    def text(self, path: str) -> str | None:
        """Return the content of a file as UTF-8 text, undecodable bytes marked; None when there is none."""
        content = self.read(path)
        return None if content is None else content.decode("utf-8", "replace")

    def digest(self, path: str) -> str | None:
        """Return the SHA-256 of a file's content in hexadecimal; None when there is none."""
        content = self.read(path)
        return None if content is None else hashlib.sha256(content).hexdigest()

    def stat(self, path: str) -> Entry | None:
        """Return what `stat` says of a path, links followed; None when there is nothing."""
        try:
            found = os.stat(self.path(path))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if error.errno == errno.ELOOP:
                return None
            raise HardeningError(f"{path} cannot be examined: {error.strerror}.") from error
        return Entry(
            mode=f"{stat.S_IMODE(found.st_mode):04o}",
            owner=_name_of_user(found.st_uid),
            group=_name_of_group(found.st_gid),
            size=found.st_size,
            is_directory=stat.S_ISDIR(found.st_mode),
            modified=found.st_mtime,
        )

    def list(self, path: str) -> tuple[str, ...]:
        """Return the sorted names in a folder; none when it is not there."""
        try:
            return tuple(sorted(os.listdir(self.path(path))))
        except (FileNotFoundError, NotADirectoryError):
            return ()
        except OSError as error:
            raise HardeningError(f"{path} cannot be listed: {error.strerror}.") from error

    def run(self, command: Sequence[str], *, stdin: str | None = None, timeout: float = 120) -> Result:
        """Run a command (no shell) and return what it answered; status 127 when it is not installed."""
        if self._known is None or command[0] not in STEADY or stdin is not None:
            return self._run(command, stdin=stdin, timeout=timeout)
        words = tuple(command)
        if words not in self._known:
            self._known[words] = self._run(command, stdin=None, timeout=timeout)
        return self._known[words]

    @contextlib.contextmanager
    def looking(self) -> Iterator[None]:
        """Ask each steady program the same thing only once, since nothing is changed meanwhile."""
        self._known = {}
        try:
            yield
        finally:
            self._known = None

    def _run(self, command: Sequence[str], *, stdin: str | None, timeout: float) -> Result:
        if self.ledger is not None:
            self.ledger.command(command)
        try:
            # The seam itself; observers and fixture hosts have no AnsibleModule to call run_command of.
            done = subprocess.run(  # pylint: disable=ansible-bad-function
                list(command),
                input=stdin,
                capture_output=True,
                check=False,
                timeout=timeout,
                encoding="utf-8",
                errors="replace",
                env={**os.environ, "LC_ALL": "C.UTF-8", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
            )
        except (FileNotFoundError, PermissionError) as error:
            return Result(127, "", f"{command[0]}: {error.strerror}")
        except subprocess.TimeoutExpired as error:
            raise HardeningError(f"`{' '.join(command)}` gave no answer within {timeout:g} s.") from error
        return Result(done.returncode, done.stdout, done.stderr)

    def must(self, command: Sequence[str], *, stdin: str | None = None, timeout: float = 120) -> str:
        """Run a command that has to succeed and return its output."""
        result = self.run(command, stdin=stdin, timeout=timeout)
        if not result.ok:
            said = in_one_line(result.errors or result.output) or f"exit status {result.status}"
            raise HardeningError(f"`{' '.join(command)}` failed: {said}.")
        return result.output

    def enable(self, *units: str) -> None:
        """Have units start with the machine, and systemd read its files anew: once, and after all that changes them.

        Each reading runs all of systemd's generators: 0.1 s and more of CPU.
        """
        self.must(["systemctl", "--quiet", "--no-reload", "enable", *units])
        self.must(["systemctl", "daemon-reload"])

    def write(
        self, path: str, content: bytes | str, *, mode: int = 0o644, owner: str = "root", group: str = "root"
    ) -> None:
        """Replace a file atomically: temporary file in the same folder, fsync, rename.

        What was there is kept first. Missing parent folders are made, 0755 root:root.
        """
        self.keep(path)
        ours = content.encode() if isinstance(content, str) else content
        if self.ledger is not None:
            self.ledger.writing(path, ours)
        target = self.path(path)
        folder = os.path.dirname(target)
        handle = -1
        temporary = ""
        try:
            os.makedirs(folder, mode=0o755, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=folder, prefix=".radiology-", suffix=".tmp")
            with os.fdopen(handle, "wb") as file:
                file.write(ours)
                file.flush()
                os.fchmod(file.fileno(), mode)
                os.fchown(file.fileno(), pwd.getpwnam(owner).pw_uid, grp.getgrnam(group).gr_gid)
                os.fsync(file.fileno())
            os.replace(temporary, target)
            _sync_folder(folder)
        except (OSError, KeyError) as error:
            if temporary and os.path.exists(temporary):
                os.unlink(temporary)
            raise HardeningError(f"{path} cannot be written: {error}.") from error
        if self.ledger is not None:
            self.ledger.written(path, ours)

    def folder(self, path: str, *, mode: int = 0o755, owner: str = "root", group: str = "root") -> None:
        """Make a folder, or give an existing one this mode, owner and group; see own_path of links on the way."""
        if self.ledger is not None:
            self.ledger.absent(path)
        try:
            self._give(path, mode, owner, group, make=True)
        except (OSError, KeyError) as error:
            raise HardeningError(f"{path} cannot be made: {error}.") from error

    def own(self, path: str, *, mode: int, owner: str = "root", group: str = "root") -> None:
        """Give an existing file or folder this mode, owner and group, unless another account can have put it there."""
        try:
            self._give(path, mode, owner, group, make=False)
        except (OSError, KeyError) as error:
            raise HardeningError(f"{path} cannot be given to {owner}:{group}: {error}.") from error

    def _give(self, path: str, mode: int, owner: str, group: str, *, make: bool) -> None:
        uid, gid = pwd.getpwnam(owner).pw_uid, grp.getgrnam(group).gr_gid
        with own_path.opened(self.root, path, uid, make=mode if make else None) as found:
            if make and not stat.S_ISDIR(found.status.st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            if self.ledger is not None:
                self.ledger.mode(found.path, found.status)
            os.fchown(found.handle, uid, gid)
            os.fchmod(found.handle, mode)

    def is_own_file(self, path: str, owner: str) -> bool:
        """Tell whether it is a file, no link and no second name of a file that another account than `owner` has."""
        try:
            uid = pwd.getpwnam(owner).pw_uid
        except KeyError:
            uid = None
        return own_path.is_own_file(self.root, path, uid)

    def remove(self, path: str) -> None:
        """Remove a file, which is kept first, and each one that others lay there again; nothing where there is none."""
        self.keep(path)
        if self.ledger is not None:
            self.ledger.removing(path)
        try:
            os.unlink(self.path(path))
        except FileNotFoundError:
            return
        except OSError as error:
            raise HardeningError(f"{path} cannot be removed: {error.strerror}.") from error

    @contextlib.contextmanager
    def alone(self, lock: str = LOCK) -> Iterator[None]:
        """Let one process at a time change this host; HardeningError when another goes on for too long."""
        with open(self.path(lock), "w", encoding="ascii") as file:
            deadline = time.monotonic() + PATIENCE
            while not _taken(file.fileno()):
                if time.monotonic() > deadline:
                    raise HardeningError(
                        f"Another run has been changing this host for {PATIENCE} s: let it end, then run this again."
                    )
                time.sleep(0.2)
            yield

    def keep(self, path: str) -> None:
        """Keep a file as it is before a surface first changes it, or that there is none."""
        if self.ledger is not None:
            self.ledger.file(path)

    def made(self, path: str) -> None:
        """Keep what a command of ours made of a file that was kept before."""
        content = self.read(path)
        if self.ledger is not None and content is not None:
            self.ledger.written(path, content)

    def keep_keys(self, path: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        """Keep the keys that change of a JSON file which several surfaces write, in place of the whole file."""
        if self.ledger is not None:
            self.ledger.keys(path, before, after)

    def undone_by(self, name: str, *command: str) -> None:
        """Keep the command that undoes what is about to be done and what no file and no unit says."""
        if self.ledger is not None:
            self.ledger.undone_by(name, command)


def in_one_line(said: str) -> str:
    """Return a program's words in one line, without the marks below them that point at a place, and without the dot."""
    lines = (" ".join(line.split()) for line in said.splitlines())
    return " ".join(line for line in lines if line.strip("^~ ")).rstrip(".")


def _at_once(path: str, flags: int) -> int:
    """Open without waiting for who writes to a FIFO."""
    return os.open(path, flags | os.O_NONBLOCK)


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sync_folder(folder: str) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _name_of_user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _name_of_group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
