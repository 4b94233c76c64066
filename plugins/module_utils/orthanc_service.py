# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Orthanc's systemd unit: what it runs with, whether it answers, and changes that are taken back when it does not."""

from __future__ import annotations

import re
import shlex
import socket
import time
from collections.abc import Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import unit_state, web_front_ask
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host

UNIT = "orthanc.service"
BINARY = "/usr/sbin/Orthanc"
PACKAGED = "/etc/orthanc"
"""The folder that Debian's unit reads."""
FOLDER = "/etc/orthanc/hardened"
"""Our folder; Orthanc does not read subfolders of /etc/orthanc, so the package's files stay as they are."""
FILE = f"{FOLDER}/orthanc.json"
DROP_INS = "/etc/systemd/system/orthanc.service.d"
MOUNTS_DROP_IN = "zz-radiology-mounts.conf"
"""Says what has to be mounted before a start (disk_mount_points): a running process need not be told."""
CONFIGURATION_DROP_IN = f"{DROP_INS}/zz-radiology-configuration.conf"
LOGS = "/var/log/orthanc"
EXEC_START = f"{BINARY} --logdir={LOGS} {FOLDER}"
SECONDS = 90
"""How long a start may take until Orthanc answers."""

DROP_IN = f"""# Written by radiology.hardening; the package's own files in {PACKAGED} are no longer read.
[Service]
ExecStart=
ExecStart={EXEC_START}
"""

SANDBOX = {
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "RestrictSUIDSGID": "yes",
    "MemoryDenyWriteExecute": "yes",
    "UMask": "0077",
}
"""systemd properties that are facts, with the value that confines the service (systemd.exec(5))."""

PROPERTIES = (
    *("ExecStart", "User", "Restart", "Environment", "MemoryMax", "LimitDATA", "LimitCORE", "NeedDaemonReload"),
    "NRestarts",
    *SANDBOX,
)

Content = tuple[str, int, str, str]
"""Text, mode, owner and group of a file."""


def properties(host: Host) -> dict[str, str]:
    """Return what systemd says of the unit; empty where there is none."""
    wanted = ",".join((*unit_state.PROPERTIES, *PROPERTIES))
    answer = host.run(["systemctl", "show", UNIT, f"--property={wanted}"])
    pairs = (line.partition("=") for line in answer.output.splitlines()) if answer.ok else ()
    return {name: value for name, _equals, value in pairs}


def exposure(host: Host) -> float | None:
    """Return systemd's own score of how little it confines the unit, 0.0 to 10.0; None where it gives none."""
    answer = host.run(["systemd-analyze", "security", UNIT, "--no-pager"])
    score = re.search(r"Overall exposure level for \S+: (\d+\.\d+)", answer.output)
    return float(score[1]) if score else None


def configuration_path(found: Mapping[str, str]) -> str:
    """Return the file or folder that the unit's command names; Debian's folder when it names none."""
    command = found.get("ExecStart", "").partition("argv[]=")[2].partition(" ;")[0]
    paths = [word for word in shlex.split(command)[1:] if not word.startswith("-")]
    return paths[-1] if paths else PACKAGED


def is_older(host: Host, found: dict[str, str], config: Mapping[str, Any], files: list[str]) -> bool:
    """Tell whether the running process began before a file that it reads last changed."""
    named = [
        value
        for key in ("DicomTlsCertificate", "DicomTlsPrivateKey", "DicomTlsTrustedCertificates")
        if isinstance(value := config.get(key), str)
    ]
    drop_ins = [f"{DROP_INS}/{name}" for name in host.list(DROP_INS) if name != MOUNTS_DROP_IN]
    return found.get("NeedDaemonReload") == "yes" or unit_state.is_older(host, found, [*files, *named, *drop_ins])


def answers(config: Mapping[str, Any]) -> bool:
    """Ask the server: HTTP GET /system gives 200 or 401; where HTTP is off, its DICOM port takes a connection."""
    if not config.get("HttpServerEnabled", True):
        return not config.get("DicomServerEnabled", True) or _listens(int(config.get("DicomPort", 4242)))
    return web_front_ask.status("127.0.0.1", int(config.get("HttpPort", 8042)), "/system") in (200, 401)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=web_front_ask.SECONDS).close()
    except OSError:
        return False
    return True


def change(host: Host, contents: Mapping[str, Content], remove: list[str], config: Mapping[str, Any]) -> None:
    """Write files, remove others, restart and wait until the server answers; else put everything back."""
    former = {path: (host.read(path), host.stat(path)) for path in (*contents, *remove)}
    try:
        for path, (text, mode, owner, group) in contents.items():
            host.write(path, text, mode=mode, owner=owner, group=group)
        for path in remove:
            host.remove(path)
        _restart(host, config)
    except HardeningError as error:
        for path, (content, entry) in former.items():
            if content is None or entry is None:
                host.remove(path)
            else:
                host.write(path, content, mode=int(entry.mode, 8), owner=entry.owner, group=entry.group)
        host.run(["systemctl", "daemon-reload"])
        host.run(["systemctl", "restart", UNIT])
        raise HardeningError(f"{error} The former configuration is back in force.") from error


def _restart(host: Host, config: Mapping[str, Any]) -> None:
    """Restart, and tell in Orthanc's own words why it does not come up (systemctl itself returns 0)."""
    host.must(["systemctl", "daemon-reload"])
    host.must(["systemctl", "enable", "--quiet", UNIT])
    host.must(["systemctl", "reset-failed", UNIT])
    host.must(["systemctl", "restart", UNIT])
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        found = properties(host)
        if found.get("ActiveState") == "failed" or int(found.get("NRestarts") or 0) > 0:
            break
        if answers(config):
            return
        time.sleep(0.2)
    raise HardeningError(f"Orthanc does not start: {_last_words(host)}")


def _last_words(host: Host) -> str:
    """Return the errors of Orthanc's newest log (lines that begin with E), else the journal's last lines.

    Orthanc.log is a link that Orthanc makes itself, and root reads no file for it.
    """
    paths = (path for name in host.list(LOGS) if host.is_own_file(path := f"{LOGS}/{name}", "orthanc"))
    newest = max(paths, key=lambda path: entry.modified if (entry := host.stat(path)) else 0.0, default="")
    log = (host.text(newest) or "") if newest else ""
    errors = [line.partition("] ")[2] or line for line in log.splitlines() if line.startswith("E")]
    if errors:
        return " ".join(errors[-3:])
    journal = host.run(["journalctl", "--unit", UNIT, "--lines", "5", "--output", "cat", "--no-pager"])
    return " ".join(journal.output.split("\n")[-5:]).strip() or f"no answer within {SECONDS} s"
