# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the firewall lets through the tunnel: a rule a grant, by the tunnel alone; what else there is, is named."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import firewall_rules, firewall_tunnel

LAPTOP = {"name": "laptop", "addresses": ["10.99.1.2", "fd99:1::2"], "services": {"web": 443}}
TABLET = {"name": "tablet", "addresses": ["10.99.1.3"], "services": {"ssh": 22, "web": 443}}
TUNNEL = {"port": 51820, "network": ["10.99.1.0/24", "fd99:1::/64"], "peers": [LAPTOP, TABLET]}
SERVICES = [
    {"name": "https", "port": 443, "sources": ["10.0.1.20"], "most": 200},
    {"name": "ssh", "port": 22, "sources": ["10.0.2.0/24"]},
]


def lines(**options: Any) -> list[str]:
    return [line.strip() for line in firewall_rules.render(SERVICES, **options).splitlines()]


def test_without_a_tunnel_the_rules_are_as_before() -> None:
    assert lines() == lines(tunnel={})
    assert not [line for line in lines() if "wg-" in line or "udp dport 51820" in line]


def test_each_grant_is_a_rule_by_address_and_interface() -> None:
    accepts = [line for line in lines(tunnel=TUNNEL) if 'iifname "wg-radiology"' in line and " accept " in line]
    assert accepts == [
        'iifname "wg-radiology" ip saddr { 10.99.1.2 } tcp dport 443 accept comment "home-laptop-web ip"',
        'iifname "wg-radiology" ip6 saddr { fd99:1::2 } tcp dport 443 accept comment "home-laptop-web ip6"',
        'iifname "wg-radiology" ip saddr { 10.99.1.3 } tcp dport 22 accept comment "home-tablet-ssh ip"',
        'iifname "wg-radiology" ip saddr { 10.99.1.3 } tcp dport 443 accept comment "home-tablet-web ip"',
    ]


def test_a_device_at_home_has_no_more_connections_than_one_in_the_practice() -> None:
    (bound,) = [line for line in lines(tunnel=TUNNEL) if '"home-tablet-web at most ip"' in line]
    assert "ct count over 200" in bound
    assert bound.startswith('iifname "wg-radiology" ip saddr { 10.99.1.3 } tcp dport 443 ')
    assert not [line for line in lines(tunnel=TUNNEL) if "home-tablet-ssh at most" in line]


def test_what_claims_an_address_of_the_tunnel_from_elsewhere_is_dropped_before_open_connections() -> None:
    told = lines(tunnel=TUNNEL)
    guards = [place for place, line in enumerate(told) if line.startswith('iifname != "wg-radiology" ip')]
    assert len(guards) == 2
    assert max(guards) < next(place for place, line in enumerate(told) if line.startswith("ct state vmap"))


OPENED = 'iifname "wg-radiology" ct state established ct direction original'


@pytest.mark.parametrize(
    ("peers", "ip", "ip6"),
    [
        (
            [LAPTOP, TABLET],
            "ip saddr . tcp dport != { 10.99.1.2 . 443, 10.99.1.3 . 22, 10.99.1.3 . 443 }",
            "ip6 saddr . tcp dport != { fd99:1::2 . 443 }",
        ),
        (
            [{**TABLET, "services": {"ssh": 22}}],
            "ip saddr . tcp dport != { 10.99.1.3 . 22 }",
            "meta nfproto ipv6 meta l4proto tcp",
        ),
        ([], "meta nfproto ipv4 meta l4proto tcp", "meta nfproto ipv6 meta l4proto tcp"),
    ],
)
def test_what_is_granted_no_more_ends_where_it_is_open(peers: list[dict[str, Any]], ip: str, ip6: str) -> None:
    told = lines(tunnel={**TUNNEL, "peers": peers})
    due = [
        f'{OPENED} {other} drop comment "tunnel granted no more {each}"' for each, other in (("ip", ip), ("ip6", ip6))
    ]
    assert [line for line in told if "granted no more" in line] == due
    assert told.index(due[1]) < next(place for place, line in enumerate(told) if line.startswith("ct state vmap"))


