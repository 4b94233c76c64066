# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The timed undo of a change that could lock the engineer out.

Armed on the host before the change, stopped over a new connection after it, else carried out by the host alone. A
reboot does not stop it: the timer starts with the machine, so that an unconfirmed change never stays. Of two runs at
once the one that armed it last stops it, whose change is the last as well.
"""

from __future__ import annotations

import dataclasses
import posixpath
import shlex
import time
from collections.abc import Sequence

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step

SECONDS = 45
"""How long the engineer has to come in anew; the same time counts from the start of the machine."""

HEAD = """\
set -u
failed=
back() {
  [ -d "${5%/*}" ] || install -d -m "$2" -o "$3" -g "$4" "${5%/*}"
  cp -p "$1" "$5.undo" && mv -fT "$5.undo" "$5" && return
  rm -f "$5.undo"
  failed=yes
}
"""
"""`back COPY MODE OWNER GROUP FILE`: the three are those of the file's folder, which the change may have removed."""
LINES = ("back ", "cp -p ", "rm -f ")
"""How lines begin that put one file back, its path at their end; the second is of former releases."""

RUNS = ("activating", "active", "deactivating")
"""States of a unit whose script has not ended."""


@dataclasses.dataclass(frozen=True)
class Undo:
    """The undo of one kind of change: its short name, what it puts back, and the shell lines that end it."""

    name: str
    what: str
    role: str
    finish: tuple[str, ...]
    """Shell lines that put the former files into effect; $failed is empty unless one could not be put back."""

    @property
    def folder(self) -> str:
        """Copies of the files as they were, and the script that puts them back."""
        return f"/var/lib/radiology-hardening/{self.name}-undo"

    @property
    def service(self) -> str:
        """The unit that carries the undo out."""
        return f"radiology-{self.name}-undo.service"

    @property
    def timer(self) -> str:
        """The unit that starts it in time."""
        return f"radiology-{self.name}-undo.timer"

    @property
    def armed(self) -> str:
        """The sentence in a plan by which the controller knows that it has to come in anew."""
        return f"Arm the undo: without a new connection within {SECONDS} s the host puts {self.what} back by itself"

    def arm(self, paths: Sequence[str], arming: str) -> Step:
        """Return the step that keeps these files as they are now and starts the timer; `arming`: see GuardedAction."""

        def do(host: Host) -> None:
            with host.alone(self.lock):
                self._arm(host, paths, arming)

        return Step(self.armed, do)

    def confirm(self, host: Host, arming: str) -> None:
        """Stop the timer and forget the copies: somebody came in. HardeningError where the undo was quicker.

        Where another run armed it since, that one comes in anew as well, and it goes on for as long.
        """
        with host.alone(self.lock):
            if host.text(self.armed_by) in (None, arming):
                self._stop(host)

    def _stop(self, host: Host) -> None:
        host.must(["systemctl", "--quiet", "disable", "--now", self.timer])
        while host.run(["systemctl", "show", "--value", "--property=ActiveState", self.service]).output.strip() in RUNS:
            time.sleep(0.2)
        if host.stat(self.undone) is not None:
            raise HardeningError(
                f"the new connection came after more than {SECONDS} s, and the host had put {self.what} back: "
                "run this again."
            )
        host.must(["rm", "-rf", self.folder])

    @property
    def lock(self) -> str:
        """Held by whoever arms or stops it: a moment, while a run's own lock is held until its changes are made."""
        return f"/run/radiology-{self.name}-undo.lock"

    @property
    def armed_by(self) -> str:
        """Says which run armed it last."""
        return f"{self.folder}/armed-by"

    @property
    def undone(self) -> str:
        """Stands from the undo to the next arming; a change that another run confirmed meanwhile leaves none."""
        return f"/var/lib/radiology-hardening/{self.name}-undone"

    def waits(self, host: Host) -> bool:
        """Tell whether a change waits for its confirmation: the run that made it was broken off before."""
        return host.stat(self.script) is not None

    @property
    def script(self) -> str:
        """The script that puts the former files back; it is there from the arming to the confirmation or the undo."""
        return f"{self.folder}/undo.sh"

    def _arm(self, host: Host, paths: Sequence[str], arming: str) -> None:
        """Keep the files; of a change that nobody confirmed yet, those before it stay what is put back."""
        host.folder(self.folder, mode=0o700)
        host.must(["rm", "-f", self.undone])
        kept = [line for line in (host.text(self.script) or "").splitlines() if line.startswith(LINES)]
        known = {shlex.split(line)[-1] for line in kept}
        for number, path in enumerate((path for path in paths if path not in known), len(kept)):
            content, entry = host.read(path), host.stat(path)
            if content is None or entry is None:
                kept.append(f"rm -f {shlex.quote(path)}")
                continue
            copy, above = f"{self.folder}/{number}", host.stat(posixpath.dirname(path))
            host.write(copy, content, mode=int(entry.mode, 8))
            place = [above.mode, above.owner, above.group] if above else ["0755", "root", "root"]
            kept.append(shlex.join(["back", copy, *place, path]))
        host.write(self.armed_by, arming)
        host.write(self.script, HEAD + "".join(f"{line}\n" for line in (*kept, *self._ends())), mode=0o700)
        for path, text in self._units().items():
            if host.text(path) != text:
                host.write(path, text)
        host.enable(self.timer)
        host.must(["systemctl", "restart", self.timer])

    def _ends(self) -> list[str]:
        """Return the lines at its end; what could not be put back is tried again at the next start."""
        return [
            *self.finish,
            f"touch {self.undone}",
            '[ -z "$failed" ] || exit 1',
            f"systemctl disable {self.timer}",
            f"rm -rf {self.folder}",
        ]

    def _units(self) -> dict[str, str]:
        head = f"# Kept by radiology.hardening (role {self.role}): undoes what nobody confirmed.\n"
        return {
            f"/etc/systemd/system/{self.service}": f"""\
{head}[Unit]
Description=Undo of an unconfirmed change to {self.what}
ConditionPathExists={self.script}

[Service]
Type=oneshot
ExecStart=/bin/sh {self.script}
""",
            f"/etc/systemd/system/{self.timer}": f"""\
{head}[Unit]
Description=Undo of an unconfirmed change to {self.what}, unless it is confirmed

[Timer]
OnActiveSec={SECONDS}
AccuracySec=1s

[Install]
WantedBy=timers.target
""",
        }
