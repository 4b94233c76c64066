# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The ruleset of the table `inet radiology`: its text, and what nftables says of it. Pure functions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import (
    firewall_output,
    firewall_passing,
    firewall_room,
    firewall_tunnel,
)

TABLE = "radiology"
FOLDER = "/etc/radiology-firewall"
FILE = f"{FOLDER}/ruleset.nft"
UNIT = "radiology-firewall.service"
UNIT_FILE = f"/etc/systemd/system/{UNIT}"
BOUND = "at most"
"""Words in the comment of a rule that bounds the connections of one address."""
DICOM_PORTS = (104, 2761, 2762, 4242, 11112)

LOADING = """\
# Kept by radiology.hardening (%(keeper)s): %(keeps)s before the network is up.
[Unit]
Description=%(title)s
DefaultDependencies=no
Wants=network-pre.target
Before=network-pre.target shutdown.target
After=nftables.service
Conflicts=shutdown.target
PartOf=nftables.service
ReloadPropagatedFrom=nftables.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft -f %(file)s
ExecReload=/usr/sbin/nft -f %(file)s

[Install]
WantedBy=sysinit.target nftables.service
"""
"""A unit that loads a table at the start, and anew whenever somebody's nftables.service drops all tables."""
SERVICE = LOADING % {
    "keeper": "role firewall",
    "keeps": "the table is loaded",
    "title": "Firewall of this imaging host",
    "file": FILE,
}

TEMPLATE = """\
# Kept by radiology.hardening (role firewall). Loading it replaces this table and touches no other.
table inet %(table)s
delete table inet %(table)s
table inet %(table)s {
%(sets)s  chain input {
    type filter hook input priority filter; policy %(input)s;
    iifname "lo" accept comment "loopback"
    ip daddr 127.0.0.0/8 drop comment "loopback from outside"
    ip saddr 127.0.0.0/8 drop comment "loopback as source"
    ip6 saddr ::1 drop comment "loopback as source, IPv6"
%(lost)s    ct state vmap { established : accept, related : accept, invalid : drop } comment "state"
    icmp type { destination-unreachable, echo-request, time-exceeded, parameter-problem } accept comment "icmp"
    icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem, echo-request } \
accept comment "icmpv6"
    icmpv6 type { nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } ip6 hoplimit 255 \
accept comment "neighbours"
    udp sport 67 udp dport 68 accept comment "dhcp"
    ip6 saddr fe80::/10 udp sport 547 udp dport 546 accept comment "dhcpv6"
%(services)s
    limit rate 10/minute burst 20 packets log prefix "radiology drop: " level info comment "log"
    counter comment "dropped"
  }
  chain forward {
    type filter hook forward priority filter; policy %(forward)s;
%(pass)s    limit rate 10/minute burst 20 packets log prefix "radiology drop forward: " level info comment "log forward"
    counter comment "not forwarded"
  }
  chain output {
    type filter hook output priority filter; policy %(output)s;
%(outgoing)s
  }
%(translation)s}
"""

Rule = dict[str, Any]
"""A rule as nftables tells it in JSON: chain, comment, expr; handles and counts are left out."""


