# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The host's firewall: one nftables table of ours, closed but for the declared sources, IPv4 and IPv6 alike."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import (
    expectation,
    kernel_forwarding,
    kernel_network,
    nft_table,
    others,
    own_words,
    unit_state,
)
from ansible_collections.radiology.hardening.plugins.module_utils import firewall_box as box
from ansible_collections.radiology.hardening.plugins.module_utils import firewall_listeners as waiting
from ansible_collections.radiology.hardening.plugins.module_utils import firewall_looks as looks
from ansible_collections.radiology.hardening.plugins.module_utils import firewall_output as output
from ansible_collections.radiology.hardening.plugins.module_utils import firewall_passing as passing
from ansible_collections.radiology.hardening.plugins.module_utils import firewall_room as room
from ansible_collections.radiology.hardening.plugins.module_utils import firewall_rules as rules
from ansible_collections.radiology.hardening.plugins.module_utils import firewall_scan as scan
from ansible_collections.radiology.hardening.plugins.module_utils import firewall_segment as segment
from ansible_collections.radiology.hardening.plugins.module_utils import firewall_tunnel as tunnel
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.orthanc_configuration import digest
from ansible_collections.radiology.hardening.plugins.module_utils.ssh_connections import connected
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step
from ansible_collections.radiology.hardening.plugins.module_utils.timed_undo import Undo

NAME = "firewall"
OWN = (rules.FILE, rules.UNIT_FILE)
"""Files that this surface alone writes: where they are and nothing is kept, an earlier release hardened the host."""
FACTS: dict[str, str] = {
    "installed": "bool: nftables is on the host",
    "input.policy": "str: what happens to a packet that no rule accepts; null: our table is not loaded",
    "input.undeclared_rules": "list of str: rules of our table's input that the clinic file does not give",
    "input.missing_rules": "list of str: rules that the clinic file gives to input and our table lacks",
    "connections.unbounded": "list of str: bounds on the connections of one address that our table lacks",
    "dicom.undeclared_rules": "list of str: undeclared rules of input that open a DICOM port",
    "administration.undeclared_rules": "list of str: undeclared rules of input that open the SSH port",
    "ipv6.undeclared_rules": "list of str: undeclared rules of input that concern IPv6 alone",
    "forward.policy": "str: what happens to a packet that is not for this host; null: our table is not loaded",
    "forward.undeclared_rules": "list of str: rules of our table's forward that are not ours",
    "output.missing_rules": "list of str: rules against UPnP and NAT-PMP that the table lacks",
    "output.restricted": "bool: what no rule of output accepts is dropped",
    "output.undeclared_rules": "list of str: rules of our table's output that the clinic file does not give",
    "output.missing_destinations": "list of str: rules of output that the clinic file gives and our table lacks",
    "callers.accounts": "dict: the front's and Orthanc's account on this host, and their numbers",
    "callers.missing_rules": "list of str: rules on who may call Orthanc and its devices that the table lacks",
    "callers.bypassing_rules": "list of str: undeclared rules of output that let go out what those would stop",
    "drops.unlogged": "list of str: chains of our table that drop, and log none of it at a bounded rate",
    "drops.unbounded": "list of str: rules of our table that log without a bound, or more than a line a second",
    "discovery.missing_rules": "list of str: rules against mDNS, LLMNR and WS-Discovery that the table lacks",
    "discovery.services": "list of str: active units that announce the host, or look for others",
    "discovery.resolver": "list of str: LLMNR, MulticastDNS, where systemd-resolved runs and speaks them",
    "containers.published": "list of str: ports that destination NAT, Docker or Podman lead into containers",
    "containers.unfiltered": "list of str: those of them, where a packet for a container gets past our table",
    "persistent.enabled": "bool: our table is loaded when the machine starts",
    "persistent.file": "str: SHA-256 of the ruleset that is then loaded; null: no file",
    "persistent.file_is_declared": "bool: the ruleset that is then loaded is the one that the clinic file gives",
    "persistent.unit": "str: SHA-256 of the unit that loads it; null: no unit",
    "persistent.altered": "list of str: path: what makes that unit run otherwise than the role wrote it",
    "unconfirmed": "bool: a change waits for its confirmation, else the host undoes it",
    "flushed_by": "list of str: our table was loaded and is gone: where the host removes all tables",
    "unneeded_services": "list of str: active units that an imaging server does not need on its network",
    "upnp_services": "list of str: active units that ask an internet box for port mappings, or answer such asking",
    "engineers": "list of str: addresses that are connected to the SSH port now",
    **waiting.FACTS,
    **tunnel.FACTS,
    **box.FACTS,
    **scan.FACTS,
    **segment.FACTS,
    **kernel_network.FACTS,
    **kernel_forwarding.FACTS,
    **passing.FACTS,
}

