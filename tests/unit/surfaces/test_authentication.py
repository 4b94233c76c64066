# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""People, devices and secret files: what is compared with the clinic file, and what Orthanc is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import ssh_group, web_front_plan
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step
from ansible_collections.radiology.hardening.plugins.module_utils.surfaces import authentication
from ansible_collections.radiology.hardening.plugins.plugin_utils import catalogue

RECORDED = Path(__file__).with_name("hardened")
CT = {
    "name": "ct",
    "ae_title": "LUM_CT1",
    "address": "10.77.11.30",
    "loopback": "127.77.11.30",
    "port": 0,
    "may": ["echo", "store"],
}
WS = {
    "name": "ws",
    "ae_title": "LUM_WS1",
    "address": "10.77.11.20",
    "loopback": "127.77.11.20",
    "port": 11112,
    "may": ["echo", "find", "move"],
}
ENTRIES = {"ct": authentication.modality(CT), "ws": authentication.modality(WS)}


def compared(**changes):
    return authentication._modalities({**ENTRIES, **changes}, [CT, WS])


def test_a_device_is_told_to_orthanc_behind_its_loopback_address_with_its_rights_alone():
    assert ENTRIES["ct"] == {
        "AET": "LUM_CT1",
        "Host": "127.77.11.30",
        "Port": 104,
        "AllowEcho": True,
        "AllowStore": True,
        "AllowFind": False,
        "AllowFindWorklist": False,
        "AllowMove": False,
        "AllowGet": False,
        "AllowStorageCommitment": False,
        "UseDicomTls": False,
    }
    assert ENTRIES["ws"]["Port"] == 11112


@pytest.mark.parametrize("installed", [True, False])
def test_an_orthanc_on_a_workstation_is_left_alone(installed):
    known = json.loads((RECORDED / "authentication.debian12.json").read_text(encoding="utf-8"))
    facts = json.loads(json.dumps(known["facts"]))
    facts["orthanc"]["installed"] = installed
    facts["authentication"]["web"]["active"] = facts["authentication"]["lockout"]["in_force"] = False
    wanted = catalogue.wanted(catalogue.load("authentication"))
    told = [step.does for step in authentication.plan(facts, wanted, {**known["scope"], "web": False})]
    assert told == ["Lock an account for 15 minutes after 5 wrong passwords (pam_faillock)"]


def test_declared_devices_leave_nothing_to_say():
    assert all(found == [] for found in compared().values())


@pytest.mark.parametrize(
    ("changes", "fact", "names"),
    [
        ({"visitor": ["VISITOR", "192.0.2.9", 104]}, "undeclared_modalities", ["visitor"]),
        ({"ct": {**ENTRIES["ct"], "AllowFind": True}}, "exceeding_modalities", ["ct"]),
        ({"ct": ["LUM_CT1", "127.77.11.30", 104]}, "exceeding_modalities", ["ct"]),
        ({"ct": {**ENTRIES["ct"], "Host": "10.77.11.30"}}, "misplaced_modalities", ["ct"]),
        ({"ct": {**ENTRIES["ct"], "Host": "ct.local"}}, "misplaced_modalities", ["ct"]),
        ({"twin": {**ENTRIES["ct"], "AET": "lum_ct1"}}, "shared_ae_titles", ["LUM_CT1"]),
        ({"ct": "nonsense"}, "missing_modalities", ["LUM_CT1"]),
    ],
)
def test_each_difference_has_its_fact(changes, fact, names):
    assert compared(**changes)[fact] == names


def test_people_are_compared_by_login():
    found = authentication._users(["anna", "orthanc"], [{"login": "anna"}, {"login": "bruno"}])
    assert found == {"names": ["anna", "orthanc"], "undeclared": ["orthanc"], "missing": ["bruno"]}


def test_orthanc_is_told_people_only_when_their_passwords_are_given():
    wanted = {"orthanc.config.AuthenticationEnabled": {"is": True}, "authentication.users.missing": {"empty": True}}
    scope = {"people": [{"login": "anna", "role": "reader"}], "devices": [CT]}
    told = authentication.settings(wanted, {**scope, "passwords": {"anna": "hers"}, "orthanc_passwords": None})
    assert "RegisteredUsers" not in told
    assert told["AuthenticationEnabled"] is True
    assert told["DicomModalities"] == {"ct": ENTRIES["ct"]}
    given = authentication.settings(wanted, {**scope, "orthanc_passwords": {"anna": "canary", "gone": "canary"}})
    assert given["RegisteredUsers"] == {"anna": "canary"}


