# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The host keys of a clinic's machines, each compared with what was read on site: `<clinic's folder>/known_hosts`.

The format is sshd(8)'s, so that ssh reads the file itself: the inventory names it as soon as it exists.
"""

from __future__ import annotations

import os
import shlex

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.plugin_utils import clinic_folder

FILE = "known_hosts"


def path(directory: str) -> str:
    """Return where a clinic's host keys are kept."""
    return os.path.join(directory, FILE)


def argument(directory: str) -> str:
    """Return what has ssh read the clinic's host keys before the user's own, as Ansible's variables take it."""
    if not os.path.isfile(path(directory)):
        return ""
    option = f'UserKnownHostsFile="{path(directory)}" ~/.ssh/known_hosts'
    return f" -o {shlex.quote(option)}"


def pinned(directory: str, known_as: str) -> dict[int, str]:
    """Return line number -> type and key of what the clinic knows of a machine."""
    entries = (line.split() for line in clinic_folder.read(path(directory)).splitlines())
    return {
        number: f"{words[1]} {words[2]}"
        for number, words in enumerate(entries, 1)
        if len(words) >= 3 and known_as in words[0].split(",")
    }


def pin(directory: str, known_as: str, key: str) -> None:
    """Add a machine's host key; HardeningError where the clinic knows the machine by another one."""
    with clinic_folder.locked(directory, "the clinic's host keys", 0o700):
        known = pinned(directory, known_as)
        others = [number for number, each in known.items() if each != key]
        if others:
            raise HardeningError(
                f"{path(directory)}:{others[0]}: {known_as} is known by another host key. Where the machine was "
                "installed anew, remove the line and run this again; else something answers in its place."
            )
        if not known:
            text = clinic_folder.read(path(directory))
            above = text if text.endswith("\n") or not text else f"{text}\n"
            clinic_folder.write(path(directory), f"{above}{known_as} {key}\n")
