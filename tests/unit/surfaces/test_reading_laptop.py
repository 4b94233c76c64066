# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A laptop that is carried home: what its files say, in what its tunnel differs, what a plan does, whose key is where."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import home_laptop, home_tunnel
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.surfaces import reading_laptop, remote_access
from ansible_collections.radiology.hardening.plugins.plugin_utils import catalogue, home_devices, inputs
from ansible_collections.radiology.hardening.plugins.plugin_utils.preflight_files import check_laptops
from ansible_collections.radiology.hardening.plugins.plugin_utils.remarks import Remarks
from disk_host import RecordedHost

GATEWAY, OWN, STRANGER = "G" * 43 + "=", "L" * 43 + "=", "S" * 43 + "="
HOME = {
    "name": "reading",
    "gateway": "pacs",
    "addresses": ["fd99:1::4", "10.99.1.4"],
    "endpoint": "203.0.113.5:51820",
    "reached": ["10.0.1.10", "fd00:1::10"],
    "network": ["10.99.1.0/24", "fd99:1::/64"],
    "closed": ["10.0.1.0/24", "fd00:1::/64", "10.0.2.0/24", "10.99.1.0/24"],
    "gateway_key": GATEWAY,
}
SCOPE = {"home": HOME, "ssh_port": 2222}
WANTED = catalogue.wanted(catalogue.load("reading_laptop"))
ADDRESSES = json.dumps(
    [
        {
            "flags": ["POINTOPOINT", "NOARP", "UP", "LOWER_UP"],
            "addr_info": [
                {"local": "10.99.1.4", "prefixlen": 32, "scope": "global"},
                {"local": "fd99:1::4", "prefixlen": 128, "scope": "global"},
            ],
        }
    ]
)
SHOWN = {"public-key": f"{OWN}\n", "allowed-ips": f"{GATEWAY}\t10.0.1.10/32 fd00:1::10/128\n"}
FINE: dict[str, Any] = {
    "declared": True,
    "carrier": "kernel",
    "key": {"file": "0600 root", "public": OWN, "published": True},
    "tunnel": {"up": True, "differs": []},
    "persistent": {"enabled": True, "file_is_declared": True, "altered": []},
    "closed": {"missing_rules": [], "undeclared_rules": [], "at_start": True, "altered": []},
}
TUNNEL = {
    "port": 51820,
    "reached": ["10.0.1.10"],
    "peers": [
        {"name": "reading", "person": "a", "public_key": "", "workstation": "ws", "addresses": ["10.99.1.4"]},
        {"name": "tablet", "person": "c", "public_key": STRANGER, "workstation": "", "addresses": ["10.99.1.3"]}
        | {"reached": ["10.0.1.10"]},
    ],
}


def planned(scope: dict[str, Any] | None = None, **changes: Any) -> list[str]:
    mine = copy.deepcopy(FINE)
    for name, value in changes.items():
        part, _dot, fact = name.partition("__")
        if fact:
            mine[part][fact] = value
        else:
            mine[part] = value
    return [
        step.does for step in reading_laptop.plan({"reading_laptop": mine}, WANTED, SCOPE if scope is None else scope)
    ]


def test_the_configuration_leads_to_the_gateway_alone_and_holds_no_private_key() -> None:
    text = home_laptop.configuration(HOME)
    assert "PrivateKey" not in text
    assert "Address = 10.99.1.4/32, fd99:1::4/128\nPostUp = wg set %i private-key /etc/radiology-tunnel/" in text
    assert text.endswith(
        f"# pacs\n[Peer]\nPublicKey = {GATEWAY}\nEndpoint = 203.0.113.5:51820\n"
        "AllowedIPs = 10.0.1.10/32, fd00:1::10/128\nPersistentKeepalive = 25\n"
    )


def test_the_last_rules_reject_every_range_of_the_clinic_in_both_families() -> None:
    lines = [line.strip() for line in home_laptop.rules(HOME["closed"], 2222).splitlines()]
    assert (
        'ip daddr { 10.0.1.0/24, 10.0.2.0/24, 10.99.1.0/24 } reject with icmpx admin-prohibited comment "by'
        in (lines[-4].partition(" the")[0])
    )
    assert lines[-3].startswith("ip6 daddr { fd00:1::/64 } reject ")
    assert 'tcp sport 2222 tcp flags & (syn | ack) != syn accept comment "answers of ssh"' in lines
    accepted = [line for line in lines if " accept " in line]
    assert len(accepted) == 7
    assert not [line for line in accepted if "daddr" in line or "443" in line]


