# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a surface replaces on a host, kept once and before it is replaced, so that `undo` can restore it.

Each surface has a folder below FOLDER (0700 root) with one record and copies of the files as they were, each with its
owner and mode. An entry is never overwritten: it says what was there before the surface first changed it. Where
several surfaces changed the same thing, the order of their entries says whose former state is whose.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import stat
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ansible_collections.radiology.hardening.plugins.module_utils import kernel_network
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError

if TYPE_CHECKING:
    from ansible_collections.radiology.hardening.plugins.module_utils.host import Host

STATE = "/var/lib/radiology-hardening"
FOLDER = f"{STATE}/kept"
UNITS = f"{FOLDER}/units.json"
VOLATILE = (f"{STATE}/", "/run/", "/tmp/", "/proc/", "/sys/", "/dev/")  # noqa: S108 # named, not used
"""Below these nothing is kept: they are our own memory, or gone after a restart."""
GUARDS = ("-undo.service", "-undo.timer")
"""Units of timed_undo, which an undo needs itself."""
OPENED = "systemd-cryptsetup@"
"""Begins the units of opened volumes: what opens one keeps the command that closes it."""
CHANGING = ("enable", "disable", "start", "stop", "restart", "reload", "reload-or-restart", "mask", "unmask")
"""What systemctl does to a unit after which it may not be as it was."""
UNIT_TYPES = (
    *(".automount", ".device", ".mount", ".path", ".scope", ".service", ".slice", ".socket", ".swap", ".target"),
    ".timer",
)
"""Ends of the names of systemd's units (systemd.unit(5))."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """One thing as it was: a file, folder, mode, unit, key of a file, kernel setting, or the command that undoes it."""

    kind: str
    name: str
    order: int
    """Counts through all surfaces of the host: which of two was kept first."""
    former: Any
    """None where there was nothing."""

    @property
    def thing(self) -> tuple[str, str]:
        """What was changed, whoever did it."""
        return self.kind, self.name


def folder(surface: str) -> str:
    """Return where a surface's former state lies."""
    return f"{FOLDER}/{surface}"


def surfaces(host: Host) -> list[str]:
    """Return the surfaces of which something is kept."""
    return [name for name in host.list(FOLDER) if host.stat(f"{FOLDER}/{name}/record.json") is not None]


def read(host: Host, surface: str) -> list[Entry] | None:
    """Return what is kept of a surface; None when nothing is."""
    text = host.text(f"{folder(surface)}/record.json")
    if text is None:
        return None
    try:
        return [Entry(**entry) for entry in json.loads(text)]
    except (ValueError, TypeError) as error:
        raise HardeningError(f"{folder(surface)}/record.json cannot be read: {error}.") from error


def store(host: Host, surface: str, entries: Sequence[Entry]) -> None:
    """Write a surface's record, durably."""
    text = json.dumps([dataclasses.asdict(entry) for entry in entries], indent=1)
    put(
        host,
        f"{folder(surface)}/record.json",
        text.encode(),
        {"mode": 0o600, "user": os.geteuid(), "group": os.getegid()},
    )


def put(host: Host, path: str, content: bytes, how: Mapping[str, Any]) -> None:
    """Replace a file durably (temporary file, fsync, rename, fsync of the folder); `how` gives mode, user and group.

    A folder that is not there any more, as of a package that was removed, is made, 0755 root:root.
    """
    target = host.path(path)
    parent = os.path.dirname(target)
    temporary = ""
    try:
        if path.startswith(f"{FOLDER}/"):
            for level in (FOLDER, os.path.dirname(path)):
                os.makedirs(host.path(level), mode=0o700, exist_ok=True)
                os.chmod(host.path(level), 0o700)
        os.makedirs(parent, mode=0o755, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=parent, prefix=".radiology-", suffix=".tmp")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fchown(file.fileno(), how["user"], how["group"])
            os.fchmod(file.fileno(), how["mode"])
            os.fsync(file.fileno())
        os.replace(temporary, target)
        directory = os.open(parent, os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(directory)
        os.close(directory)
    except OSError as error:
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)
        raise HardeningError(f"{path} cannot be written: {error.strerror}.") from error


def lay_beside(host: Host, place: str, content: bytes, how: Mapping[str, Any]) -> None:
    """Keep what others wrote, or what was there before it, for a person: for its owner's eyes alone."""
    put(host, place, content, {**how, "mode": how["mode"] & 0o700})


def beside(host: Host, order: int, path: str, content: bytes) -> str:
    """Return where to keep a content of a file for a person: a name that is free, or that holds it already."""
    first = f"{STATE}/{order}-{os.path.basename(path)}"
    names = (first if number == 0 else f"{first}.{number}" for number in itertools.count())
    return next(name for name in names if host.read(name) in (None, content))


