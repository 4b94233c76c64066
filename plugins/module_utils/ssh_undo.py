# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The timed undo of a change to sshd: armed on the host, stopped over a new connection, else carried out there."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step

FOLDER = "/var/lib/radiology-hardening/ssh-undo"
"""Copies of the files as they were, and the script that puts them back."""

TIMER = "radiology-ssh-undo.timer"
SERVICE = "radiology-ssh-undo.service"
SECONDS = 45
"""How long the engineer has to come in anew; the same time counts from the start of the machine."""

UNITS = {
    f"/etc/systemd/system/{SERVICE}": f"""\
# Kept by radiology.hardening (role authentication): puts sshd's files back when nobody came in anew.
[Unit]
Description=Undo of an unconfirmed change to sshd
ConditionPathExists={FOLDER}/undo.sh

[Service]
Type=oneshot
ExecStart=/bin/sh {FOLDER}/undo.sh
""",
    f"/etc/systemd/system/{TIMER}": f"""\
# Kept by radiology.hardening (role authentication).
[Unit]
Description=Undo of an unconfirmed change to sshd, unless it is confirmed

[Timer]
OnActiveSec={SECONDS}
AccuracySec=1s

[Install]
WantedBy=timers.target
""",
}

ARMED = f"Arm the undo: without a new connection within {SECONDS} s the host puts sshd back by itself"


def arm(paths: Sequence[str]) -> Step:
    """Return the step that keeps these files as they are now and starts the timer; a reboot does not stop it."""
    return Step(ARMED, lambda host: _arm(host, paths))


def _arm(host: Host, paths: Sequence[str]) -> None:
    host.folder(FOLDER, mode=0o700)
    lines = ["set -u"]
    for number, path in enumerate(paths):
        content, entry = host.read(path), host.stat(path)
        if content is None or entry is None:
            lines.append(f"rm -f {shlex.quote(path)}")
            continue
        copy = f"{FOLDER}/{number}"
        host.write(copy, content, mode=int(entry.mode, 8))
        lines.append(f"cp -p {shlex.quote(copy)} {shlex.quote(path)}")
    lines += ["systemctl reload ssh.service", f"systemctl disable {TIMER}", f"rm -rf {FOLDER}"]
    host.write(f"{FOLDER}/undo.sh", "\n".join(lines) + "\n", mode=0o700)
    for path, text in UNITS.items():
        if host.text(path) != text:
            host.write(path, text)
    host.must(["systemctl", "daemon-reload"])
    host.must(["systemctl", "--quiet", "enable", TIMER])
    host.must(["systemctl", "restart", TIMER])


def confirm(host: Host) -> None:
    """Stop the timer and forget the copies: somebody came in."""
    host.must(["systemctl", "--quiet", "disable", "--now", TIMER])
    host.must(["rm", "-rf", FOLDER])
