# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Values of a wrong type in Orthanc's files: every observer goes on, the audit tells, and hardening stops or mends."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import (
    disk_places,
    orthanc_configuration,
    orthanc_service,
    orthanc_text,
    orthanc_types,
)
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host, Result
from ansible_collections.radiology.hardening.plugins.module_utils.surfaces import authentication, dicom_tls, orthanc
from hypothesis import given
from hypothesis import strategies as st
from test_agreement import hardened

FILE = "/etc/orthanc/orthanc.json"
WRONG: dict[str, list[Any]] = {
    "true or false": [None, "false", 0, [], {}],
    "a whole number": [None, "500 GB", "8042", 1.5, -1, 2**31, True, [], {}],
    "a port": [None, "8042", 65536, -1, True, [80], {}],
    "a string": [None, 7, True, [], {}, "a\0b", "\ud800"],
    "a list of strings": [None, "x", {}, [1], [["x"]], ["a\0b"]],
    "an object": [None, "x", 1, [], True],
    "an object of entries like {": [
        *({"ct": each} for each in ("x", None, 7, [], ["CT"], ["CT", 1, 104], {}, {"AET": ["CT"], "Host": "10.0.0.2"})),
        {"ct": {"AET": "CT", "Host": "10.0.0.2", "UseDicomTls": "yes"}},
    ],
    'an object of entries like "': [{"anna": ["secret"]}, {"anna": {"password": "secret"}}],
}
"""Beginning of what is accepted -> what is not."""
RIGHT = {
    "DicomModalities": {"ct": ["CT", "10.0.0.2", 104], "mr": {"AET": "MR", "Host": "mr", "Port": "104"}},
    "HttpPort": 8043,
    "Plugins": ["/usr/share/orthanc/plugins"],
    "RegisteredUsers": {"anna": "secret", "pin": 1234},
    "StorageDirectory": "/srv/images",
    "MaximumStorageSize": 0,
    "WebDavEnabled": False,
}


class Installed(Host):
    """A host below a folder with an Orthanc, whose commands tell nothing."""

    def __init__(self, root: Path) -> None:
        super().__init__(str(root))
        self.written: list[str] = []
        put(root, orthanc_service.BINARY, "")

    def run(self, command: Any, **rest: Any) -> Result:
        if command[:2] == ["dpkg-query", "--show"]:
            return Result(0, "installed 1.12.7+dfsg-4", "")
        return Result(127, "", "")

    def write(self, path: str, content: Any, **rest: Any) -> None:
        self.written.append(path)


def put(root: Path, path: str, text: str) -> None:
    file = root / path.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


CASES = [
    pytest.param(key, value, id=f"{key}-{json.dumps(value)}")
    for key, (accepted, _look) in sorted(orthanc_types.KINDS.items())
    for words, values in WRONG.items()
    if accepted.startswith(words)
    for value in values
]


def test_every_key_that_is_read_has_wrong_values() -> None:
    assert {case.values[0] for case in CASES} == set(orthanc_types.KINDS)


@pytest.mark.parametrize(("key", "value"), CASES)
def test_a_value_of_a_wrong_type_is_told_by_each_observer_and_nothing_is_changed(
    tmp_path: Path, key: str, value: Any
) -> None:
    put(tmp_path, FILE, json.dumps({**RIGHT, key: value}))
    host = Installed(tmp_path)
    found = orthanc.observe(host, {})
    assert found["unreadable_configuration"].startswith(f"{FILE}: {key} has to be ")
    assert "secret" not in json.dumps(found)
    dicom_tls.observe(host, {"name": "pacs", "devices": []})
    told, _logins, _port = authentication._orthanc(host)
    authentication._modalities(told.get("DicomModalities") or {}, [])
    disk_places.orthanc_folders(host, disk_places.orthanc_as_told(host))
    with pytest.raises(HardeningError, match=rf"^{FILE}: {key} has to be .*, but .* is .*\.$"):
        orthanc_configuration._hold(host, {"Name": "x"} if key != "Name" else {}, {})
    assert host.written == []