def besides(host: Host, entry: Entry) -> list[str]:
    """Return where further contents of a file lie that `beside` named."""
    first = f"{entry.order}-{os.path.basename(entry.name)}"
    return [f"{STATE}/{name}" for name in host.list(STATE) if name == first or name.startswith(f"{first}.")]


def before_install(host: Host) -> None:
    """Keep which units there are before we install a package: what it brings and starts was not there."""
    known = _units(host)
    _store_units(host, {"ours": sorted(came_with_us(host)), "before": known["before"] or _unit_files(host)})


def after_install(host: Host) -> None:
    """Keep which units came with what was installed."""
    _store_units(host, {"ours": sorted(came_with_us(host)), "before": []})


def came_with_us(host: Host) -> set[str]:
    """Return the units of packages that we installed, those of a run that was killed while it installed too."""
    known = _units(host)
    return {*known["ours"], *({*_unit_files(host)} - {*known["before"]} if known["before"] else ())}


def _units(host: Host) -> dict[str, list[str]]:
    text = host.text(UNITS)
    return {"ours": [], "before": [], **(json.loads(text) if text else {})}


def _store_units(host: Host, known: Mapping[str, Sequence[str]]) -> None:
    ours = {"mode": 0o600, "user": os.geteuid(), "group": os.getegid()}
    put(host, UNITS, json.dumps(known).encode(), ours)


def _unit_files(host: Host) -> list[str]:
    """Return the names that `systemctl list-unit-files` gives, which takes 0.4 s for the state of each."""
    folders = host.run(["systemd-analyze", "unit-paths"]).output.split()
    return sorted({name for folder in folders for name in host.list(folder) if name.endswith(UNIT_TYPES)})