def render(
    services: Sequence[Mapping[str, Any]],
    destinations: Sequence[Mapping[str, Any]] | None = None,
    callers: Sequence[str] = (),
    *,
    networks: Sequence[str] = (),
    lost: Sequence[str] = (),
    tunnel: Mapping[str, Any] | None = None,
    room: Mapping[str, Any] | None = None,
    input_policy: str = "drop",
    forward_policy: str = "drop",
) -> str:
    """Return the ruleset for the declared services: name, TCP port, and sources (addresses or CIDRs, both families).

    `most`, where a service has it, is how many connections one address may have there at once.
    A service with a last day, `until`, is shut by the kernel itself when that day ends by the host's clock; its open
    connections end as well.

    With destinations, even none, nothing else goes out (see firewall_output); with None everything does. `callers` are
    rules about who on the host may call its own addresses. `networks` are the clinic's; `lost` are addresses of devices
    that the clinic lost, whose open connections end as well. `tunnel`: see firewall_tunnel, firewall_passing.
    `room`: see firewall_room.
    """
    home, beside = tunnel or {}, room or {}
    services = [*services, *firewall_tunnel.services(home, services)]
    outgoing = [] if destinations is None else firewall_output.lines(services, destinations, networks)
    if destinations is not None:
        outgoing[-len(firewall_output.LAST) : -len(firewall_output.LAST)] = firewall_tunnel.answers(home)
    dropped = firewall_room.entering(beside)
    dropped += [
        f'{keyword} saddr {found} drop comment "lost {keyword}"' for keyword, found in firewall_output.sets(lost)
    ]
    dropped += [_over(service) for service in services if service.get("until")]
    dropped += firewall_tunnel.guards(home)
    return TEMPLATE % {
        "table": TABLE,
        "input": input_policy,
        "forward": forward_policy,
        "output": "accept" if destinations is None else "drop",
        "sets": "".join(line for service in services for line in _counted(service)) + firewall_room.chains(beside),
        "lost": "".join(f"    {line}\n" for line in dropped),
        "services": _indented(
            (
                *firewall_tunnel.door(home),
                *(line for service in services for line in (*_bounds(service), *_accepts(service))),
            )
        ),
        "pass": "".join(f"    {line}\n" for line in firewall_passing.forward(home)),
        "translation": firewall_passing.translation(home),
        "outgoing": _indented((*firewall_room.leaving(beside), *firewall_output.SILENT, *callers, *outgoing)),
    }


def _accepts(service: Mapping[str, Any]) -> Iterator[str]:
    port, name = int(service["port"]), service["name"]
    for keyword, sources in firewall_output.sets(service["sources"]):
        yield f'{_through(service)}{keyword} saddr {sources} tcp dport {port} accept comment "{name} {keyword}"'


def _through(service: Mapping[str, Any]) -> str:
    """Return the match on the one interface by which a service takes calls; nothing where it takes them by any."""
    return f'iifname "{service["through"]}" ' if service.get("through") else ""


def _over(service: Mapping[str, Any]) -> str:
    """Return the rule that drops what comes to a service after its last day, of open connections too."""
    ends = firewall_output.end_of(service["until"])
    return f'tcp dport {int(service["port"])} meta time >= {ends} drop comment "{service["name"]} is over"'


def _counted(service: Mapping[str, Any]) -> Iterator[str]:
    """Yield the sets in which the kernel counts the connections of an address; it forgets one that has none left."""
    for keyword, _sources in _bounded(service):
        kind = {"ip": "ipv4_addr", "ip6": "ipv6_addr"}[keyword]
        yield f"  set {_held(service, keyword)} {{ type {kind}; size 65535; flags dynamic; }}\n"


def _bounds(service: Mapping[str, Any]) -> Iterator[str]:
    """Yield rules that drop what is more than `most` connections of one address; established ones come past them."""
    for keyword, sources in _bounded(service):
        counted = f"add @{_held(service, keyword)} {{ {keyword} saddr ct count over {int(service['most'])} }}"
        comment = f"{service['name']} {BOUND} {keyword}"
        calls = f"{_through(service)}{keyword} saddr {sources} tcp dport {int(service['port'])}"
        yield f'{calls} {counted} drop comment "{comment}"'


