# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every invalid clinic file is refused in the sentence on its first line; every valid one yields its variables."""

from __future__ import annotations

import datetime
from pathlib import Path

import jsonschema
import pytest
import yaml
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.plugin_utils import (
    clinic_file,
    clinic_schema,
    clinic_text,
    clinic_variables,
)

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
INVALID = sorted((HERE / "invalid").glob("*.yml"))
VALID = sorted([*(HERE / "valid").glob("*.yml"), *(ROOT / "inventories").glob("*/*.yml")])
LAB = ROOT / "inventories" / "lab" / "dmz-practice.yml"
TODAY = datetime.date(2026, 11, 26)
SMALL = (HERE / "valid" / "small.yml").read_text(encoding="utf-8")


def controls() -> list[str]:
    return ["orthanc.webdav_off"]


def refusal(content: str) -> str:
    with pytest.raises(HardeningError) as raised:
        clinic_file.build(content.encode(), "/clinics/test.yml", controls)
    return str(raised.value).removeprefix("/clinics/test.yml:")


def lab(text: str = "", today: datetime.date = TODAY) -> clinic_variables.Inventory:
    content = text or LAB.read_text(encoding="utf-8")
    return clinic_file.build(content.encode(), str(LAB), controls, today)


def test_there_are_enough_invalid_files() -> None:
    assert len(INVALID) >= 25


@pytest.mark.parametrize("file", INVALID, ids=lambda path: path.stem)
def test_invalid_file_is_refused_in_its_sentence(file: Path) -> None:
    content = file.read_text(encoding="utf-8")
    assert f"# {refusal(content)}" == content.partition("\n")[0]


@pytest.mark.parametrize("file", VALID, ids=lambda path: path.stem)
def test_valid_file_is_taken(file: Path) -> None:
    found = clinic_file.build(file.read_bytes(), str(file), controls)
    assert found.groups["orthanc_servers"]
    assert found.shared["clinic"]["directory"] == str(file.with_name(found.shared["clinic"]["name"]))


@pytest.mark.parametrize("file", sorted((ROOT / "inventories").glob("*/*.yml")), ids=lambda path: path.stem)
def test_editors_find_the_schema(file: Path) -> None:
    first = file.read_text(encoding="utf-8").partition("\n")[0]
    mark, relative = first.split("$schema=")
    assert mark == "# yaml-language-server: "
    assert (file.parent / relative).resolve() == clinic_schema.SCHEMA


def test_the_schema_is_one_and_explains_each_property() -> None:
    schema = clinic_schema.schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    for part in (schema, *schema["$defs"].values()):
        for name, rule in part.get("properties", {}).items():
            whole = {**schema["$defs"].get(rule.get("$ref", "").rpartition("/")[2], {}), **rule}
            assert whole.get("title"), name
            assert whole.get("description"), name
            assert whole.get("examples"), name
            for example in whole["examples"]:
                inside = {"$defs": schema["$defs"], **rule}
                jsonschema.Draft202012Validator(inside).validate(example)


def test_no_two_files_of_the_lab_differ_but_in_names_and_numbers() -> None:
    first, second = ((ROOT / "inventories" / "lab" / f"{name}-practice.yml") for name in ("dmz", "forwarded"))
    assert yaml.safe_load(first.read_text()).keys() == yaml.safe_load(second.read_text()).keys()


