# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What files of others say against ours: sentences that name the setting and the file, for findings."""

from __future__ import annotations

import re

from ansible_collections.radiology.hardening.plugins.module_utils.host import Host

FLUSHING = "/etc/nftables.conf"
FLUSH = re.compile(r"^\s*flush\s+ruleset\b")


def overriding(host: Host, unit: str, own: str) -> list[str]:
    """Return what drop-ins that systemd reads after `own` set otherwise; what they only add to is no contradiction."""
    read = _settings(host.run(["systemctl", "cat", unit]).output)
    files = list(dict.fromkeys(path for path, _name, _value in read))
    if own not in files:
        return []
    later = files[files.index(own) + 1 :]
    ours = {(name, value) for path, name, value in read if path == own}
    known = {name for name, _value in ours}
    return [
        f"{name}={value} in {path} overrides {own}: take it out there, then `systemctl daemon-reload`"
        for path, name, value in read
        if path in later and name in known and (name, value) not in ours
    ]


def flushing(host: Host) -> list[str]:
    """Return where the host's own nftables ruleset removes every table when it is loaded, ours with them."""
    lines = (host.text(FLUSHING) or "").splitlines()
    return [
        f"flush ruleset in {FLUSHING}:{number} removed our table when somebody loaded that file: flush its own tables "
        "there, or load it by `systemctl restart nftables`, which brings ours back"
        for number, line in enumerate(lines, 1)
        if FLUSH.match(line)
    ]


def _settings(text: str) -> list[tuple[str, str, str]]:
    """Read `systemctl cat`: each file under a comment with its path; return path, name and value in their order."""
    path, found = "", []
    for line in text.splitlines():
        if re.fullmatch(r"# /\S+", line):
            path = line[2:]
        name, equals, value = line.partition("=")
        if equals and re.fullmatch(r"\w+", name.strip()):
            found.append((path, name.strip(), value.strip()))
    return found