class Ledger:
    """Keeps the former state for one surface; the host asks it before each change."""

    def __init__(self, host: Host, surface: str, own: Sequence[str]) -> None:
        """Take the host, the surface, and the files that it alone writes.

        Where these are there and nothing is kept, an earlier release hardened the host: its state is no former one.
        """
        self.host, self.surface = host, surface
        entries = read(host, surface)
        self.idle = entries is None and any(host.stat(path) is not None for path in own)
        self.entries = entries or []
        self._known = {entry.thing for entry in self.entries}
        self._order = max((each.order for name in surfaces(host) for each in read(host, name) or []), default=0)

    def file(self, path: str) -> None:
        """Keep a file before it is replaced or removed: content, owner and mode, a link as such."""
        if self._needless("file", path) or ("keyed", path) in self._known:
            return
        self._parents(path)
        found = _lstat(self.host, path)
        if found is None:
            self._add("file", path, None)
        elif stat.S_ISLNK(found.st_mode):
            self._add("file", path, {"link": os.readlink(self.host.path(path))})
        else:
            copy = f"{folder(self.surface)}/{self._order + 1}"
            how = _mode_and_owner(found)
            self._put(copy, self.host.read(path) or b"", how)
            self._add("file", path, {"copy": copy, **how})

    def removing(self, path: str) -> None:
        """Keep a file that others laid again where one is kept already, before it is removed again."""
        found = None if self.idle or ("file", path) not in self._known else _lstat(self.host, path)
        content = None if found is None else self.host.read(path)
        if found is None or content is None:
            return
        entry, ours = self._file(path), self._ours(path)
        if ours is not None:
            is_theirs = content not in (self.host.read(ours), self.host.read(entry.former["copy"]))
            how = entry.former
        else:
            is_theirs = "link" in (entry.former or {}) and stat.S_ISREG(found.st_mode)
            how = _mode_and_owner(found)
        if is_theirs:
            place = beside(self.host, entry.order, path, content)
            self._end_with(lambda: lay_beside(self.host, place, content, how))

    def writing(self, path: str, content: bytes) -> None:
        """Keep what this surface is about to make of a file that was there, where it made nothing of it yet."""
        copy = self._ours(path)
        if copy is not None and _lstat(self.host, copy) is None:
            self.written(path, content)

    def written(self, path: str, content: bytes) -> None:
        """Keep what this surface made of a file that was there, so that later changes of others can be told from it."""
        copy = self._ours(path)
        if copy is not None and self.host.read(copy) != content:
            self._put(copy, content, self._file(path).former)

    def _file(self, path: str) -> Entry:
        return next(entry for entry in self.entries if entry.thing == ("file", path))

    def _ours(self, path: str) -> str | None:
        """Return where our content of a file is kept that was there before; None where none was."""
        if self.idle or ("file", path) not in self._known or "copy" not in (self._file(path).former or {}):
            return None
        return f"{self._file(path).former['copy']}.ours"

    def mode(self, path: str, found: os.stat_result) -> None:
        """Keep owner and mode of a file or folder, named without links: the mode of a link says nothing."""
        if not self._needless("mode", path) and ("folder", path) not in self._known:
            self._add("mode", path, _mode_and_owner(found))

    def absent(self, path: str) -> None:
        """Keep that a folder, and which of those above it, are not there yet."""
        if _lstat(self.host, path) is None:
            self._parents(f"{path}/.")

    def keys(self, path: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        """Keep the keys that change of a JSON file which several surfaces write; `before` is what was in force."""
        if not self._needless("keyed", path):
            self._parents(path)
            self._add("keyed", path, {"there": _lstat(self.host, path) is not None})
        for key in sorted({*before, *after}):
            same = key in before and key in after and before[key] == after[key]
            if not same and not self._needless("key", f"{path}#{key}"):
                self._add("key", f"{path}#{key}", {"value": before[key]} if key in before else None)

    def command(self, command: Sequence[str]) -> None:
        """Keep what a command is about to change: units by systemctl, the kernel's settings of a file."""
        words = [word for word in command if not word.startswith("-")]
        if words[:1] == ["systemctl"] and words[1:2] and words[1] in CHANGING:
            for unit in words[2:]:
                self.unit(unit, words[1])
        elif words[:1] and words[0].endswith("/systemd-sysctl"):
            for line in (line for path in words[1:] for line in (self.host.text(path) or "").splitlines()):
                name, equals, _value = line.strip().lstrip("-").partition("=")
                if equals and not name.startswith(("#", ";")):
                    self.settings(name.strip() if "/" in name else name.strip().replace(".", "/"))

    def settings(self, pattern: str) -> None:
        """Keep settings of the kernel, by their path below /proc/sys, where `*` is any one name."""
        for setting in kernel_network.paths(self.host, pattern):
            path = f"{kernel_network.SYSTEM}/{setting}"
            if not self.idle and ("kernel", path) not in self._known:
                self._add("kernel", path, self.host.text(path))

    def unit(self, unit: str, verb: str) -> None:
        """Keep whether a unit runs and starts with the machine; `verb` is what systemctl is about to do to it."""
        if self._needless("unit", unit) or unit.endswith(GUARDS):
            return
        answer = self.host.run(["systemctl", "show", unit, "--property=ActiveState,UnitFileState,LoadState"])
        state = dict(line.partition("=")[::2] for line in answer.output.splitlines())
        active = state.get("ActiveState") in ("active", "activating", "reloading")
        if unit in came_with_us(self.host):
            active, state = False, {}
        self._add("unit", unit, {"active": active, "state": state.get("UnitFileState", ""), "verb": verb})

    def undone_by(self, name: str, command: Sequence[str]) -> None:
        """Keep the command that undoes what no file says; it has to do nothing where nothing is to be undone."""
        if not self._needless("command", name):
            self._add("command", name, list(command))

    def _needless(self, kind: str, name: str) -> bool:
        apart = name.startswith((*VOLATILE, OPENED)) or name.endswith(GUARDS)
        return self.idle or apart or (kind, name) in self._known

    def _parents(self, path: str) -> None:
        """Keep as absent the folders that will be made for a path."""
        parent = os.path.dirname(path)
        if parent not in ("", "/") and _lstat(self.host, parent) is None:
            self._parents(parent)
            if not self._needless("folder", parent):
                self._add("folder", parent, None)

    def _put(self, path: str, content: bytes, how: Mapping[str, Any]) -> None:
        self._end_with(lambda: put(self.host, path, content, how))

    def _end_with(self, keep: Callable[[], None]) -> None:
        """Keep, or end with the error: what the surface then puts back is no change that would have to be kept."""
        try:
            keep()
        except HardeningError:
            self.idle = True
            raise

    def _add(self, kind: str, name: str, former: Any) -> None:
        self._order += 1
        entry = Entry(kind, name, self._order, former)
        self._end_with(lambda: store(self.host, self.surface, [*self.entries, entry]))
        self.entries.append(entry)
        self._known.add(entry.thing)


def _mode_and_owner(found: os.stat_result) -> dict[str, int]:
    return {"mode": stat.S_IMODE(found.st_mode), "user": found.st_uid, "group": found.st_gid}


def _lstat(host: Host, path: str) -> os.stat_result | None:
    try:
        return os.lstat(host.path(path))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise HardeningError(f"{path} cannot be examined: {error.strerror}.") from error