def test_variables_of_the_lab_s_server() -> None:
    found = lab()
    server = found.hosts["pacs.dmz-practice"]
    assert server["ansible_host"] == "10.78.11.10"
    assert server["clinic_managed"] is True
    assert server["clinic_host"]["lan_addresses"] == ["10.77.11.10", "2001:db8:11::10"]
    assert server["clinic_host"]["admin_addresses"] == ["10.78.11.10", "2001:db8:a11::10"]
    admin = ["10.78.11.0/24", "2001:db8:a11::/64"]
    workstation = ["10.77.11.20", "2001:db8:11::20"]
    assert server["clinic_services"] == [
        {"name": "dicom-tls", "port": 2762, "sources": [*workstation, "10.77.11.30", "2001:db8:11::30"]},
        {"name": "https", "port": 443, "sources": [*workstation, *admin], "most": 200},
        {"name": "ssh", "port": 22, "sources": admin},
        {
            "name": "dicom-clear-us",
            "port": 11104,
            "sources": ["10.77.11.40", "2001:db8:11::40"],
            "until": "2027-06-30",
        },
    ]
    assert found.shared["clinic_admin_cidrs"] == admin
    assert found.shared["clinic_devices"][1] == {
        "name": "ct",
        "kind": "modality",
        "ae_title": "LUM_CT1",
        "address": "10.77.11.30",
        "address6": "2001:db8:11::30",
        "loopback": "127.77.11.30",
        "port": 0,
        "tls": True,
        "lost": False,
        "revoked": [],
        "may": ["echo", "store"],
        "cleartext": {},
    }
    assert found.shared["clinic_devices"][2]["cleartext"] == {
        "port": 11104,
        "owner": "Dr Anne Martin",
        "reason": "No TLS and no gateway; replaced in summer 2027",
        "expires": "2027-06-30",
        "in_force": True,
    }
    assert found.shared["clinic"]["internet"] == {"addresses": ["203.0.113.11"]}
    assert found.shared["clinic"]["exposed"] == ["203.0.113.11", "2001:db8:11::10", "2001:db8:a11::10"]
    assert found.groups["clinic_dmz_practice"] == found.groups["clinic_hosts"] == list(found.hosts)


def test_a_vantage_point_on_the_internet_has_somebody_to_hear() -> None:
    stranger = '  outside: {kind: internet}\n  laptop: {kind: lan, addresses: {lan: ["10.0.1.66"]}}\n'
    text = f"{SMALL.partition('vantage_points:')[0].rstrip()}\nvantage_points:\n{stranger}"
    found = clinic_file.build(text.encode(), "/clinics/test.yml", controls).hosts
    assert "9.9.9.9:443" in found["outside.test"]["clinic_vantage"]["control_targets"]
    assert {target[0] == "[" for target in found["outside.test"]["clinic_vantage"]["control_targets"]} == {True, False}
    assert "control_targets" not in found["laptop.test"]["clinic_vantage"]


def test_a_laptop_that_is_carried_home_asks_no_clock_that_it_reaches_in_the_practice_alone() -> None:
    text = (HERE / "valid" / "remote_laptop.yml").read_text(encoding="utf-8")
    text += 'outbound: {time_servers: ["10.0.1.1", "192.0.2.123", "192.168.9.1"]}\n'
    found = clinic_file.build(text.encode(), "/clinics/test.yml", controls)
    assert found.shared["clinic_time_servers"] == ["10.0.1.1", "192.0.2.123", "192.168.9.1"]
    assert found.hosts["ws.test"]["clinic_time_servers"] == ["192.0.2.123"]


def test_a_workstation_knows_the_servers_that_its_tunnels_lead_to() -> None:
    text = (ROOT / "inventories" / "lab" / "dmz-practice.yml").read_text(encoding="utf-8")
    assert not clinic_file.build(text.encode(), "/clinics/test.yml", controls).hosts["ws.dmz-practice"]["clinic_host"][
        "tunnel"
    ]
    text = text.replace("    port: 11112\n", "    port: 11112\n    tunnel: true\n", 1)
    known = clinic_file.build(text.encode(), "/clinics/test.yml", controls).hosts["ws.dmz-practice"]
    assert known["clinic_host"]["tunnel"] is True
    assert known["clinic_servers"] == [{"name": "pacs", "ae_title": "LUMIERE", "address": "10.77.11.10"}]


