# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reading from home, for the report: who may come in by a tunnel with what, and whether the gateway was seen so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import firewall_tunnel

KEPT, PEERS = "remote_access.tunnel_kept", "remote_access.peers_declared"
REACH = ("firewall.tunnel_least_reach", "firewall.forwards_granted_alone", "firewall.forward_default_deny")
"""The controls of what is reached through a tunnel."""
UP, OPEN, WIDE = "up as declared", "open to others", "reaches more"
SERVICES = {"web": "HTTPS", "ssh": "SSH"}
STATES = {
    UP: "the tunnel is up as declared, and lets in nobody else",
    "not as declared": "the tunnel is not up as declared: see the findings",
    OPEN: "the tunnel lets in others than these: see the findings",
    WIDE: "more is reached through the tunnel than is granted: see the findings",
    "not audited": "nobody looked at the gateway in this run",
}
"""What is said of a tunnel, by its state."""


def tunnels(hosts: Mapping[str, Any], findings: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the tunnels of the clinic file, each with its gateway, UDP ports, state and devices."""
    found = []
    for host, known in hosts.items():
        tunnel = known.get("clinic_tunnel")
        if not tunnel:
            continue
        names = {person["login"]: person["name"] for person in known.get("clinic_people") or []}
        state = _state({each["control"]: each["verdict"] for each in findings if each["host"] == host})
        devices = [
            {
                "name": peer["name"],
                "person": names.get(peer["person"], peer["person"]),
                "addresses": list(peer["addresses"]),
                "services": dict(peer["services"]),
                "forwards": _passed(peer),
            }
            for peer in tunnel["peers"]
        ]
        called = {"port": int(tunnel["port"]), "called_on": firewall_tunnel.named(firewall_tunnel.ports(tunnel))}
        found.append({"gateway": host, **called, "state": state, "devices": devices})
    return found


def grants(tunnel: Mapping[str, Any]) -> list[str]:
    """Return what the tunnel lets through, as `443 HTTPS by the tunnel`, by port."""
    given = {int(port): name for device in tunnel["devices"] for name, port in device["services"].items()}
    given |= {int(each["port"]): each["to"].split()[1] for device in tunnel["devices"] for each in device["forwards"]}
    return [f"{port} {SERVICES.get(name, name)} by the tunnel" for port, name in sorted(given.items())]


def sentences(tunnel: Mapping[str, Any]) -> list[str]:
    """Return a tunnel in words: where it ends and how it was seen, and each device with its person and grants."""
    ends = f"From home, by the tunnel of {_short(tunnel['gateway'])} ({tunnel['called_on']})"
    return [f"{ends}, {STATES[tunnel['state']]}."] + [
        f"{device['name']} of {device['person']} may reach {granted(device) or 'nothing'} there."
        for device in tunnel["devices"]
    ]


def granted(device: Mapping[str, Any]) -> str:
    """Return what one device may reach, as `443 HTTPS and 22 SSH`; by a gateway, `443 HTTPS of pacs`."""
    own = [f"{port} {SERVICES.get(name, name)}" for name, port in device["services"].items()]
    passed = [(each["port"], *each["to"].split()) for each in device["forwards"]]
    return " and ".join([*(f"{port} {SERVICES.get(name, name)} of {host}" for port, host, name in passed), *own])


def _passed(peer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what a gateway passes on for a device, each server and grant once, whatever the versions of IP."""
    found = {each["to"]: {"to": each["to"], "port": int(each["port"])} for each in peer.get("forwards") or ()}
    return list(found.values())


def _state(verdicts: Mapping[str, str]) -> str:
    kept, peers = verdicts.get(KEPT, "not_audited"), verdicts.get(PEERS, "not_audited")
    if {kept, peers} & {"not_audited", "error"}:
        return "not audited"
    if kept != "pass":
        return "not as declared"
    if peers != "pass":
        return OPEN
    return WIDE if "fail" in {verdicts.get(control) for control in REACH} else UP


def _short(name: str) -> str:
    return name.partition(".")[0]
