# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A tunnel of IPsec: what strongSwan reads, and what of its answers is not as the clinic file has it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import home_idle_program as program
from ansible_collections.radiology.hardening.plugins.module_utils import home_ipsec
from ansible_collections.radiology.hardening.plugins.module_utils.home_idle_program import Heard, Note

LAPTOP = {
    "name": "laptop",
    "person": "a.martin",
    "public_key": "a" * 64,
    "certificates": ["LAPTOP"],
    "addresses": ["fd99:1::2", "10.99.1.2"],
    "services": {"web": 443},
    "reached": ["fd00:1::10", "10.0.1.10"],
}
TABLET = {
    "name": "tablet",
    "person": "c.moreau",
    "public_key": "b" * 64,
    "certificates": ["TABLET", "FORMER"],
    "addresses": ["10.99.1.3", "fd99:1::3"],
    "services": {"ssh": 22, "web": 443},
    "reached": ["fd00:1::10", "10.0.1.10"],
}
TUNNEL: dict[str, Any] = {
    "protocol": "ipsec",
    "port": 4500,
    "ports": [500, 4500],
    "gateway": "pacs",
    "endpoint": "203.0.113.7",
    "network": ["10.99.1.0/24", "fd99:1::/64"],
    "addresses": ["10.99.1.1/24", "fd99:1::1/64"],
    "reached": ["fd00:1::10", "10.0.1.10"],
    "named": [LAPTOP, TABLET],
    "peers": [LAPTOP, TABLET],
    "waiting": [],
    "certificate": "GATEWAY",
    "due": False,
}
CONN = (
    "list-conn event {%(name)s {local_addrs=[%%any] remote_addrs=[%%any] version=IKEv2 reauth_time=0 rekey_time=14400 "
    "unique=UNIQUE_REPLACE dpd_delay=30 local-1 {id=203.0.113.7 class=public key groups=[] cert_policy=[] "
    "certs=[CN=pacs-tunnel] cacerts=[]} remote-1 {id=%%any class=public key groups=[] cert_policy=[] "
    "certs=[%(certs)s] cacerts=[%(authorities)s]} children {%(name)s {mode=TUNNEL rekey_time=3600 rekey_bytes=0 "
    "rekey_packets=0 dpd_action=none close_action=none local-ts=[%(here)s] remote-ts=[%(there)s]}}}}"
)
HERE = "10.0.1.10/32 fd00:1::10/128"
SA = "list-sa event {%s {uniqueid=2 version=2 state=%s local-host=10.77.11.10 local-port=4500 remote-id=%s}}"
"""As swanctl 5.9.8 tells it, in the order of its words."""


def conn(name: str, certs: str, here: str = HERE, there: str = "dynamic", authorities: str = "") -> str:
    return CONN % {"name": name, "certs": certs, "here": here, "there": there, "authorities": authorities}


OURS = [
    conn("radiology-home-laptop", "CN=laptop.remote-access"),
    conn("radiology-home-tablet", "CN=tablet.remote-access CN=tablet.remote-access"),
]
POOLS = (
    "get-pools reply {radiology-home-laptop-4 {base=10.99.1.2 size=1 online=1 offline=0} "
    "radiology-home-laptop-6 {base=fd99:1::2 size=1 online=1 offline=0} "
    "radiology-home-tablet-4 {base=10.99.1.3 size=1 online=0 offline=0} "
    "radiology-home-tablet-6 {base=fd99:1::3 size=1 online=0 offline=0}%s}"
)
OF_OFFICE = "CN=authority of the office"


def test_a_device_is_let_in_by_its_very_certificates_and_given_its_own_addresses() -> None:
    files = home_ipsec.files(TUNNEL)
    assert sorted(files) == [
        "/etc/strongswan.d/radiology.conf",
        "/etc/swanctl/conf.d/radiology-home-laptop.conf",
        "/etc/swanctl/conf.d/radiology-home-tablet.conf",
        "/etc/swanctl/x509/radiology-home-laptop.crt",
        "/etc/swanctl/x509/radiology-home-tablet.crt",
        "/etc/swanctl/x509/radiology-home-tablet.former-1.crt",
        "/etc/swanctl/x509/radiology-tunnel.crt",
    ]
    tablet = files["/etc/swanctl/conf.d/radiology-home-tablet.conf"]
    for line in (
        f"# key {'b' * 64}\n",
        "      certs = radiology-home-tablet.crt, radiology-home-tablet.former-1.crt\n",
        "      id = 203.0.113.7\n",
        "        local_ts = 10.0.1.10/32, fd00:1::10/128\n",
        "  radiology-home-tablet-4 {\n    addrs = 10.99.1.3/32\n  }\n",
        "  radiology-home-tablet-6 {\n    addrs = fd99:1::3/128\n  }\n",
    ):
        assert line in tablet
    assert "cacerts" not in tablet
    assert files["/etc/swanctl/x509/radiology-home-tablet.former-1.crt"] == "FORMER"
    assert files["/etc/swanctl/x509/radiology-tunnel.crt"] == "GATEWAY"


