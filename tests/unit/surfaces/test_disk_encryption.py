# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The surface as a whole, on the recorded answers of a real server whose disks lay half in clear."""

from __future__ import annotations

import datetime
import json

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import (
    deliberate,
    disk_mount_points,
    disk_removable,
    disk_swap,
    surface,
)
from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import parted
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.expectation import lookup
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step, apply
from ansible_collections.radiology.hardening.plugins.module_utils.surfaces import disk_encryption, orthanc
from ansible_collections.radiology.hardening.plugins.plugin_utils import catalogue
from ansible_collections.radiology.hardening.plugins.plugin_utils.judge import Sight, judge
from disk_host import RecordedHost, recording
from test_agreement import BREACHES, hardened, with_fact

CONTROLS = catalogue.load("disk_encryption")
WANTED = catalogue.wanted(CONTROLS)
CLEAR = recording("clear.debian12")
TODAY = datetime.date(2026, 11, 24)
ORTHANC = hardened("disk_encryption", "debian12")["facts"]["orthanc"]
ORTHANC["config"]["TemporaryDirectory"] = "/tmp"
FIRST = "/var/lib/orthanc/db-v6 (images) lies on /dev/vdb1, in clear"


def observed(tmp_path, **scope):
    host = RecordedHost(str(tmp_path), CLEAR["asked"])
    return disk_encryption.observe(host, {**CLEAR["scope"], **scope})


def planned(facts, **scope):
    return disk_encryption.plan({"disk_encryption": facts, "orthanc": ORTHANC}, WANTED, {**CLEAR["scope"], **scope})


def test_a_recorded_server_is_seen_as_it_was(tmp_path):
    folder = tmp_path / "root"
    folder.mkdir()
    (folder / "left.dcm").write_bytes(bytes(128) + b"DICM" + bytes(400))
    facts = observed(tmp_path)
    assert facts["data"]["in_clear"] == []
    assert facts["mount_points"] == {
        "unguarded": ["orthanc.service does not require /var/lib/orthanc"],
        "open": ["/var/lib/orthanc"],
        "hidden": [],
        "unlisted": [],
    }
    assert facts["scan"]["by_mount_point"] == {"/": 1}
    assert facts["swap"]["in_clear"] == ["/dev/vdc1", "/swapfile"]
    assert facts["swap"]["hibernation_exposed"] is True
    assert facts["temporary"]["in_clear"] == ["/tmp"]
    assert facts["temporary"]["core_dumps_in_clear"] is True
    assert facts["keyslots"]["unknown"] == []
    assert facts["recovery"]["not_escrowed"] == []
    assert facts["unlock"] == {"exposed": [], "unbound": []}
    assert facts["places"][0]["below"] == ["ext4 /dev/mapper/images", "crypt images", "part vdb1", "disk vdb"]
    ordinary, left = parted(planned(facts))
    assert [step.does for step in ordinary] == [
        "Make the empty folder under the mount point /var/lib/orthanc immutable",
        "Have orthanc.service start only with /var/lib/orthanc mounted",
        "Have systemd never hibernate: memory would reach a disk in clear",
        "Give the swap on /dev/vdc1 a fresh random key at each boot, as swap_e24ba0eaa6b2",
        "Have the initramfs of the next kernel look for no hibernated memory",
        f"Stop swapping to the file /swapfile, which lies in clear; {disk_swap.REMAINS}",
        "Have the kernel write no core dumps",
        "Make /var/lib/orthanc/db-v6/tmp, where Orthanc packs its archives",
        "Configure Orthanc to pack archives where they are not in clear: set TemporaryDirectory",
    ]
    assert [step.does.partition(":")[0] for step in left] == ["1 DICOM files lie in clear (1 on /)"]


def test_looking_changes_nothing(tmp_path):
    host = RecordedHost(str(tmp_path), CLEAR["asked"])
    disk_encryption.observe(host, CLEAR["scope"])
    asked = ("lsblk", "findmnt", "dmsetup table", "readlink", "findfs", "blkid -p", "df ", "systemctl show", "unshare")
    asked += ("systemd-detect-virt", "systemd-escape", "systemd-analyze cat-config", "cryptsetup luksDump")
    assert [done for done in host.done if not done.startswith(asked)] == []
    assert [done for done in host.done if "chattr" in done] == []


def test_every_observed_fact_is_declared(tmp_path):
    facts = observed(tmp_path)
    leaves = {
        f"{name}.{inner}" if name not in disk_encryption.FACTS else name
        for name, value in facts.items()
        for inner in (value if isinstance(value, dict) and name not in disk_encryption.FACTS else [""])
    }
    assert leaves == set(disk_encryption.FACTS)


def test_a_workstation_s_system_and_plugged_drives_are_looked_at_too(tmp_path):
    facts = observed(tmp_path, kind="workstation", passphrases=1)
    assert [said.partition(" ")[0] for said in facts["system"]["in_clear"]] == ["/", "/home", "/root"]
    assert facts["removable"]["unprotected"] == [disk_removable.MISSING]
    left = [step.does for step in parted(planned(facts, name="ws.clinic"))[1]]
    assert [said for said in left if said.startswith("/ (system)") and "/home (homes)" in said]
    assert [said for said in left if "radiology.hardening.encrypt_storage -l ws.clinic`, about" in said]


