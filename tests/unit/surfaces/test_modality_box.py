# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The box beside a modality: its tunnels in the room, the door between the two, and what is left to a person."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import (
    dicom_tunnel,
    dicom_tunnel_state,
    firewall_room,
    firewall_rules,
)
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.surfaces import firewall, modality_box
from ansible_collections.radiology.hardening.plugins.plugin_utils import catalogue
from disk_host import RecordedHost

ROOM = {
    "modality": "ct",
    "interface": "enp2s0",
    "network": "192.168.77.0/29",
    "address": "192.168.77.1",
    "modality_address": "192.168.77.2",
    "ports": [104, 105],
    "called": 11112,
}
DEVICE = {"name": "ct", "address": "10.0.1.30", "address6": "", "port": 11112}
SERVERS = [{"name": "pacs", "address": "10.0.1.10"}, {"name": "archive", "address": "10.0.1.11"}]
SCOPE = {"room": ROOM, "device": DEVICE, "servers": SERVERS}
WANTED = catalogue.wanted(catalogue.load("modality_box"))
TUNNEL = {
    "wanted": True,
    "active": True,
    "enabled": True,
    "older_than_configuration": False,
    "unverified": [],
    "exposed": [],
    "altered": [],
    "request": "1",
    "certificate": "2",
    "authority": "3",
    "certificate_fits": True,
    "days_left": 365,
    "loose_keys": [],
    "weak": [],
}
FINE: dict[str, Any] = {
    "room": {"missing": [], "shared": [], "advice": []},
    "door": {"undeclared_rules": [], "missing_rules": []},
    "tunnel": TUNNEL,
}
SERVES = "Carry the modality's DICOM to pacs, archive and back in TLS, both ends checked by chain and name"


def planned(scope: dict[str, Any] | None = None, **changes: Any) -> list[str]:
    mine = copy.deepcopy(FINE)
    for name, value in changes.items():
        part, _underscores, fact = name.partition("__")
        mine[part][fact] = value
    return [step.does for step in modality_box.plan({"modality_box": mine}, WANTED, scope or SCOPE)]


def test_the_side_in_clear_is_the_room_s_and_the_other_is_the_lan_s() -> None:
    told = dicom_tunnel.services(dicom_tunnel.configuration(SCOPE))
    assert [(name, *each["accept"], *each["connect"]) for name, each in told.items()] == [
        ("to-pacs", "192.168.77.1:104", "10.0.1.10:2762"),
        ("to-archive", "192.168.77.1:105", "10.0.1.11:2762"),
        ("from-servers", "10.0.1.30:11112", "192.168.77.2:11112"),
    ]
    text = dicom_tunnel.configuration(SCOPE)
    side = dicom_tunnel.clear(SCOPE)
    assert (dicom_tunnel.unverified(text, ["pacs", "archive"]), dicom_tunnel.exposed(text, side)) == ([], [])
    assert "role modality_box" in text
    assert "viewer" not in text + dicom_tunnel.account(SCOPE) + dicom_tunnel.service(SCOPE)


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("accept = 192.168.77.1:104", "accept = 104", "to-pacs: 104"),
        ("accept = 192.168.77.1:104", "accept = 10.0.1.30:104", "to-pacs: 10.0.1.30:104"),
        ("accept = 192.168.77.1:104", "accept = 127.0.0.1:104", "to-pacs: 127.0.0.1:104"),
        ("connect = 192.168.77.2:11112", "connect = 10.0.1.66:11112", "from-servers: 10.0.1.66:11112"),
    ],
)
def test_a_side_in_clear_outside_the_room_is_named(old: str, new: str, named: str) -> None:
    text = dicom_tunnel.configuration(SCOPE)
    assert old in text
    assert dicom_tunnel.exposed(text.replace(old, new), dicom_tunnel.clear(SCOPE)) == [named]


@pytest.mark.parametrize(
    ("port", "listens", "privileged"),
    [(104, 11112, True), (11104, 104, True), (11104, 11112, False), (11104, 0, False)],
)
def test_a_low_port_alone_takes_a_privilege(port: int, listens: int, privileged: bool) -> None:
    scope = {**SCOPE, "room": {**ROOM, "ports": [port]}, "device": {**DEVICE, "port": listens}}
    assert ("AmbientCapabilities=CAP_NET_BIND_SERVICE" in dicom_tunnel.service(scope)) is privileged


def test_what_is_as_wanted_has_no_plan() -> None:
    assert planned() == []
    assert planned({**SCOPE, "certificate": "another"}) == [SERVES]


def test_a_box_without_its_cable_asks_for_it_and_for_a_certificate_and_listens_nowhere() -> None:
    told = planned(room__missing=["enp2s0 192.168.77.1"], tunnel__request=None, tunnel__active=False)
    assert told[0].startswith("Give the interface of the cable to the modality its address (enp2s0 192.168.77.1)")
    assert told[1:] == [dicom_tunnel_state.REQUESTED]


