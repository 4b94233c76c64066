# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The settings that sshd was started with: they win over every file, and `sshd -T` knows nothing of them (sshd(8)).

Debian's unit hands on SSHD_OPTS of /etc/default/ssh. The running sshd shows its command line as its title:
`sshd: /usr/sbin/sshd -D -o PermitRootLogin=yes [listener] 0 of 10-100 startups` (OpenSSH 8.2 and newer).
"""

from __future__ import annotations

import getopt
import re
from collections.abc import Mapping

from ansible_collections.radiology.hardening.plugins.module_utils import unit_state
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host

DEFAULTS = "/etc/default/ssh"
UNIT = "ssh.service"
TITLE = re.compile(r"sshd: \S+ (.*) \[listener\]")
TAKEN = "46DdeiqtTGb:C:c:E:f:g:h:k:o:p:u:"
"""Options of sshd(8)."""
SETTING = re.compile(r"(?m)^[^#\n]*\bSSHD_OPTS=.*$")
ASIDE = "# Set aside by radiology.hardening: "


def observe(host: Host, unit: Mapping[str, str]) -> list[str]:
    """Return the options that change what sshd does, as `-o Keyword=value` and `-f file`; none where it does not run.

    A title that cannot be read whole ends with what was not understood, which sshd itself refuses then.
    """
    title = (host.text(f"/proc/{unit.get('MainPID', '0')}/cmdline") or "").replace("\0", " ")
    words = (found[1] if (found := TITLE.match(title)) else "").split()
    try:
        options, rest = getopt.getopt(words, TAKEN)
    except getopt.GetoptError:
        return ["-o", " ".join(words)]
    told = [word for option, value in options if option in ("-o", "-f") for word in (option, value)]
    return [*told, *rest]


def take_out(host: Host) -> None:
    """Set SSHD_OPTS aside and start sshd without it, which keeps sessions open; HardeningError where it stays so."""
    text = host.text(DEFAULTS) or ""
    entry = host.stat(DEFAULTS)
    if SETTING.search(text):
        host.write(
            DEFAULTS,
            SETTING.sub(lambda line: ASIDE + line[0].strip(), text),
            mode=int(entry.mode, 8) if entry else 0o644,
        )
    host.must(["systemctl", "restart", UNIT])
    left = observe(host, unit_state.properties(host, UNIT))
    if left:
        raise HardeningError(
            f"sshd is started with {' '.join(left)}, which wins over its files and does not come from {DEFAULTS}: "
            f"take it out of what `systemctl cat {UNIT}` shows."
        )
