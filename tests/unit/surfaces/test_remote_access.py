# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The tunnel of those who read from home: what its file says, who is in it and should not be, what a plan does."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import home_host, home_tunnel, ssh_connections
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.surfaces import remote_access
from ansible_collections.radiology.hardening.plugins.plugin_utils import catalogue, home_devices
from disk_host import RecordedHost

LAPTOP_KEY, TABLET_KEY, STRANGER = "L" * 43 + "=", "T" * 43 + "=", "S" * 43 + "="
REACHED = ["fd00:1::10", "10.0.1.10"]
LAPTOP = {"name": "laptop", "person": "a.martin", "public_key": LAPTOP_KEY, "addresses": ["fd99:1::2", "10.99.1.2"]}
LAPTOP |= {"reached": REACHED}
TABLET = {"name": "tablet", "person": "c.moreau", "public_key": TABLET_KEY, "addresses": ["10.99.1.3", "fd99:1::3"]}
TABLET |= {"reached": REACHED}
TUNNEL = {
    "port": 51820,
    "network": ["10.99.1.0/24", "fd99:1::/64"],
    "addresses": ["10.99.1.1/24", "fd99:1::1/64"],
    "reached": REACHED,
    "peers": [TABLET, LAPTOP],
}
SCOPE = {"tunnel": TUNNEL}
WANTED = catalogue.wanted(catalogue.load("remote_access"))
LISTED = f"{LAPTOP_KEY}\t10.99.1.2/32 fd99:1::2/128\n{TABLET_KEY}\t10.99.1.3/32 fd99:1::3/128\n"
ADDRESSES = json.dumps(
    [
        {
            "ifname": "wg-radiology",
            "addr_info": [
                {"local": "10.99.1.1", "prefixlen": 24, "scope": "global"},
                {"local": "fd99:1::1", "prefixlen": 64, "scope": "global"},
                {"local": "fe80::1", "prefixlen": 64, "scope": "link"},
            ],
        }
    ]
)
FINE: dict[str, Any] = {
    "declared": True,
    "carrier": "kernel",
    "key": {"file": "0600 root", "public": "G", "published": True},
    "tunnel": {"up": True, "differs": []},
    "peers": {"undeclared": [], "missing": []},
    "unused": {"watched": True, "let_in": [], "shut_out": []},
    "engineers": {"through_tunnel": False, "cut_off": False},
    "persistent": {"enabled": True, "file_is_declared": True, "altered": []},
}


def planned(scope: dict[str, Any] | None = None, **changes: Any) -> list[str]:
    mine = copy.deepcopy(FINE)
    for name, value in changes.items():
        part, _dot, fact = name.partition("__")
        if fact:
            mine[part][fact] = value
        else:
            mine[part] = value
    steps = remote_access.plan({"remote_access": mine}, WANTED, SCOPE if scope is None else scope)
    return [step.does for step in steps]


def test_the_configuration_holds_every_device_and_no_key_of_the_gateway() -> None:
    text = home_tunnel.configuration(TUNNEL)
    assert "PrivateKey" not in text
    assert text.endswith(
        f"# laptop\n[Peer]\nPublicKey = {LAPTOP_KEY}\nAllowedIPs = 10.99.1.2/32, fd99:1::2/128\n\n"
        f"# tablet\n[Peer]\nPublicKey = {TABLET_KEY}\nAllowedIPs = 10.99.1.3/32, fd99:1::3/128\n"
    )
    assert "PostUp = wg set %i private-key /etc/radiology-tunnel/private.key\n" in text


@pytest.mark.parametrize(
    ("listed", "undeclared", "missing"),
    [
        (LISTED, [], []),
        (LISTED + f"{STRANGER}\t0.0.0.0/0\n", ["key SSSSSSSS... of nobody, 0.0.0.0/0"], []),
        (LISTED + f"{STRANGER}\t(none)\n", ["key SSSSSSSS... of nobody, no address"], []),
        (
            LISTED.replace("10.99.1.3/32", "10.99.1.3/32 10.0.1.0/24"),
            ["tablet, 10.0.1.0/24, 10.99.1.3/32, fd99:1::3/128"],
            [],
        ),
        (LISTED.replace(" fd99:1::2/128", ""), [], ["laptop"]),
        ("", [], ["laptop", "tablet"]),
    ],
)
def test_who_is_in_the_tunnel_and_should_not_be_is_named(
    listed: str, undeclared: list[str], missing: list[str]
) -> None:
    assert home_tunnel.differing(home_tunnel.peers(listed), TUNNEL) == (undeclared, missing)


