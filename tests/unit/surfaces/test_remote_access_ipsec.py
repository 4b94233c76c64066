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
    home_tunnel,
    ssh_connections,
    unit_state,
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


CONN = (
    "list-conn event {%(name)s {local_addrs=[%%any] remote_addrs=[%%any] remote-1 {id=%%any class=public key "
    "certs=[CN=%(device)s.remote-access] cacerts=[]} children {%(name)s {mode=TUNNEL "
    "local-ts=[10.0.1.10/32 fd00:1::10/128] remote-ts=[dynamic]}}}}"
)
POOLS = " ".join(
    f"radiology-home-{each['name']}-{version} {{base={address} size=1 online=1 offline=0}}"
    for each in (LAPTOP, TABLET)
    for version, address in zip((4, 6), each["addresses"], strict=True)
)


class Gateway(RecordedHost):
    """A host whose strongSwan loads every connection that lies in its folder."""

    def __init__(self) -> None:
        super().__init__()
        self.stats["/sys/class/net/ipsec0"] = {
            "mode": "0755",
            "owner": "root",
            "group": "root",
            "size": 0,
            "is_directory": True,
            "modified": 0.0,
        }
        self.standing = ["radiology-home-laptop", "radiology-home-gone", "office"]
        self.pools = POOLS
        self.starter = False
        self.killed = ""
        """A command at which the run is killed."""

    def list(self, path: str) -> tuple[str, ...]:
        return tuple(each.rpartition("/")[2] for each in self.files if each.startswith(f"{path}/"))

    def run(self, command, *, stdin=None, timeout=120):
        words = " ".join(command)
        loaded = [name.removesuffix(".conf") for name in self.list(home_ipsec.CONNECTIONS)]
        self.answers(
            "swanctl --list-conns --raw",
            output="\n".join(CONN % {"name": name, "device": name.rpartition("-")[2]} for name in loaded),
        )
        self.answers("swanctl --list-pools --raw", output=f"get-pools reply {{{self.pools}}}")
        self.answers(
            "swanctl --list-sas --raw",
            output="\n".join(
                f"list-sa event {{{name} {{uniqueid=1 version=2 state=ESTABLISHED local-host=x"
                for name in self.standing
            ),
        )
        if words.startswith(("systemctl", "swanctl --load", "swanctl --terminate")):
            self.answers(words, status=1 if "restart radiology-tunnel" in words and self.lost() else 0)
        if "is-active" in words:
            self.answers(words, status=0 if self.starter else 3)
        if self.killed and self.killed in words:
            raise KeyboardInterrupt
        return super().run(command, stdin=stdin, timeout=timeout)

    def lost(self) -> bool:
        """Tell whether strongSwan refuses a pool: one has another address, while a device has the former."""
        at = home_ipsec.CONNECTIONS
        ours = [name for name in self.standing if name.startswith(home_ipsec.OURS)]
        texts = {name: self.files[f"{at}/{name}.conf"] for name in ours if f"{at}/{name}.conf" in self.files}
        ended = {line.rpartition(" --ike ")[2].partition(" ")[0] for line in self.done if " --terminate " in line}
        given = home_ipsec.pools(f"get-pools reply {{{self.pools}}}")
        return any(
            f"addrs = {pool.base}/" not in text
            for name, text in texts.items()
            for pool in (given[f"{name}-4"], given[f"{name}-6"])
            if name not in ended
        )