def test_another_network_on_the_cable_is_left_to_a_person() -> None:
    (told,) = planned(room__shared=["enp2s0 10.99.0.1/24"])
    assert "enp2s0 10.99.0.1/24 mixes the room with another network" in told


def test_rules_of_others_are_taken_away_by_the_firewall_s_own_file() -> None:
    told = planned(door__undeclared_rules=["any port: accept"]), planned(door__missing_rules=["room"])
    assert told == ([modality_box.RELOADED], [modality_box.RELOADED])
    host = RecordedHost()
    load = next(iter(modality_box.plan({"modality_box": {**FINE, "door": {"missing_rules": ["x"]}}}, WANTED, SCOPE)))
    with pytest.raises(HardeningError, match="harden by the role firewall first"):
        load.do(host)
    assert "nft" not in " ".join(host.done)
    host.files[firewall_rules.FILE] = firewall_rules.render([], room=ROOM)
    host.answers(f"nft --file {firewall_rules.FILE}")
    load.do(host)
    assert host.done[-1] == f"nft --file {firewall_rules.FILE}"


def test_a_gateway_beside_no_modality_has_nothing_to_do_but_stop_what_is_left() -> None:
    host = RecordedHost()
    facts = modality_box.observe(host, {})
    assert facts["room"] == {"missing": [], "shared": [], "advice": []}
    assert facts["door"] == {"undeclared_rules": [], "missing_rules": []}
    assert facts["tunnel"]["wanted"] is False
    assert [step.does for step in modality_box.plan({"modality_box": facts}, WANTED, {})] == []
    facts["tunnel"]["active"] = True
    (step,) = modality_box.plan({"modality_box": facts}, WANTED, {})
    assert step.does.startswith("Stop the DICOM tunnels")


def interface(name: str, *addresses: tuple[str, int]) -> dict[str, Any]:
    told = [{"local": local, "prefixlen": length, "scope": "global"} for local, length in addresses]
    return {"ifname": name, "flags": [], "addr_info": told}


@pytest.mark.parametrize(
    ("links", "missing", "shared"),
    [
        ([interface("enp2s0", ("192.168.77.1", 29))], [], []),
        ([interface("enp2s0")], ["enp2s0 192.168.77.1"], []),
        (
            [interface("enp1s0", ("10.0.1.30", 24), ("192.168.77.1", 29)), interface("enp2s0")],
            ["enp2s0 192.168.77.1"],
            ["enp1s0 192.168.77.1/29"],
        ),
        ([interface("enp2s0", ("192.168.77.1", 29), ("10.9.0.1", 24))], [], ["enp2s0 10.9.0.1/24"]),
    ],
)
def test_the_room_is_on_the_interface_that_the_clinic_file_names(
    links: list[dict[str, Any]], missing: list[str], shared: list[str]
) -> None:
    host = RecordedHost(asked={"runs": {"ip -j -d address": [0, json.dumps(links)]}})
    found = modality_box._room(host, ROOM)
    assert (found["missing"], found["shared"]) == (missing, shared)
    assert len(found["advice"]) == len([*missing, *shared])


def ruleset(*rules: tuple[str, str]) -> str:
    listed = [{"rule": {"chain": chain, "comment": comment, "expr": [{"accept": None}]}} for chain, comment in rules]
    return json.dumps({"nftables": listed})


DECLARED = (
    ("from_room", "modality calls"),
    ("to_room", "answers to the modality"),
    ("input", "loopback"),
    ("input", "room"),
    ("input", "room from elsewhere"),
    ("output", "room"),
)


@pytest.mark.parametrize(
    ("live", "undeclared", "missing"),
    [
        ((*DECLARED, ("input", "state"), ("output", "upnp and nat-pmp")), [], []),
        ((("input", ""), *DECLARED), ["any port: accept"], []),
        ((("from_room", "help"), *DECLARED), ["help"], []),
        ((*DECLARED, ("to_room", "help")), ["help"], []),
        (DECLARED[1:], [], ["modality calls"]),
        ((), [], ["loopback", "room", "room from elsewhere", "modality calls", "room", "answers to the modality"]),
    ],
)
def test_the_door_is_what_is_in_force_before_and_about_the_room(
    live: tuple[tuple[str, str], ...], undeclared: list[str], missing: list[str]
) -> None:
    runs = {
        f"nft -j list table inet {firewall_rules.TABLE}": [0, ruleset(*live)],
        " ".join(firewall.SHOWN): [0, ruleset(*DECLARED, ("input", "state"))],
    }
    found = modality_box._door(RecordedHost(asked={"runs": runs}), ROOM)
    assert (found["undeclared_rules"], found["missing_rules"]) == (undeclared, missing)


def test_each_chain_of_the_room_is_led_into() -> None:
    text = firewall_rules.render([], room=ROOM)
    assert all(f"goto {chain} " in text for chain in firewall_room.LINKS.values())
