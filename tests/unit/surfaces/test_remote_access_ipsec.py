# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The role remote_access with a tunnel of IPsec: the same facts and controls, the plan, and what each device is told."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import (
    home_idle,
    home_ipsec,
    home_ipsec_host,
    ssh_connections,
)
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.surfaces import remote_access
from ansible_collections.radiology.hardening.plugins.plugin_utils import catalogue, home_devices
from ansible_collections.radiology.hardening.plugins.plugin_utils.judge import Sight, judge
from disk_host import RecordedHost
from test_agreement import BREACHES, TODAY, with_fact

LAPTOP = {"name": "laptop", "person": "a.martin", "public_key": "a" * 64, "addresses": ["10.99.1.2", "fd99:1::2"]}
TABLET = {"name": "tablet", "person": "c.moreau", "public_key": "b" * 64, "addresses": ["10.99.1.3", "fd99:1::3"]}
REACHED = ["fd00:1::10", "10.0.1.10"]
PEERS = [
    {**LAPTOP, "certificates": ["LAPTOP"], "services": {"web": 443}, "reached": REACHED},
    {**TABLET, "certificates": ["TABLET"], "services": {"ssh": 22, "web": 443}, "reached": REACHED},
]
TUNNEL: dict[str, Any] = {
    "protocol": "ipsec",
    "port": 4500,
    "ports": [500, 4500],
    "gateway": "pacs",
    "endpoint": "203.0.113.7",
    "network": ["10.99.1.0/24", "fd99:1::/64"],
    "reached": ["fd00:1::10", "10.0.1.10"],
    "named": PEERS,
    "peers": PEERS,
    "waiting": [],
    "certificate": "GATEWAY",
    "due": False,
}
CONTROLS = catalogue.load("remote_access")
WANTED = catalogue.wanted(CONTROLS)
FINE: dict[str, Any] = {
    "declared": True,
    "carrier": "kernel-libipsec",
    "key": {"file": "0600 root", "public": "f" * 64, "published": True},
    "tunnel": {"up": True, "differs": []},
    "peers": {"undeclared": [], "missing": []},
    "unused": {"watched": True, "let_in": [], "shut_out": []},
    "engineers": {"through_tunnel": False, "cut_off": False},
    "persistent": {"enabled": True, "file_is_declared": True, "altered": []},
}
"""As a lab's gateway told them after hardening."""
BRING_UP = "Bring the tunnel up on UDP ports 500 and 4500, for laptop, tablet"


def planned(tunnel: dict[str, Any] | None = None, **changes: Any) -> list[str]:
    mine = copy.deepcopy(FINE)
    for name, value in changes.items():
        part, _dot, fact = name.partition("__")
        if fact:
            mine[part][fact] = value
        else:
            mine[part] = value
    given = {**TUNNEL, **(tunnel or {})}
    return [step.does for step in remote_access.plan({"remote_access": mine}, WANTED, {"tunnel": given})]


CASES = [
    pytest.param(control, clause, breach, id=f"{control.id}-{clause.fact}")
    for control in CONTROLS
    for clause in control.expect
    for breach in BREACHES[clause.operator](clause.expected)
]


def verdict(control: catalogue.Control, facts: dict[str, Any]) -> str:
    (finding,) = judge((control,), Sight("pacs", facts), [], TODAY)
    return str(finding["verdict"])


def test_a_fine_gateway_passes_the_controls_of_every_tunnel_and_has_no_plan() -> None:
    assert {verdict(control, {"remote_access": FINE}) for control in CONTROLS} == {"pass"}
    assert planned() == []


@pytest.mark.parametrize(("control", "clause", "breach"), CASES)
def test_a_breach_fails_the_audit_and_has_a_plan(control: catalogue.Control, clause: Any, breach: Any) -> None:
    broken = with_fact({"remote_access": FINE}, clause.fact, breach)
    assert verdict(control, broken) == "fail"
    assert remote_access.plan(broken, WANTED, {"tunnel": TUNNEL})


def test_a_new_gateway_makes_its_key_and_waits_for_its_certificate() -> None:
    new = {"key__public": None, "key__file": None, "key__published": False, "tunnel__up": False}
    assert planned({"certificate": "", "due": True}, **new) == [home_ipsec_host.REQUESTED]
    assert planned(tunnel__up=False, persistent__enabled=False) == [BRING_UP]


@pytest.mark.parametrize(
    ("tunnel", "changes"),
    [
        ({}, {"tunnel__differs": [home_ipsec.OTHER_KEY]}),
        ({}, {"key__published": False}),
        ({"due": True}, {}),
        ({"certificate": "", "due": True}, {"tunnel__differs": ["no certificate of the clinic's authority"]}),
    ],
)
def test_a_certificate_that_is_due_is_asked_for_before_anything_is_brought_up(
    tunnel: dict[str, Any], changes: dict[str, Any]
) -> None:
    assert planned(tunnel, **changes) == [home_ipsec_host.REQUESTED]


