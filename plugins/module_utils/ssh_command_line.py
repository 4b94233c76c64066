# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The settings that sshd was started with: they win over every file, and `sshd -T` knows nothing of them (sshd(8)).

Debian's unit hands on SSHD_OPTS of /etc/default/ssh. The running sshd shows its command line as its title:
`sshd: /usr/sbin/sshd -D -o PermitRootLogin=yes [listener] 0 of 10-100 startups` (OpenSSH 8.2 and newer).
"""

from __future__ import annotations

import getopt
import re
import shlex
from collections.abc import Mapping, Sequence

from ansible_collections.radiology.hardening.plugins.module_utils import unit_state
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host

DEFAULTS = "/etc/default/ssh"
UNIT = "ssh.service"
TITLE = re.compile(r"sshd: \S+ (.*) \[listener\]")
TAKEN = "46DdeiqtTGb:C:c:E:f:g:h:k:o:p:u:"
"""Options of sshd(8)."""
SETTING = re.compile(r"(?m)^[ \t]*SSHD_OPTS=(?P<value>.*)$")
ASIDE = "# Set aside by radiology.hardening: "


def observe(host: Host, unit: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the options that change what sshd does: `-o` and a setting, `-f` and a file; none where it does not run.

    What cannot be read of the title stands as an option without a name, which sshd itself refuses.
    """
    title = (host.text(f"/proc/{unit.get('MainPID', '0')}/cmdline") or "").replace("\0", " ")
    words = (found[1] if (found := TITLE.match(title)) else "").split()
    try:
        options, rest = getopt.getopt(words, TAKEN)
    except getopt.GetoptError:
        return [("", word) for word in words]
    return [*((option, value) for option, value in options if option in ("-o", "-f")), *(("", word) for word in rest)]


def arguments(options: Sequence[tuple[str, str]]) -> list[str]:
    """Return options as a command takes them."""
    return [word for option in options for word in option if word]


def take_out(host: Host, unwanted: Sequence[str]) -> None:
    """Take options (as `arguments` gives them) out of SSHD_OPTS and start sshd without them, which keeps sessions open.

    The former line stays as a comment. HardeningError where sshd still has one of them.
    """
    text, entry = host.text(DEFAULTS) or "", host.stat(DEFAULTS)
    changed = SETTING.sub(lambda line: _without(line, unwanted), text)
    if changed != text:
        host.write(DEFAULTS, changed, mode=int(entry.mode, 8) if entry else 0o644)
    host.must(["systemctl", "restart", UNIT])
    left = [value for value in arguments(observe(host, unit_state.properties(host, UNIT))) if value in unwanted[1::2]]
    if left:
        raise HardeningError(
            f"sshd is started with {', '.join(left)}, which wins over its files and does not come from {DEFAULTS}: "
            f"take it out of what `systemctl cat {UNIT}` shows."
        )


def _without(line: re.Match[str], unwanted: Sequence[str]) -> str:
    """Return a line of SSHD_OPTS as a comment, and a new one with those of its options that stay."""
    try:
        words = " ".join(shlex.split(line["value"])).split()
        options, rest = getopt.getopt(words, TAKEN)
    except (ValueError, getopt.GetoptError):
        return ASIDE + line[0].strip()
    kept = [word for option in options if option[1] not in unwanted for word in option if word]
    if len(arguments(options)) == len(kept):
        return line[0]
    return f"{ASIDE}{line[0].strip()}\nSSHD_OPTS={shlex.quote(' '.join([*kept, *rest]))}"