@pytest.mark.parametrize(
    ("shown", "listing", "told"),
    [
        ({}, ADDRESSES, []),
        ({"public-key": STRANGER}, ADDRESSES, ["another key than that of its file"]),
        ({"allowed-ips": ""}, ADDRESSES, ["no way to pacs"]),
        (
            {"allowed-ips": f"{GATEWAY}\t0.0.0.0/0\n"},
            ADDRESSES,
            ["by it go 0.0.0.0/0 instead of 10.0.1.10/32, fd00:1::10/128"],
        ),
        (
            {"allowed-ips": SHOWN["allowed-ips"] + f"{STRANGER}\t(none)\n"},
            ADDRESSES,
            ["key SSSSSSSS... of nobody"],
        ),
        ({}, "[]", ["addresses none instead of 10.99.1.4/32, fd99:1::4/128"]),
    ],
)
def test_a_tunnel_that_is_not_as_declared_says_in_what(shown: dict[str, str], listing: str, told: list[str]) -> None:
    assert home_laptop.unlike({**SHOWN, **shown}, listing, OWN, HOME) == told


@pytest.mark.parametrize(
    ("listing", "by", "told"),
    [
        (ADDRESSES, "wg-radiology", []),
        (ADDRESSES, "eth0", ["10.0.1.10 does not go by it"]),
        (ADDRESSES.replace('"UP", ', ""), "wg-radiology", ["the interface wg-radiology is down"]),
    ],
)
def test_a_tunnel_that_leads_nowhere_says_so(listing: str, by: str, told: list[str]) -> None:
    assert home_laptop.astray(listing, {"10.0.1.10": f'[{{"dst":"10.0.1.10","dev":"{by}"}}]'}) == told


def test_a_gateway_to_which_there_is_no_route_is_told() -> None:
    assert home_laptop.astray(ADDRESSES, {"10.0.1.10": ""}) == ["10.0.1.10 does not go by it"]


def test_a_fine_laptop_has_no_plan_nor_has_another_workstation() -> None:
    assert planned() == []
    off = {"declared": False, "tunnel__up": False, "persistent__enabled": False}
    assert planned({"home": {}}, **off, persistent__file_is_declared=True) == []


def test_a_new_laptop_has_what_carries_its_tunnel_before_it_is_closed() -> None:
    closing = [
        "Have nftables check the rules",
        "Let what is meant for 10.0.1.0/24, fd00:1::/64, 10.0.2.0/24, 10.99.1.0/24 out by the tunnel alone",
    ]
    new: dict[str, Any] = {
        "carrier": None,
        "key": {"file": None, "public": None, "published": False},
        "tunnel__up": False,
        "persistent": {"enabled": False, "file_is_declared": False, "altered": []},
        "closed__missing_rules": ["all of them"],
    }
    making = [
        "Install wireguard-go, since this kernel has no WireGuard",
        "Make the tunnel's key, which stays on this host",
    ]
    assert planned(**new) == [
        *making,
        *closing,
        "Have the tunnel to pacs come up with the machine",
        "Bring the tunnel to pacs up",
    ]
    unknown = {**SCOPE, "home": {**HOME, "gateway_key": ""}}
    told = "Harden pacs, which makes the key of the gateway, then this workstation again"
    assert planned(unknown, **new) == [*making, *closing, told]


@pytest.mark.parametrize(
    ("changes", "first"),
    [
        ({"key__file": "0644 root"}, "Keep the tunnel's private key for root alone, and its public key beside it"),
        ({"tunnel__differs": ["no way to pacs"]}, "Bring the tunnel to pacs up"),
        ({"closed__undeclared_rules": ["any port: accept"]}, "Have nftables check the rules"),
        ({"closed__at_start": False}, "Have nftables check the rules"),
        (
            {"persistent__altered": ["/etc/systemd/system/radiology-tunnel.d/x.conf: sets ExecStart"]},
            "Have the tunnel to pacs come up with the machine, without /etc/systemd/system/radiology-tunnel.d/x.conf",
        ),
    ],
)
def test_each_breach_is_put_right(changes: dict[str, Any], first: str) -> None:
    assert planned(**changes)[0] == first


@pytest.mark.parametrize(
    "left",
    [
        {"tunnel__up": True},
        {"persistent__enabled": True},
        {"persistent__file_is_declared": False},
        {"closed__at_start": False},
        {"closed__undeclared_rules": ["loopback and tunnel"]},
    ],
)
def test_what_the_clinic_file_gives_no_more_is_taken_down(left: dict[str, Any]) -> None:
    off = {"declared": False, "tunnel__up": False, "persistent__enabled": False, **left}
    (told,) = planned({"home": {}}, **off)
    assert told == "Take down the tunnel to the clinic, which the clinic file gives this workstation no more"
    host = RecordedHost(
        asked={"runs": {"systemctl daemon-reload": [0, ""], f"sh -c {reading_laptop.CLOSED.unload}": [0, ""]}}
    )
    reading_laptop._take_down(host)
    assert f"remove {home_laptop.RULES}" in host.done
    assert f"remove {home_tunnel.KEY}" not in host.done


