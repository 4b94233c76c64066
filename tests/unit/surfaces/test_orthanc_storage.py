# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What happens when the images fill their room: what is seen, which quota is set, and when none is."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import orthanc_storage
from test_orthanc import Answering, planned


@pytest.mark.parametrize(
    ("version", "config", "full"),
    [
        ("1.10.1", {}, "disk"),
        ("1.10.1", {"MaximumStorageSize": 9}, "deletes"),
        ("1.10.1", {"MaximumStorageSize": 9, "MaximumStorageMode": "Reject"}, "deletes"),
        ("1.10.1", {"MaximumPatientCount": 9}, "deletes"),
        ("1.12.7", {}, "unbounded"),
        ("1.12.7", {"MaximumStorageSize": 9}, "deletes"),
        ("1.12.7", {"MaximumStorageSize": 9, "MaximumStorageMode": "Reject"}, "rejects"),
        ("1.12.7", {"MaximumStorageMode": "Reject"}, "unbounded"),
    ],
)
def test_what_a_full_storage_does(tmp_path: Any, version: str, config: dict[str, Any], full: str) -> None:
    host = Answering(tmp_path, df="1M-blocks  Used\n  20000   700\n")
    assert orthanc_storage.observe(host, config, version) == {
        "when_full": full,
        "room_mib": 20000,
        "used_mib": 700,
    }


def test_the_room_of_a_storage_that_is_still_to_be_made_is_that_of_its_parent(tmp_path: Any) -> None:
    (tmp_path / "srv").mkdir()
    host = Answering(tmp_path, df="1M-blocks  Used\n  20000   700\n")
    assert orthanc_storage.observe(host, {"StorageDirectory": "/srv/images/db"}, "1.12.7")["room_mib"] == 20000
    assert host.ran[-1][-1] == "/srv"
    assert orthanc_storage.observe(Answering(tmp_path), {}, "1.12.7")["room_mib"] == 0


def test_a_quota_is_the_room_less_a_reserve_or_what_was_chosen() -> None:
    def found(room: int, stored: int, version: str = "1.12.7") -> dict[str, Any]:
        return {"version": version, "storage": {"room_mib": room, "stored_mib": stored}, "config": {}}

    assert orthanc_storage.settings(found(20000, 5), 0) == {"MaximumStorageMode": "Reject", "MaximumStorageSize": 19000}
    assert orthanc_storage.quota_mib(found(2000000, 5), 0) == 1989760
    assert orthanc_storage.quota_mib(found(20000, 5), 700) == 700
    assert orthanc_storage.settings(found(20000, 5, "1.10.1"), 700) == {
        "MaximumPatientCount": 0,
        "MaximumStorageSize": 0,
    }
    assert orthanc_storage.settings(found(20000, 19001), 0) == {"MaximumStorageMode": "Reject"}
    assert "19001 MiB" in orthanc_storage.steps(found(20000, 19001), 0)[0].does
    assert orthanc_storage.steps(found(20000, 19000), 0) == []
    assert orthanc_storage.settings(found(0, 0), 0) == {"MaximumStorageMode": "Reject"}
    assert orthanc_storage.steps(found(0, 0), 0)


@pytest.mark.parametrize(
    ("stored", "used", "config", "size"),
    [
        (None, 19000, {}, 19000),
        (None, 19001, {}, None),
        (None, 0, {}, None),
        (None, 19001, {"MaximumStorageSize": 19000}, None),
        (None, 700, {"PostgreSQL": {"EnableStorage": True}}, None),
        (None, 700, {"PostgreSQL": {"EnableIndex": True, "EnableStorage": False}}, 19000),
        (None, 700, {"AwsS3Storage": {}}, None),
        (19001, 19500, {"MaximumStorageSize": 19000}, 0),
        (19001, 19500, {"MaximumStorageSize": 19500}, None),
        (19001, 19500, {}, None),
    ],
)
def test_no_quota_refuses_what_is_stored_already(
    stored: int | None, used: int, config: dict[str, Any], size: int | None
) -> None:
    storage = {"room_mib": 20000, "used_mib": used, "stored_mib": stored}
    found = {"version": "1.12.7", "storage": storage, "config": config}
    held = {"MaximumStorageMode": "Reject"} | ({} if size is None else {"MaximumStorageSize": size})
    assert orthanc_storage.settings(found, 0) == held
    said = " ".join(step.does for step in orthanc_storage.steps(found, 0))
    assert bool(said) is not bool(size)
    assert ("until it answers" in said) is (stored is None and not size)
    assert orthanc_storage.settings(found, 18000).get("MaximumStorageSize") in (None, 18000)


def test_images_beyond_the_quota_are_told_without_a_restart() -> None:
    held = {"MaximumStorageSize": 0}
    steps, left = planned(config=held, storage={"stored_mib": 10**9, "when_full": "unbounded"})
    assert steps == []
    assert "enlarge their disk" in left[0]
