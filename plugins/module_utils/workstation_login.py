# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who comes in at the machine without being asked: by a login that happens by itself, as a guest, without a password.

gdm3, lightdm and sddm read files of sections (`[daemon]`, `[Seat:*]`, `[Autologin]`), consoles what agetty is
started with. lightdm lets guests in where nothing is said, if a program for them is there.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import deliberate
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step
from ansible_collections.radiology.hardening.plugins.module_utils.workstation_accounts import accounts, members

FACTS: dict[str, str] = {
    "login.automatic": "list of str: file:line of settings by which somebody is logged in unasked",
    "login.guest": "list of str: file:line of settings that let guests in, or that nothing keeps them out",
    "login.without_password": "list of str: accounts of which no password is asked at the screen",
    "login.advice": "list of str: what a person does about those accounts, and settings of packages",
}
FILES = (
    "/etc/gdm3/custom.conf",
    "/etc/gdm3/daemon.conf",
    "/usr/lib/sddm/sddm.conf.d/",
    "/etc/sddm.conf.d/",
    "/etc/sddm.conf",
    "/usr/share/lightdm/lightdm.conf.d/",
    "/etc/xdg/lightdm/lightdm.conf.d/",
    "/etc/lightdm/lightdm.conf.d/",
    "/etc/lightdm/lightdm.conf",
)
AUTOMATIC = re.compile(
    r"(?i)\s*(?:(?:AutomaticLoginEnable|TimedLoginEnable)\s*=\s*(?:true|yes|1)\b"
    r"|autologin-user\s*=\s*\S|autologin-guest\s*=\s*(?:true|yes|1)\b)"
)
OF_SDDM = re.compile(r"(?i)\s*User\s*=\s*\S")
"""Counts in the section Autologin alone."""
GUEST = re.compile(r"(?i)\s*(?:greeter-)?allow-guest\s*=\s*(?:true|yes|1)\b")
LIGHTDM = "/usr/sbin/lightdm"
NO_GUESTS = "/etc/lightdm/lightdm.conf.d/zz-radiology.conf"
NO_GUESTS_TEXT = "# Written by radiology.hardening (role workstation).\n[Seat:*]\nallow-guest=false\n"
UNSAID = f"{LIGHTDM}: no file keeps guests out"
CONSOLES = re.compile(r"(?:console-getty|container-getty@.*|getty@.*|serial-getty@.*)\.service(?:\.d)?")
UNITS = "/etc/systemd/system"
OPTION = re.compile(r"\s(?:--autologin(?:=|\s+)|-a\s*)[^\s-]\S*")
ASIDE = "# Set aside by radiology.hardening: "
UNASKED = "nopasswdlogin"
"""Group of which display managers of Debian ask no password."""


class Line(NamedTuple):
    """A line of a file, and where it stands."""

    path: str
    number: int
    text: str

    def __str__(self) -> str:
        """Say where it is and what it says."""
        return f"{self.path}:{self.number} ({' '.join(self.text.split())})"


def observe(host: Host) -> dict[str, Any]:
    """Return the facts below `login`."""
    automatic = [str(line) for line in _automatic(host)]
    guest = [str(line) for line in _guest(host)]
    without = _without_password(host)
    return {
        "automatic": automatic,
        "guest": guest + ([UNSAID] if _unsaid(host) else []),
        "without_password": without,
        "advice": [*map(_give, without), *map(_override, filter(_of_a_package, [*automatic, *guest]))],
    }


def steps(facts: Mapping[str, Any]) -> list[Step]:
    """Return what has everybody asked; whose password nobody knows is a person's to see to."""
    told = [*facts["automatic"], *facts["guest"]]
    found = []
    ours = [each for each in told if not _of_a_package(each)]
    if ours:
        found.append(Step(f"Log nobody in unasked, and no guest: set aside {', '.join(ours)}", _close))
    return [
        *found,
        *(deliberate(_override(each)) for each in told if _of_a_package(each)),
        *(deliberate(_give(login)) for login in facts["without_password"]),
    ]


def _close(host: Host) -> None:
    if host.stat(LIGHTDM) is not None:
        host.write(NO_GUESTS, NO_GUESTS_TEXT)
    changed: dict[str, list[int]] = {}
    for line in (*_automatic(host), *_guest(host)):
        if not _of_a_package(line.path):
            changed.setdefault(line.path, []).append(line.number)
    for path, numbers in changed.items():
        lines = (host.text(path) or "").splitlines(keepends=True)
        for number in numbers:
            lines[number - 1] = _without(path, lines[number - 1])
        host.write(path, "".join(lines))
    if any(path.startswith(UNITS) for path in changed):
        host.must(["systemctl", "daemon-reload"])


def _without(path: str, line: str) -> str:
    """Return a console's command without the option, and any other line as a comment."""
    return OPTION.sub("", line) if path.startswith(UNITS) else f"{ASIDE}{line}"


def _settings(host: Host) -> Iterator[tuple[str, Line]]:
    """Yield the settings of display managers, each with its section in small letters."""
    for place in FILES:
        names = [name for name in host.list(place) if name.endswith(".conf")] if place.endswith("/") else [""]
        for path in (place + name for name in names):
            section = ""
            for number, text in enumerate((host.text(path) or "").splitlines(), 1):
                if text.lstrip().startswith("["):
                    section = text.strip().strip("[]").lower()
                elif not text.lstrip().startswith(("#", ";")):
                    yield section, Line(path, number, text)


def _automatic(host: Host) -> list[Line]:
    found = [
        line
        for section, line in _settings(host)
        if AUTOMATIC.match(line.text) or (section == "autologin" and OF_SDDM.match(line.text))
    ]
    for unit in filter(CONSOLES.fullmatch, host.list(UNITS)):
        path = posixpath.join(UNITS, unit)
        files = (
            [f"{path}/{name}" for name in host.list(path) if name.endswith(".conf")] if unit.endswith(".d") else [path]
        )
        for file in files:
            for number, text in enumerate((host.text(file) or "").splitlines(), 1):
                if re.match(r"\s*ExecStart\s*=", text) and OPTION.search(text):
                    found.append(Line(file, number, text))
    return found


def _guest(host: Host) -> list[Line]:
    return [line for _section, line in _settings(host) if GUEST.match(line.text)]


def _unsaid(host: Host) -> bool:
    """Tell whether lightdm is there and nothing keeps guests out."""
    return host.stat(LIGHTDM) is not None and host.text(NO_GUESTS) != NO_GUESTS_TEXT


def _without_password(host: Host) -> list[str]:
    empty = {each.login for each in accounts(host) if each.secret == "" and each.has_shell}
    return sorted(empty | set(members(host, UNASKED)))


def _of_a_package(told: str) -> bool:
    return told.startswith(("/usr/lib/", "/usr/share/"))


def _override(told: str) -> str:
    return f"{told} logs somebody in unasked, by a file of a package: remove the package, or say otherwise below /etc"


def _give(login: str) -> str:
    return (
        f"{login} comes in without a password: give one by `passwd {login}`, and `gpasswd --delete {login} {UNASKED}`"
    )