def brought_up(host: Gateway, peers: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(unit_state, "properties", lambda *_given: {"ActiveState": "active"})
    host.done.clear()
    home_ipsec_host._bring_up(host, {**TUNNEL, "peers": peers}, [])
    return [line.rpartition(" --ike ")[2].partition(" ")[0] for line in host.done if " --terminate " in line]


def test_who_is_let_in_no_more_is_cut_off_and_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Gateway()
    host.files["/etc/swanctl/conf.d/radiology-home-gone.conf"] = "x"
    host.files["/etc/swanctl/conf.d/office.conf"] = "x"
    host.standing.remove("radiology-home-laptop")
    assert brought_up(host, PEERS, monkeypatch) == ["radiology-home-gone"]
    host.standing.append("radiology-home-laptop")
    assert "/etc/swanctl/conf.d/radiology-home-gone.conf" not in host.files
    assert host.files["/etc/swanctl/conf.d/office.conf"] == "x"
    assert host.files[home_tunnel.UNIT_FILE] == home_ipsec.SERVICE
    host.standing.remove("radiology-home-gone")
    renewed = [{**PEERS[0], "certificates": ["NEW", "LAPTOP"]}, PEERS[1]]
    assert brought_up(host, renewed, monkeypatch) == []
    another = [{**PEERS[0], "public_key": "c" * 64}, PEERS[1]]
    assert brought_up(host, another, monkeypatch) == ["radiology-home-laptop"]
    assert brought_up(host, PEERS[1:], monkeypatch) == ["radiology-home-laptop"]


def test_a_device_that_is_given_another_address_is_cut_off_before_its_pool_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    host = Gateway()
    host.standing = []
    brought_up(host, PEERS, monkeypatch)
    host.standing = ["radiology-home-laptop", "radiology-home-tablet"]
    moved = [{**PEERS[0], "addresses": ["10.99.1.9", "fd99:1::2"]}, PEERS[1]]
    assert brought_up(host, moved, monkeypatch) == ["radiology-home-laptop"]
    said = [
        line for line in host.done if line.startswith(("swanctl --load-conns", "swanctl --term", "write /etc/swan"))
    ]
    assert said == [
        "swanctl --load-conns",
        "swanctl --terminate --ike radiology-home-laptop --force --timeout 5",
        "write /etc/swanctl/conf.d/radiology-home-laptop.conf",
    ]


def test_nothing_is_begun_beside_a_strongswan_that_is_set_by_ipsec_conf(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Gateway()
    host.starter = True
    with pytest.raises(HardeningError, match=r"strongswan-starter\.service runs here, .* leaves no port"):
        brought_up(host, PEERS, monkeypatch)
    assert home_tunnel.UNIT_FILE not in host.files
    assert not [line for line in host.done if "enable" in line or "restart" in line]


def test_a_former_key_is_cut_off_also_by_the_run_after_one_that_was_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    another = [{**PEERS[0], "public_key": "c" * 64}, PEERS[1]]
    for moment in ("swanctl --load-conns", "swanctl --terminate", "daemon-reload", "--load-creds"):
        host = Gateway()
        host.standing = []
        brought_up(host, PEERS, monkeypatch)
        host.standing, host.killed = ["radiology-home-laptop"], moment
        with pytest.raises(KeyboardInterrupt):
            brought_up(host, another, monkeypatch)
        ended = [line for line in host.done if " --terminate " in line and moment != "swanctl --terminate"]
        host.killed = ""
        assert len(ended) + len(brought_up(host, another, monkeypatch)) == 1


def test_a_device_that_strongswan_has_otherwise_than_its_file_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Gateway()
    host.standing = []
    brought_up(host, PEERS, monkeypatch)
    host.standing = ["radiology-home-laptop", "radiology-home-tablet"]
    host.pools = POOLS.replace("10.99.1.2", "10.99.1.77")
    assert brought_up(host, PEERS, monkeypatch) == ["radiology-home-laptop"]


def test_a_file_of_others_that_gives_away_a_device_s_address_is_named() -> None:
    host = Gateway()
    host.standing = []
    host.files["/etc/swanctl/conf.d/office.conf"] = "connections { office { pools = radiology-home-laptop-4 } }"
    host.files["/etc/swanctl/conf.d/branch.conf"] = "connections { branch { pools = branch } }"
    found = home_ipsec_host.observe(host, TUNNEL)["peers"]["undeclared"]
    assert found == ["another's file /etc/swanctl/conf.d/office.conf"]


def test_a_connection_that_strongswan_does_not_take_is_told_in_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Gateway()
    monkeypatch.setattr(Gateway, "list", lambda *_given: ())
    host.answers("journalctl -u radiology-tunnel.service -n 5 --no-pager -o cat", output="loading failed\n")
    with pytest.raises(HardeningError, match=r"does not take radiology-home-laptop, .*; it says: loading failed"):
        brought_up(host, PEERS, monkeypatch)


def test_strongswan_is_stopped_only_where_nobody_else_has_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    for others, last in (((), "disable --now"), (("office",), "restart")):
        host = Gateway()
        brought_up(host, PEERS, monkeypatch)
        for name in others:
            host.files[f"/etc/swanctl/conf.d/{name}.conf"] = "x"
        home_ipsec_host.take_down(host)
        assert f"systemctl --quiet {last} strongswan.service".replace("--quiet restart", "restart") in host.done
        assert [*host.files] == [f"/etc/swanctl/conf.d/{name}.conf" for name in others]
        assert home_ipsec_host.left(host) == []


def test_a_take_down_that_is_killed_leaves_something_to_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    for moment in ("daemon-reload", "--load-creds", "--load-all", "disable --now strongswan"):
        host = Gateway()
        brought_up(host, PEERS, monkeypatch)
        host.files[home_ipsec.REQUEST] = "REQUEST"
        monkeypatch.setattr(Gateway, "stat", lambda self, path: self.files.get(path))
        host.killed = moment
        with pytest.raises(KeyboardInterrupt):
            home_ipsec_host.take_down(host)
        assert home_ipsec_host.left(host) == [home_ipsec_host.OF_US]
        host.killed = ""
        home_ipsec_host.take_down(host)
        assert home_ipsec_host.left(host) == []
        monkeypatch.undo()


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
