# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who is connected to a host over SSH now, so that no change shuts all of them out."""

from __future__ import annotations

from collections.abc import Sequence

from ansible_collections.radiology.hardening.plugins.module_utils.host import Host


def connected(host: Host, ports: Sequence[int]) -> list[str]:
    """Return who is connected to these ports, addresses without port; IPv4 in IPv6 form as IPv4."""
    found = set()
    for line in host.run(["ss", "-Hnt", "state", "established"]).output.splitlines():
        words = line.split()
        if len(words) >= 4 and words[2].rpartition(":")[2] in map(str, ports):
            found.add(words[3].rpartition(":")[0].strip("[]").removeprefix("::ffff:"))
    return sorted(found)
