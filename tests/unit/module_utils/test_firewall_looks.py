# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Logs and published container ports, in the JSON that nftables 1.0.6 gave for rules of Docker's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import firewall_looks as looks

LIMIT = {"limit": {"rate": 10, "burst": 20, "per": "minute"}}
LOG = {"log": {"prefix": "x", "level": "info"}}
PORT = {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 8080}}
LOOPBACK = {"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "daddr"}}, "right": "127.0.0.1"}}
XT = {"xt": {"type": "target", "name": "DNAT"}}
DNAT = {"dnat": {"addr": "172.17.0.3", "port": 80}}
CLOSED = {"input": "drop", "forward": "drop", "output": "accept"}


def rule(*expressions: dict[str, Any], chain: str = "forward", comment: str = "") -> dict[str, Any]:
    return {"chain": chain, "comment": comment, "expr": list(expressions)}


def ruleset(*expressions: dict[str, Any], table: str = "nat") -> str:
    told = {"family": "ip", "table": table, "chain": "DOCKER", "handle": 4, "expr": list(expressions)}
    return json.dumps({"nftables": [{"metainfo": {}}, {"rule": told}]})


def test_a_chain_that_drops_has_to_log_at_a_bounded_rate() -> None:
    both = [rule(LIMIT, LOG, chain="input"), rule(LIMIT, LOG, chain="forward")]
    assert looks.unlogged(CLOSED, both) == []
    assert looks.unlogged(CLOSED, both[:1]) == ["forward"]
    assert looks.unlogged({**CLOSED, "output": "drop"}, both) == ["output"]
    assert looks.unlogged(CLOSED, [both[0], rule(PORT, LIMIT, LOG)]) == ["forward"]
    assert looks.unlogged(CLOSED, [both[0], rule(LOG, LIMIT)]) == ["forward"]


@pytest.mark.parametrize(
    ("expressions", "is_bounded"),
    [
        ((LIMIT, LOG), True),
        ((LOG,), False),
        ((LOG, LIMIT), False),
        (({"limit": {"rate": 1, "per": "second"}}, LOG), True),
        (({"limit": {"rate": 2, "per": "second"}}, LOG), False),
        (({"limit": {"rate": 10, "per": "minute", "inv": True}}, LOG), False),
        ((PORT,), True),
    ],
)
def test_what_logs_without_a_bound(expressions: tuple[dict[str, Any], ...], is_bounded: bool) -> None:
    assert (looks.unbounded([rule(*expressions)]) == []) is is_bounded


def test_published_ports_are_found_in_rules_and_in_listings() -> None:
    assert looks.published(ruleset(PORT, XT), []) == ["ip nat DOCKER: 8080"]
    assert looks.published(ruleset(PORT, DNAT), []) == ["ip nat DOCKER: 8080 to 172.17.0.3"]
    assert looks.published(ruleset(LOOPBACK, PORT, XT), []) == []
    assert looks.published(ruleset(PORT, {"accept": None}), []) == []
    listing = "web 0.0.0.0:8080->80/tcp, :::8080->80/tcp\nsafe 127.0.0.1:81->80/tcp, [::1]:81->80/tcp\nnone 80/tcp"
    assert looks.published("", [listing]) == ["0.0.0.0:8080->80/tcp", ":::8080->80/tcp"]
    assert looks.published("no JSON", []) == []


def test_who_gets_past_our_table() -> None:
    declared = [rule({"counter": None}, comment="not forwarded")]
    assert not looks.passing(CLOSED, declared, declared)
    assert not looks.passing(CLOSED, [*declared, rule(PORT, {"drop": None})], declared)
    assert looks.passing(CLOSED, [*declared, rule({"accept": None})], declared)
    assert looks.passing(CLOSED, [*declared, rule({"jump": {"target": "x"}})], declared)
    assert looks.passing({**CLOSED, "forward": "accept"}, declared, declared)
    assert looks.passing({}, [], declared)
