# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import ipaddress
import json
from pathlib import Path

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import firewall_output
from ansible_collections.radiology.hardening.plugins.module_utils import firewall_rules as rules
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.surfaces import firewall
from hypothesis import given
from hypothesis import strategies as st

SERVICES = [
    {"name": "dicom-tls", "port": 2762, "sources": ["10.0.0.20", "2001:db8::20", "10.0.0.21"]},
    {"name": "ssh", "port": 22, "sources": ["10.9.0.0/24"]},
]


def accept(port: object, *, source: object = None, comment: str = "") -> dict[str, object]:
    matches = []
    if source:
        matches.append(
            {"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": source}}
        )
    matches.append({"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": port}})
    return {"chain": "input", "comment": comment, "expr": [*matches, {"accept": None}]}


def test_services_open_to_their_sources_alone_in_both_families() -> None:
    text = rules.render(SERVICES)
    assert 'ip saddr { 10.0.0.20/31 } tcp dport 2762 accept comment "dicom-tls ip"' in text
    assert 'ip6 saddr { 2001:db8::20 } tcp dport 2762 accept comment "dicom-tls ip6"' in text
    assert 'ip saddr { 10.9.0.0/24 } tcp dport 22 accept comment "ssh ip"' in text
    assert "policy drop" in text
    assert "dport 22 accept" not in text.replace("} tcp dport 22 accept", "")


def test_connections_of_an_address_are_bounded_before_they_are_accepted() -> None:
    text = rules.render([{"name": "a-b", "port": 443, "sources": ["10.0.0.20", "2001:db8::20"], "most": 7}, *SERVICES])
    lines = [line.strip() for line in text.splitlines()]
    counted = "add @held_a_b_ip { ip saddr ct count over 7 }"
    bound = lines.index(f'ip saddr {{ 10.0.0.20 }} tcp dport 443 {counted} drop comment "a-b at most ip"')
    assert (
        lines.index('ct state vmap { established : accept, related : accept, invalid : drop } comment "state"') < bound
    )
    assert bound < lines.index('ip saddr { 10.0.0.20 } tcp dport 443 accept comment "a-b ip"')
    assert "set held_a_b_ip6 { type ipv6_addr; size 65535; flags dynamic; }" in lines
    assert text.count("ct count") == 2


def test_lost_devices_are_dropped_before_open_connections_are_accepted() -> None:
    lines = [line.strip() for line in rules.render(SERVICES, lost=["10.0.0.30", "2001:db8::30"]).splitlines()]
    state = next(place for place, line in enumerate(lines) if line.startswith("ct state"))
    assert lines[state - 2 : state] == [
        'ip saddr { 10.0.0.30 } drop comment "lost ip"',
        'ip6 saddr { 2001:db8::30 } drop comment "lost ip6"',
    ]
    assert "lost" not in rules.render(SERVICES)


@given(
    st.lists(
        st.ip_addresses()
        | st.builds(
            lambda a, n: ipaddress.ip_network((int(a), n), strict=False), st.ip_addresses(v=4), st.integers(8, 32)
        ),
        min_size=1,
    )
)
def test_every_source_is_admitted_and_nothing_else(sources: list[object]) -> None:
    text = rules.render([{"name": "x", "port": 1, "sources": [str(source) for source in sources]}])
    admitted = [
        ipaddress.ip_network(word.strip())
        for line in text.splitlines()
        if 'comment "x ip' in line
        for word in line.split("{")[1].split("}")[0].split(",")
    ]
    for source in sources:
        network = ipaddress.ip_network(str(source))
        assert any(network.version == other.version and network.subnet_of(other) for other in admitted)  # type: ignore[arg-type]
    wanted = sum(
        other.num_addresses
        for other in ipaddress.collapse_addresses(
            [ipaddress.ip_network(str(s)) for s in sources if ipaddress.ip_network(str(s)).version == 4]
        )
    )  # type: ignore[type-var]
    assert sum(other.num_addresses for other in admitted if other.version == 4) == wanted


