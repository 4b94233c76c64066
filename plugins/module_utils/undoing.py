# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The steps that restore what a surface replaced on a host.

Each is right however often it is taken, so that an undo which was broken off is taken again from its start. Where
another surface changed the same thing later, that one goes on holding it, and takes over what was there before.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import stat
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.radiology.hardening.plugins.module_utils import (
    kept,
    orthanc_service,
    orthanc_text,
    own_path,
    reversion,
    second_factor,
    ssh_command_line,
    ssh_daemon,
    ssh_undo,
)
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.kept import Entry
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step
from ansible_collections.radiology.hardening.plugins.module_utils.surfaces import firewall
from ansible_collections.radiology.hardening.plugins.module_utils.timed_undo import Undo


class Guard(NamedTuple):
    """What keeps the engineer in while a surface is undone."""

    undo: Undo
    places: tuple[str, ...]
    """What that puts back: files, and folders, which end in a slash."""
    unit: str
    """Reads those files; empty where all that the surface changed goes with them."""

    def covers(self, entry: Entry) -> bool:
        """Tell whether an entry is undone while the host waits for the engineer, who has seconds for nothing else."""
        return self.unit in ("", entry.name) or self.puts_back(entry)

    def puts_back(self, entry: Entry) -> bool:
        """Tell whether the host itself brings it back as it was hardened, where the engineer does not come in."""
        return any(f"{entry.name}/".startswith(f"{place.rstrip('/')}/") for place in self.places)


GUARDED: dict[str, Guard] = {
    "firewall": Guard(firewall.UNDO, ("/etc/",), ""),
    "authentication": Guard(
        ssh_undo.UNDO,
        ("/etc/ssh/", ssh_command_line.DEFAULTS, second_factor.SSHD, second_factor.PAM_FILE, second_factor.FOLDER),
        ssh_daemon.UNIT,
    ),
}
"""Surface -> its guard. sshd sends whoever comes through the tunnel to PAM for a code, so both change together."""


def plan(host: Host, surface: str, arming: str = "") -> list[Step]:
    """Return the steps; HardeningError with one sentence when nothing was kept. `arming`: see GuardedAction."""
    entries = kept.read(host, surface)
    if entries is None:
        raise HardeningError(
            f"Nothing of {surface} was kept on this host: it was never hardened, was undone already, or was hardened "
            "by an earlier release, which kept nothing. Nothing was changed."
        )
    entries = sorted(entries, key=lambda entry: -entry.order)
    guard = GUARDED.get(surface)
    if guard is None:
        return [*_undone(host, surface, entries), *finish(host, surface)]
    last = [entry for entry in entries if guard.covers(entry)]
    first = [entry for entry in entries if not guard.covers(entry)]
    return [*_undone(host, surface, first), *_undone(host, surface, last, guard, arming)]


def _undone(
    host: Host, surface: str, entries: Sequence[Entry], guard: Guard | None = None, arming: str = ""
) -> list[Step]:
    """Return the steps that restore these entries: files before the units that read them."""
    if not entries:
        return []
    above = {entry.thing: _above(host, surface, entry) for entry in entries}
    alone = [entry for entry in entries if above[entry.thing] is None]
    units = [entry for entry in entries if entry.kind == "unit"]
    return [
        *_guard(guard, alone, arming),
        *(step for entry in alone if entry.kind == "unit" for step in _end(host, entry)),
        *(step for entry in alone if entry.kind in RESTORE for step in RESTORE[entry.kind](host, entry)),
        *_keys(host, [entry for entry in alone if entry.kind == "key"]),
        *(step for entry in alone if entry.kind == "keyed" for step in _keyed(entry)),
        *(_folder(surface, entry) for entry in entries if entry.kind == "folder"),
        *(_handed(entry, heir) for entry in entries if (heir := above[entry.thing]) is not None),
        Step("Have systemd read its units anew", lambda host: _must(host, "systemctl", "daemon-reload")),
        *(step for entry in units for step in _begin(entry)),
    ]


def finish(host: Host, surface: str) -> list[Step]:
    """Return the step that forgets what was kept: for a guarded surface, once the engineer came in anew."""

    def do(host: Host) -> None:
        if surface in GUARDED:
            undo = GUARDED[surface].undo
            for unit in (undo.service, undo.timer):
                host.remove(f"/etc/systemd/system/{unit}")
            host.must(["systemctl", "daemon-reload"])
        shutil.rmtree(host.path(kept.folder(surface)), ignore_errors=True)

    return [] if kept.read(host, surface) is None else [Step(f"Forget what was kept of {surface}", do)]


def _above(host: Host, surface: str, entry: Entry) -> str | None:
    """Return the surface that was the next to change the same thing."""
    later = [
        (other.order, name)
        for name in kept.surfaces(host)
        if name != surface
        for other in kept.read(host, name) or []
        if other.thing == entry.thing and other.order > entry.order and entry.kind not in ("unit", "folder")
    ]
    return min(later)[1] if later else None