def _bounded(service: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    return firewall_output.sets(service["sources"]) if service.get("most") else iter(())


def _held(service: Mapping[str, Any], keyword: str) -> str:
    return f"held_{str(service['name']).replace('-', '_')}_{keyword}"


def is_bound(described: str) -> bool:
    """Tell whether a rule's comment is that of a bound on the connections of one address."""
    return f" {BOUND} " in described


def _indented(lines: Iterable[str]) -> str:
    return "\n".join(f"    {line}" for line in lines)


def read(listing: str) -> tuple[dict[str, str], list[Rule]]:
    """Read `nft -j list table`: the policy of each hook, and the rules in their order.

    A table with a flag counts as none: ours has none, and one that is dormant lists its rules and keeps none of them.
    (nft 1.0.6 prints another word in the place of the flag's.)
    """
    try:
        items = json.loads(listing)["nftables"] if listing.strip() else []
    except (ValueError, KeyError, TypeError):
        return {}, []
    if any((item.get("table") or {}).get("flags") for item in items):
        return {}, []
    policies, rules = {}, []
    for item in items:
        chain, rule = item.get("chain"), item.get("rule")
        if chain and chain.get("hook"):
            policies[chain["hook"]] = chain.get("policy", "accept")
        if rule:
            expressions = [_canonical(each) for each in rule["expr"]]
            rules.append({"chain": rule["chain"], "comment": rule.get("comment", ""), "expr": expressions})
    return policies, rules


def _canonical(value: Any) -> Any:
    """Return an expression without counts, its sets in a fixed order."""
    if isinstance(value, dict):
        if set(value) == {"counter"}:
            return {"counter": None}
        if set(value) == {"set"} and isinstance(value["set"], list):
            return {"set": sorted((_canonical(each) for each in value["set"]), key=json.dumps)}
        return {key: _canonical(inner) for key, inner in value.items()}
    return [_canonical(each) for each in value] if isinstance(value, list) else value


def differing(rules: Sequence[Rule], declared: Sequence[Rule], chain: str) -> tuple[list[str], list[str]]:
    """Return what a chain has beyond what is declared, and what it lacks; another order counts as both."""
    here = [rule for rule in rules if rule["chain"] == chain]
    there = [rule for rule in declared if rule["chain"] == chain]
    extra = [describe(rule) for rule in here if rule not in there]
    lacking = [describe(rule) for rule in there if rule not in here]
    if not extra and not lacking and here != there:
        extra = lacking = [f"the order of chain {chain}"]
    return extra, lacking


def describe(rule: Rule) -> str:
    """Return a rule's comment, or its ports and its verdict where it has none."""
    if rule["comment"]:
        return str(rule["comment"])
    ports = ", ".join(str(port) for port in ports_of(rule)) or "any port"
    return f"{ports}: {verdict_of(rule)}"


def verdict_of(rule: Rule) -> str:
    """Return accept, drop, reject or another verdict of a rule; nothing where it has none."""
    return next((word for each in rule["expr"] for word in each if word in ("accept", "drop", "reject", "jump")), "")


def ports_of(rule: Rule) -> list[Any]:
    """Return the destination ports that a rule names; ranges as [first, last]."""
    found: list[Any] = []
    for match in _matches(rule, "dport"):
        found += match["set"] if isinstance(match, dict) and "set" in match else [match]
    return [port.get("range", port) if isinstance(port, dict) else port for port in found]


def concerns(rule: Rule, ports: Sequence[int]) -> bool:
    """Tell whether a rule accepts one of these ports; a rule that names none accepts all of them."""
    if verdict_of(rule) != "accept":
        return False
    named = ports_of(rule)
    return not named or any(
        first <= wanted <= last
        for port in named
        for first, last in [port if isinstance(port, list) else (port, port)]
        if isinstance(first, int)
        for wanted in ports
    )


def is_ipv6_only(rule: Rule) -> bool:
    """Tell whether a rule concerns IPv6 alone."""
    text = json.dumps(rule["expr"])
    return '"ip6"' in text or '"ipv6"' in text or '"icmpv6"' in text


def _matches(rule: Rule, field: str) -> list[Any]:
    return [
        each["match"]["right"]
        for each in rule["expr"]
        if "match" in each and (each["match"]["left"].get("payload") or {}).get("field") == field
    ]
