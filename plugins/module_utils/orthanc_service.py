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

from ansible_collections.radiology.hardening.plugins.module_utils import orthanc_text, unit_state, web_front_ask
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Entry, Host

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
LOG = f"{LOGS}/server.log"
"""Orthanc appends to a --logfile (O_APPEND), so that it can be emptied meanwhile; it does not to a file of --logdir."""
EXEC_START = f"{BINARY} --logfile={LOG} {FOLDER}"
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
        raise HardeningError(f"{error} {_put_back(host, former)}") from error


def _put_back(host: Host, former: Mapping[str, tuple[bytes | None, Entry | None]]) -> str:
    """Put files back, restart, and return a sentence of what came of it: the former server has to answer again."""
    try:
        for path, (content, entry) in former.items():
            if content is None or entry is None:
                host.remove(path)
            else:
                host.write(path, content, mode=int(entry.mode, 8), owner=entry.owner, group=entry.group)
    except HardeningError as worse:
        return f"The former configuration is not in force: {worse}"
    for command in (["daemon-reload"], ["reset-failed", UNIT], ["restart", UNIT]):
        host.run(["systemctl", *command])
    path = configuration_path(properties(host))
    told, _twice = orthanc_text.merge(orthanc_text.look(host, path)[0])
    if _comes_up(host, told):
        return "The former configuration is back in force."
    return (
        f"The former configuration is back in {path}, but Orthanc does not answer by it: see `journalctl -u orthanc`."
    )


def _restart(host: Host, config: Mapping[str, Any]) -> None:
    """Restart, and tell in Orthanc's own words why it does not come up (systemctl itself returns 0)."""
    host.enable(UNIT)
    host.must(["systemctl", "reset-failed", UNIT])
    entry, began = host.stat(LOG), time.time()
    host.must(["systemctl", "restart", UNIT])
    if not _comes_up(host, config):
        words = _last_words(host, entry.size if entry else 0, began)
        raise HardeningError(f"Orthanc does not start: {words.rstrip('.')}.")


def _comes_up(host: Host, config: Mapping[str, Any]) -> bool:
    """Wait until the restarted server answers; False when systemd gives it up, or when it takes too long."""
    end = time.monotonic() + SECONDS
    while True:
        found = properties(host)
        if found.get("ActiveState") == "failed" or int(found.get("NRestarts") or 0) > 0:
            return False
        if answers(config):
            return True
        if time.monotonic() > end:
            return False
        time.sleep(0.2)


def _last_words(host: Host, size: int, began: float) -> str:
    """Return the errors that Orthanc logged since a restart (lines that begin with E), else the journal's last lines.

    `size`: bytes of its log at the restart; `began`: when that was, in seconds since the epoch. Root reads no file for
    which Orthanc laid a link there.
    """
    log = (host.read(LOG) or b"") if host.is_own_file(LOG, "orthanc") else b""
    said = log[size if size <= len(log) else 0 :].decode("utf-8", "replace")
    errors = [line.partition("] ")[2] or line for line in said.splitlines() if line.startswith("E")]
    if errors:
        return " ".join(errors[-3:])
    since = f"--since=@{int(began)}"
    journal = host.run(["journalctl", "--unit", UNIT, since, "--lines", "5", "--output", "cat", "--no-pager"])
    return " ".join(journal.output.split("\n")[-5:]).strip() or f"no answer within {SECONDS} s"
