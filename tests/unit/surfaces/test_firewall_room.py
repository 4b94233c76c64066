# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What passes between a box and the room of its modality: the modality's DICOM, ahead of every other rule."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import firewall_room, firewall_rules, firewall_segment
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.surfaces import firewall
from disk_host import RecordedHost

ROOM = {
    "modality": "ct",
    "interface": "enp2s0",
    "network": "192.168.77.0/30",
    "address": "192.168.77.1",
    "modality_address": "192.168.77.2",
    "ports": [104, 105],
    "called": 11112,
}
SERVICES = [{"name": "ssh", "port": 22, "sources": ["10.0.2.0/24"]}]
STANDING = """[
 {"ifname": "lo", "flags": ["LOOPBACK"], "addr_info": [{"local": "127.0.0.1", "prefixlen": 8, "scope": "host"}]},
 {"ifname": "enp1s0", "flags": [], "addr_info": [{"local": "10.0.1.30", "prefixlen": 24, "scope": "global"}]},
 {"ifname": "enp2s0", "flags": [], "addr_info": [{"local": "192.168.77.1", "prefixlen": 30, "scope": "global"}]}
]"""


def chain(name: str, **options: Any) -> list[str]:
    text = firewall_rules.render(SERVICES, **options)
    body = text.partition(f"chain {name} {{\n")[2].partition("  }\n")[0]
    return [line.strip() for line in body.splitlines() if "type filter" not in line]


def test_without_a_room_the_rules_are_as_before() -> None:
    assert firewall_rules.render(SERVICES) == firewall_rules.render(SERVICES, room={})
    assert "room" not in firewall_rules.render(SERVICES)


def test_the_modality_alone_comes_to_its_ports_alone() -> None:
    *accepts, _log, last = chain("from_room", room=ROOM)
    assert accepts[0] == (
        'ip saddr 192.168.77.2 ip daddr 192.168.77.1 tcp dport { 104, 105 } accept comment "modality calls"'
    )
    assert all(line.startswith("ip saddr 192.168.77.2 ") and " accept " in line for line in accepts)
    assert [line for line in accepts if "ct state established" in line and "ct direction reply" not in line] == []
    assert " drop " in last


@pytest.mark.parametrize(("called", "rules"), [(11112, 1), (0, 0)])
def test_the_modality_is_called_on_its_own_port_where_it_listens(called: int, rules: int) -> None:
    told = chain("to_room", room={**ROOM, "called": called})
    assert len([line for line in told if line.startswith("ip daddr 192.168.77.2 tcp dport ")]) == rules
    assert all(line.startswith("ip daddr 192.168.77.2 ") for line in told[:-1])
    assert " reject " in told[-1]


@pytest.mark.parametrize("destinations", [None, []])
def test_the_room_is_decided_first_and_known_nowhere_else(destinations: Any) -> None:
    entering = chain("input", room=ROOM, destinations=destinations)
    assert entering[0] == 'iifname "lo" accept comment "loopback"'
    assert [line for line in entering[:4] if " accept " in line] == entering[:1]
    assert entering[4:7] == [
        'iifname "enp2s0" goto from_room comment "room"',
        'iifname != "enp2s0" ip daddr 192.168.77.0/30 drop comment "room from elsewhere"',
        'iifname != "enp2s0" ip saddr 192.168.77.0/30 drop comment "room address from elsewhere"',
    ]
    assert entering[7].startswith("ct state vmap")
    leaving = chain("output", room=ROOM, destinations=destinations)
    assert leaving[0] == 'oifname "enp2s0" goto to_room comment "room"'
    assert leaving[1].startswith('oifname != { "lo", "enp2s0" } ip daddr 192.168.77.0/30 reject ')


def rule(chain_: str, comment: str) -> dict[str, Any]:
    return {"chain": chain_, "comment": comment, "expr": []}


def test_what_stands_before_the_room_is_seen_and_what_comes_after_it_is_not() -> None:
    rules = [rule("input", each) for each in ("loopback", "", "room", "room from elsewhere", "state", "roommate")]
    rules.insert(2, rule("output", "room"))
    told = [each["comment"] for each in firewall_room.beginning(rules, "input")]
    assert told == ["loopback", "", "room", "room from elsewhere"]
    assert firewall_room.beginning(rules, "forward") == []


def host() -> RecordedHost:
    return RecordedHost(asked={"runs": {"ip -j -d address": [0, STANDING], "nft --check --file -": [0, ""]}})


@pytest.mark.parametrize(
    ("room", "shared"),
    [
        ({}, []),
        (ROOM, []),
        ({**ROOM, "interface": "enp1s0"}, ["enp1s0 10.0.1.30/24"]),
        ({**ROOM, "network": "192.168.77.0/31"}, ["enp2s0 192.168.77.1/30"]),
        ({**ROOM, "interface": "enp9s0"}, []),
    ],
)
def test_an_interface_with_addresses_of_others_is_no_room_s(room: dict[str, Any], shared: list[str]) -> None:
    standing = firewall_segment.standing(host())
    assert firewall_segment.sharing(standing, room) == shared
    if shared:
        with pytest.raises(HardeningError, match="names an interface of the clinic's networks"):
            firewall._check(host(), "", room)
    else:
        firewall._check(host(), "", room)