def test_a_lost_device_reaches_no_server_and_is_not_called() -> None:
    text = LAB.read_text(encoding="utf-8")
    for name in ("ws", "ct"):
        text = text.replace(f"  {name}:\n", f'  {name}:\n    lost: true\n    revoked_certificates: ["0A:0b", "00ff"]\n')
    found = lab(text)
    server = found.hosts["pacs.dmz-practice"]
    assert server["clinic_services"][0] == {"name": "dicom-tls", "port": 2762, "sources": []}
    assert not {"ws", "ct"} & {each["name"] for each in server["clinic_destinations"]}
    assert [(each["lost"], each["revoked"]) for each in found.shared["clinic_devices"]][:2] == [
        (True, ["a0b", "ff"])
    ] * 2
    assert found.hosts["ct-probe.dmz-practice"]["clinic_targets"][0]["expected_ports"] == []
    assert found.groups["declared_only"] == ["ws.dmz-practice", "ct.dmz-practice", "us.dmz-practice"]


WS, CT, US = (["10.77.11." + last, "2001:db8:11::" + last] for last in ("20", "30", "40"))


@pytest.mark.parametrize(
    ("vantage", "kind", "addresses", "ports", "devices"),
    [
        (
            "attacker",
            "internet",
            ["203.0.113.11", "2001:db8:11::10", "2001:db8:a11::10"],
            [],
            {"ws": ["2001:db8:11::20", "2001:db8:a11::20"], "ct": ["2001:db8:11::30"], "us": ["2001:db8:11::40"]},
        ),
        ("laptop", "lan", ["10.77.11.10", "2001:db8:11::10"], [], {"ws": WS, "ct": CT, "us": US}),
        ("ct-probe", "peer", ["10.77.11.10", "2001:db8:11::10"], [2762], {"ws": WS, "us": US}),
        ("us-probe", "peer", ["10.77.11.10", "2001:db8:11::10"], [11104], {"ws": WS, "ct": CT}),
    ],
)
def test_what_each_vantage_point_probes(
    vantage: str, kind: str, addresses: list[str], ports: list[int], devices: dict[str, list[str]]
) -> None:
    host = lab().hosts[f"{vantage}.dmz-practice"]
    told = {"name": vantage, "kind": kind}
    controls = {"control_targets": ["203.0.113.77:22", "[2001:db8:113::77]:22"]} if kind == "internet" else {}
    assert host["clinic_vantage"] == told | controls
    assert host["clinic_targets"] == [
        {
            "host": "pacs.dmz-practice",
            "kind": "orthanc_server",
            "addresses": addresses,
            "ae_title": "LUMIERE",
            "expected_ports": ports,
            "cleartext_ports": [11104],
        },
        *(
            {
                "host": f"{name}.dmz-practice",
                "kind": "workstation" if name == "ws" else "modality",
                "addresses": listed,
                "ae_title": f"LUM_{name.upper()}1",
                "expected_ports": [],
                "ports": [] if name == "ct" else [11112],
            }
            for name, listed in devices.items()
        ),
    ]


def test_a_device_behind_the_box_has_no_address_on_the_internet_and_a_lost_one_has_none_at_all() -> None:
    outside = SMALL + '  stranger: {kind: internet, addresses: {internet: ["203.0.113.66"]}}\n'
    outside = outside.replace("networks:", 'internet: {addresses: ["203.0.113.1"]}\nnetworks:', 1)
    lost = outside.replace("  ws:\n", "  ws:\n    lost: true\n")

    def targets(content: str, vantage: str) -> list[str]:
        found = clinic_file.build(content.encode(), "/clinics/test.yml").hosts[vantage]["clinic_targets"]
        return [target["host"] for target in found]

    assert targets(outside, "stranger.test") == ["pacs.test"]
    assert targets(outside, "laptop.test") == ["pacs.test", "ws.test", "ct.test"]
    assert targets(lost, "laptop.test") == ["pacs.test", "ct.test"]


def test_the_engineer_s_desk_may_reach_administration_ports() -> None:
    desk = SMALL + '  desk: {kind: admin, addresses: {admin: ["10.0.2.2"]}}\n'
    found = clinic_file.build(desk.encode(), "/clinics/test.yml").hosts["desk.test"]["clinic_targets"][0]
    assert found["expected_ports"] == [22, 443]
    assert found["addresses"] == ["10.0.2.10"]


