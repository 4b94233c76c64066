# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keys that lie where whoever takes the disk finds them: key files of crypttab, and those in the initramfs."""

from __future__ import annotations

import re

from ansible_collections.radiology.hardening.plugins.module_utils.disk_stack import SAFE, Stack
from ansible_collections.radiology.hardening.plugins.module_utils.disk_swap import CRYPT_TABLE, parse_table
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host

NO_FILE = ("", "-", "none", "/dev/random", "/dev/urandom", "/dev/hw_random")
FOLDER = "/etc/cryptsetup-keys.d"
"""systemd takes NAME.key from here where crypttab names no key file (crypttab(5))."""
HOOK = "/etc/cryptsetup-initramfs/conf-hook"
PATTERN = re.compile(r"^[ \t]*KEYFILE_PATTERN[ \t]*=[ \t]*[\"']?([^\"'\s#]+)", re.MULTILINE)


def exposed(host: Host, stack: Stack) -> list[str]:
    """Return the keys that lie in clear, or that others than root may read, as sentences; never a key."""
    said = []
    for words in parse_table(host.text(CRYPT_TABLE) or ""):
        name, named = words[0], (words[2:3] or [""])[0]
        path = named if named not in NO_FILE else f"{FOLDER}/{name}.key" if named in ("", "-", "none") else ""
        if not path.startswith("/"):
            continue
        if ":" in path:
            said.append(f"{name}: its key lies on another device ({path.partition(':')[2]})")
            continue
        entry = host.stat(path)
        if entry is None:
            if named == path:
                said.append(f"{name}: its key file {path} is not there")
            continue
        real = host.run(["readlink", "-m", path]).output.strip() or path
        if stack.protection(stack.mount_of(real)) not in SAFE:
            said.append(f"{name}: its key lies in clear at {path}")
        elif int(entry.mode, 8) & 0o077 or entry.owner != "root":
            said.append(f"{name}: its key file {path} has mode {entry.mode} and belongs to {entry.owner}")
    pattern = PATTERN.search(host.text(HOOK) or "")
    if pattern and stack.protection(stack.mount_of("/boot")) not in SAFE:
        said.append(f"the initramfs in /boot, which is in clear, carries the keys {pattern[1]}")
    return said
