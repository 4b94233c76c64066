# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a gateway passes on: pairs of addresses and a port, logged, answered, and shown as the gateway's own."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import (
    firewall_passing,
    firewall_rules,
    kernel_forwarding,
    kernel_network,
)
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host

WEB = {"to": "pacs web", "address": "10.0.1.10", "port": 443, "as": "10.0.1.9"}
WEB6 = {"to": "pacs web", "address": "fd00:1::10", "port": 443, "as": "fd00:1::9"}
SSH = {"to": "pacs ssh", "address": "10.0.1.10", "port": 2222, "as": "10.0.1.9"}
LAPTOP = {"name": "laptop", "addresses": ["10.99.1.2", "fd99:1::2"], "services": {}, "forwards": [WEB, WEB6]}
TABLET = {"name": "tablet", "addresses": ["10.99.1.3"], "services": {"ssh": 22}, "forwards": [WEB, SSH]}
TUNNEL = {"port": 51820, "network": ["10.99.1.0/24", "fd99:1::/64"], "peers": [LAPTOP, TABLET]}
SERVICES = [{"name": "ssh", "port": 22, "sources": ["10.0.2.0/24"]}]


def chain(name: str, tunnel: dict[str, Any]) -> list[str]:
    text = firewall_rules.render(SERVICES, tunnel=tunnel)
    inside = text.partition(f"  chain {name} {{\n")[2].partition("\n  }\n")[0]
    return [line.strip() for line in inside.splitlines()]


def test_each_grant_is_passed_on_by_both_addresses_and_port_and_nothing_because_it_is_open() -> None:
    told = chain("forward", TUNNEL)
    assert told[0] == "type filter hook forward priority filter; policy drop;"
    passes = [line for line in told if "ct state { new, established } accept" in line]
    assert passes == [
        (
            'iifname "wg-radiology" ip saddr 10.99.1.2 ip daddr . tcp dport { 10.0.1.10 . 443 } ct state { new, established } '
            'accept comment "home-laptop passes ip"'
        ),
        (
            'iifname "wg-radiology" ip6 saddr fd99:1::2 ip6 daddr . tcp dport { fd00:1::10 . 443 } '
            'ct state { new, established } accept comment "home-laptop passes ip6"'
        ),
        (
            'iifname "wg-radiology" ip saddr 10.99.1.3 ip daddr . tcp dport { 10.0.1.10 . 2222, 10.0.1.10 . 443 } '
            'ct state { new, established } accept comment "home-tablet passes ip"'
        ),
    ]
    answers = [line for line in told if "ct direction reply accept" in line]
    assert len(answers) == len(passes)
    assert all(line.startswith('oifname "wg-radiology" ip') and "tcp sport {" in line for line in answers)
    others = [line for line in told if " accept " in line and line not in (*passes, *answers)]
    assert [line.partition(" comment")[0] for line in others] == [
        'iifname "wg-radiology" meta l4proto { 1, 58 } ct state related accept',
        'oifname "wg-radiology" meta l4proto { 1, 58 } ct state related accept',
    ]


def test_each_connection_that_a_device_begins_is_logged_with_its_name_at_a_bounded_rate() -> None:
    told = chain("forward", TUNNEL)
    logs = [place for place, line in enumerate(told) if "radiology home " in line]
    assert [told[place].partition('prefix "')[2].partition('"')[0] for place in logs] == [
        "radiology home laptop: ",
        "radiology home laptop: ",
        "radiology home tablet: ",
    ]
    for place in logs:
        assert "ct state new limit rate 30/minute burst 60 packets log" in told[place]
        assert " passes " in told[place + 1]


def test_servers_see_the_gateway_s_own_address_of_their_network() -> None:
    other = {"to": "old web", "address": "10.0.3.10", "port": 443, "as": "10.0.3.9"}
    told = chain("postrouting", {**TUNNEL, "peers": [{**LAPTOP, "forwards": [WEB, other, WEB6]}]})
    assert told == [
        "type nat hook postrouting priority srcnat; policy accept;",
        'ip saddr { 10.99.1.0/24 } ip daddr { 10.0.1.10 } snat ip to 10.0.1.9 comment "as the gateway 10.0.1.9"',
        'ip saddr { 10.99.1.0/24 } ip daddr { 10.0.3.10 } snat ip to 10.0.3.9 comment "as the gateway 10.0.3.9"',
        'ip6 saddr { fd99:1::/64 } ip6 daddr { fd00:1::10 } snat ip6 to fd00:1::9 comment "as the gateway fd00:1::9"',
    ]