def test_without_a_tunnel_in_the_clinic_file_every_key_is_of_nobody() -> None:
    assert len(home_tunnel.differing(home_tunnel.peers(LISTED), {})[0]) == 2


def test_a_tunnel_that_is_not_as_declared_says_in_what() -> None:
    assert home_tunnel.unlike("51820\n", "G\n", ADDRESSES, "G", TUNNEL) == []
    assert home_tunnel.unlike("53", "X", "[]", "G", TUNNEL) == [
        "port 53 instead of 51820",
        "another key than that of its file",
        "addresses none instead of 10.99.1.1/24, fd99:1::1/64",
    ]
    assert home_tunnel.addresses("no JSON") == []


def test_a_fine_host_has_no_plan() -> None:
    assert planned() == []
    assert planned({"tunnel": {}}, declared=False, tunnel__up=False, persistent__enabled=False) == []


def test_a_change_of_devices_leaves_the_tunnel_up() -> None:
    told = planned(peers__undeclared=["key S of nobody"], peers__missing=["tablet"], persistent__file_is_declared=False)
    assert told == [
        "Have the tunnel come up with the machine, for laptop, tablet",
        "Shut out key S of nobody and let in tablet, and leave the others as they are",
    ]


def test_a_new_host_makes_its_key_and_brings_the_tunnel_up() -> None:
    told = planned(carrier=None, key__public=None, key__file=None, tunnel__up=False, persistent__enabled=False)
    assert told == [
        "Install wireguard-go, since this kernel has no WireGuard",
        "Make the tunnel's key, which stays on this host",
        "Have the tunnel come up with the machine, for laptop, tablet",
        "Bring the tunnel up on UDP port 51820",
    ]


def test_a_loose_key_a_drop_in_and_another_port_are_put_right() -> None:
    assert planned(key__file="0644 root") == [
        "Keep the tunnel's private key for root alone, and its public key beside it"
    ]
    assert planned(tunnel__differs=["port 53"]) == ["Bring the tunnel up on UDP port 51820"]
    path = "/etc/systemd/system/radiology-tunnel.service.d/other.conf"
    told = planned(persistent__altered=[f"{path}: sets ExecStart"])
    assert told == [
        f"Have the tunnel come up with the machine, for laptop, tablet, without {path}",
        "Bring the tunnel up on UDP port 51820",
    ]


@pytest.mark.parametrize("left", ["tunnel__up", "persistent__enabled"])
def test_what_the_clinic_file_names_no_more_is_taken_down(left: str) -> None:
    gone = {"declared": False, "tunnel__up": False, "persistent__enabled": False}
    (step,) = planned({"tunnel": {}}, **{**gone, left: True})
    assert step.startswith("Take down the tunnel")


def host(**answers: str) -> RecordedHost:
    found = RecordedHost()
    found.answers("wg show wg-radiology allowed-ips", output=LISTED + f"{STRANGER}\t10.0.0.0/8\n")
    for command, output in answers.items():
        found.answers(command, output=output)
    return found


def test_peers_are_changed_one_by_one() -> None:
    told = (
        f"wg set wg-radiology peer {STRANGER} remove",
        f"wg set wg-radiology peer {TABLET_KEY} allowed-ips 10.99.1.4/32",
    )
    machine = host(**dict.fromkeys(told, ""))
    tunnel = {**TUNNEL, "peers": [LAPTOP, {**TABLET, "addresses": ["10.99.1.4"]}]}
    remote_access._let_in(machine, tunnel)
    assert [line for line in machine.done if line.startswith("wg set")] == list(told)


