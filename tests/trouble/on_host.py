# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Apply on this host, as the role would, what stands on the standard input in place of what it would write.

    on_host.py COLLECTIONS firewall|sshd SECONDS

Prints what the surface said: `refused: ...` or `applied`; nobody confirms, and the undo comes after so many seconds.
"""

from __future__ import annotations

import sys

COLLECTIONS, DAEMON, SECONDS = sys.argv[1:]
sys.path.insert(0, COLLECTIONS)

from ansible_collections.radiology.hardening.plugins.module_utils import (
    deliberate,
    firewall_rules,
    ssh_daemon,
    steps,
    timed_undo,
)
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.orthanc_configuration import digest
from ansible_collections.radiology.hardening.plugins.module_utils.surfaces import firewall

SERVICES = {"services": [{"name": "ssh", "port": 22, "sources": ["0.0.0.0/0", "::/0"]}]}


def main() -> None:
    """Plan and apply."""
    text, host = sys.stdin.read(), Host()
    timed_undo.SECONDS = int(SECONDS)
    firewall_rules.render = lambda *given, **named: text
    ssh_daemon.render = lambda scope: text
    if DAEMON == "firewall":
        facts = {firewall.NAME: firewall.observe(host, SERVICES)}
        plan = firewall.plan(facts, {}, SERVICES)
    else:
        plan = ssh_daemon.plan(ssh_daemon.observe(host, {}), [], digest(text), {})
    try:
        steps.apply(host, deliberate.parted(plan)[0])
    except HardeningError as error:
        print(f"refused: {error}")
        return
    print("applied" if plan else "nothing was planned")


if __name__ == "__main__":
    main()
