# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a server may call, from the clinic file to the chain `output`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import firewall_rules as rules
from ansible_collections.radiology.hardening.plugins.plugin_utils import clinic_file

EXAMPLE = Path(__file__).parents[3] / "inventories" / "example" / "bord-de-mer.yml"
SERVICES = [{"name": "ssh", "port": 22, "sources": ["10.9.0.0/24", "fd00:9::/64"]}]


def destinations() -> list[dict[str, Any]]:
    text = EXAMPLE.read_text(encoding="utf-8")
    found = clinic_file.build(text.encode(), str(EXAMPLE), list)
    listed: list[dict[str, Any]] = found.hosts["pacs.bord-de-mer"]["clinic_destinations"]
    return listed


def test_what_is_declared_may_be_called_and_devices_that_have_a_port() -> None:
    assert destinations() == [
        {"name": "DNS", "protocol": "udp", "ports": [53], "addresses": ["10.20.2.1", "2001:db8:70:2::1"]},
        {"name": "DNS over TCP", "protocol": "tcp", "ports": [53], "addresses": ["10.20.2.1", "2001:db8:70:2::1"]},
        {"name": "NTP", "protocol": "udp", "ports": [123], "addresses": ["10.20.2.1"]},
        {"name": "packages", "protocol": "tcp", "ports": [80, 443], "addresses": ["10.20.9.3"]},
        {"name": "log host", "protocol": "tcp", "ports": [6514], "addresses": ["10.20.9.4"]},
        {"name": "monitoring", "protocol": "tcp", "ports": [10051], "addresses": ["10.20.9.5"]},
        {"name": "reading", "protocol": "tcp", "ports": [11112], "addresses": ["10.20.2.21", "2001:db8:70:2::21"]},
        {"name": "mr", "protocol": "tcp", "ports": [2762], "addresses": ["10.20.1.31", "2001:db8:70:1::31"]},
    ]


def test_the_tang_server_of_a_disk_may_be_called() -> None:
    text = EXAMPLE.read_text(encoding="utf-8") + "escrow: {certificates: [a.pem], folders: [one, two]}\n"
    for url, port in (("http://10.20.9.8", 80), ("https://10.20.9.8", 443), ("http://10.20.9.8:7500/", 7500)):
        tang = f'{{url: "{url}", thumbprint: Xf1H0mTtYOQNGFsyCqdkz2o8tgsUwZBUzrlMUTZQHUw}}'
        storage = f"    storage: {{folder: /srv/images, strategy: in_place, unlock: {{tang: {tang}}}}}\n"
        given = text.replace("    # Logged in to over the VPN.\n", storage, 1)
        found = clinic_file.build(given.encode(), str(EXAMPLE), list)
        assert found.hosts["pacs.bord-de-mer"]["clinic_destinations"][-1] == {
            "name": "tang",
            "protocol": "tcp",
            "ports": [port],
            "addresses": ["10.20.9.8"],
        }


def test_without_restriction_everything_goes_out_but_discovery() -> None:
    text = rules.render(SERVICES)
    assert "hook output priority filter; policy accept;" in text
    assert "udp dport { 1900, 5351 } drop" in text
    assert "log out" not in text


def test_with_restriction_nothing_goes_out_but_what_is_declared_and_answers() -> None:
    text = rules.render(SERVICES, destinations())
    assert "hook output priority filter; policy drop;" in text
    assert 'ip daddr { 10.20.2.1 } udp dport { 53 } accept comment "to DNS ip"' in text
    assert 'ip6 daddr { 2001:db8:70:2::21 } tcp dport { 11112 } accept comment "to reading ip6"' in text
    flags = "tcp sport 22 tcp flags & (syn | ack) != syn accept"
    assert f'ip daddr {{ 10.9.0.0/24 }} {flags} comment "ssh answers ip"' in text
    assert f'ip6 daddr {{ fd00:9::/64 }} {flags} comment "ssh answers ip6"' in text
    output = text.partition("chain output")[2]
    assert output.index("5351 } drop") < output.index('oifname "lo"') < output.index("reject with")


def test_pings_go_to_the_clinic_and_to_destinations_alone() -> None:
    text = rules.render(SERVICES, destinations(), networks=["10.20.2.0/24", "fd00:9::/64"])
    pings = [line.strip() for line in text.partition("chain output")[2].splitlines() if "echo-request" in line]
    assert [line.partition("daddr")[0] + line.partition("}")[2] for line in pings] == [
        'ip  icmp type echo-request accept comment "ping ip"',
        'ip6  icmpv6 type echo-request accept comment "ping ip6"',
    ]
    assert "10.20.2.0/24" in pings[0]
    assert "10.20.9.3, " in pings[0]
    assert "echo-request" not in rules.render(SERVICES, []).partition("chain output")[2]


def test_an_empty_restriction_is_none_that_lets_everything_out() -> None:
    assert "hook output priority filter; policy drop;" in rules.render(SERVICES, [])
