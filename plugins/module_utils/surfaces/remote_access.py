# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reading from home without an open port: the tunnel that ends on the gateway, and who may come through it.

What comes through reaches is the firewall's part (firewall_tunnel). A change of devices cuts off no other device: each
is taken out or put in alone, while the tunnel stays up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import (
    expectation,
    home_host,
    home_idle,
    home_ipsec,
    home_ipsec_host,
    home_tunnel,
    own_words,
    unit_state,
)
from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import deliberate
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.firewall_tunnel import INTERFACE
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.ssh_connections import all_within, some_within
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step

NAME = "remote_access"
OWN = (home_tunnel.UNIT_FILE, home_tunnel.CONFIGURATION, home_tunnel.PUBLIC, home_ipsec.SETTINGS)
"""Files that this surface alone writes: where they are and nothing is kept, an earlier release hardened the host."""
FACTS: dict[str, str] = {
    "declared": "bool: the clinic file has a tunnel end on this host",
    "carrier": "str: what carries the tunnel here: kernel, wireguard-go, or kernel-libipsec for IPsec; null: nothing",
    "key.file": "str: mode and owner of the private key's file; null: no file",
    "key.public": "str: the gateway's public key, or its SHA-256 for IPsec; null: no private key that can be read",
    "key.published": "bool: the file that the controller fetches holds that public key",
    "tunnel.up": "bool: WireGuard has the tunnel's interface, or strongSwan runs and was given its connections",
    "tunnel.differs": "list of str: port, key or addresses of the interface, certificate or settings, not as declared",
    "peers.undeclared": "list of str: keys that come in, or addresses of theirs, that the clinic file does not give",
    "peers.missing": "list of str: devices of the clinic file that cannot come in by their addresses, and are in use",
    **home_idle.FACTS,
    "engineers.through_tunnel": "bool: somebody is connected over SSH now, and nobody but through the tunnel",
    "engineers.cut_off": "bool: ... and the clinic file gives none of their keys",
    "persistent.enabled": "bool: the tunnel comes up when the machine starts",
    "persistent.file_is_declared": "bool: what then comes up is what the clinic file gives",
    "persistent.altered": "list of str: path: what makes the tunnel's unit run otherwise than the role wrote it",
}


