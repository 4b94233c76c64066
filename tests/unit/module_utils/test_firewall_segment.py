# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Networks that a host stands in, in the JSON of iproute2 6.1, and what they may tell its kernel."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import firewall_segment as segment
from ansible_collections.radiology.hardening.plugins.module_utils import kept, kernel_network, undoing
from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import Deliberate
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host, Result

NETWORKS = [
    {"name": "lan", "kind": "lan", "cidrs": ["10.77.11.0/24", "2001:db8:11::/64"]},
    {"name": "admin", "kind": "admin", "cidrs": ["10.78.0.0/16"]},
]


def link(name: str, *addresses: str, kind: str = "", master: str = "", flags: tuple[str, ...] = ("UP",)) -> Any:
    told = [
        {"local": each.partition("/")[0], "prefixlen": int(each.partition("/")[2]), "scope": "global"}
        for each in addresses
    ]
    more = {"master": master} if master else {}
    return {"ifname": name, "flags": list(flags), "linkinfo": {"info_kind": kind}, "addr_info": told, **more}


class Machine(Host):
    """A host with these links, below a folder."""

    def __init__(self, root: str = "/nowhere", links: list[Any] | None = None) -> None:
        super().__init__(root)
        self.links = links or []
        self.called: list[list[str]] = []

    def run(self, command: Any, **dummy: Any) -> Result:
        self.called.append(list(command))
        return Result(0, json.dumps(self.links) if command[0] == "ip" else "", "")


ROOM = {"interface": "room", "network": "192.168.77.0/30", "address": "192.168.77.1"}


@pytest.mark.parametrize(
    ("lan", "room", "shared"),
    [
        ({}, {}, []),
        ({}, {"kind": "vlan", "below": "enp2s0"}, []),
        ({}, {"kind": "vlan", "below": "eth0"}, ["eth0 10.77.11.30/24"]),
        ({"kind": "vlan", "below": "room"}, {}, ["eth0 10.77.11.30/24"]),
        ({"kind": "macvlan", "below": "enp1s0"}, {"kind": "vlan", "below": "enp1s0"}, ["eth0 10.77.11.30/24"]),
        ({"kind": "veth", "below": "if9"}, {"kind": "veth", "below": "if9"}, []),
    ],
)
def test_links_that_share_a_cable_are_told(lan: dict[str, str], room: dict[str, str], shared: list[str]) -> None:
    links = []
    for name, address, more in (("eth0", "10.77.11.30/24", lan), ("room", "192.168.77.1/30", room)):
        found = link(name, address, kind=more.get("kind", ""))
        links.append({**found, "link": more["below"]} if more else found)
    assert segment.on_one_cable(segment.standing(Machine(links=links)), ROOM) == shared


def undeclared(*links: Any) -> list[str]:
    return segment.observe(segment.standing(Machine(links=list(links))), NETWORKS)["undeclared"]


def test_each_address_lies_in_a_declared_network() -> None:
    assert undeclared(link("lo", "127.0.0.1/8", flags=("LOOPBACK",))) == []
    assert undeclared(link("eth0", "10.77.11.10/24", "2001:db8:11::10/64"), link("eth1", "10.78.11.10/24")) == []
    assert undeclared(link("eth0", "10.77.11.10/16")) == ["eth0 10.77.11.10/16"]
    assert undeclared(link("wlan0", "192.168.1.7/24", "2001:db8:12::7/128")) == [
        "wlan0 192.168.1.7/24",
        "wlan0 2001:db8:12::7/128",
    ]
    near = link("eth0", "fe80::1/64")
    near["addr_info"][0]["scope"] = "link"
    assert undeclared(near) == []
    assert segment.standing(Machine(links=[])) == []


def test_the_networks_of_its_own_containers_are_none_that_it_stands_in() -> None:
    inner = link("docker0", "172.17.0.1/16", kind="bridge")
    assert undeclared(inner, link("veth1", kind="veth", master="docker0")) == []
    outer = link("br0", "192.168.1.7/24", kind="bridge")
    assert undeclared(outer, link("eth0", master="br0")) == ["br0 192.168.1.7/24"]
    assert undeclared(link("lan", "192.168.1.7/24", kind="veth")) == ["lan 192.168.1.7/24"]