def _guard(guard: Guard | None, entries: Sequence[Entry], arming: str) -> list[Step]:
    """Return the step that has the host bring the hardened state back unless the engineer comes in anew."""
    if guard is None:
        return []
    paths = [entry.name for entry in entries if entry.kind == "file" and guard.puts_back(entry)]
    return [guard.undo.arm(paths, arming)] if paths else []


def _end(host: Host, entry: Entry) -> list[Step]:
    """Return the steps that stop and disable a unit which did not run and did not start with the machine."""
    verbs = []
    if not entry.former["active"]:
        verbs.append("stop")
    if entry.former["state"] != "enabled" and _shown(host, entry.name)["UnitFileState"] == "enabled":
        verbs.append("disable")

    def do(host: Host) -> None:
        for verb in verbs:
            if _shown(host, entry.name)["LoadState"] not in ("not-found", "masked"):
                host.must(["systemctl", "--quiet", verb, entry.name])

    return [Step(f"{' and '.join(verbs).capitalize()} {entry.name}", do)] if verbs else []


def _begin(entry: Entry) -> list[Step]:
    """Return the steps that enable and start a unit which did so before, and have it read what was restored."""
    wanted = entry.former

    def do(host: Host) -> None:
        shown = _shown(host, entry.name)
        if wanted["state"] == "masked" and shown["UnitFileState"] != "masked":
            host.must(["systemctl", "--quiet", "mask", entry.name])
        if wanted["state"] != "masked" and shown["UnitFileState"] == "masked":
            host.must(["systemctl", "--quiet", "unmask", entry.name])
        if wanted["state"] == "enabled" and shown["UnitFileState"] != "enabled":
            host.must(["systemctl", "--quiet", "enable", entry.name])
        if wanted["active"]:
            _read_anew(host, entry)

    if not wanted["active"] and wanted["state"] not in ("enabled", "masked"):
        return []
    does = "Have {} read its former files" if wanted["verb"] == "reload" else "Start {} with its former files"
    return [Step(does.format(entry.name), do)]


def _read_anew(host: Host, entry: Entry) -> None:
    if entry.name == ssh_daemon.UNIT:
        ssh_daemon.reload(host)
        return
    host.run(["systemctl", "reset-failed", entry.name])
    host.must(["systemctl", "reload" if entry.former["verb"] == "reload" else "restart", entry.name])
    if entry.name != orthanc_service.UNIT:
        return
    path = orthanc_service.configuration_path(orthanc_service.properties(host))
    told = orthanc_text.merge(orthanc_text.look(host, path)[0])[0]
    end = time.monotonic() + orthanc_service.SECONDS
    while not orthanc_service.answers(told):
        if time.monotonic() > end:
            raise HardeningError(f"Orthanc does not answer with what {path} says: look at `journalctl -u orthanc`.")
        time.sleep(0.2)


def _file(host: Host, entry: Entry) -> list[Step]:
    path, former = entry.name, entry.former
    if former is None:
        return [Step(f"Remove {path}", lambda host: host.remove(path))]
    if "link" in former:
        return [_link(host, entry)]
    content, ours = host.read(former["copy"]), host.read(f"{former['copy']}.ours")
    if content is None:
        raise HardeningError(f"{former['copy']}, the former {path}, is missing. Nothing was changed.")
    present = host.read(path)
    if present is None:
        restored: bytes | None = content
    elif ours is None:  # we removed it, and wrote nothing there
        restored = content if present == content else None
    else:
        restored = reversion.revert(present, ours, content)
    if restored is None:
        kept_for_you = kept.beside(host, entry.order, path, content)

        def leave(host: Host) -> None:
            kept.lay_beside(host, kept_for_you, content, former)

        return [Step(f"Leave {path}, which others changed since: what was there is kept in {kept_for_you}", leave)]
    which = "Restore" if restored == content else "Take our lines, and no others, out of"
    more = ", ".join(kept.besides(host, entry))
    told = f"; what others wrote there later is kept in {more}" if more else ""
    return [Step(f"{which} {path}{told}", lambda host: kept.put(host, path, restored, former))]


def _link(host: Host, entry: Entry) -> Step:
    """Return the step that restores a link; a file that lies in its place, ours or another's, is kept for a person."""
    path, to = entry.name, entry.former["link"]
    there = host.path(path)
    if os.path.islink(there) and os.readlink(there) != to:
        return Step(f"Leave {path}, which others changed since: it was a link to {to}", lambda host: None)

    def do(host: Host) -> None:
        content = None if os.path.islink(there) else host.read(path)
        if content is not None:
            kept.lay_beside(host, kept.beside(host, entry.order, path, content), content, _how(os.stat(there)))
        host.remove(path)
        try:
            os.symlink(to, there)
        except OSError as error:
            raise HardeningError(f"{path} cannot be made: {error.strerror}.") from error

    return Step(f"Restore {path}, a link to {to}", do)


def _how(found: os.stat_result) -> dict[str, int]:
    return {"mode": stat.S_IMODE(found.st_mode), "user": found.st_uid, "group": found.st_gid}