def test_a_workstation_has_no_orthanc_and_needs_none(tmp_path):
    host = RecordedHost(str(tmp_path), CLEAR["asked"])
    host.stats = {path: known for path, known in host.stats.items() if "rthanc" not in path}
    scope = {**CLEAR["scope"], "kind": "workstation", "name": "ws.clinic"}
    facts = {each.NAME: each.observe(host, scope) for each in (*disk_encryption.USES, disk_encryption)}
    assert facts["orthanc"]["installed"] is False
    purposes = {place["purpose"] for place in facts["disk_encryption"]["places"]}
    assert purposes == {"system", "homes", "temporary"}
    steps = [step.does for step in disk_encryption.plan(facts, WANTED, scope)]
    assert not [said for said in steps if "rthanc" in said]
    assert "Have udev make file systems in clear on removable drives read-only" in steps


def test_what_lies_in_clear_is_told_with_command_size_and_time(tmp_path):
    facts = observed(tmp_path)
    facts["data"]["in_clear"] = [FIRST, FIRST.replace("images", "index")]
    facts["data"]["estimates"] = {
        "/var/lib/orthanc": {
            "used_bytes": 3 << 30,
            "bytes_to_encrypt": 9 << 30,
            "minutes": 4,
            "assumed_mib_per_second": 60,
        }
    }
    (told,) = [step.does for step in planned(facts) if step.does.startswith(FIRST)]
    assert told == (
        f"{FIRST}; {FIRST.replace('images', 'index')}: encrypt its 3.0 GiB by `ansible-playbook "
        "radiology.hardening.encrypt_storage -l pacs.clinic`, about 4 min at an assumed 60 MiB/s"
    )


def test_a_volume_that_is_not_open_is_to_be_opened_not_encrypted(tmp_path):
    facts = observed(tmp_path)
    facts["data"] |= {"in_clear": [FIRST], "closed": {"/var/lib/orthanc": "/dev/mapper/images"}}
    (told,) = [step.does for step in planned(facts) if step.does.startswith(FIRST)]
    assert told.endswith(
        "its encrypted volume is not open; `ansible-playbook radiology.hardening.unlock -l pacs.clinic`"
    )


def test_nothing_that_an_encryption_holds_is_touched_while_it_is_under_way(tmp_path):
    facts = observed(tmp_path)
    facts["jobs"] = {"images": "stopped", "old": "retired"}
    ordinary, left = parted(planned(facts))
    assert not [step.does for step in ordinary if "orthanc" in step.does.lower()]
    assert [step.does for step in ordinary if "swap" in step.does]
    assert "An encryption is under way (images at stage stopped): run this role again when it has ended" in [
        step.does for step in left
    ]


def test_none_of_it_concerns_a_container():
    host = RecordedHost()
    host.answers("systemd-detect-virt --container --quiet")
    facts = {"disk_encryption": disk_encryption.observe(host, {"kind": "workstation"}), "orthanc": ORTHANC}
    assert host.done == ["systemd-detect-virt --container --quiet"]
    assert {finding["verdict"] for finding in judge(CONTROLS, Sight("pacs", facts), [], TODAY)} == {"not_applicable"}
    assert disk_encryption.plan(facts, WANTED, CLEAR["scope"]) == []


@pytest.mark.parametrize(
    ("group", "key", "act"),
    [
        ("keyslots", "unknown", "luksKillSlot"),
        ("recovery", "not_escrowed", "rotate_disk_keys -l pacs.clinic"),
        ("parameters", "weak", "luksConvertKey --pbkdf argon2id"),
        ("unlock", "exposed", "shred -u"),
        ("unlock", "unbound", "unlock -l pacs.clinic -e rebind=true"),
    ],
)
def test_what_concerns_keys_names_the_act_that_mends_it(tmp_path, group, key, act):
    facts = observed(tmp_path)
    facts[group][key] = ["images: as it should not be"]
    (told,) = [step.does for step in planned(facts) if step.does.startswith("images: as it should not be: ")]
    assert act in told


def test_every_fact_of_a_control_has_its_repair():
    facts = {clause.fact.removeprefix("disk_encryption.") for control in CONTROLS for clause in control.expect}
    assert facts == set(disk_encryption.REPAIRS)


@pytest.mark.parametrize("clause", [clause for control in CONTROLS for clause in control.expect], ids=str)
def test_a_breach_is_mended_or_told_and_told_acts_name_what_to_do(clause):
    """What is only told, and never done, is this list: it needs a key, moves data, or cannot be undone."""
    known = hardened("disk_encryption", "debian12")
    (breach,) = BREACHES[clause.operator](clause.expected)
    broken = with_fact(known["facts"], clause.fact, breach)
    ordinary, left = parted(disk_encryption.plan(broken, WANTED, known["scope"]))
    told_only = {
        *("data.in_clear", "data.not_luks2", "system.in_clear", "scan.images_in_clear", "scan.bound_reached"),
        *("keyslots.unknown", "recovery.not_escrowed", "parameters.weak", "unlock.exposed", "unlock.unbound"),
        *("mount_points.hidden", "mount_points.unlisted"),
        # of these, only the made-up value of the breach is: a real one has its ordinary step, tested on the recording
        *("mount_points.unguarded", "swap.in_clear", "temporary.in_clear", "removable.unprotected"),
    }
    assert bool(left) is (clause.fact.removeprefix("disk_encryption.") in told_only)
    assert bool(ordinary) is not bool(left)