def test_a_key_that_nobody_uses_has_no_connection_and_no_certificate() -> None:
    assert [path for path in home_ipsec.files(TUNNEL, {"a" * 64}) if "laptop" in path] == []


def test_a_device_may_be_called_as_the_gateways_files_are() -> None:
    odd = [{**LAPTOP, "name": "tunnel"}, {**LAPTOP, "name": "tunnel-former-1"}, {**TABLET, "name": "tunnel"}]
    for peers in (odd[:2], odd[1:]):
        texts = home_ipsec.files({**TUNNEL, "peers": peers})
        assert texts["/etc/swanctl/x509/radiology-tunnel.crt"] == "GATEWAY"
        assert len(texts) == 2 + sum(1 + len(peer["certificates"]) for peer in peers)


def test_what_is_left_over_is_ours_alone() -> None:
    listed = {
        home_ipsec.CONNECTIONS: ["office.conf", "radiology-home-gone.conf", "radiology-home-laptop.conf"],
        home_ipsec.CERTIFICATES: ["office.crt", "radiology-home-gone.crt", "radiology-tunnel.crt"],
    }
    assert home_ipsec.left_over(listed, home_ipsec.files(TUNNEL)) == [
        "/etc/swanctl/conf.d/radiology-home-gone.conf",
        "/etc/swanctl/x509/radiology-home-gone.crt",
    ]


def test_a_renewed_certificate_alone_ends_no_connection() -> None:
    path = "/etc/swanctl/conf.d/radiology-home-tablet.conf"
    texts = [
        home_ipsec.files({**TUNNEL, "peers": [{**TABLET, **change}]})[path]
        for change in ({}, {"certificates": ["NEW"]}, {"public_key": "c" * 64}, {"addresses": ["10.99.1.4"]})
    ]
    same = [home_ipsec.without_certificates(text) == home_ipsec.without_certificates(texts[0]) for text in texts]
    assert same == [True, True, False, False]


@pytest.mark.parametrize(
    ("told", "standing", "pools", "undeclared", "missing"),
    [
        (OURS, ["radiology-home-laptop"], "", [], []),
        (OURS[:1], [], "", [], ["tablet"]),
        ([], [], "", [], ["laptop", "tablet"]),
        ([*OURS, conn("radiology-home-x", "CN=x")], [], "", ["x, which is nobody's"], []),
        (OURS[:1], ["radiology-home-tablet"], "", ["tablet, which is connected still"], ["tablet"]),
        (
            [OURS[0], conn("radiology-home-tablet", "CN=tablet.remote-access CN=tablet.remote-access", "10.0.1.0/24")],
            [],
            "",
            ["tablet, otherwise than declared"],
            [],
        ),
        (
            [OURS[1], conn("radiology-home-laptop", "", authorities="CN=DICOM authority of x")],
            [],
            "",
            ["laptop, otherwise than declared"],
            [],
        ),
        (
            [OURS[1], conn("radiology-home-laptop", "CN=laptop.remote-access", there="0.0.0.0/0")],
            [],
            "",
            ["laptop, otherwise than declared"],
            [],
        ),
        ([*OURS, conn("office", "CN=office", "10.0.1.0/24", "10.8.0.0/16")], ["office"], "", [], []),
        (
            [*OURS, conn("office", "", "0.0.0.0/0", authorities=OF_OFFICE)],
            [],
            " office {base=10.8.0.1 size=9 online=0 offline=0}",
            [],
            [],
        ),
        (
            [*OURS, conn("office", "CN=office", "0.0.0.0/0", "10.99.0.0/16")],
            [],
            "",
            ["another's connection office"],
            [],
        ),
        (
            [*OURS, conn("office", "CN=office", "0.0.0.0/0", "10.0.0.1..10.255.0.1")],
            [],
            "",
            ["another's connection office"],
            [],
        ),
        (
            [*OURS, conn("office", "", "10.8.0.0/16", "10.9.0.0/16")],
            [],
            "",
            ["another's connection office, which takes any certificate"],
            [],
        ),
        (
            [*OURS, conn("office", "", "0.0.0.0/0", authorities=OF_OFFICE)],
            [],
            " office {base=10.99.0.1 size=65534 online=0 offline=0}",
            ["another's pool office"],
            [],
        ),
        (
            [*OURS, conn("office", "", "0.0.0.0/0", authorities=OF_OFFICE)],
            [],
            " office {base=10.99.1.64 size=14 online=0 offline=0}",
            ["another's pool office"],
            [],
        ),
    ],
)
def test_who_comes_in_otherwise_than_declared_is_named(
    told: list[str], standing: list[str], pools: str, undeclared: list[str], missing: list[str]
) -> None:
    conns = home_ipsec.loaded("\n".join([*told, "list-conns reply {}"]))
    assert len(conns) == len(told)
    found = home_ipsec.differing(conns, home_ipsec.pools(POOLS % pools), standing, TUNNEL)
    assert found == (undeclared, missing)


