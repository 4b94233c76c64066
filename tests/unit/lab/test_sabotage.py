# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""`make sabotage` forgets no role, and counts what the hosts tell."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from ansible_collections.radiology.hardening.plugins.plugin_utils import catalogue

ROOT = Path(__file__).resolve().parents[3]
LINE = '"msg": "{} controls: {} broken, {} named, {} repaired"\n'


@pytest.fixture
def sabotage(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(sys, "path", list(sys.path))
    spec = importlib.util.spec_from_file_location("sabotage", ROOT / "tools" / "sabotage.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_control_is_broken_in_one_place(sabotage: ModuleType) -> None:
    roles = [*sabotage.IN_CONTAINERS, *sabotage.AT_WORKSTATIONS, *sabotage.AT_LAPTOPS, *sabotage.AT_BOXES]
    roles += [*sabotage.IN_MACHINE, *sabotage.ON_DEVICES]
    assert sorted(roles) == sorted({control.role for control in catalogue.load()})


def test_what_concerns_a_workstation_alone_is_said_alike_everywhere(sabotage: ModuleType) -> None:
    lines = yaml.safe_load((ROOT / "tests" / "sabotage" / "disk_encryption.yml").read_text(encoding="utf-8"))
    scenario = yaml.safe_load((ROOT / "molecule" / "disk_encryption" / "molecule.yml").read_text(encoding="utf-8"))
    wanted = [control for control, entry in lines.items() if entry.get("workstation")]
    assert wanted == sabotage.ON_A_WORKSTATION.split(",")
    assert wanted == scenario["ansible"]["env"]["RADIOLOGY_NOT_APPLICABLE"].split(",")
    assert all("prepare" in lines[control] and "restore" in lines[control] for control in wanted)


def test_the_last_line_is_one_tally_over_containers_and_machine(
    sabotage: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = []
    for place, figures in (
        ("in_containers", (42, 42, 42, 42)),
        ("at_workstations", (5, 5, 5, 5)),
        ("at_laptops", (3, 3, 3, 3)),
        ("at_boxes", (2, 2, 2, 2)),
        ("in_machine", (10, 10, 10, 9)),
        ("on_devices", (5, 5, 5, 5)),
        ("at_gateways", (1, 1, 1, 1)),
    ):
        monkeypatch.setattr(
            sabotage, place, lambda roles, chosen, figures=figures: given.append((roles, chosen)) or figures
        )
    assert sabotage.main([]) == 1
    assert capsys.readouterr().out == "68 controls: 68 broken, 68 named, 67 repaired\n"
    given.clear()
    assert sabotage.main(["orthanc.webdav_off"]) == 0
    assert given == [(sabotage.IN_CONTAINERS, ["orthanc.webdav_off"])]
    given.clear()
    assert sabotage.main(["workstation.automount_off"]) == 0
    assert given == [(sabotage.AT_WORKSTATIONS, ["workstation.automount_off"])]
    given.clear()
    assert sabotage.main(["reading_laptop.key_private"]) == 0
    assert given == [(sabotage.AT_LAPTOPS, ["reading_laptop.key_private"])]
    given.clear()
    sabotage.main(["firewall.forwards_granted_alone"])
    assert given == [(["firewall"], ["firewall.forwards_granted_alone"])]
    given.clear()
    assert sabotage.main(["modality_box.key_private"]) == 0
    assert given == [(sabotage.AT_BOXES, ["modality_box.key_private"])]
    given.clear()
    sabotage.main(["disk_encryption.swap_encrypted"])
    assert given == [(sabotage.IN_MACHINE, ["disk_encryption.swap_encrypted"])]
    given.clear()
    sabotage.main(["device.listener"])
    assert given == [(sabotage.ON_DEVICES, ["device.listener"])]
    assert sabotage.main(["disk_encryption.swap"]) == 2


def test_hosts_that_tell_differently_or_nothing_end_it(sabotage: ModuleType) -> None:
    assert sabotage.tally(2 * LINE.format(3, 3, 3, 3)) == (3, 3, 3, 3)
    for told in ("", LINE.format(3, 3, 3, 3) + LINE.format(3, 3, 2, 3)):
        with pytest.raises(SystemExit, match="different tallies"):
            sabotage.tally(told)


@pytest.fixture
def devices(sabotage: ModuleType) -> ModuleType:
    return sys.modules["sabotage_devices"]


def finding(*observed: str, why: str = "") -> dict[str, object]:
    return {"verdict": "fail", "evidence": [{"why": why, "observed": list(observed)}]}


def test_a_control_of_devices_is_named_on_its_device_in_its_words_and_alone(devices: ModuleType) -> None:
    entry = {"of": "ct", "says": "11112 answers", "follows": []}
    broken = {("ct", "device.listener"): finding("10.0.0.30:11112 answers DICOM")}
    elsewhere = {("ws", "device.web"): finding("10.0.0.20:3333 answers")}
    assert devices.named(entry, "device.listener", {**broken, **elsewhere})
    assert not devices.named(entry, "device.listener", elsewhere)
    assert not devices.named(entry, "device.listener", {**broken, ("ct", "device.web"): finding("x")})
    assert not devices.named({**entry, "says": "3333"}, "device.listener", broken)
    assert not devices.named({**entry, "follows": ["device.web"]}, "device.listener", broken)
    ended = {("ct", "device.listener"): finding(why="it ended")}
    assert devices.named({**entry, "says": "ended"}, "device.listener", ended)


def test_every_device_of_the_sabotage_is_asked_what_its_line_breaks(devices: ModuleType) -> None:
    lines = yaml.safe_load(devices.LINES.read_text(encoding="utf-8"))
    for control, entry in lines.items():
        (known,) = (each for each in catalogue.load("device") if each.id == control)
        assert devices.KINDS[entry["of"]] in known.concerns
        assert entry["at"] == "clinic_file" if not known.expect_from else entry["mend"]
        assert entry["at"] in ("clinic_file", *devices.HOSTS)
        assert entry["says"]


class FakeDevices:
    """Devices of which the audit tells what a list says, run by run."""

    def __init__(self, *told: object) -> None:
        self.told = list(told)
        self.done: list[str] = []

    def do(self, place: str, line: str) -> None:
        self.done.append(place)

    def mend(self, entry: dict[str, object]) -> None:
        self.done.append("mended")

    def audit(self) -> object:
        return self.told.pop(0)


@pytest.mark.parametrize(
    ("told", "tally"),
    [
        (("", "web", "share", ""), (2, 2, 2, 2)),
        (("", "", "share", ""), (2, 2, 1, 2)),
        (("", "web", "both", ""), (2, 2, 2, 1)),
        (("", "web", "share", "share"), (2, 2, 2, 1)),
    ],
    ids=["all", "one is not named", "one is left", "the last is left"],
)
def test_what_is_not_named_or_left_lowers_the_tally(
    devices: ModuleType, told: tuple[str, ...], tally: tuple[int, ...]
) -> None:
    lines = yaml.safe_load(devices.LINES.read_text(encoding="utf-8"))
    web, share = (
        {(lines[name]["of"], name): finding(lines[name]["says"])} for name in ("device.web", "device.file_shares")
    )
    known: dict[str, object] = {"": {}, "web": web, "share": share, "both": {**web, **share}}
    fake = FakeDevices(*(known[each] for each in told))
    assert devices.break_all(fake, ["device.web", "device.file_shares"]) == tally
    assert fake.done == ["ws", "mended", "ct", "mended"]
    with pytest.raises(SystemExit, match="Before anything is broken"):
        devices.break_all(FakeDevices(web), ["device.web"])
