# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Drives that mount themselves when they are plugged in.

udisks tells a desktop by its hint `HintAuto` whether to mount a drive unasked, and takes it from udev's property
UDISKS_AUTO (udisks(8)). People still open a drive by a click.
"""

from __future__ import annotations

import posixpath
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import deliberate
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step

FACTS: dict[str, str] = {
    "automount.off_by_rule": "bool: udev tells every desktop to mount no drive unasked",
    "automount.services": "list of str: active units that mount drives unasked",
    "automount.overridden": "list of str: rules of udev that are read after ours and say otherwise",
    "automount.advice": "list of str: what a person does about those",
}
RULE = "/etc/udev/rules.d/zz-radiology-automount.rules"
TEXT = """\
# Written by radiology.hardening: no drive is mounted because it was plugged in; a person opens it.
SUBSYSTEM=="block", ENV{UDISKS_AUTO}="0"
"""
FOLDERS = ("/etc/udev/rules.d", "/run/udev/rules.d", "/usr/local/lib/udev/rules.d", "/usr/lib/udev/rules.d")
UNITS = ("autofs.service", "devmon@*.service", "udiskie*.service", "usbmount@*.service")
CONTROL = "/run/udev/control"
"""There while udev runs, which it does in no container."""


def observe(host: Host) -> dict[str, Any]:
    """Return the facts below `automount`."""
    overridden = [
        f"{folder}/{name}"
        for folder in FOLDERS
        for name in host.list(folder)
        if name > posixpath.basename(RULE) and "UDISKS_AUTO" in (host.text(f"{folder}/{name}") or "")
    ]
    return {
        "off_by_rule": host.text(RULE) == TEXT,
        "services": _active(host),
        "overridden": overridden,
        "advice": [*map(_override, overridden)],
    }


def steps(facts: dict[str, Any]) -> list[Step]:
    """Return what has drives wait for a person."""
    found = [] if facts["off_by_rule"] else [Step("Have udev tell desktops to mount no drive unasked", _write)]
    units = facts["services"]
    if units:
        found.append(Step(f"Stop and disable {', '.join(units)}", lambda host: _stop(host, units)))
    return found + [deliberate(_override(path)) for path in facts["overridden"]]


def _override(path: str) -> str:
    return f"{path} is read after ours and sets UDISKS_AUTO: take it out there"


def _write(host: Host) -> None:
    host.write(RULE, TEXT)
    if host.stat(CONTROL) is not None:
        host.must(["udevadm", "control", "--reload"])
        host.must(["udevadm", "trigger", "--subsystem-match=block", "--action=change"])


def _stop(host: Host, units: list[str]) -> None:
    host.must(["systemctl", "--quiet", "disable", "--now", *units])


def _active(host: Host) -> list[str]:
    asked = ["systemctl", "list-units", "--no-legend", "--plain", "--full", "--state=active", *UNITS]
    return [line.split()[0] for line in host.run(asked).output.splitlines() if line.strip()]