def test_pools_are_told_by_their_first_address() -> None:
    assert home_ipsec.pools(POOLS % "") == {
        "radiology-home-laptop-4": ("10.99.1.2", 1),
        "radiology-home-laptop-6": ("fd99:1::2", 1),
        "radiology-home-tablet-4": ("10.99.1.3", 1),
        "radiology-home-tablet-6": ("fd99:1::3", 1),
    }
    assert home_ipsec.pools("get-pools reply {}") == {}


@pytest.mark.parametrize(
    ("said", "instead"),
    [
        ("laptop-4 {base=10.99.1.2 size=1 ", "laptop-4 {base=10.99.1.3 size=1 "),
        ("laptop-4 {base=10.99.1.2 size=1 ", "laptop-4 {base=10.99.1.2 size=2 "),
        ("radiology-home-laptop-6 ", "radiology-home-laptop-x "),
    ],
)
def test_a_device_that_is_given_another_s_address_is_named(said: str, instead: str) -> None:
    pools = home_ipsec.pools((POOLS % "").replace(said, instead))
    found = home_ipsec.differing(home_ipsec.loaded("\n".join(OURS)), pools, [], TUNNEL)
    assert found == (["laptop, otherwise than declared"], [])


@pytest.mark.parametrize(
    ("said", "instead", "anybody"),
    [
        ("", "", True),
        ("remote-1 {id=%any ", "remote-1 {", True),
        ("remote-1 {id=%any ", "remote-1 {id=office.example ", False),
        ("remote-1 {id=%any class=public key", "remote-1 {id=%any class=EAP", False),
        ("certs=[] cacerts=[]}", "certs=[CN=office] cacerts=[]}", False),
        ("certs=[] cacerts=[]}", "certs=[] cacerts=[CN=authority]}", False),
    ],
)
def test_a_connection_that_takes_any_certificate_is_known(said: str, instead: str, anybody: bool) -> None:
    told = conn("office", "").replace(said, instead)
    assert home_ipsec.loaded(told)["office"].anybody is anybody


def test_a_renewal_is_told_and_ends_nothing() -> None:
    conns = home_ipsec.loaded(conn("radiology-home-tablet", "CN=tablet.remote-access"))
    pools = home_ipsec.pools(POOLS % "")
    assert home_ipsec.otherwise(conns, pools, TUNNEL) == {"radiology-home-tablet"}
    assert home_ipsec.otherwise(conns, pools, TUNNEL, renewing=True) == set()


def test_who_is_connected_is_read_from_the_beginning_of_a_line_alone() -> None:
    forged = "x} list-sa event {radiology-home-tablet {uniqueid=1 version=2 state=ESTABLISHED "
    told = [SA % ("radiology-home-laptop", "ESTABLISHED", forged), SA % ("radiology-home-x", "CONNECTING", "y")]
    assert program.connected("\n".join([*told, "list-sas reply {}"])) == {"radiology-home-laptop"}


@pytest.fixture
def gateway(tmp_path, monkeypatch):
    """A gateway on which the laptop is connected, and strongSwan writes down what it is asked."""
    folder, note = tmp_path / "conf.d", tmp_path / "heard.json"
    folder.mkdir()
    for path, text in home_ipsec.files(TUNNEL).items():
        if path.startswith(home_ipsec.CONNECTIONS):
            (folder / path.rpartition("/")[2]).write_text(text)
    asked = []

    def ask(*words: str) -> str:
        asked.append(words)
        return SA % ("radiology-home-laptop", "ESTABLISHED", "x") + " " if words[0] == "--list-sas" else ""

    settings = tmp_path / "radiology.conf"
    settings.touch()
    monkeypatch.setattr(program, "CONNECTIONS", str(folder / "radiology-home-*.conf"))
    monkeypatch.setattr(program, "IPSEC", str(settings))
    monkeypatch.setattr(program, "FILE", str(note))
    monkeypatch.setattr(program, "ask", ask)
    monkeypatch.setattr(program.subprocess, "run", lambda words, **_how: asked.append(tuple(words)))
    return folder, note, asked


def test_who_is_connected_is_in_use_and_who_was_not_for_90_days_is_taken_out(gateway) -> None:
    folder, note, asked = gateway
    note.write_text(Note("2026-01-01", {"a" * 64: Heard(89, 0), "b" * 64: Heard(89, 0)}).text())
    assert program.main() == 0
    kept = program.parsed(note.read_text()).keys
    assert kept["a" * 64].silent == 0
    assert kept["a" * 64].handshake > 0
    assert kept["b" * 64] == Heard(90, 0)
    assert [path.name for path in folder.iterdir()] == ["radiology-home-laptop.conf"]
    assert asked[1:] == [
        ("--load-creds", "--clear", "--noprompt"),
        ("--load-conns",),
        ("swanctl", "--terminate", "--ike", "radiology-home-tablet"),
    ]
    assert program.main() == 0
    assert asked[4:] == [("--list-sas", "--raw")]


def test_a_gateway_that_lets_nobody_in_has_nobody_to_take_out(gateway) -> None:
    folder, note, asked = gateway
    for path in folder.iterdir():
        path.unlink()
    assert program.main() == 0
    assert program.parsed(note.read_text()).keys == {}
    assert asked == [("--list-sas", "--raw")]