def observe(host: Host, scope: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts; the private key itself goes to `wg pubkey`, or to openssl, alone."""
    tunnel = scope.get("tunnel") or {}
    seen = home_ipsec_host.observe(host, tunnel) if home_ipsec.is_chosen(tunnel) else _wireguard(host, tunnel)
    return {"declared": bool(tunnel), "engineers": _engineers(host, seen.pop("running"), tunnel), **seen}


def _wireguard(host: Host, tunnel: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is seen of a tunnel of WireGuard, or of none; `running`: whose addresses come in by it."""
    key = home_host.key(host)
    public = key["public"]
    unit = unit_state.properties(host, home_tunnel.UNIT)
    shown = {name: host.run(["wg", "show", INTERFACE, name]) for name in ("public-key", "listen-port", "allowed-ips")}
    up = all(answer.ok for answer in shown.values())
    running = home_tunnel.peers(shown["allowed-ips"].output) if up else {}
    undeclared, missing = home_tunnel.differing(running, tunnel)
    unused = home_idle.observe(host, running, tunnel)
    listing = host.run(["ip", "-json", "address", "show", "dev", INTERFACE]).output if up and tunnel else ""
    return {
        "running": running,
        "carrier": home_host.carrier(host),
        "key": key,
        "tunnel": {
            "up": up,
            "differs": home_tunnel.unlike(
                shown["listen-port"].output, shown["public-key"].output, listing, public, tunnel
            )
            if up and tunnel
            else [],
        },
        "peers": {
            "undeclared": undeclared + home_ipsec_host.left(host),
            "missing": sorted({*missing, *tunnel.get("waiting", ())} - set(unused["shut_out"])),
        },
        "unused": unused,
        "persistent": {
            "enabled": unit_state.is_enabled(unit),
            "file_is_declared": host.text(home_tunnel.CONFIGURATION)
            == (home_tunnel.configuration(tunnel) if tunnel else None),
            "altered": own_words.altered(host, unit, (home_tunnel.UNIT_FILE, home_tunnel.SERVICE)),
        },
    }


def plan(facts: Mapping[str, Any], wanted: Mapping[str, Mapping[str, Any]], scope: Mapping[str, Any]) -> list[Step]:
    """Return the steps; without a tunnel in the clinic file, those that take down what is left of one."""
    mine = facts[NAME]
    unmet = {name.removeprefix(f"{NAME}.") for name in expectation.unmet(facts, wanted)}
    if not mine["declared"]:
        left = mine["tunnel"]["up"] or mine["persistent"]["enabled"] or not mine["persistent"]["file_is_declared"]
        does = "Take down the tunnel of those who read from home, which the clinic file names no more"
        if not left and "peers.undeclared" not in unmet:
            return []
        _keep_the_engineer(mine["engineers"], restarts=True)
        return [Step(does, _take_down)]
    tunnel, persistent = scope["tunnel"], mine["persistent"]
    if home_ipsec.is_chosen(tunnel):
        _keep_the_engineer(mine["engineers"], restarts=home_ipsec_host.restarts(mine))
        return home_ipsec_host.plan(mine, unmet, tunnel)
    waiting = tunnel.get("waiting", ())
    missing = [name for name in mine["peers"]["missing"] if name not in waiting]
    lost = mine["key"]["public"] is None or not mine["tunnel"]["up"] or mine["tunnel"]["differs"]
    _keep_the_engineer(mine["engineers"], restarts=bool(lost or persistent["altered"]))
    steps = home_host.plan(mine["carrier"], mine["key"], "key.file" in unmet)
    undeclared = [name for name in mine["peers"]["undeclared"] if name != home_ipsec_host.OF_US]
    if undeclared != mine["peers"]["undeclared"]:
        does = "Take down the tunnel of IPsec, which WireGuard takes the place of"
        steps.append(Step(does, home_ipsec_host.take_down))
    kept = persistent["file_is_declared"] and persistent["enabled"] and not persistent["altered"]
    if not kept:
        strangers = own_words.strangers(persistent["altered"], home_tunnel.UNIT_FILE)
        without = f", without {', '.join(strangers)}" if strangers else ""
        does = f"Have the tunnel come up with the machine, for {_told(tunnel)}{without}"
        steps.append(Step(does, lambda host: _write(host, tunnel, strangers)))
    if lost or persistent["altered"]:
        steps.append(Step(f"Bring the tunnel up on UDP port {tunnel['port']}", home_host.restart))
    elif undeclared or missing:
        told = _changed(undeclared, missing)
        steps.append(Step(told, lambda host: _let_in(host, tunnel)))
    if {"unused.watched", "unused.let_in"} & unmet:
        does = "Take out, now and each day, the keys that nobody used for 90 days"
        steps.append(Step(does, lambda host: home_idle.keep(host, tunnel)))
    left = [*map(_unmade, waiting), *map(_left, mine["unused"]["shut_out"])]
    return steps + [deliberate(sentence) for sentence in left]


def _engineers(host: Host, running: Mapping[str, frozenset[str]], tunnel: Mapping[str, Any]) -> dict[str, bool]:
    """Return whether the engineers hang by the tunnel; SSH answers there on the port that it grants."""
    peers = tunnel.get("peers") or []
    ports = sorted({int(peer["services"]["ssh"]) for peer in peers if "ssh" in peer.get("services", {})} or {22})
    declared = {str(peer["public_key"]): home_tunnel.allowed(peer) for peer in peers}
    given = [each for key, ranges in running.items() if ranges & set(declared.get(key, ())) for each in ranges]
    inside = bool(running) and all_within(host, ports, [each for ranges in running.values() for each in ranges])
    return {"through_tunnel": inside, "cut_off": inside and not some_within(host, ports, given)}


def _keep_the_engineer(engineers: Mapping[str, bool], *, restarts: bool) -> None:
    """Refuse what would cut off everybody who is connected over SSH now: no undo would bring the tunnel back."""
    if engineers["cut_off"] or (engineers["through_tunnel"] and restarts):
        raise HardeningError(
            "You came in through the tunnel, which this run would bring down or shut you out of: run it from a network "
            "of kind admin."
        )


def _unmade(name: str) -> str:
    return f"{name} cannot come in yet: harden the workstation that it is, which makes its key itself"


def _left(name: str) -> str:
    return (
        f"{name} was shut out of the tunnel, since nobody used it for 90 days: take it out of the clinic file, or have "
        "another key made on it"
    )


def _told(tunnel: Mapping[str, Any]) -> str:
    return ", ".join(sorted(str(peer["name"]) for peer in tunnel["peers"])) or "nobody"


def _changed(undeclared: Sequence[str], missing: Sequence[str]) -> str:
    said = [f"shut out {', '.join(undeclared)}"] if undeclared else []
    said += [f"let in {', '.join(missing)}"] if missing else []
    sentence = " and ".join(said)
    return f"{sentence[0].upper()}{sentence[1:]}, and leave the others as they are"


def _write(host: Host, tunnel: Mapping[str, Any], strangers: list[str]) -> None:
    host.folder(home_tunnel.FOLDER, mode=0o700)
    host.write(home_tunnel.CONFIGURATION, home_tunnel.configuration(tunnel), mode=0o600)
    home_idle.forget(host, tunnel)
    host.write(home_tunnel.UNIT_FILE, home_tunnel.SERVICE)
    for path in strangers:
        host.remove(path)
    host.enable(home_tunnel.UNIT)


def _let_in(host: Host, tunnel: Mapping[str, Any]) -> None:
    """Take out and put in peer by peer, so that nobody else's connections end."""
    running = home_tunnel.peers(host.must(["wg", "show", INTERFACE, "allowed-ips"]))
    unused = home_idle.keys(host)
    declared = {
        peer["public_key"]: home_tunnel.allowed(peer) for peer in tunnel["peers"] if peer["public_key"] not in unused
    }
    for key in running:
        if key not in declared:
            host.must(["wg", "set", INTERFACE, "peer", key, "remove"])
    for key, ranges in declared.items():
        if running.get(key, frozenset()) != frozenset(ranges):
            host.must(["wg", "set", INTERFACE, "peer", key, "allowed-ips", ",".join(ranges)])


def _take_down(host: Host) -> None:
    if home_ipsec_host.left(host):
        home_ipsec_host.take_down(host)
    if host.stat(home_tunnel.UNIT_FILE):
        host.must(["systemctl", "--quiet", "disable", "--now", home_tunnel.UNIT])
    host.run(["ip", "link", "delete", "dev", INTERFACE])
    home_idle.take_out(host)
    for path in (home_tunnel.CONFIGURATION, home_tunnel.UNIT_FILE):
        host.remove(path)
    host.must(["systemctl", "daemon-reload"])
