# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A gateway of its own: a plain Debian host that is hardened, and answers SSH of the administration alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import second_factor
from ansible_collections.radiology.hardening.plugins.plugin_utils import (
    catalogue,
    clinic_file,
    clinic_variables,
    concerns,
    home_devices,
)

GATEWAY = (Path(__file__).parent / "valid" / "gateway.yml").read_text(encoding="utf-8")


def clinic(text: str = GATEWAY) -> clinic_variables.Inventory:
    return clinic_file.build(text.encode(), "/clinics/test.yml")


def test_a_gateway_is_a_host_of_its_own_group_that_answers_ssh_of_the_administration() -> None:
    found = clinic()
    assert found.groups["gateways"] == ["gate.test"]
    assert "gate.test" not in found.groups["declared_only"]
    gate = found.hosts["gate.test"]
    assert gate["clinic_services"] == [{"name": "ssh", "port": 2222, "sources": ["10.0.2.0/24"]}]
    about = {key: gate["clinic_host"][key] for key in ("kind", "title", "ae_title", "lan_addresses")}
    lan = ["10.0.1.9", "fd00:1::9"]
    assert about == {"kind": "gateway", "title": "Way in from home", "ae_title": "", "lan_addresses": lan}
    assert (gate["ansible_host"], gate["ansible_port"], gate["clinic_managed"]) == ("10.0.2.9", 2222, True)
    assert "gate" not in {device["name"] for device in found.shared["clinic_devices"]}


def test_two_gateways_have_no_ae_title_and_do_not_clash_by_it() -> None:
    other = '  other: {addresses: {lan: ["10.0.1.8"]}, ssh: {}}\n'
    assert clinic(GATEWAY.replace("gateways:\n", f"gateways:\n{other}")).groups["gateways"] == [
        "other.test",
        "gate.test",
    ]


def test_a_gateway_calls_what_the_clinic_declares_and_no_device() -> None:
    text = GATEWAY + 'outbound: {name_servers: ["10.0.1.1"]}\nhardening_profile: strict\n'
    called = {
        name: [each["name"] for each in clinic(text).hosts[f"{name}.test"]["clinic_destinations"]]
        for name in ("pacs", "gate")
    }
    assert called == {"pacs": ["DNS", "DNS over TCP", "ws"], "gate": ["DNS", "DNS over TCP"]}


def test_a_gateway_is_looked_at_where_it_has_an_address_of_its_own() -> None:
    text = GATEWAY.replace(
        "vantage_points:\n", "vantage_points:\n  desk: {kind: admin, addresses: {admin: [10.0.2.66]}}\n"
    )
    text = text.replace("vantage_points:\n", "vantage_points:\n  stranger: {kind: internet}\n")
    text = text.replace("[10.0.2.66]", '["10.0.2.66"]')

    def seen(given: str, vantage: str) -> dict[str, Any]:
        targets = clinic(given).hosts[f"{vantage}.test"]["clinic_targets"]
        return next((each for each in targets if each["host"] == "gate.test"), {})

    assert seen(text, "laptop")["addresses"] == ["10.0.1.9", "fd00:1::9"]
    assert seen(text, "laptop")["expected_ports"] == []
    assert (seen(text, "desk")["addresses"], seen(text, "desk")["expected_ports"]) == (["10.0.2.9"], [2222])
    assert seen(text, "stranger") == {}
    routed = text.replace("fd00:1:", "2001:db8:1:")
    assert seen(routed, "stranger")["addresses"] == ["2001:db8:1::9"]
    assert "2001:db8:1::9" in clinic(routed).shared["clinic"]["exposed"]


def test_a_gateway_is_judged_by_what_concerns_no_images() -> None:
    known = {"clinic_host": {"kind": "gateway"}, "clinic_managed": True}
    assert concerns.is_judged(known)
    assert not concerns.told_by_persons(known)
    asked = {control.id for control in concerns.controls(known, "strict")}
    assert {id_.partition(".")[0] for id_ in asked} == set(concerns.ROLES["gateway"])
    assert {"firewall.output_declared", "firewall.tunnel_least_reach", "authentication.second_factor"} <= asked
    of_images = {
        control.id
        for control in catalogue.load()
        if control.applies_when and control.applies_when.fact == "orthanc.installed"
    }
    assert not asked & {*of_images, "firewall.connections_bounded", "firewall.loopback_callers"}


REMOTE = (Path(__file__).parent / "valid" / "remote_gateway.yml").read_text(encoding="utf-8")