def test_keys_are_read_when_they_are_needed(tmp_path: Path) -> None:
    given = {"tunnel": TUNNEL, "clinic_directory": str(tmp_path)}
    found = home_devices.with_keys(given)["tunnel"]
    assert ([peer["name"] for peer in found["peers"]], found["waiting"]) == (["tablet"], ["reading"])
    assert home_devices.keep_key(str(tmp_path), "reading.ws.pub", OWN) == [
        "Write remote_access/reading.ws.pub beside the clinic file"
    ]
    assert home_devices.keep_key(str(tmp_path), "reading.ws.pub", OWN) == []
    found = inputs.scope("remote_access", {f"remote_access_{name}": value for name, value in given.items()})["tunnel"]
    assert ([peer["public_key"] for peer in found["peers"]], found["waiting"]) == ([OWN, STRANGER], [])
    (tmp_path / "remote_access" / "reading.ws.pub").write_text("no key\n", encoding="ascii")
    with pytest.raises(HardeningError, match=r"reading\.ws\.pub holds no public key of WireGuard: remove it"):
        home_devices.with_keys(given)


def test_one_key_is_of_one_device(tmp_path: Path) -> None:
    home_devices.keep_key(str(tmp_path), "reading.ws.pub", STRANGER)
    with pytest.raises(HardeningError, match=r"reading and tablet of remote_access\.peers have one key: remove "):
        home_devices.with_keys({"tunnel": TUNNEL, "clinic_directory": str(tmp_path)})


def test_another_workstation_is_another_device(tmp_path: Path) -> None:
    home_devices.keep_key(str(tmp_path), "reading.stolen.pub", OWN)
    found = home_devices.with_keys({"tunnel": TUNNEL, "clinic_directory": str(tmp_path)})["tunnel"]
    assert found["waiting"] == ["reading"]


def test_the_gateways_key_is_kept_for_laptops_and_theirs_stay_while_they_are_devices(tmp_path: Path) -> None:
    scope = {"home": HOME, "clinic_directory": str(tmp_path)}
    assert home_devices.with_keys(scope)["home"]["gateway_key"] == ""
    home_devices.keep_key(str(tmp_path), "reading.ws.pub", OWN)
    home_devices.keep_key(str(tmp_path), "reading.stolen.pub", STRANGER)
    tunnel = home_devices.with_keys({"tunnel": TUNNEL, "clinic_directory": str(tmp_path)})["tunnel"]
    files = home_devices.files({"tunnel": tunnel}, GATEWAY, "pacs")
    assert sorted(files) == ["gateway-public-key.txt", "internet-box.txt", "tablet.conf"]
    assert "Remove remote_access/reading.stolen.pub beside the clinic file" in home_devices.write(
        str(tmp_path), files, tunnel
    )
    assert home_devices.write(str(tmp_path), files, tunnel) == []
    assert home_devices.with_keys(scope)["home"]["gateway_key"] == GATEWAY


def test_a_gateway_goes_on_without_a_laptop_that_has_no_key_yet_and_says_so() -> None:
    known = json.loads((Path(__file__).parent / "hardened" / "remote_access.debian12.json").read_text(encoding="utf-8"))
    known["facts"]["remote_access"]["peers"]["missing"] = ["reading"]
    known["scope"]["tunnel"]["waiting"] = ["reading"]
    asked = catalogue.wanted(catalogue.load("remote_access"))
    assert [step.does for step in remote_access.plan(known["facts"], asked, known["scope"])] == [
        "reading cannot come in yet: harden the workstation that it is, which makes its key itself"
    ]


def test_validate_tells_of_a_key_that_is_not_there_yet(tmp_path: Path) -> None:
    given = {"remote_access_tunnel": TUNNEL, "remote_access_clinic_directory": str(tmp_path)}
    remarks = Remarks()
    check_laptops(remarks, given, pytest.fail)
    check_laptops(remarks, {**given, "remote_access_tunnel": {}}, pytest.fail)
    check_laptops(remarks, {}, pytest.fail)
    assert (remarks.problems, remarks.notes) == (
        [],
        ["remote_access: no key yet of reading; a run of harden on each makes it."],
    )