def test_a_change_of_devices_leaves_the_others_as_they_are() -> None:
    told = planned(peers__undeclared=["x, which is nobody's"], peers__missing=["tablet"])
    assert told == ["Shut out x, which is nobody's and let in tablet, and leave the others as they are"]
    (told,) = planned(persistent__file_is_declared=False)
    assert told.startswith("Give strongSwan what the clinic file says of laptop, tablet")
    assert planned(persistent__enabled=False) == ["Have the tunnel come up with the machine, for laptop, tablet"]


def test_a_drop_in_goes_and_a_loose_key_is_closed() -> None:
    path = "/etc/systemd/system/radiology-tunnel.service.d/other.conf"
    assert planned(persistent__altered=[f"{path}: sets ExecStart"]) == [f"{BRING_UP}, without {path}"]
    assert planned(key__file="0644 root") == ["Keep the private key of the tunnel's gateway for root alone"]


def test_what_a_person_has_to_do_is_told() -> None:
    (told,) = planned({"waiting": ["phone"]}, peers__missing=["phone"])
    assert told == ("phone cannot come in yet: make its key there, and hand in its request as remote_access/phone.csr")
    (told,) = planned(peers__undeclared=["another's pool office"])
    assert told.startswith("another's pool office takes or gives what is the tunnel's, and is not ours to take out")
    (told,) = planned(unused__shut_out=["laptop"])
    assert told.startswith("laptop was shut out of the tunnel")


def test_one_protocol_takes_the_place_of_the_other() -> None:
    assert planned(peers__undeclared=[home_ipsec_host.OF_WIREGUARD], tunnel__up=False) == [
        "Take down the tunnel of WireGuard, which IPsec takes the place of",
        BRING_UP,
    ]
    wireguard = {"port": 51820, "peers": [], "addresses": []}
    mine = {**FINE, "peers": {"undeclared": [home_ipsec_host.OF_US], "missing": []}}
    (step,) = remote_access.plan({"remote_access": mine}, WANTED, {"tunnel": wireguard})
    assert step.does == "Take down the tunnel of IPsec, which WireGuard takes the place of"
    gone = {**mine, "declared": False}
    (step,) = remote_access.plan({"remote_access": gone}, WANTED, {"tunnel": {}})
    assert step.does.startswith("Take down the tunnel of those who read from home")


@pytest.mark.parametrize(
    "changes", [{"tunnel__up": False}, {"tunnel__differs": ["no interface ipsec0"]}, {"key__public": None}]
)
def test_an_engineer_who_hangs_by_the_tunnel_is_not_cut_off(changes: dict[str, Any]) -> None:
    with pytest.raises(HardeningError, match="You came in through the tunnel"):
        planned(engineers={"through_tunnel": True, "cut_off": False}, **changes)


def test_an_engineer_is_seen_by_the_addresses_of_devices_whatever_strongswan_has_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ssh_connections, "connected", lambda *_given: ["10.99.1.3"])
    found = remote_access.observe(RecordedHost(), {"tunnel": TUNNEL})
    assert found["engineers"] == {"through_tunnel": True, "cut_off": False}
    assert {*found} == {*FINE}
    assert found["peers"]["missing"] == ["laptop", "tablet"]
    assert found["tunnel"] == {"up": False, "differs": [home_ipsec.OTHER_KEY]}


def test_the_timer_looks_more_often_where_nobody_keeps_who_was_there() -> None:
    often, daily = home_idle.units(TUNNEL), home_idle.units({"port": 51820})
    assert "OnCalendar=*:0/10\n" in often[home_idle.TIMER_FILE]
    assert "OnCalendar=daily\n" in daily[home_idle.TIMER_FILE]


SET = {
    "tunnel": TUNNEL,
    "people": [{"login": "a.martin", "name": "Dr Anne Martín"}],
    "internet": ["203.0.113.7"],
}


def test_each_device_and_the_box_are_told_what_they_are_set_to() -> None:
    files = home_devices.files(SET, "", "pacs")
    assert sorted(files) == ["internet-box.txt", "laptop.ipsec.txt", "tablet.ipsec.txt"]
    assert "forward UDP ports 500 and 4500 to 10.0.1.10 (pacs), and no other port" in files["internet-box.txt"]
    laptop = files["laptop.ipsec.txt"]
    assert laptop.startswith("For the IKEv2 client of laptop, of Dr Anne Mart?n.\n")
    for words in (
        "Local identity    laptop.remote-access\n",
        "    remote_addrs = 203.0.113.7\n    vips = 0.0.0.0, ::\n",
        "        remote_ts = 10.0.1.10/32, fd00:1::10/128\n",
        "-DestinationPrefix fd00:1::10/128 -AllUserConnection\n",
    ):
        assert words in laptop


def test_files_of_devices_go_with_them_and_requests_stay(tmp_path) -> None:
    folder = tmp_path / "remote_access"
    wanted = home_devices.files(SET, "", "pacs")
    home_devices.write(str(tmp_path), wanted, TUNNEL)
    for name in ("laptop.crt", "laptop.former.crt", "laptop.csr", "gone.crt", "gone.csr"):
        (folder / name).write_text("x")
    assert home_devices.write(str(tmp_path), wanted, TUNNEL) == ["Remove remote_access/gone.crt beside the clinic file"]
    assert (folder / "gone.csr").exists()
    assert (folder / "laptop.former.crt").exists()
