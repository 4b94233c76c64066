# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether the kernel of a gateway passes packets on: only in the families of IP in which the clinic file grants it.

What is passed on is the firewall's part. The kernel passes IPv6 on by `all` alone: interfaces stay those of a host, and
take addresses and routes from a router (kernel's ip-sysctl, conf/interface/forwarding).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import kernel_network
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step

FACTS: dict[str, str] = {
    "forwarding.differs": "list of str: IPv4 or IPv6 that the kernel passes on without a grant, or not in spite of one",
    "forwarding.kept": "bool: a file of ours sets that when the machine starts",
}
FILE = "/etc/sysctl.d/zz-radiology-forwarding.conf"
"""Read before the file of kernel_network: to change IPv4's sets what that one sets anew."""
WHERE = {4: "net/ipv4/ip_forward", 6: "net/ipv6/conf/all/forwarding"}
INTERFACES = "net/ipv4/conf"
"""Here IPv4 is passed on by each interface's own setting, which `ip_forward` sets only where it is changed itself."""
READ_ANEW = f"[ ! -e {kernel_network.FILE} ] || /usr/lib/systemd/systemd-sysctl {kernel_network.FILE}"
SET = f"/usr/lib/systemd/systemd-sysctl {FILE}; {READ_ANEW}"
"""For sh: pass on what the file says."""
END = "; ".join([f"rm {FILE}", *(f"echo 0 >/proc/sys/{path}" for path in WHERE.values()), READ_ANEW])
"""For sh: pass nothing on, now and at the next start; what IPv4's change sets anew is set as before."""


def text(families: Sequence[int]) -> str:
    """Return the file for the families of IP that are passed on."""
    lines = ["# Kept by radiology.hardening (role firewall): this gateway passes on what is granted, and nothing else."]
    lines += [f"{path} = {int(version in families)}" for version, path in WHERE.items()]
    lines += [f"{INTERFACES}/*/forwarding = {int(4 in families)}", "net/ipv6/conf/*/forwarding = 0"]
    return "\n".join([*lines, ""])


def observe(host: Host, families: Sequence[int]) -> dict[str, Any]:
    """Return the facts below `forwarding`; a kernel without IPv6 passes none on."""
    values = {version: host.text(f"{kernel_network.SYSTEM}/{path}") for version, path in WHERE.items()}
    on = {version: (value or "0").strip() != "0" for version, value in values.items()}
    differs = [
        f"IPv{version} is passed on, and nothing is granted in it"
        if passes
        else f"IPv{version} is not passed on, and something is granted in it"
        for version, passes in on.items()
        if passes != (version in families)
    ]
    folder = f"{kernel_network.SYSTEM}/{INTERFACES}"
    by = [name for name in host.list(folder) if (host.text(f"{folder}/{name}/forwarding") or "0").strip() != "0"]
    if by and not on[4] and 4 not in families:
        differs.append(f"IPv4 is passed on by {', '.join(sorted(by))}, and nothing is granted in it")
    return {"differs": differs, "kept": host.text(FILE) == text(families)}


def plan(facts: Mapping[str, Any], families: Sequence[int]) -> list[Step]:
    """Return the step that sets it, now and at each start."""

    def do(host: Host) -> None:
        host.write(FILE, text(families))
        host.must(["/usr/lib/systemd/systemd-sysctl", FILE])
        if host.stat(kernel_network.FILE):
            host.must(["/usr/lib/systemd/systemd-sysctl", kernel_network.FILE])

    if facts["kept"] and not facts["differs"]:
        return []
    told = " and ".join(f"IPv{version}" for version in families) or "nothing"
    return [Step(f"Have the kernel pass on {told}, as is granted", do)]
