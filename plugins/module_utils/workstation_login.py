# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Display managers and consoles that log somebody in whom nobody asked for a password.

Read are gdm3's daemon.conf, lightdm.conf and sddm.conf with their folders, each in the order in which its program reads
them, and the command of the first console (getty). The last line that sets a key counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.radiology.hardening.plugins.module_utils.disk_deliberate import deliberate
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step

FACTS: dict[str, str] = {
    "login.automatic": "list of str: file, line and setting by which somebody is logged in without a password",
    "login.consoles": "list of str: consoles on which getty logs somebody in by itself",
    "login.advice": "list of str: what a person does about those consoles",
}
NOBODY = ("", "false", "no", "0", "none")
SETTINGS = ("automaticlogin", "automaticloginenable", "timedlogin", "timedloginenable", "autologin-user", "allow-guest")
"""Keys of gdm3 (section daemon) and lightdm (section Seat) in small letters, which log somebody in unasked."""
GDM, LIGHTDM, SDDM = (
    (("/etc/gdm3/daemon.conf",), ()),
    (("/etc/lightdm/lightdm.conf",), ("/usr/share/lightdm/lightdm.conf.d", "/etc/lightdm/lightdm.conf.d")),
    (("/etc/sddm.conf",), ("/usr/lib/sddm/sddm.conf.d", "/etc/sddm.conf.d")),
)
"""For each display manager its file, and the folders whose files it reads too."""
CONSOLES = ("getty@tty1.service", "serial-getty@ttyS0.service", "console-getty.service")


class Line(NamedTuple):
    """A line of a file that logs somebody in."""

    path: str
    number: int
    text: str

    def __str__(self) -> str:
        """Say it with its place."""
        return f"{self.path}:{self.number} ({self.text})"


def observe(host: Host) -> dict[str, Any]:
    """Return the facts below `login`."""
    shown = host.run(["systemctl", "show", "--property=Id,ExecStart", *CONSOLES]).output
    units = [part for part in shown.split("\n\n") if "--autologin" in part]
    consoles = [found[1] for part in units if (found := re.search(r"(?m)^Id=(.+)$", part))]
    return {
        "automatic": [str(line) for line in _lines(host)],
        "consoles": consoles,
        "advice": [_advice(unit) for unit in consoles],
    }


def steps(facts: Mapping[str, Any]) -> list[Step]:
    """Return what has everybody log in; the command of a console is somebody's own unit."""
    found = []
    if facts["automatic"]:
        told = f"Have everybody log in, in place of {', '.join(facts['automatic'])}"
        found.append(Step(told, _end))
    return found + [deliberate(_advice(unit)) for unit in facts["consoles"]]


def _end(host: Host) -> None:
    """Make a comment of each such line; its display manager asks at its next start, and nobody's session ends."""
    amiss = list(_lines(host))
    for path in dict.fromkeys(line.path for line in amiss):
        numbers = {line.number for line in amiss if line.path == path}
        lines = (host.text(path) or "").splitlines(keepends=True)
        host.write(path, "".join(f"# {line}" if number in numbers else line for number, line in enumerate(lines, 1)))


def _lines(host: Host) -> Iterator[Line]:
    for files, folders in (GDM, LIGHTDM, SDDM):
        for path in (*(f"{folder}/{name}" for folder in folders for name in _files(host, folder)), *files):
            yield from _of_file(host, path)


def _files(host: Host, folder: str) -> Sequence[str]:
    return [name for name in host.list(folder) if name.endswith(".conf")]


def _of_file(host: Host, path: str) -> Iterator[Line]:
    section = ""
    for number, line in enumerate((host.text(path) or "").splitlines(), 1):
        words = line.strip()
        heading = re.fullmatch(r"\[(.*)\]", words)
        if heading:
            section = heading[1].lower()
            continue
        key, equals, value = (part.strip() for part in words.partition("="))
        asked = key.lower() in SETTINGS or (section == "autologin" and key.lower() == "user")
        if equals and asked and value.lower() not in NOBODY:
            yield Line(path, number, words)


def _advice(unit: str) -> str:
    return (
        f"{unit} logs somebody in by itself: `systemctl cat {unit}` shows the file whose --autologin is to be taken out"
    )
