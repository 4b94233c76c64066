# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The workstation that is carried home: it reaches the clinic by its tunnel alone, wherever it is.

Its disk, its closed firewall, its accounts and its screen are kept by the other roles, as on any workstation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import (
    expectation,
    firewall_rules,
    home_host,
    home_laptop,
    home_tunnel,
    nft_table,
    own_words,
    unit_state,
)
from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import deliberate
from ansible_collections.radiology.hardening.plugins.module_utils.firewall_tunnel import INTERFACE
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step

NAME = "reading_laptop"
OWN = (
    *(home_tunnel.UNIT_FILE, home_tunnel.CONFIGURATION, home_tunnel.PUBLIC),
    *(home_laptop.RULES, home_laptop.RULES_UNIT_FILE),
)
"""Files that this surface alone writes: where they are and nothing is kept, an earlier release hardened the host."""
FACTS: dict[str, str] = {
    "declared": "bool: the clinic file says of this workstation that it reads by the tunnel",
    "carrier": "str: what carries WireGuard here, kernel or wireguard-go; null: nothing",
    "key.file": "str: mode and owner of the private key's file; null: no file",
    "key.public": "str: the laptop's public key; null: no private key that WireGuard can read",
    "key.published": "bool: the file that the controller fetches holds that public key",
    "tunnel.up": "bool: WireGuard has the tunnel's interface",
    "tunnel.differs": "list of str: what of the tunnel is not as declared: keys, its addresses, what goes by it",
    "persistent.enabled": "bool: the tunnel comes up when the machine starts",
    "persistent.file_is_declared": "bool: what then comes up is what the clinic file gives",
    "persistent.altered": "list of str: path: what makes the tunnel's unit run otherwise than the role wrote it",
    "closed.missing_rules": "list of str: rules by which the clinic is reached by the tunnel alone that are not loaded",
    "closed.undeclared_rules": "list of str: rules of that table that are not ours",
    "closed.at_start": "bool: the rules are loaded when the machine starts, before the network is up; for another "
    "workstation: none are",
    "closed.altered": "list of str: path: what makes that unit run otherwise than the role wrote it",
}
SHOWN = ["unshare", "--net", "sh", "-c", f"nft -f - && nft -j list table inet {home_laptop.TABLE}"]
"""Has nftables itself bring the rules into its own form, in a network of its own where it changes nothing."""
CLOSED = nft_table.Table(
    home_laptop.TABLE,
    home_tunnel.FOLDER,
    0o700,
    home_laptop.RULES,
    home_laptop.RULES_UNIT,
    home_laptop.RULES_UNIT_FILE,
    home_laptop.RULES_SERVICE,
)


