# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A workstation's firewall holds what is asked of workstations, and leaves alone what is asked of servers."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils.surfaces import firewall
from ansible_collections.radiology.hardening.plugins.plugin_utils import catalogue, inputs
from test_agreement import hardened, with_fact

OF_SERVERS = {
    "firewall.listeners_declared",
    "firewall.connections_bounded",
    "firewall.internet_box_scanned",
    "firewall.output_declared",
    "firewall.loopback_callers",
    "firewall.tunnel_least_reach",
}
OF_GATEWAYS = {"firewall.forwards_granted_alone"}


def wanted(kind: str, profile: str = "strict", **more: Any) -> dict[str, dict[str, Any]]:
    variables = {
        "inventory_hostname": "host",
        "clinic_host": {"kind": kind},
        "hardening_profile": profile,
        "clinic_services": [],
        "clinic_devices": [],
        "clinic": {"networks": []},
        "firewall_output_restricted": kind == "orthanc_server",
        **more,
    }
    return inputs.wanted("firewall", variables, lambda value: value, lambda value: value)


def planned(fact: str, value: Any, asked: dict[str, dict[str, Any]]) -> list[str]:
    known = hardened("firewall", "debian12")
    return [step.does for step in firewall.plan(with_fact(known["facts"], fact, value), asked, known["scope"])]


def test_what_is_asked_of_servers_alone_is_not_asked_of_workstations() -> None:
    told = {control.id for control in catalogue.load("firewall") if not control.asked_of("workstation")}
    assert told == OF_SERVERS | OF_GATEWAYS
    assert all(
        control.asked_of("orthanc_server") or control.id in OF_GATEWAYS for control in catalogue.load("firewall")
    )
    facts = {name for name in wanted("orthanc_server") if name not in wanted("workstation")}
    assert facts == {
        clause.fact for control in catalogue.load("firewall") if control.id in OF_SERVERS for clause in control.expect
    }


@pytest.mark.parametrize(
    ("fact", "value", "does"),
    [
        ("firewall.unneeded_services", ["cups.service"], "Stop and disable cups.service"),
        ("firewall.upnp_services", ["minidlna.service"], "Stop and disable minidlna.service"),
        ("firewall.discovery.services", ["wsdd.service"], "Stop and disable wsdd.service"),
        ("firewall.discovery.resolver", ["LLMNR"], "Have systemd-resolved speak no LLMNR"),
        ("firewall.segment.undeclared", ["wlan 192.0.2.3/24"], "Take the host out of the network of wlan 192.0.2.3/24"),
    ],
)
def test_only_what_a_control_asks_for_is_changed(fact: str, value: list[str], does: str) -> None:
    (told,) = planned(fact, value, wanted("orthanc_server"))
    assert told.startswith(does)
    asked = wanted("orthanc_server")
    del asked[fact]
    assert planned(fact, value, asked) == []


def test_the_printing_of_a_workstation_goes_on() -> None:
    assert planned("firewall.unneeded_services", ["cups.service"], wanted("workstation")) == []
    assert planned("firewall.discovery.services", ["avahi-daemon.service"], wanted("workstation"))
