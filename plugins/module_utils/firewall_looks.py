# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the kernel's rules say of logs and of published container ports. Pure functions."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import firewall_rules as rules

PER_MINUTE = {"second": 60.0, "minute": 1.0, "hour": 1 / 60, "day": 1 / 1440, "week": 1 / 10080}
MOST = 60
"""Lines a minute that one rule may log; a flood of packets must not fill the disk."""


def unlogged(policies: Mapping[str, str], live: Sequence[rules.Rule]) -> list[str]:
    """Return the chains that drop what no rule accepts, and log none of it."""
    logging = {rule["chain"] for rule in live if _logs(rule) and _rate(rule) and "match" not in _words(rule)}
    return sorted(chain for chain, policy in policies.items() if policy == "drop" and chain not in logging)


def unbounded(live: Sequence[rules.Rule]) -> list[str]:
    """Return the rules that log without a limit, or faster than MOST lines a minute."""
    return [f"{rule['chain']}: {rules.describe(rule)}" for rule in live if _logs(rule) and not 0 < _rate(rule) <= MOST]


def published(ruleset: str, listings: Sequence[str]) -> list[str]:
    """Return the ports that lead into containers from other hosts.

    `ruleset` is `nft -j list ruleset`, where Docker and Podman leave rules of destination NAT; `listings` are what
    their `ps` says of ports: `0.0.0.0:8080->80/tcp, :::8080->80/tcp`.
    """
    found = [f"{each}" for each in _translated(ruleset)]
    for listing in listings:
        words = (word.strip(",") for word in listing.split())
        found += [word for word in words if "->" in word and not _is_loopback(word.rpartition("->")[0])]
    return list(dict.fromkeys(found))


def passing(policies: Mapping[str, str], live: Sequence[rules.Rule], declared: Sequence[rules.Rule]) -> bool:
    """Tell whether a packet for a container gets past our table.

    Such a packet is forwarded, or taken by a proxy that listens on the host. Whatever the order of the tables, a drop
    in ours is final; an accept in theirs is not.
    """
    extra = [rule for rule in live if rule["chain"] == "forward" and rule not in declared]
    lets = any(rules.verdict_of(rule) in ("accept", "jump", "goto", "queue") for rule in extra)
    return policies.get("forward") != "drop" or policies.get("input") != "drop" or lets


def _translated(ruleset: str) -> Iterator[str]:
    try:
        items = json.loads(ruleset)["nftables"] if ruleset.strip() else []
    except (ValueError, KeyError, TypeError):
        return
    for rule in (item["rule"] for item in items if "rule" in item):
        targets = [each for each in rule.get("expr", []) if _is_dnat(each)]
        if not targets or rule["table"] == rules.TABLE or any(map(_is_loopback, _right(rule, "daddr"))):
            continue
        ports = ", ".join(json.dumps(port) for port in _right(rule, "dport")) or "any port"
        inner = targets[0].get("dnat") or {}
        to = f" to {inner['addr']}" if isinstance(inner.get("addr"), str) else ""
        yield f"{rule['family']} {rule['table']} {rule['chain']}: {ports}{to}"


def _is_dnat(expression: Mapping[str, Any]) -> bool:
    target = expression.get("xt")
    return "dnat" in expression or (isinstance(target, dict) and target.get("name") == "DNAT")


def _right(rule: Mapping[str, Any], field: str) -> list[Any]:
    return [
        each["match"]["right"]
        for each in rule["expr"]
        if "match" in each and ((each["match"].get("left") or {}).get("payload") or {}).get("field") == field
    ]


def _is_loopback(address: Any) -> bool:
    text = str(address)
    host = text.rpartition(":")[0] if text.count(":") == 1 or text.startswith("[") else text
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _words(rule: rules.Rule) -> set[str]:
    return {word for each in rule["expr"] for word in each}


def _logs(rule: rules.Rule) -> bool:
    return "log" in _words(rule)


def _rate(rule: rules.Rule) -> float:
    """Return how many lines a minute a rule logs at most; 0 where it has no limit before its log."""
    for each in rule["expr"]:
        if "log" in each:
            break
        limit = each.get("limit")
        if isinstance(limit, dict) and not limit.get("inv"):
            return float(limit["rate"]) * PER_MINUTE.get(limit.get("per", "second"), 60.0)
    return 0.0