def test_what_to_do_about_a_network_is_told_and_left_to_a_person() -> None:
    facts = segment.observe(segment.standing(Machine(links=[link("wlan0", "192.168.1.7/24")])), NETWORKS)
    (step,) = segment.plan(facts)
    assert isinstance(step, Deliberate)
    assert step.does.startswith("Take the host out of the network of wlan0 192.168.1.7/24, or declare")
    assert facts["advice"] == [step.does]
    assert segment.plan({"undeclared": ["x"], "advice": []})
    assert segment.plan({"undeclared": [], "advice": []}) == []


@pytest.fixture
def kernel(tmp_path: Path) -> Machine:
    """A kernel with the values of Debian, interfaces lan and eth0.5, IPv6 off."""
    values = {
        "net/ipv4/conf/all/accept_redirects": "1",
        "net/ipv4/conf/lan/accept_redirects": "0",
        "net/ipv4/conf/eth0.5/accept_redirects": "1",
        "net/ipv4/tcp_syncookies": "2",
        "net/ipv4/tcp_rfc1337": "0",
    }
    for path, value in values.items():
        file = tmp_path / "proc" / "sys" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{value}\n", encoding="ascii")
    return Machine(str(tmp_path))


def test_every_interface_counts_and_what_a_kernel_lacks_does_not(kernel: Machine) -> None:
    facts = kernel_network.observe(kernel)
    assert facts == {
        "unsafe": [
            "net.ipv4.conf.all.accept_redirects is 1",
            "net.ipv4.conf.eth0.5.accept_redirects is 1",
            "net.ipv4.tcp_rfc1337 is 0",
        ],
        "kept": False,
    }
    (step,) = kernel_network.plan(facts)
    assert "in place of what is set: net.ipv4.conf.all.accept_redirects is 1," in step.does


def test_safe_values_without_a_file_are_not_kept(kernel: Machine) -> None:
    assert [step.does for step in kernel_network.plan({"unsafe": [], "kept": False})] == [
        "Have the kernel take no routes from the network"
    ]
    assert kernel_network.plan({"unsafe": [], "kept": True}) == []
    assert "net/ipv4/conf/*/accept_redirects = 0\n" in kernel_network.TEXT


def test_what_a_line_with_a_star_changes_is_kept_and_put_back(kernel: Machine, tmp_path: Path) -> None:
    file = tmp_path / "etc" / "sysctl.d" / "x.conf"
    file.parent.mkdir(parents=True)
    file.write_text("# no\nnet/ipv4/conf/*/accept_redirects = 0\n-net.ipv4.tcp_rfc1337 = 1\n", encoding="ascii")
    ledger = kept.Ledger(kernel, "firewall", ())
    ledger.idle = False
    ledger.command(["/usr/lib/systemd/systemd-sysctl", "/etc/sysctl.d/x.conf"])
    base = "/proc/sys/net/ipv4"
    assert {entry.name: entry.former for entry in ledger.entries if entry.kind == "kernel"} == {
        f"{base}/conf/all/accept_redirects": "1\n",
        f"{base}/conf/eth0.5/accept_redirects": "1\n",
        f"{base}/conf/lan/accept_redirects": "0\n",
        f"{base}/tcp_rfc1337": "0\n",
    }
    setting = tmp_path / base.lstrip("/") / "conf" / "all" / "accept_redirects"
    setting.write_text("0\n", encoding="ascii")
    entry = next(each for each in ledger.entries if each.name.endswith("all/accept_redirects"))
    (step,) = undoing.RESTORE["kernel"](kernel, entry)
    step.do(kernel)
    assert setting.read_text(encoding="ascii") == "1\n"
    setting.unlink()
    step.do(kernel)
    assert not setting.exists()