def test_the_port_is_open_and_a_restricted_output_lets_the_tunnel_speak() -> None:
    assert 'udp dport 51820 accept comment "tunnel port"' in lines(tunnel=TUNNEL)
    answer = 'udp sport 51820 accept comment "tunnel answers"'
    told = lines(tunnel=TUNNEL, destinations=[])
    assert answer not in lines(tunnel=TUNNEL)
    assert told.index(answer) < next(place for place, line in enumerate(told) if '"not sent"' in line)


IPSEC = {**TUNNEL, "protocol": "ipsec", "port": 4500, "ports": [500, 4500]}


def test_a_tunnel_of_ipsec_has_two_ports_and_the_same_rules_by_its_interface() -> None:
    wireguard = [line for line in lines(tunnel=TUNNEL, destinations=[]) if '"wg-radiology"' in line]
    told = lines(tunnel=IPSEC, destinations=[])
    ipsec = [line for line in told if '"ipsec0"' in line]
    same = [line for line in ipsec if "granted no more" not in line]
    assert same == [line.replace("wg-radiology", "ipsec0") for line in wireguard if "granted no more" not in line]
    assert (len(ipsec), len(same)) == (11, 9)
    assert 'udp dport { 500, 4500 } accept comment "tunnel port"' in told
    assert 'udp sport { 500, 4500 } accept comment "tunnel answers"' in told
    assert not [line for line in told if "wg-radiology" in line]


@pytest.mark.parametrize("network", [IPSEC["network"], IPSEC["network"][:1]])
@pytest.mark.parametrize("peers", [IPSEC["peers"], []])
def test_what_other_connections_of_the_host_carry_over_the_interface_of_ipsec_goes_on(
    network: list[str], peers: list[dict[str, Any]]
) -> None:
    peers = [{**peer, "addresses": peer["addresses"][: len(network)]} for peer in peers]
    ended = [
        line
        for line in lines(tunnel={**IPSEC, "network": network, "peers": peers})
        if line.startswith('iifname "ipsec0"') and " drop " in line and "at most" not in line
    ]
    begun = ['iifname "ipsec0" ip saddr { 10.99.1.0/24 } ct', 'iifname "ipsec0" ip6 saddr { fd99:1::/64 } ct']
    assert [line.partition(" state established")[0] for line in ended] == begun[: len(network)]


@pytest.mark.parametrize("name", ["ipsec0", "wg-radiology"])
def test_without_a_tunnel_a_rule_on_any_of_its_interfaces_is_named(name: str) -> None:
    found = rule(match({"meta": {"key": "iifname"}}, name))
    assert firewall_tunnel.observe([found], ["a rule"], [], {})["undeclared_rules"] == ["a rule"]


def rule(*expressions: Any) -> dict[str, Any]:
    return {"chain": "input", "comment": "", "expr": [*expressions, {"accept": None}]}


def match(left: dict[str, Any], right: Any) -> dict[str, Any]:
    return {"match": {"op": "==", "left": left, "right": right}}


SOURCE = {"payload": {"protocol": "ip", "field": "saddr"}}


@pytest.mark.parametrize(
    ("undeclared", "concerns"),
    [
        (rule(match({"meta": {"key": "iifname"}}, "wg-radiology")), True),
        (rule(match(SOURCE, {"set": ["10.99.1.3", "10.0.0.1"]})), True),
        (rule(match(SOURCE, {"prefix": {"addr": "10.99.1.0", "len": 24}})), True),
        (rule(match(SOURCE, "10.0.1.20")), False),
        (rule(match({"payload": {"protocol": "tcp", "field": "dport"}}, 8080)), False),
    ],
)
def test_an_undeclared_rule_is_named_where_it_concerns_the_tunnel(undeclared: dict[str, Any], concerns: bool) -> None:
    found = firewall_tunnel.observe([undeclared], ["a rule"], [], TUNNEL)
    assert found == {"undeclared_rules": ["a rule"] * concerns, "missing_rules": []}


def test_rules_that_are_gone_are_named_where_they_are_of_the_tunnel() -> None:
    lacking = ["https ip", "tunnel port", "home-laptop-web ip", "tunnel address from elsewhere ip"]
    assert firewall_tunnel.observe([], [], lacking, TUNNEL)["missing_rules"] == lacking[1:]