def test_what_is_of_its_type_is_read_as_before(tmp_path: Path) -> None:
    put(tmp_path, FILE, json.dumps(RIGHT))
    found = orthanc.observe(Installed(tmp_path), {})
    assert found["unreadable_configuration"] == ""
    assert {key: found["config"][key] for key in RIGHT if key != "RegisteredUsers"} == {
        key: value for key, value in RIGHT.items() if key != "RegisteredUsers"
    }
    assert sorted(found["registered_users"]) == ["anna", "pin"]


def test_one_wrong_value_hides_no_other_key_and_no_other_file(tmp_path: Path) -> None:
    put(tmp_path, FILE, json.dumps({**RIGHT, "MaximumStorageSize": "500 GB"}))
    put(tmp_path, "/etc/orthanc/broken.json", "{")
    put(tmp_path, "/etc/orthanc/list.json", "[]")
    found = orthanc.observe(Installed(tmp_path), {})
    assert found["config"]["StorageDirectory"] == "/srv/images"
    assert found["config"]["MaximumStorageSize"] == 0
    said = found["unreadable_configuration"]
    assert said.startswith("/etc/orthanc/broken.json, line 1: ")
    assert "/etc/orthanc/list.json: Orthanc reads one JSON object, but found list." in said
    assert said.endswith(f"{FILE}: MaximumStorageSize has to be a whole number, 0 or more, but it is a string.")


def test_what_a_later_version_takes_is_of_no_wrong_type(tmp_path: Path) -> None:
    put(tmp_path, FILE, json.dumps({"OverwriteInstances": "Never"}))
    found = orthanc.observe(Installed(tmp_path), {})
    assert (found["unreadable_configuration"], found["config"]["OverwriteInstances"]) == ("", "Never")


def test_a_boolean_in_quotes_passes_for_no_default(tmp_path: Path) -> None:
    put(tmp_path, FILE, json.dumps({"ExecuteLuaEnabled": "true"}))
    assert orthanc.observe(Installed(tmp_path), {})["config"]["ExecuteLuaEnabled"] == "true"


def test_a_key_that_is_held_is_mended_whatever_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, FILE, json.dumps({**RIGHT, "MaximumStorageSize": "500 GB"}))
    host, written = Installed(tmp_path), {}
    monkeypatch.setattr(orthanc_service, "change", lambda _host, files, _stray, meaning: written.update(meaning))
    monkeypatch.setattr(host, "folder", lambda *dummy, **more: None)
    orthanc_configuration._hold(host, {"MaximumStorageSize": 19000}, {})
    assert written == {**RIGHT, "MaximumStorageSize": 19000}


def test_the_plan_says_what_is_amiss() -> None:
    known = hardened("orthanc", "debian13")
    facts = copy.deepcopy(known["facts"])
    facts["orthanc"]["unreadable_configuration"] = f"{FILE}: Plugins has to be a list, but it is a string."
    (step,) = orthanc_configuration.configure(facts, {}, "keep it")
    assert step.does.endswith(f"({FILE}: Plugins has to be a list, but it is a string)")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(orthanc_types.KINDS, VALUES)))
def test_whatever_stands_there_is_told_or_can_be_worked_with(content: dict[str, Any]) -> None:
    mistyped = orthanc_types.wrong(content)
    assert set(mistyped) <= set(content)
    told = orthanc_types.understood(content, mistyped)
    orthanc_configuration.fingerprints(told.get("RegisteredUsers", {}))
    dicom_tls.outgoing_in_clear(told.get("DicomModalities", {}))
    authentication._modalities(told.get("DicomModalities", {}), [{"ae_title": "CT", "name": "ct", "loopback": "::1"}])
    assert orthanc_types.wrong(content, content) == {}
    assert orthanc_text.merge({"f": told})[0] == told
