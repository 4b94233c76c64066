# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Orthanc's folders and files: who may enter and change them, and how long its logs stay."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import orthanc_service, unit_state
from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import deliberate
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Entry, Host
from ansible_collections.radiology.hardening.plugins.module_utils.orthanc_account import USER
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step

LOGS = orthanc_service.LOGS
SHARED = ("/", "/tmp", "/var/tmp")  # noqa: S108 - the names of what systemd gives the service in private
"""Folders that are not Orthanc's own."""
RETENTION = "/etc/tmpfiles.d/radiology-orthanc.conf"
CLEANER = "systemd-tmpfiles-clean.timer"
RETENTION_TEXT = """\
# Written by radiology.hardening: Orthanc never removes a log. The one that it writes to is emptied by logrotate alone.
x {log}
e {folder} - - - mM:{days}d
"""
ROTATION = "/etc/logrotate.d/radiology-orthanc"
ROTATOR = "logrotate.timer"
ROTATION_TEXT = f"""\
# Written by radiology.hardening: each day's lines go to a file of their own, which systemd-tmpfiles removes by its age.
{orthanc_service.LOG} {{
    su {USER} {USER}
    daily
    rotate 400
    dateext
    dateformat -%Y%m%d-%s
    copytruncate
    compress
    missingok
    notifempty
}}
"""
"""logrotate(8): 400 files are more than are kept. A restart for the sake of a log would cut a transfer off."""


def folders(config: Mapping[str, Any]) -> list[str]:
    """Return the folders that Orthanc writes patient data to, its own ones only."""
    named = {str(config.get(key) or "") for key in ("StorageDirectory", "IndexDirectory", "TemporaryDirectory")}
    return sorted(each for each in named if each.startswith("/") and each.rstrip("/") not in (*SHARED, ""))


def observe(host: Host, config: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the folders, the files of the configuration and the logs that others than they should may use.

    Orthanc may write to the folder of its logs: what lies there as a link, or as a second name of another's file, is
    no log. Orthanc.log itself is a link of its own to the newest one.
    """
    own = [*folders(config), LOGS]
    logs = [path for path in _below(host, LOGS) if host.is_own_file(path, USER)]
    named = [orthanc_service.PACKAGED, *_below(host, orthanc_service.PACKAGED), *_below(host, orthanc_service.FOLDER)]
    return {
        "open_folders": [path for path in own if _is(host.stat(path), USER, 0o027)],
        "open_configuration": [path for path in named if _is(host.stat(path), "root", 0o022)],
        "open_logs": [path for path in logs if _is(host.stat(path), USER, 0o137)],
    }


def steps(found: Mapping[str, list[str]], unmet: Iterable[str]) -> list[Step]:
    """Return what gives each of them the mode and owner that it should have; nothing is restarted."""
    due = {"open_folders": (USER, 0o027), "open_configuration": ("root", 0o022), "open_logs": (USER, 0o137)}
    return [_close(found[name], *due[name]) for name in found if f"orthanc.files.{name}" in unmet]


def retention_days(host: Host) -> int:
    """Return after how many days without a line a log is removed; 0: it stays for ever."""
    text = host.text(RETENTION) or ""
    kept = re.search(rf"(?m)^e {LOGS} - - - mM:(\d+)d$", text)
    active = kept and text == _retention(int(kept[1])) and unit_state.is_active(unit_state.properties(host, CLEANER))
    return int(kept[1]) if kept and active else 0


def is_rotated(host: Host, *, taken_over: bool) -> bool:
    """Tell whether the log that a running Orthanc writes to is begun anew each day: where it runs by our command."""
    known = host.text(ROTATION) == ROTATION_TEXT and host.stat("/usr/sbin/logrotate") is not None
    return taken_over and known and unit_state.is_active(unit_state.properties(host, ROTATOR))


def rotated_by_others(host: Host) -> list[str]:
    """Return the other files of logrotate's that name Orthanc's logs: the first to name a log has it, ours is left out.

    One that does not copy moves the log away from under the running server.
    """
    paths = ["/etc/logrotate.conf", *(f"/etc/logrotate.d/{name}" for name in host.list("/etc/logrotate.d"))]
    lines = {path: (host.text(path) or "").splitlines() for path in paths if path != ROTATION}
    return [path for path, text in lines.items() if any(LOGS in line.partition("#")[0] for line in text)]


def leave_ours(found: list[str]) -> list[Step]:
    """Return what a person does about them: how a site keeps its logs is its own."""
    return [
        deliberate(
            f"{path} rotates what lies in {LOGS} as well, so that logrotate leaves ours out: take that out of it"
        )
        for path in found
    ]


def keep_logs(days: int) -> Step:
    """Return the step that has the running log begun anew each day, and systemd remove those of so many days ago."""

    def do(host: Host) -> None:
        host.write(RETENTION, _retention(days))
        host.write(ROTATION, ROTATION_TEXT)
        host.must(["systemctl", "enable", "--now", "--quiet", CLEANER, ROTATOR])

    return Step(f"Have Orthanc's log begun anew each day, and removed after {days} days", do)


def _retention(days: int) -> str:
    return RETENTION_TEXT.format(log=orthanc_service.LOG, folder=LOGS, days=days)


def _below(host: Host, folder: str) -> list[str]:
    return [f"{folder}/{name}" for name in host.list(folder)]


def _is(entry: Entry | None, owner: str, forbidden: int) -> bool:
    """Tell whether a path is there and has another owner, or one of these permission bits."""
    return entry is not None and (entry.owner != owner or bool(int(entry.mode, 8) & forbidden))


def _close(paths: list[str], owner: str, forbidden: int) -> Step:
    def do(host: Host) -> None:
        for path in paths:
            entry = host.stat(path)
            if entry is not None:
                kept = 0o7777 if entry.is_directory else 0o777  # of a file that root is given none runs as root
                try:
                    host.own(path, mode=int(entry.mode, 8) & kept & ~forbidden, owner=owner, group=entry.group)
                except HardeningError as error:  # one link of an account's is no reason to leave the host without TLS
                    host.remarks.append(str(error))

    named = ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
    return Step(f"Close {named} to all but {owner} and its readers", do)