def observe(host: Host, scope: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts; the private key itself goes to `wg pubkey` alone."""
    laptop = scope.get("home") or {}
    key = home_host.key(host)
    unit = unit_state.properties(host, home_tunnel.UNIT)
    answers = {name: host.run(["wg", "show", INTERFACE, name]) for name in ("public-key", "allowed-ips")}
    up = all(answer.ok for answer in answers.values())
    shown = {name: answer.output for name, answer in answers.items()}
    listing = host.run(["ip", "-json", "address", "show", "dev", INTERFACE]).output if up and laptop else ""
    routes = {
        address: host.run(["ip", "-json", "route", "get", address]).output
        for address in (laptop["reached"] if up and laptop else ())
    }
    return {
        "declared": bool(laptop),
        "carrier": home_host.carrier(host),
        "key": key,
        "tunnel": {
            "up": up,
            "differs": [
                *home_laptop.unlike(shown, listing, key["public"], laptop),
                *home_laptop.astray(listing, routes),
            ]
            if up and laptop
            else [],
        },
        "persistent": {
            "enabled": unit_state.is_enabled(unit),
            "file_is_declared": host.text(home_tunnel.CONFIGURATION)
            == (home_laptop.configuration(laptop) if laptop else None),
            "altered": own_words.altered(host, unit, (home_tunnel.UNIT_FILE, home_laptop.SERVICE)),
        },
        "closed": _closed(host, scope),
    }


def _closed(host: Host, scope: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts below `closed`; the rules are compared in the form that nftables gives them."""
    text = _rules(scope)
    hooks, live = firewall_rules.read(host.run(["nft", "-j", "list", "table", "inet", home_laptop.TABLE]).output)
    wanted, declared = firewall_rules.read(host.run(SHOWN, stdin=text).output if text else "")
    extra, lacking = firewall_rules.differing(live, declared, "output")
    lacking += [f"the hook {hook}" for hook in wanted if wanted[hook] != hooks.get(hook)]
    unit = unit_state.properties(host, home_laptop.RULES_UNIT)
    return {
        "missing_rules": lacking or ([] if declared or not text else ["all of them"]),
        "undeclared_rules": [*extra, *(firewall_rules.describe(each) for each in live if each["chain"] != "output")],
        "at_start": unit_state.is_enabled(unit) == bool(text) and host.text(home_laptop.RULES) == text,
        "altered": own_words.altered(host, unit, (home_laptop.RULES_UNIT_FILE, home_laptop.RULES_SERVICE)),
    }


def plan(facts: Mapping[str, Any], wanted: Mapping[str, Mapping[str, Any]], scope: Mapping[str, Any]) -> list[Step]:
    """Return the steps; on a workstation that is no such laptop, those that take down what is left of one.

    The rules come before the tunnel: nothing is lost by them on a machine that is not let through it yet. But what
    carries the tunnel is installed before them, from a mirror to which they may close the way.
    """
    mine = facts[NAME]
    unmet = {name.removeprefix(f"{NAME}.") for name in expectation.unmet(facts, wanted)}
    if not mine["declared"]:
        persistent, closed = mine["persistent"], mine["closed"]
        left = mine["tunnel"]["up"] or persistent["enabled"] or not persistent["file_is_declared"]
        left = left or closed["undeclared_rules"] or not closed["at_start"]
        does = "Take down the tunnel to the clinic, which the clinic file gives this workstation no more"
        return [Step(does, _take_down)] if left else []
    laptop, persistent = scope["home"], mine["persistent"]
    steps = home_host.plan(mine["carrier"], mine["key"], "key.file" in unmet)
    steps += _close(mine["closed"], scope)
    if not laptop["gateway_key"]:
        waits = f"Harden {laptop['gateway']}, which makes the key of the gateway, then this workstation again"
        return [*steps, deliberate(waits)]
    kept = persistent["file_is_declared"] and persistent["enabled"] and not persistent["altered"]
    if not kept:
        strangers = own_words.strangers(persistent["altered"], home_tunnel.UNIT_FILE)
        without = f", without {', '.join(strangers)}" if strangers else ""
        does = f"Have the tunnel to {laptop['gateway']} come up with the machine{without}"
        steps.append(Step(does, lambda host: _write(host, laptop, strangers)))
    if not kept or mine["key"]["public"] is None or not mine["tunnel"]["up"] or mine["tunnel"]["differs"]:
        steps.append(Step(f"Bring the tunnel to {laptop['gateway']} up", home_host.restart))
    return steps


def _rules(scope: Mapping[str, Any]) -> str | None:
    laptop = scope.get("home")
    return home_laptop.rules(laptop["closed"], int(scope["ssh_port"])) if laptop else None


def _close(closed: Mapping[str, Any], scope: Mapping[str, Any]) -> list[Step]:
    if not (closed["missing_rules"] or closed["undeclared_rules"] or closed["altered"] or not closed["at_start"]):
        return []
    text = str(_rules(scope))
    strangers = own_words.strangers(closed["altered"], home_laptop.RULES_UNIT_FILE)
    without = f", without {', '.join(strangers)}" if strangers else ""
    ranges = ", ".join(scope["home"]["closed"])
    return [
        Step("Have nftables check the rules", lambda host: nft_table.check(host, text)),
        Step(
            f"Let what is meant for {ranges} out by the tunnel alone{without}",
            lambda host: nft_table.load(host, CLOSED, text, strangers),
        ),
    ]


def _write(host: Host, laptop: Mapping[str, Any], strangers: list[str]) -> None:
    """Write what the tunnel comes up by. It is stopped first: what is cut off between here and its start is seen so."""
    host.run(["systemctl", "stop", home_tunnel.UNIT])
    host.folder(home_tunnel.FOLDER, mode=0o700)
    host.write(home_tunnel.CONFIGURATION, home_laptop.configuration(laptop), mode=0o600)
    host.write(home_tunnel.UNIT_FILE, home_laptop.SERVICE)
    for path in strangers:
        host.remove(path)
    host.enable(home_tunnel.UNIT)


def _take_down(host: Host) -> None:
    for unit, path in (
        (home_tunnel.UNIT, home_tunnel.UNIT_FILE),
        (home_laptop.RULES_UNIT, home_laptop.RULES_UNIT_FILE),
    ):
        if host.stat(path):
            host.must(["systemctl", "--quiet", "disable", "--now", unit])
    host.run(["ip", "link", "delete", "dev", INTERFACE])
    host.must(["sh", "-c", CLOSED.unload])
    for path in (home_tunnel.CONFIGURATION, home_tunnel.UNIT_FILE, home_laptop.RULES, home_laptop.RULES_UNIT_FILE):
        host.remove(path)
    host.must(["systemctl", "daemon-reload"])