def test_a_gateway_passes_the_web_of_all_servers_on_and_ssh_of_those_that_have_it() -> None:
    found = clinic(REMOTE)
    tunnel = found.hosts["gate.test"]["clinic_tunnel"]
    assert (tunnel["reached"], tunnel["addresses"]) == (["10.0.1.9", "fd00:1::9"], ["10.99.1.1/24", "fd99:1::1/64"])
    laptop, tablet = tunnel["peers"]
    assert (laptop["services"], tablet["services"]) == ({}, {"ssh": 2200})
    assert [(each["to"], each["address"], each["port"], each["as"]) for each in laptop["forwards"]] == [
        ("pacs web", "10.0.1.10", 443, "10.0.1.9"),
        ("pacs web", "fd00:1::10", 443, "fd00:1::9"),
        ("old web", "10.0.1.11", 443, "10.0.1.9"),
    ]
    assert [each["to"] for each in tablet["forwards"]] == ["pacs web", "pacs web", "pacs ssh", "pacs ssh", "old web"]
    assert {each["port"] for each in tablet["forwards"] if each["to"] == "pacs ssh"} == {22}
    assert laptop["reached"] == ["10.0.1.10", "fd00:1::10", "10.0.1.11"]
    assert tablet["reached"] == [*laptop["reached"], "10.0.1.9", "fd00:1::9"]
    assert found.hosts["pacs.test"]["clinic_tunnel"] == {}
    assert found.shared["clinic"]["forward"] == {"ports": [4500], "gateway": "gate", "address": "10.0.1.9"}


def test_servers_admit_the_gateway_s_address_for_what_is_granted_through_it() -> None:
    def sources(text: str, server: str) -> dict[str, list[str]]:
        return {
            each["name"]: [source for source in each["sources"] if source in ("10.0.1.9", "fd00:1::9")]
            for each in clinic(text).hosts[f"{server}.test"]["clinic_services"]
        }

    both = ["10.0.1.9", "fd00:1::9"]
    assert sources(REMOTE, "pacs") == {"dicom-tls": [], "https": both, "ssh": both}
    assert sources(REMOTE, "old") == {"dicom-tls": [], "https": both[:1], "ssh": []}
    web = REMOTE.replace("may: [web, ssh]", "may: [web]")
    assert sources(web, "pacs")["ssh"] == []
    assert sources(REMOTE.replace("gateway: gate", "gateway: pacs"), "pacs") == {
        key: [] for key in ("dicom-tls", "https", "ssh")
    }


def test_whoever_administers_a_server_through_the_gateway_is_asked_for_a_second_factor_there() -> None:
    found = clinic(REMOTE)
    through = found.hosts["pacs.test"]["clinic_through_gateway"]
    assert through["network"] == ["10.0.1.9", "fd00:1::9"]
    assert [(each["name"], each["person"], each["services"]) for each in second_factor.devices(through)] == [
        ("tablet", "c.moreau", {"ssh": 22})
    ]
    assert second_factor.match({"tunnel": through}).startswith("Match Address 10.0.1.9,fd00:1::9\n")
    for without in (REMOTE.replace("may: [web, ssh]", "may: [web]"), REMOTE.replace("gateway: gate", "gateway: pacs")):
        assert "clinic_through_gateway" not in clinic(without).hosts["pacs.test"]
    assert "clinic_through_gateway" not in found.hosts["old.test"]


def test_a_laptop_calls_each_server_by_the_gateway() -> None:
    text = REMOTE.replace("networks:\n", 'internet: {addresses: ["203.0.113.5"]}\nnetworks:\n', 1)
    text = text.replace("    port: 11112\n", "").replace("[echo, find, get]", "[echo]\n    ssh: {user: engineer}")
    text = text.replace("public_key: YS5tYXJ0aW4ncyBsYXB0b3AsIG1hZGUgdXAgaGVyZSE=", "workstation: ws")
    home = clinic(text).hosts["ws.test"]["clinic_home"]
    assert (home["gateway"], home["reached"]) == ("gate", ["10.0.1.10", "fd00:1::10", "10.0.1.11"])


def test_a_device_is_told_the_pages_that_it_reaches() -> None:
    tunnel = clinic(REMOTE).hosts["gate.test"]["clinic_tunnel"]
    files = home_devices.files({"tunnel": tunnel}, "K", "gate")
    assert "forward UDP port 4500 to 10.0.1.9 (gate)" in files["internet-box.txt"]
    assert "as in the practice: https://10.0.1.10/, https://10.0.1.11/\n" in files["laptop.conf"]
    assert "AllowedIPs = 10.0.1.10/32, fd00:1::10/128, 10.0.1.11/32\n" in files["laptop.conf"]
