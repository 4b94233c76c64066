# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The lab's pure parts: addresses and names as topology.yml describes them, and labs that are kept apart."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

RESOURCES = Path(__file__).resolve().parents[3] / "molecule" / "resources"


@pytest.fixture(autouse=True)
def resources(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the lab's modules be imported, as lab.py imports them."""
    monkeypatch.setattr(sys, "path", [str(RESOURCES), *sys.path])


def test_the_last_group_is_written_as_the_last_octet() -> None:
    from topology import TOPOLOGY

    assert TOPOLOGY.hosts["laptop-1"].addresses == {"lan1": ("10.77.11.66/24", "2001:db8:11::66/64")}
    assert TOPOLOGY.hosts["pacs-2"].plain("admin2") == ("10.78.12.10", "2001:db8:a12::10")


def test_no_lab_has_a_name_of_another_whose_name_begins_alike() -> None:
    import network

    assert not network.names("demo") & network.names("demo-2")
    assert "rhlab-demo-2-pacs-1" not in network.names("demo")


def test_each_instance_has_its_own_multiplexed_connections(tmp_path: Path) -> None:
    import inventory
    import yaml
    from topology import TOPOLOGY

    seen = set()
    for instance in ("first", "second"):
        state = tmp_path / instance
        state.mkdir()
        (state / "id.pub").write_text(f"ssh-ed25519 {instance}\n", encoding="utf-8")
        inventory.write(tmp_path / "inventory", "same", state, list(TOPOLOGY.hosts.values()))
        listed = yaml.safe_load((tmp_path / "inventory" / "lab.yml").read_text(encoding="utf-8"))
        hosts = listed["all"]["children"]["lab_1"]["hosts"]
        assert len({host["ansible_host"] for host in hosts.values()}) == len(hosts)
        seen |= {host["ansible_control_path"] for host in hosts.values()}
    assert len(seen) == 2


def test_what_a_lab_has_not_counts_as_declared_only(tmp_path: Path) -> None:
    import inventory
    import yaml
    from topology import TOPOLOGY

    (tmp_path / "id.pub").write_text("ssh-ed25519 key\n", encoding="utf-8")
    inventory.write(tmp_path / "inventory", "lab", tmp_path, [TOPOLOGY.hosts["pacs-1"], TOPOLOGY.hosts["ws-2"]])
    listed = yaml.safe_load((tmp_path / "inventory" / "lab.yml").read_text(encoding="utf-8"))["all"]["children"]
    assert sorted(listed["declared_only"]["hosts"]) == ["pacs.forwarded-practice", "ws.dmz-practice"]
    assert "ws.forwarded-practice" in listed["lab_2"]["hosts"]


def test_the_box_beside_an_old_modality_is_of_labs_that_name_it(tmp_path: Path) -> None:
    import inventory
    from ansible_collections.radiology.hardening.plugins.plugin_utils import clinic_file
    from lab import Lab
    from topology import TOPOLOGY

    assert not [host.name for host in Lab("demo").hosts if host.kind in ("side", "old")]
    (tmp_path / "id.pub").write_text("ssh-ed25519 key\n", encoding="utf-8")
    for number in TOPOLOGY.clinics.values():
        present = [TOPOLOGY.hosts[f"{kind}-{number}"] for kind in ("pacs", "side", "old")]
        inventory.write(tmp_path / str(number), "lab", tmp_path, present)
        (file,) = (tmp_path / str(number)).glob("*-practice.yml")
        found = clinic_file.build(file.read_bytes(), str(file)).hosts
        room = found[f"old-box.{file.stem}"]["clinic_room"]
        told = (room["modality"], room["address"], room["modality_address"], room["ports"], room["called"])
        assert told == ("old", "192.168.77.1", "192.168.77.2", [104], 11112)
        assert f"old.{file.stem}" in found


@pytest.mark.parametrize(
    ("listening", "passwords", "attested"),
    [
        ("0.0.0.0:22 [::]:22", "", {"device.listener", "device.remote_control"}),
        ("0.0.0.0:22", "engineer", {"device.listener"}),
        ("0.0.0.0:11112 0.0.0.0:22", "", set()),
        ("0.0.0.0:11112", "engineer", set()),
    ],
)
def test_the_lab_attests_what_it_saw_and_has_the_rest_waived(
    listening: str, passwords: str, attested: set[str]
) -> None:
    import datetime

    import attested as generator
    import inventory
    from ansible_collections.radiology.hardening.plugins.plugin_utils import clinic_file

    text = (inventory.CLINIC_FILES / "dmz-practice.yml").read_text(encoding="utf-8")
    said = {generator.LISTENING: listening, generator.PASSWORDS: passwords}
    today = datetime.datetime.now(tz=datetime.UTC).date()
    devices = dict.fromkeys(generator.MODALITIES, said.__getitem__)
    shared = clinic_file.build(generator.attest(text, devices, today).encode(), "/lab/x.yml").shared
    hosts = [each["host"] for each in shared["hardening_attestations"]]
    assert hosts == (["ct.dmz-practice", "us.dmz-practice"] if attested else [])
    found = {name: seen for each in shared["hardening_attestations"] for name, seen in each["controls"].items()}
    assert set(found) == attested
    assert all(listening in seen for seen in found.values())
    assert {each["control"] for each in shared["hardening_waivers"]} == set(generator.WAIVED)
    assert len(shared["hardening_waivers"]) == 2 * len(generator.WAIVED)
    assert {each["owner"] for each in shared["hardening_waivers"]} == {generator.BY}
    with pytest.raises(SystemExit, match="has waivers of its own"):
        generator.attest(text.replace("hardening_waivers: []", ""), devices, today)


@pytest.mark.parametrize("name", ["", "Demo", "../x", "a b", "-x"])
def test_a_name_that_would_not_do_is_refused(name: str) -> None:
    from lab import Lab

    with pytest.raises(SystemExit, match="no lab can be called"):
        Lab(name)


def test_an_unknown_host_is_refused_with_those_accepted() -> None:
    from lab import Lab

    with pytest.raises(SystemExit, match="no host printer-1; accepted: attacker, home, box-1"):
        Lab("demo", ("printer-1",))