def test_ssh_is_declared_on_the_port_that_the_engineer_uses() -> None:
    moved = SMALL.replace("port: 22}", "port: 2222}") + '  desk: {kind: admin, addresses: {admin: ["10.0.2.2"]}}\n'
    found = clinic_file.build(moved.encode(), "/clinics/test.yml").hosts
    assert found["pacs.test"]["ansible_port"] == found["pacs.test"]["clinic_services"][2]["port"] == 2222
    assert found["desk.test"]["clinic_targets"][0]["expected_ports"] == [443, 2222]


def test_a_workstation_is_called_by_servers_for_images_and_from_the_administration_for_ssh() -> None:
    found = lab()
    admin = ["10.78.11.0/24", "2001:db8:a11::/64"]
    assert found.hosts["ws.dmz-practice"]["clinic_services"] == [
        {"name": "dicom-tls", "port": 11112, "sources": ["10.77.11.10", "2001:db8:11::10"]},
        {"name": "ssh", "port": 22, "sources": admin},
    ]
    assert "clinic_destinations" not in found.hosts["ws.dmz-practice"]
    assert found.shared["clinic_time_servers"] == ["10.77.11.1"]
    assert "clinic_services" not in found.hosts["ct.dmz-practice"]


@pytest.mark.parametrize(
    ("change", "services"),
    [
        (("    port: 11112\n    tls: true\n", "    tls: true\n"), ["ssh"]),
        (("    tls: true\n", "    tls: false\n"), ["ssh"]),
        (
            (
                "    tls: true\n",
                "    tls: false\n    cleartext: {port: 11105, owner: A, reason: B, expires: 2027-06-30}\n",
            ),
            ["dicom-clear", "ssh"],
        ),
        (('    ssh: {address: "10.78.11.20", user: engineer}\n', ""), None),
    ],
)
def test_what_a_workstation_is_called_for_follows_its_words(
    change: tuple[str, str], services: list[str] | None
) -> None:
    head, ws, tail = LAB.read_text(encoding="utf-8").partition("    title: Reading room\n")
    found = lab(head + ws + tail.replace(*change, 1))
    declared = found.hosts["ws.dmz-practice"].get("clinic_services")
    assert (declared if declared is None else [each["name"] for each in declared]) == services
    if services and services[0] == "dicom-clear":
        assert declared is not None
        assert declared[0]["until"] == "2027-06-30"


def test_a_desk_expects_ssh_of_a_workstation_and_nobody_expects_more() -> None:
    desk = '  desk: {kind: admin, addresses: {admin: ["10.78.11.2"]}}\n'
    found = lab(LAB.read_text(encoding="utf-8").replace("vantage_points:\n", f"vantage_points:\n{desk}", 1))
    for vantage, expected in (("desk", [22]), ("laptop", []), ("attacker", []), ("ct-probe", [])):
        listed = {each["host"]: each for each in found.hosts[f"{vantage}.dmz-practice"]["clinic_targets"]}
        assert listed["ws.dmz-practice"]["expected_ports"] == expected


def test_a_unique_local_address_is_not_tried_from_the_internet() -> None:
    outside = SMALL + '  stranger: {kind: internet, addresses: {internet: ["203.0.113.66"]}}\n'
    outside = outside.replace("networks:", 'internet: {addresses: ["203.0.113.1"]}\nnetworks:', 1)
    found = clinic_file.build(outside.encode(), "/clinics/test.yml").hosts["stranger.test"]["clinic_targets"][0]
    assert found["addresses"] == ["203.0.113.1"]


def test_a_device_without_tls_is_declared_but_not_let_in() -> None:
    clear = SMALL.replace("    tls: true\n    may: [echo, store]", "    tls: false\n    may: [echo, store]")
    found = clinic_file.build(clear.encode(), "/clinics/test.yml")
    assert [device["tls"] for device in found.shared["clinic_devices"]] == [True, False]
    assert found.hosts["pacs.test"]["clinic_services"][0]["sources"] == ["10.0.1.20"]