def _mode(host: Host, entry: Entry) -> list[Step]:
    """Return the step that gives owner and mode back; none to a link, whose own mode says nothing of what it is to."""
    former = entry.former
    if os.path.islink(host.path(entry.name)):
        return []

    def do(host: Host) -> None:
        try:
            with own_path.opened(host.root, entry.name, former["user"]) as found:
                os.fchown(found.handle, former["user"], former["group"])
                os.fchmod(found.handle, former["mode"])
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise HardeningError(f"{entry.name} keeps its owner and mode: {error.strerror}.") from error

    return [Step(f"Give {entry.name} its owner and mode {former['mode']:04o} back", do)]


def _folder(surface: str, entry: Entry) -> Step:
    def do(host: Host) -> None:
        found = host.path(entry.name)
        if os.path.isdir(found) and not os.path.islink(found) and not os.listdir(found):
            os.rmdir(found)
        for heir in kept.surfaces(host):
            theirs = kept.read(host, heir) or []
            inside = any(each.name.startswith(f"{entry.name}/") for each in theirs)
            if heir != surface and inside and entry.thing not in {each.thing for each in theirs}:
                kept.store(host, heir, [entry, *theirs])

    return Step(f"Remove the folder {entry.name}, unless something else lies in it", do)


def _kernel(host: Host, entry: Entry) -> list[Step]:
    def do(host: Host) -> None:
        if host.stat(entry.name) is None:
            return  # its interface is gone
        try:
            with open(host.path(entry.name), "w", encoding="utf-8") as file:
                file.write(entry.former or "")
        except OSError as error:
            raise HardeningError(f"{entry.name} cannot be set: {error.strerror}.") from error

    return [Step(f"Set {entry.name} to {(entry.former or '').strip()} again", do)] if entry.former is not None else []


def _command(host: Host, entry: Entry) -> list[Step]:
    return [Step(entry.name, lambda host: _must(host, *entry.former))]


def _keys(host: Host, entries: Sequence[Entry]) -> list[Step]:
    """Return a step for each JSON file: its keys as they were, all others as they are."""
    steps = []
    for path in dict.fromkeys(entry.name.partition("#")[0] for entry in entries):
        mine = {entry.name.partition("#")[2]: entry.former for entry in entries if entry.name.startswith(f"{path}#")}
        does = f"Set back in {path}: {', '.join(sorted(mine))}"
        steps.append(Step(does, lambda host, path=path, mine=mine: _set_back(host, path, mine)))  # type: ignore[misc]
    return steps


def _set_back(host: Host, path: str, mine: Mapping[str, Any]) -> None:
    text, entry = host.text(path), host.stat(path)
    if text is None or entry is None:
        return
    try:
        told = json.loads(text)
    except ValueError as error:
        raise HardeningError(f"{path} cannot be read: {error}.") from error
    for key, former in mine.items():
        if former is None:
            told.pop(key, None)
        else:
            told[key] = former["value"]
    new = json.dumps(told, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    kept.put(host, path, new.encode(), _how(os.stat(host.path(path))))


def _keyed(entry: Entry) -> list[Step]:
    if entry.former["there"]:
        return []
    return [Step(f"Remove {entry.name}", lambda host: host.remove(entry.name))]


def _handed(entry: Entry, heir: str) -> Step:
    return Step(f"Leave {entry.name} as {heir} holds it", lambda host: _hand(host, entry, heir))


def _hand(host: Host, entry: Entry, heir: str) -> None:
    """Let the surface that changed the thing next have the former state of this one."""
    former = entry.former
    entries = kept.read(host, heir) or []
    theirs = next(each for each in entries if each.thing == entry.thing)
    if entry.kind == "file" and former and "copy" in former:
        copy = f"{kept.folder(heir)}/{entry.order}"
        content, ours = host.read(former["copy"]) or b"", host.read(f"{former['copy']}.ours")
        kept.put(host, copy, content, former)
        former = {**former, "copy": copy}
        if theirs.former and "copy" in theirs.former:
            _keep_between(host, theirs, (content, ours))
            now = host.read(f"{theirs.former['copy']}.ours")
            if now is not None:
                kept.put(host, f"{copy}.ours", now, former)
    kept.store(host, heir, [dataclasses.replace(each, former=former) if each is theirs else each for each in entries])


def _keep_between(host: Host, theirs: Entry, known: Sequence[bytes | None]) -> None:
    """Keep for a person what others wrote between two surfaces: the undo of the later one no longer restores it."""
    between = host.read(theirs.former["copy"])
    if between is not None and between not in known:
        kept.lay_beside(host, kept.beside(host, theirs.order, theirs.name, between), between, theirs.former)


def _shown(host: Host, unit: str) -> dict[str, str]:
    answer = host.run(["systemctl", "show", unit, "--property=UnitFileState,LoadState"])
    found = dict(line.partition("=")[::2] for line in answer.output.splitlines())
    return {"UnitFileState": "", "LoadState": "", **found}


def _must(host: Host, *command: str) -> None:
    host.must(command)


RESTORE = {"file": _file, "mode": _mode, "kernel": _kernel, "command": _command}
