# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What both ends of the tunnel do alike on their hosts: a key that is made there and stays, and WireGuard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import home_tunnel, packages
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.firewall_tunnel import INTERFACE
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step


def key(host: Host) -> dict[str, Any]:
    """Return the facts below `key`; the private key itself goes to `wg pubkey` alone."""
    entry, public = host.stat(home_tunnel.KEY), _public(host)
    return {
        "file": f"{entry.mode} {entry.owner}" if entry else None,
        "public": public,
        "published": (host.text(home_tunnel.PUBLIC) or "").strip() == public,
    }


def carrier(host: Host) -> str | None:
    """Return what WireGuard is carried by; the kernel's module need not be loaded."""
    if host.stat("/sys/module/wireguard") or host.run(["modprobe", "--dry-run", "--quiet", "wireguard"]).ok:
        return "kernel"
    return "wireguard-go" if host.stat(home_tunnel.PROGRAM) else None


def plan(carried_by: str | None, known: Mapping[str, Any], loose: bool) -> list[Step]:
    """Return the steps by which a host has WireGuard and a key; `loose`: others may read the key's file."""
    steps = [] if carried_by else [Step("Install wireguard-go, since this kernel has no WireGuard", _install)]
    if known["public"] is None:
        steps.append(Step("Make the tunnel's key, which stays on this host", _make_key))
    elif loose or not known["published"]:
        steps.append(Step("Keep the tunnel's private key for root alone, and its public key beside it", _keep_key))
    return steps


def restart(host: Host) -> None:
    """Bring the tunnel up anew; what is left of an interface that the unit does not know goes first."""
    host.must(["systemctl", "stop", home_tunnel.UNIT])
    host.run(["ip", "link", "delete", "dev", INTERFACE])
    host.must(["systemctl", "restart", home_tunnel.UNIT])
    if not host.run(["wg", "show", INTERFACE, "listen-port"]).ok:
        words = host.run(["journalctl", "-u", home_tunnel.UNIT, "-n", "5", "--no-pager", "-o", "cat"]).output
        raise HardeningError(f"The tunnel does not come up; it says: {words.strip()}")


def _public(host: Host) -> str | None:
    private = host.text(home_tunnel.KEY)
    answer = host.run(["wg", "pubkey"], stdin=private) if private else None
    return answer.output.strip() if answer and answer.ok else None


def _install(host: Host) -> None:
    for step in packages.plan(host, ["wireguard-go"]):
        step.do(host)


def _make_key(host: Host) -> None:
    host.folder(home_tunnel.FOLDER, mode=0o700)
    host.write(home_tunnel.KEY, host.must(["wg", "genkey"]), mode=0o600)
    _publish(host)


def _keep_key(host: Host) -> None:
    host.folder(home_tunnel.FOLDER, mode=0o700)
    host.own(home_tunnel.KEY, mode=0o600)
    _publish(host)


def _publish(host: Host) -> None:
    public = _public(host)
    if public is None:
        raise HardeningError(f"{home_tunnel.KEY} is no key of WireGuard: remove it, so that the next run makes one.")
    host.write(home_tunnel.PUBLIC, f"{public}\n")