UNNEEDED = (
    "avahi-daemon.service",
    "avahi-daemon.socket",
    "cups-browsed.service",
    "cups.service",
    "cups.socket",
    "inetd.service",
    "openbsd-inetd.service",
    "rpcbind.service",
    "rpcbind.socket",
    "snmpd.service",
    "tftpd-hpa.service",
    "vsftpd.service",
    "xinetd.service",
)
UPNP = ("minidlna.service", "miniupnpd.service", "rygel.service", "upnpd.service")
DISCOVERY = ("avahi-daemon.service", "avahi-daemon.socket", "minissdpd.service", "wsdd.service", "wsdd2.service")
RESOLVER = "systemd-resolved.service"
RESOLVER_FILE = "/etc/systemd/resolved.conf.d/zz-radiology.conf"
RESOLVER_TEXT = """\
# Kept by radiology.hardening (role firewall): names are asked of name servers, not of whoever is on the network.
[Resolve]
LLMNR=no
MulticastDNS=no
"""
ENGINES = (("/usr/bin/docker", "docker"), ("/usr/bin/podman", "podman"))
UNITS = ("firewall.unneeded_services", "firewall.upnp_services", "firewall.discovery.services")
"""Facts that list units, which are stopped where a control asks for none."""
ELSEWHERE = (
    *UNITS,
    "firewall.discovery.resolver",
    *(
        f"firewall.{name}"
        for facts in (waiting, box, scan, segment, kernel_network, kernel_forwarding)
        for name in facts.FACTS
    ),
)
"""Facts that are mended without a change of the rules."""

KEPT_TABLE = nft_table.Table(rules.TABLE, rules.FOLDER, 0o755, rules.FILE, rules.UNIT, rules.UNIT_FILE, rules.SERVICE)
SHOWN = ["unshare", "--net", "sh", "-c", f"nft -f - && nft -j list table inet {rules.TABLE}"]
"""Has nftables itself bring a ruleset into its own form, in a network of its own where it changes nothing."""

UNDO = Undo(
    name="firewall",
    what="the firewall",
    role="firewall",
    finish=(
        f"if [ ! -e {rules.FILE} ] && [ -e {kernel_forwarding.FILE} ]; then {kernel_forwarding.END}; fi",
        f"if [ -e {rules.FILE} ] && [ -e {kernel_forwarding.FILE} ]; then {kernel_forwarding.SET}; fi",
        f"if [ -e {rules.FILE} ]; then nft -f {rules.FILE}; fi",
        f'[ -e {rules.FILE} ] || [ -n "$failed" ] || nft delete table inet {rules.TABLE}',
        "systemctl daemon-reload",
        f"if [ -e {rules.FILE} ]; then systemctl enable {rules.UNIT}; fi",
    ),
)