@given(st.text() | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_whatever_nft_says_is_read_or_counts_as_nothing(text: str) -> None:
    policies, found = rules.read(text)
    assert isinstance(policies, dict)
    assert isinstance(found, list)


@pytest.mark.parametrize("flags", ["r", "dormant", ["dormant", "persist"]])
def test_a_table_that_is_put_to_sleep_keeps_nothing(flags: object) -> None:
    chain = {"chain": {"name": "input", "hook": "input", "policy": "drop"}}
    awake = json.dumps({"nftables": [{"table": {"family": "inet", "name": "radiology"}}, chain]})
    asleep = json.dumps({"nftables": [{"table": {"family": "inet", "name": "radiology", "flags": flags}}, chain]})
    assert rules.read(awake) == ({"input": "drop"}, [])
    assert rules.read(asleep) == ({}, [])


def test_counts_handles_and_the_order_in_sets_make_no_difference() -> None:
    def listing(packets: int, *addresses: str) -> str:
        saddr = {
            "match": {
                "op": "==",
                "left": {"payload": {"protocol": "ip", "field": "saddr"}},
                "right": {"set": list(addresses)},
            }
        }
        rule = {"chain": "input", "handle": packets, "expr": [saddr, {"counter": {"packets": packets, "bytes": 9}}]}
        return json.dumps(
            {"nftables": [{"chain": {"name": "input", "hook": "input", "policy": "drop"}}, {"rule": rule}]}
        )

    assert rules.read(listing(1, "10.0.0.1", "10.0.0.2")) == rules.read(listing(7, "10.0.0.2", "10.0.0.1"))


def test_differences_are_named() -> None:
    declared = [accept(2762, comment="dicom-tls ip"), accept(22, comment="ssh ip")]
    assert rules.differing(declared, declared, "input") == ([], [])
    assert rules.differing([accept(8080), *declared], declared, "input") == (["8080: accept"], [])
    assert rules.differing(declared[:1], declared, "input") == ([], ["ssh ip"])
    assert rules.differing(declared[::-1], declared, "input") == (["the order of chain input"],) * 2


@pytest.mark.parametrize(
    ("rule", "ports", "verdict"),
    [
        (accept(2762), (2762,), True),
        (accept({"range": [1, 65535]}), (2762,), True),
        (accept({"set": [80, 4242]}), (4242,), True),
        (accept(80), (2762,), False),
        ({"chain": "input", "comment": "", "expr": [{"accept": None}]}, (22,), True),
        ({"chain": "input", "comment": "", "expr": [{"drop": None}]}, (22,), False),
    ],
)
def test_what_a_rule_opens(rule: dict[str, object], ports: tuple[int, ...], verdict: bool) -> None:
    assert rules.concerns(rule, ports) is verdict


def test_rules_that_shut_the_engineer_out_are_refused_in_a_sentence() -> None:
    firewall._keep_the_engineer(["10.9.0.2"], SERVICES)
    firewall._keep_the_engineer([], SERVICES)
    with pytest.raises(
        HardeningError, match=r"SSH comes from 192\.0\.2\.9, but the clinic file admits it from 10\.9\.0\.0/24"
    ):
        firewall._keep_the_engineer(["192.0.2.9"], SERVICES)


def test_the_front_alone_calls_orthanc_and_orthanc_alone_its_devices() -> None:
    devices = [{"loopback": "127.0.0.30"}, {"loopback": "127.0.0.4"}]
    assert firewall_output.callers(devices, {"dicom-front": 101, "orthanc": 102}) == [
        'oifname "lo" tcp dport 4242 meta skuid != 101 reject with tcp reset comment "orthanc port"',
        (
            'oifname "lo" ip daddr { 127.0.0.4, 127.0.0.30 } ip protocol tcp meta skuid != 102 '
            'reject with tcp reset comment "device addresses"'
        ),
    ]
    assert firewall_output.callers(devices, {}) == []
    assert len(firewall_output.callers([], {"dicom-front": 101, "orthanc": 102})) == 1


def test_those_rules_stand_before_whatever_lets_go_out() -> None:
    callers = firewall_output.callers([{"loopback": "127.0.0.30"}], {"dicom-front": 101, "orthanc": 102})
    for destinations in (None, []):
        output = rules.render(SERVICES, destinations, callers).partition("chain output")[2].splitlines()
        places = [place for place, line in enumerate(output) if line.strip() in callers]
        assert len(places) == 2
        before = [line.strip() for line in output[2 : max(places)] if "accept" in line]
        assert before == list(firewall_output.SILENT[:1]), "root alone sets the mark of this one"


def test_accounts_are_read_by_number(tmp_path: Path) -> None:
    passwd = tmp_path / "etc" / "passwd"
    passwd.parent.mkdir()
    passwd.write_text("root:x:0:0::/:/bin/sh\northanc:x:105:110::/:/x\nbroken\ndicom-front:x:990:990::/:/x\n")
    assert firewall._accounts(Host(str(tmp_path))) == {"orthanc": 105, "dicom-front": 990}
    assert firewall._accounts(Host(str(tmp_path / "none"))) == {}


@pytest.mark.parametrize(
    ("port", "named"), [(4242, ["4242: accept"]), (11112, ["11112: accept"]), (443, []), (None, ["any port: accept"])]
)
def test_a_rule_that_lets_others_call_orthanc_or_devices_is_named(port: int | None, named: list[str]) -> None:
    rule = {**accept(port), "chain": "output"}
    if port is None:
        rule["expr"] = [{"accept": None}]
    called = firewall._called({"devices": [{"port": 11112}, {"port": 0}]})
    assert firewall._described(firewall._undeclared([rule], [], "output"), called) == named
    assert firewall._undeclared([rule], [rule], "output") == []
