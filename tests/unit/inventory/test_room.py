# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A gateway that stands beside a modality: what the roles are given, and that it is the modality for everybody else."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.radiology.hardening.plugins.plugin_utils import clinic_file, concerns

TEXT = (Path(__file__).parent / "valid" / "room.yml").read_text(encoding="utf-8")
SERVERS = ["10.0.1.10", "fd00:1::10", "10.0.1.11"]


def hosts(text: str = TEXT):
    return clinic_file.build(text.encode(), "/clinics/test.yml").hosts


def test_the_roles_are_given_the_room_and_a_port_for_each_server():
    box = hosts()["box.test"]
    assert box["clinic_room"] == {
        "modality": "ct",
        "interface": "enp2s0",
        "network": "192.168.77.0/30",
        "address": "192.168.77.1",
        "modality_address": "192.168.77.2",
        "ports": [104, 105],
        "called": 11112,
    }
    assert [each["name"] for each in box["clinic_servers"]] == ["pacs", "archive"]
    assert "modality_box" in concerns.roles(box)


def test_the_servers_alone_call_the_modality_at_the_box_and_it_calls_them_alone():
    box = hosts()["box.test"]
    assert box["clinic_services"] == [
        {"name": "dicom-tls", "port": 11112, "sources": SERVERS},
        {"name": "ssh", "port": 22, "sources": ["10.0.2.0/24"]},
    ]
    called = [(each["ports"], each["addresses"]) for each in box["clinic_destinations"]]
    assert called == [([2762], SERVERS[:2]), ([2762], SERVERS[2:])]
    silent = hosts(TEXT.replace("    port: 11112\n", ""))["box.test"]
    assert [each["name"] for each in silent["clinic_services"]] == ["ssh"]
    assert silent["clinic_room"]["called"] == 0


def test_who_probes_the_modality_finds_the_box():
    targets = {each["host"]: each for each in hosts()["laptop.test"]["clinic_targets"]}
    assert targets["ct.test"]["addresses"] == targets["box.test"]["addresses"] == ["10.0.1.30", "fd00:1::30"]
    assert targets["ct.test"]["expected_ports"] == targets["box.test"]["expected_ports"] == []
    of_station = {each["host"]: each["expected_ports"] for each in hosts()["station.test"]["clinic_targets"]}
    assert (of_station["ct.test"], of_station["us.test"]) == ([22], [])


def test_a_gateway_beside_no_modality_has_no_room():
    lines = TEXT.splitlines(keepends=True)
    place = next(number for number, line in enumerate(lines) if "room:" in line)
    text = "".join([*lines[:place], *lines[place + 2 :]]).replace("10.0.1.30", "10.0.1.9", 1).replace("::30", "::9", 1)
    box = hosts(text)["box.test"]
    assert box["clinic_room"] == {}
    assert "clinic_servers" not in box
    assert [each["name"] for each in box["clinic_services"]] == ["ssh"]