def test_a_file_that_is_no_key_is_told_and_never_shown() -> None:
    machine = host()
    machine.files[home_tunnel.KEY] = "secret words"
    machine.answers("wg pubkey", status=1)
    with pytest.raises(HardeningError, match=r"private\.key is no key of WireGuard") as raised:
        home_host._publish(machine)
    assert "secret" not in str(raised.value)


SET = {**SCOPE, "people": [{"login": "a.martin", "name": "Dr Anne Martín"}], "internet": ["2001:db8::7", "203.0.113.1"]}


def test_a_device_and_the_box_are_told_what_they_are_set_to() -> None:
    files = home_devices.files(SET, "GATEWAY", "pacs")
    assert sorted(files) == ["gateway-public-key.txt", "internet-box.txt", "laptop.conf", "tablet.conf"]
    assert "forward UDP port 51820 to 10.0.1.10 (pacs), and no other port" in files["internet-box.txt"]
    laptop = files["laptop.conf"].splitlines()
    assert laptop[0] == "# For the WireGuard program on laptop, of Dr Anne Mart?n."
    assert "AllowedIPs = fd00:1::10/128, 10.0.1.10/32" in laptop
    assert "Endpoint = 203.0.113.1:51820" in laptop
    assert (
        "Endpoint = ADDRESS-OF-THE-INTERNET-BOX:51820"
        in home_devices.files({**SET, "internet": []}, "G", "p")["tablet.conf"]
    )


def test_files_are_written_once_and_go_with_their_device(tmp_path) -> None:
    wanted = home_devices.files(SET, "GATEWAY", "pacs")
    assert len(home_devices.write(str(tmp_path), wanted, TUNNEL)) == 4
    assert home_devices.write(str(tmp_path), wanted, TUNNEL) == []
    del wanted["tablet.conf"]
    assert home_devices.write(str(tmp_path), wanted, TUNNEL) == [
        "Remove remote_access/tablet.conf beside the clinic file"
    ]
    assert not (tmp_path / "remote_access" / "tablet.conf").exists()


def engineer_at(monkeypatch: pytest.MonkeyPatch, address: str, listed: str) -> dict[str, bool]:
    monkeypatch.setattr(ssh_connections, "connected", lambda *_given: [address])
    granted = {**TUNNEL, "peers": [{**TABLET, "services": {"ssh": 22}}, {**LAPTOP, "services": {"web": 443}}]}
    return remote_access._engineers(Host(), home_tunnel.peers(listed), granted)


@pytest.mark.parametrize(
    ("address", "listed", "inside", "cut_off"),
    [
        ("10.78.1.2", LISTED, False, False),
        ("10.99.1.3", LISTED, True, False),
        ("10.99.1.3", LISTED.replace(TABLET_KEY, STRANGER), True, True),
    ],
)
def test_it_is_seen_whether_the_engineer_hangs_by_the_tunnel(
    monkeypatch: pytest.MonkeyPatch, address: str, listed: str, inside: bool, cut_off: bool
) -> None:
    assert engineer_at(monkeypatch, address, listed) == {"through_tunnel": inside, "cut_off": cut_off}


def test_an_engineer_who_hangs_by_the_tunnel_is_not_cut_off() -> None:
    inside = {"through_tunnel": True, "cut_off": False}
    with pytest.raises(HardeningError, match="You came in through the tunnel"):
        planned(engineers=inside, tunnel__differs=["port 51821 instead of 51820"])
    with pytest.raises(HardeningError, match="You came in through the tunnel"):
        planned(engineers={"through_tunnel": True, "cut_off": True}, peers__undeclared=["key SSSSSSSS... of nobody"])
    with pytest.raises(HardeningError, match="You came in through the tunnel"):
        planned({}, engineers=inside, declared=False)
    assert planned(engineers=inside) == []
    assert planned(engineers=inside, peers__missing=["laptop"]) != []


def test_a_device_that_was_shut_out_for_its_silence_is_left_to_a_person() -> None:
    (told,) = planned(unused__shut_out=["laptop"])
    assert told.startswith("laptop was shut out of the tunnel")