@pytest.mark.parametrize("tunnel", [{}, {**TUNNEL, "peers": []}, {**TUNNEL, "peers": [{**LAPTOP, "forwards": []}]}])
def test_where_nothing_is_passed_on_there_is_no_rule_of_it(tunnel: dict[str, Any]) -> None:
    text = firewall_rules.render(SERVICES, tunnel=tunnel)
    assert "snat" not in text
    assert len(chain("forward", tunnel)) == 3
    assert firewall_passing.families(tunnel) == []


@pytest.mark.skipif(shutil.which("nft") is None, reason="nftables is not installed here")
def test_nftables_takes_the_rules() -> None:
    shown = ["unshare", "--user", "--map-root-user", "--net", "nft", "--check", "--file", "-"]
    text = firewall_rules.render(SERVICES, tunnel=TUNNEL, destinations=[])
    done = subprocess.run(shown, input=text, capture_output=True, text=True, check=False)
    if "Operation not permitted" in done.stderr or "unshare" in done.stderr:
        pytest.skip("no network namespace of one's own here")
    assert done.stderr == ""


def test_what_is_missing_or_beyond_is_told_once() -> None:
    found = firewall_passing.observe(["home-laptop passes ip"], (["a", "b"], ["b", "c"]))
    assert found == {
        "forward": {"missing_rules": ["home-laptop passes ip"]},
        "translation": {"differs": ["a", "b", "c"]},
    }


class Machine(Host):
    """A folder as the host; the kernel takes what the file says."""

    def run(self, argv: Any, *_given: Any, **_more: Any) -> Any:
        (file,) = [each for each in argv if each.endswith(".conf")]
        for line in (self.text(file) or "").splitlines():
            path, equals, value = line.partition(" = ")
            if equals and "*" not in path:
                Path(self.path(f"{kernel_network.SYSTEM}/{path}")).write_text(f"{value}\n")
        return super().run(["true"])


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    for path in kernel_forwarding.WHERE.values():
        setting = tmp_path / kernel_network.SYSTEM.lstrip("/") / path
        setting.parent.mkdir(parents=True)
        setting.write_text("0\n")
    (tmp_path / "etc/sysctl.d").mkdir(parents=True)
    return Machine(root=str(tmp_path))


@pytest.mark.parametrize("families", [[4, 6], [4], [6]])
def test_the_kernel_passes_on_what_is_granted_and_no_more_once_nothing_is(
    machine: Machine, families: list[int]
) -> None:
    before = kernel_forwarding.observe(machine, families)
    assert before["differs"] == [f"IPv{each} is not passed on, and something is granted in it" for each in families]
    (step,) = kernel_forwarding.plan(before, families)
    step.do(machine)
    assert kernel_forwarding.observe(machine, families) == {"differs": [], "kept": True}
    assert kernel_forwarding.plan({"differs": [], "kept": True}, families) == []
    after = kernel_forwarding.observe(machine, [])
    assert after["differs"] == [f"IPv{each} is passed on, and nothing is granted in it" for each in families]
    (step,) = kernel_forwarding.plan(after, [])
    assert step.does == "Have the kernel pass on nothing, as is granted"
    step.do(machine)
    assert kernel_forwarding.observe(machine, []) == {"differs": [], "kept": True}


def test_an_interface_that_passes_ipv4_on_by_itself_is_told(machine: Machine) -> None:
    assert kernel_forwarding.observe(machine, [])["differs"] == []
    setting = Path(machine.path(f"{kernel_network.SYSTEM}/{kernel_forwarding.INTERFACES}/eth1/forwarding"))
    setting.parent.mkdir(parents=True)
    setting.write_text("1\n")
    told = "IPv4 is passed on by eth1, and nothing is granted in it"
    assert kernel_forwarding.observe(machine, [])["differs"] == [told]
    assert "net/ipv4/conf/*/forwarding = 0\n" in kernel_forwarding.text([6])


def test_the_rules_differ_from_what_nftables_tells_only_where_they_do() -> None:
    listing = json.dumps({"nftables": [{"chain": {"name": "postrouting", "hook": "postrouting", "policy": "accept"}}]})
    policies, rules = firewall_rules.read(listing)
    assert (policies, rules) == ({"postrouting": "accept"}, [])