def observe(host: Host, scope: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts; the declared rules are compared in the form that nftables gives them."""
    services = scope.get("services") or []
    accounts = _accounts(host)
    text = _ruleset(scope, accounts)
    policies, live = rules.read(host.run(["nft", "-j", "list", "table", "inet", rules.TABLE]).output)
    _policies, declared = rules.read(host.run(SHOWN, stdin=text).output)
    extra, lacking = rules.differing(live, declared, "input")
    undeclared = _undeclared(live, declared, "input")
    unneeded_forward, lacking_forward = rules.differing(live, declared, "forward")
    passed = passing.observe(lacking_forward, rules.differing(live, declared, passing.CHAIN))
    unneeded_output, lacking_output = rules.differing(live, declared, "output")
    published = looks.published(host.run(["nft", "-j", "list", "ruleset"]).output, _listings(host))
    ssh = [int(service["port"]) for service in services if service["name"] == "ssh"] or [22]
    unit = unit_state.properties(host, rules.UNIT)
    return {
        "installed": host.stat("/usr/sbin/nft") is not None,
        "input": {
            "policy": policies.get("input"),
            "undeclared_rules": extra,
            "missing_rules": [name for name in lacking if not rules.is_bound(name)],
        },
        "connections": {"unbounded": [name for name in lacking if rules.is_bound(name)]},
        "dicom": {"undeclared_rules": _described(undeclared, [*rules.DICOM_PORTS, *_in_clear(scope)])},
        "administration": {"undeclared_rules": _described(undeclared, ssh)},
        "ipv6": {"undeclared_rules": [rules.describe(rule) for rule in undeclared if rules.is_ipv6_only(rule)]},
        "forward": {
            "policy": policies.get("forward"),
            "undeclared_rules": unneeded_forward,
            **passed["forward"],
        },
        "translation": passed["translation"],
        "output": {
            "missing_rules": _about(lacking_output, output.UPNP) if live else ["all of them"],
            "restricted": policies.get("output") == "drop",
            "undeclared_rules": unneeded_output,
            "missing_destinations": [name for name in lacking_output if name not in output.STEADY],
        },
        "tunnel": tunnel.observe(undeclared, [rules.describe(each) for each in undeclared], lacking, _home(scope)),
        "callers": {
            "accounts": accounts,
            "missing_rules": [name for each in output.CALLERS for name in _about(lacking_output, each)],
            "bypassing_rules": _described(_undeclared(live, declared, "output"), _called(scope)),
        },
        "drops": {"unlogged": looks.unlogged(policies, live), "unbounded": looks.unbounded(live)},
        "discovery": {
            "missing_rules": _about(lacking_output, output.DISCOVERY) if live else ["all of them"],
            "services": _active(host, DISCOVERY),
            "resolver": _spoken(host),
        },
        "containers": {
            "published": published,
            "unfiltered": published if looks.passing(policies, live, declared) else [],
        },
        "persistent": {
            "enabled": unit_state.is_enabled(unit),
            "file": host.digest(rules.FILE),
            "file_is_declared": host.text(rules.FILE) == text,
            "unit": host.digest(rules.UNIT_FILE),
            "altered": own_words.altered(host, unit, (rules.UNIT_FILE, rules.SERVICE)),
        },
        "unconfirmed": UNDO.waits(host),
        "flushed_by": others.flushing(host) if not policies and unit_state.is_active(unit) else [],
        "unneeded_services": _active(host, UNNEEDED),
        "upnp_services": _active(host, UPNP),
        "listeners": waiting.observe(host, scope, _let_in(scope), (*UNNEEDED, *UPNP, *DISCOVERY, RESOLVER)),
        "engineers": connected(host, ssh),
        "box": box.observe(host, scope.get("devices") or []),
        "scan": scan.observe(scope.get("scan") or {}),
        "segment": segment.observe(
            segment.standing(host), [*(scope.get("networks") or []), {"cidrs": _home(scope).get("network") or []}]
        ),
        "kernel_network": kernel_network.observe(host),
        "forwarding": kernel_forwarding.observe(host, passing.families(_home(scope))),
    }


def plan(facts: Mapping[str, Any], wanted: Mapping[str, Mapping[str, Any]], scope: Mapping[str, Any]) -> list[Step]:
    """Return the steps; a change of the rules is armed with its undo first."""
    mine = facts[NAME]
    unmet = expectation.unmet(facts, wanted)
    resolver = mine["discovery"]["resolver"]
    units = sorted({unit for name in UNITS if name in unmet for unit in expectation.lookup(facts, name)})
    steps = [Step(f"Stop and disable {', '.join(units)}", lambda host: _stop(host, units))] if units else []
    if "firewall.discovery.resolver" in unmet:
        steps.append(Step(f"Have systemd-resolved speak no {', '.join(resolver)}", _silence))
    text = _ruleset(
        scope,
        mine["callers"]["accounts"],
        input_policy=expectation.dictated(wanted, "firewall.input").get("policy", "drop"),
        forward_policy=expectation.dictated(wanted, "firewall.forward").get("policy", "drop"),
    )
    persistent = mine["persistent"]
    kept = persistent["file"] == digest(text) and persistent["unit"] == digest(rules.SERVICE) and persistent["enabled"]
    drifted = (
        mine["unconfirmed"]
        or mine["input"]["undeclared_rules"]
        or mine["input"]["missing_rules"]
        or mine["forward"]["undeclared_rules"]
        or mine["output"]["missing_destinations"]
        or [name for name in unmet if name not in ELSEWHERE]
    )
    changes = bool(drifted or not kept)
    if _any_of(unmet, kernel_network.FACTS):
        steps += kernel_network.plan(mine["kernel_network"])
    if _any_of(unmet, waiting.FACTS):
        steps += waiting.plan(mine["listeners"])
    if _any_of(unmet, segment.FACTS):
        steps += segment.plan(mine["segment"])
    if _any_of(unmet, box.FACTS):
        steps += box.plan(mine["box"], scope.get("devices") or [], opens_rules=changes)
    if _any_of(unmet, scan.FACTS):
        steps += scan.plan(mine["scan"])
    if changes:
        services = _let_in(scope)
        _keep_the_engineer(mine["engineers"], services)
        steps.append(Step("Have nftables check the rules", lambda host: _check(host, text, scope.get("room") or {})))
        strangers = own_words.strangers(persistent["altered"], rules.UNIT_FILE)
        steps.append(UNDO.arm((rules.FILE, rules.UNIT_FILE, *strangers), str(scope.get("arming") or "")))
        limits = "" if _destinations(scope) is None else f"; let nothing out but to {_named(scope['destinations'])}"
        told = f"Close the firewall but for {_told(services)}{room.told(scope.get('room') or {})}{limits}"
        without = f", without {', '.join(strangers)}" if strangers else ""
        steps.append(Step(f"{told}{without}", lambda host: nft_table.load(host, KEPT_TABLE, text, strangers)))
    if _any_of(unmet, kernel_forwarding.FACTS):
        steps += kernel_forwarding.plan(mine["forwarding"], passing.families(_home(scope)))
    return steps


def _any_of(unmet: Sequence[str], known: Iterable[str]) -> bool:
    return any(f"{NAME}.{name}" in unmet for name in known)


def _ruleset(scope: Mapping[str, Any], accounts: Mapping[str, int], **policies: str) -> str:
    """Return the declared ruleset; `policies` are input_policy and forward_policy, drop where they are left out."""
    devices = scope.get("devices") or []
    gone = [device for device in devices if device.get("lost")]
    return rules.render(
        scope.get("services") or [],
        _destinations(scope),
        [*output.callers(devices, accounts), *output.overdue(devices)],
        networks=[cidr for network in scope.get("networks") or [] for cidr in network["cidrs"]],
        lost=[address for device in gone for address in (device["address"], device["address6"]) if address],
        tunnel=_home(scope),
        room=scope.get("room"),
        **policies,
    )


def _destinations(scope: Mapping[str, Any]) -> Sequence[Mapping[str, Any]] | None:
    """Return where the host may call; None where that is not restricted."""
    return (scope.get("destinations") or []) if scope.get("output_restricted") else None


def _home(scope: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the tunnel of those who read from home; empty where none ends here."""
    return scope.get("tunnel") or {}


def _let_in(scope: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the services that the firewall lets in, with those that devices at home are granted."""
    services = scope.get("services") or []
    return [*services, *tunnel.services(_home(scope), services)]


def _undeclared(live: Sequence[rules.Rule], declared: Sequence[rules.Rule], chain: str) -> list[rules.Rule]:
    return [rule for rule in live if rule["chain"] == chain and rule not in declared]


def _in_clear(scope: Mapping[str, Any]) -> list[int]:
    """Return the ports that the clinic file declares, or declared until a day that is over, for devices without TLS."""
    links = [device.get("cleartext") or {} for device in scope.get("devices") or []]
    return [int(link["port"]) for link in links if link]


def _called(scope: Mapping[str, Any]) -> list[int]:
    """Return the ports that are called on loopback: Orthanc's, and those of devices."""
    ports = {int(device["port"]) for device in scope.get("devices") or [] if device.get("port")}
    return [output.ORTHANC_PORT, *sorted(ports)]


def _accounts(host: Host) -> dict[str, int]:
    """Return the numbers of the accounts that alone may call addresses of this host."""
    lines = [line.split(":") for line in (host.text("/etc/passwd") or "").splitlines()]
    return {line[0]: int(line[2]) for line in lines if len(line) > 2 and line[0] in output.CALLERS.values()}


def _about(described: Sequence[str], comment: str) -> list[str]:
    return [name for name in described if name == comment]


def _named(destinations: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(str(each["name"]) for each in destinations) or "nobody"


def _described(undeclared: Sequence[rules.Rule], ports: Sequence[int]) -> list[str]:
    return [rules.describe(rule) for rule in undeclared if rules.concerns(rule, ports)]


def _active(host: Host, units: Sequence[str]) -> list[str]:
    states = host.run(["systemctl", "is-active", *units]).output.split()
    return [unit for unit, state in zip(units, states, strict=False) if state == "active"]


def _spoken(host: Host) -> list[str]:
    """Return which protocols of discovery the running resolver speaks; it is not started to be asked."""
    if not unit_state.is_active(unit_state.properties(host, RESOLVER)):
        return []
    asked = ["busctl", "get-property", "org.freedesktop.resolve1", "/org/freedesktop/resolve1"]
    answers = {name: host.run([*asked, "org.freedesktop.resolve1.Manager", name]) for name in ("LLMNR", "MulticastDNS")}
    return [name for name, answer in answers.items() if answer.output.strip() != 's "no"']


def _silence(host: Host) -> None:
    host.write(RESOLVER_FILE, RESOLVER_TEXT)
    host.must(["systemctl", "restart", RESOLVER])


def _listings(host: Host) -> list[str]:
    """Return what Docker and Podman say of the ports of their running containers; nothing where they do not answer."""
    found = []
    for path, name in ENGINES:
        if host.stat(path) is None:
            continue
        try:
            found.append(host.run([name, "ps", "--format", "{{.Ports}}"], timeout=10).output)
        except HardeningError:
            continue
    return found


def _keep_the_engineer(engineers: Sequence[str], services: Sequence[Mapping[str, Any]]) -> None:
    """Refuse rules that would shut out everybody who is connected over SSH now."""
    ports = {each["port"] for each in services if each["name"] == "ssh"}
    declared = [source for each in services if each["port"] in ports for source in each["sources"]]
    sources = [ipaddress.ip_network(str(source)) for source in declared]
    addresses = [ipaddress.ip_address(address.partition("%")[0]) for address in engineers]
    if addresses and not any(address in source for address in addresses for source in sources):
        raise HardeningError(
            f"The rules would shut you out: SSH comes from {', '.join(engineers)}, but the clinic file admits it from "
            f"{', '.join(map(str, declared)) or 'nowhere'} only. Declare a network of kind admin that holds yours."
        )


def _told(services: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(f"{each['name']} (TCP {each['port']}, {len(each['sources'])} sources)" for each in services)


def _check(host: Host, text: str, beside: Mapping[str, Any]) -> None:
    """Refuse to close the clinic's interface as a room's, and what nftables does not understand; nothing changes."""
    segment.demand_apart(host, beside)
    nft_table.check(host, text)


def _stop(host: Host, units: Sequence[str]) -> None:
    host.must(["systemctl", "--quiet", "disable", "--now", *units])