@pytest.mark.parametrize(
    ("text", "is_secret"),
    [
        ('{"RegisteredUsers": {"anna": "canary"}}', True),
        ('{"RegisteredUsers": {\n  // "alice": "alicePassword"\n}}', False),
        ('{"OrthancPeers": { "other": ["http://192.0.2.1/", "u", "p"]}}', True),
        ('{"PostgreSQL": {"Password": "canary"}}', True),
        ('{\n  // as it was\n  "PostgreSQL": {"Password": "canary"}\n}', True),
        ('{\n  /* "Password":\n  "none" */ }', False),
        ('{"Odbc": {"IndexConnectionString": "DSN=index;PWD=canary"}}', True),
        ('{"AwsS3Storage": {"SecretKey": "canary"}}', True),
        ('{"DicomWeb": {"Servers": {"hub": ["https://hub/", "login", "canary"]}}}', True),
        ('{"DicomWeb": {"Servers": {\n  // "hub": ["https://hub/"]\n}}}', False),
        ('{"Pkcs11": {"Pin": "canary"}}', True),
        ('{"hub": {"Url": "https://hub/", "HttpHeaders": {"Authorization": "canary"}}}', True),
        ('{"Authorization": {"WebServiceHttpHeaders": {"a": "canary"}}}', True),
        ('{"Authorization": {"TokenHttpHeaders": ["token"]}}', False),
        ('{"Site": {"ClientSecret": "canary"}}', True),
        ('{"HttpProxy": "login:canary@192.0.2.1:3128"}', True),
        ('{"HttpProxy": "192.0.2.1:3128"}', False),
        ('{"HttpsVerifyPeers": true}', False),
    ],
)
def test_files_with_secrets_are_found_by_what_they_say(tmp_path, text, is_secret):
    folder = tmp_path / "etc/orthanc"
    folder.mkdir(parents=True)
    (folder / "copy.json.bak").write_text(text)
    (folder / "copy.json.bak").chmod(0o644)
    assert authentication._loose(Host(str(tmp_path))) == (["/etc/orthanc/copy.json.bak"] if is_secret else [])


def test_a_server_that_is_open_is_closed_only_once_the_front_stands():
    recorded = json.loads((RECORDED / "authentication.debian12.json").read_text(encoding="utf-8"))
    facts, scope = recorded["facts"], recorded["scope"]
    facts["orthanc"]["config"]["RemoteAccessAllowed"] = True
    facts["authentication"]["web"].update(active=False, certificate={"present": False}, request=None)
    wanted = {"orthanc.config.RemoteAccessAllowed": {"is": False}, "authentication.outside.one_factor": {"empty": True}}
    wanted[ssh_group.LIMITED] = {"is": True}
    first = [step.does for step in authentication.plan(facts, wanted, {**scope, "certificate": ""})]
    assert first == [web_front_plan.REQUESTED]
    given = {**scope, "certificate": web_front_plan.TO_BE_SIGNED}
    second = [step.does.partition(" (")[0].partition(":")[0] for step in authentication.plan(facts, wanted, given)]
    assert second[-2:] == ["Serve Orthanc over HTTPS", "Configure Orthanc to let in declared people and devices only"]


def test_a_server_that_is_open_stays_so_while_its_front_waits_for_another_signature():
    asked = [Step(web_front_plan.REQUESTED, lambda _host: None)]
    served = [Step("Serve Orthanc over HTTPS", lambda _host: None)]
    assert web_front_plan.waits(asked, {"certificate": ""})
    assert web_front_plan.waits(asked, {"certificate": "PEM, for a request that another run took the place of"})
    assert not web_front_plan.waits([*asked, *served], {"certificate": web_front_plan.TO_BE_SIGNED})
    assert not web_front_plan.waits(served, {"certificate": "PEM"})
    assert not web_front_plan.waits([], {"certificate": ""})