def test_a_waived_fact_is_left_alone(tmp_path):
    wanted = {name: demands for name, demands in WANTED.items() if not name.startswith("disk_encryption.swap.")}
    facts = {"disk_encryption": observed(tmp_path), "orthanc": ORTHANC}
    said = [step.does for step in disk_encryption.plan(facts, wanted, CLEAR["scope"])]
    assert said
    assert not [sentence for sentence in said if "swap" in sentence or "hibernate" in sentence]


def test_a_deliberate_step_is_never_carried_out():
    host = RecordedHost()
    with pytest.raises(HardeningError, match="Burn the disk: this is a deliberate act"):
        apply(host, [deliberate.deliberate("Burn the disk")])
    assert host.done == []


class EndError(Exception):
    """Stands for the end of a module."""


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("steps", [[], ["safe"], ["deliberate"], ["safe", "deliberate"]], ids=str)
def test_what_is_left_to_a_person_is_a_change_in_check_mode_alone(monkeypatch, steps, check):
    done, ended, warned = [], {}, []
    made = {"safe": Step("Do it", done.append), "deliberate": deliberate.deliberate("Say it")}

    class Module:
        def __init__(self, **_arguments):
            self.params = {"surface": "disk_encryption", "scope": {}, "wanted": {}}
            self.check_mode = check

        def warn(self, sentence):
            warned.append(sentence)

        def exit_json(self, **result):
            ended.update(result)
            raise EndError

    monkeypatch.setattr(surface, "AnsibleModule", Module)
    monkeypatch.setattr(surface, "observe", lambda *_given: {})
    monkeypatch.setattr(disk_encryption, "plan", lambda *_given: [made[name] for name in steps])
    with pytest.raises(EndError):
        surface.main({})
    left = ["Say it"] if "deliberate" in steps else []
    assert ended["plan"] == (["Do it"] if "safe" in steps else [])
    assert ended.get("deliberate", []) == left
    assert warned == [f"Left to you: {sentence}" for sentence in left]
    assert ended["changed"] is bool(steps if check else "safe" in steps)
    assert len(done) == ("safe" in steps and not check)
    assert ("Left to you" in ended["diff"]["after"]) is (check and bool(left))


@pytest.mark.parametrize(
    ("value", "held"),
    [
        ("/var/lib/orthanc", True),
        ("/srv /var/lib/orthanc/db-v6", True),
        ("/var/lib/orthanc2", False),
        ("/var/lib", False),
    ],
)
def test_a_unit_requires_a_mount_by_any_path_on_it(value, held):
    assert disk_mount_points.requires(value, "/var/lib/orthanc") is held


@pytest.mark.parametrize(
    ("protection", "looked_at"), [("encrypted", True), ("clear", True), ("network", False), ("memory", False)]
)
def test_nothing_is_written_beside_a_volume_in_clear_either(protection, looked_at):
    host, point = RecordedHost(), "/srv/images"
    host.answers(
        " ".join([*disk_mount_points.WITH_OWN_MOUNTS, disk_mount_points.LOOK, point]), output="-------e------- .\n0"
    )
    place = {"path": f"{point}/db-v6", "purpose": "images", "mount_point": point, "protection": protection}
    found = disk_mount_points.observe(host, [place])
    assert found["unguarded"] == [f"orthanc.service does not require {point}"] * looked_at
    assert found["open"] == [point] * looked_at
    assert not found["hidden"]


def test_our_drop_in_keeps_what_it_required_before():
    once = disk_mount_points.drop_in("/srv/a", "")
    assert disk_mount_points.drop_in("/srv/a", once) == once
    assert disk_mount_points.drop_in("/srv/b", once).endswith("RequiresMountsFor=/srv/a\nRequiresMountsFor=/srv/b\n")


def test_the_rule_for_removable_drives_spares_what_the_system_runs_from_and_nothing_forged():
    rule = disk_removable.rule(["B38F-00", 'x", RUN+="/bin/sh'])
    assert 'ENV{ID_FS_UUID}=="B38F-00", GOTO="radiology_removable_end"' in rule
    assert "/bin/sh" not in rule


def test_orthanc_is_part_of_what_this_surface_uses_and_secrets_never_become_facts(tmp_path):
    assert orthanc in disk_encryption.USES
    text = json.dumps(observed(tmp_path))
    assert lookup({"disk_encryption": observed(tmp_path)}, "disk_encryption.volumes")
    assert not [word for word in ("jwe", "ciphertext", "salt", 'protected": "ey') if word in text]