@pytest.mark.parametrize(
    ("today", "holds"), [("2026-11-26", True), ("2027-06-30", True), ("2027-07-01", False), ("2031-01-01", False)]
)
def test_a_declaration_in_clear_holds_to_its_last_day_and_is_no_error_after_it(today: str, *, holds: bool) -> None:
    found = lab(today=datetime.date.fromisoformat(today))
    server, us = found.hosts["pacs.dmz-practice"], found.shared["clinic_devices"][2]
    assert us["cleartext"]["in_force"] is holds
    assert [each["name"] for each in server["clinic_services"]][3:] == ["dicom-clear-us"] * holds
    assert ("us" in {each["name"] for each in server["clinic_destinations"]}) is holds
    target = found.hosts["us-probe.dmz-practice"]["clinic_targets"][0]
    assert (target["expected_ports"], target["cleartext_ports"]) == ([11104] * holds, [11104])


@pytest.mark.parametrize(("today", "taken"), [("2025-06-28", False), ("2025-06-29", True)])
def test_a_declaration_in_clear_is_for_two_years_at_most(today: str, *, taken: bool) -> None:
    day = datetime.date.fromisoformat(today)
    if taken:
        assert lab(today=day)
        return
    with pytest.raises(HardeningError) as raised:
        lab(today=day)
    assert str(raised.value).endswith(
        'modalities.us.cleartext.expires is "2027-06-30"; accepted: a day at most two years ahead.'
    )


def test_a_waiver_is_passed_on_with_the_inventory_s_name_of_its_host() -> None:
    waiver = "{control: orthanc.webdav_off, host: pacs, reason: Migration, owner: A. Martin, expires: 2027-01-31}"
    found = clinic_file.build(f"{SMALL}hardening_waivers: [{waiver}]\n".encode(), "/clinics/test.yml", controls)
    assert found.shared["hardening_waivers"] == [
        {
            "control": "orthanc.webdav_off",
            "host": "pacs.test",
            "reason": "Migration",
            "owner": "A. Martin",
            "expires": "2027-01-31",
        }
    ]


def test_profile_and_waivers_are_left_to_others_when_the_file_is_silent() -> None:
    assert not {"hardening_profile", "hardening_waivers"} & set(
        clinic_file.build(SMALL.encode(), "/clinics/test.yml").shared
    )


def test_without_jsonschema_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clinic_schema, "jsonschema", None)
    with pytest.raises(HardeningError, match=r"pip install jsonschema\.$"):
        clinic_file.build(SMALL.encode(), "/clinics/test.yml")


def test_a_file_that_cannot_be_opened_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(HardeningError, match=r"cannot be read: No such file"):
        clinic_file.load(str(tmp_path / "none.yml"))


def test_the_plugins_that_a_server_declares_become_its_variable() -> None:
    declared = SMALL.replace(
        "    ssh: {user: engineer, port: 22}", "    plugins: [dicom-web]\n    ssh: {user: engineer}", 1
    )
    assert clinic_file.build(declared.encode(), "test.yml", controls).hosts["pacs.test"]["clinic_plugins"] == [
        "dicom-web"
    ]
    assert "clinic_plugins" not in clinic_file.build(SMALL.encode(), "test.yml", controls).hosts["pacs.test"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "latin-1"])
def test_a_file_of_another_encoding_is_ours_and_refused_in_a_sentence(encoding: str) -> None:
    content = SMALL.replace("name: test", "name: test\ntitle: Röntgen").encode(encoding)
    if encoding == "utf-16-le":
        content = b"\xff\xfe" + content
    assert clinic_text.names_plugin(content)
    with pytest.raises(HardeningError, match=r"the file is not encoded in UTF-8; accepted: UTF-8\.$"):
        clinic_file.build(content, "/clinics/test.yml", controls)
