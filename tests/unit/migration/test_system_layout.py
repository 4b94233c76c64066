# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Strategy system is refused on every layout, with one sentence that says what is there and names the way out."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.migration import inspection, planning, system_layout
from ansible_collections.radiology.hardening.plugins.module_utils.migration.inspection import Block, Place
from ansible_collections.radiology.hardening.plugins.module_utils.migration.machine import Machine

ROOT = Place("/srv/images", "/", "ext4", "/dev/sda2", 0, 10 << 30, ())
SEPARATE = Place("/boot", "/boot", "ext4", "/dev/sda1", 0, 400 << 20, ())
DEVICE = Block(
    path="/dev/sda2",
    stable_path="/dev/disk/by-partuuid/2",
    kind="part",
    size=20 << 30,
    serial="S1",
    model="",
    rotational=False,
    file_system="ext4",
    uuid="U-U",
    mount_points=("/",),
    kinds_below=("disk",),
    holders=(),
)
ANEW = "install the system anew with encryption"
LAYOUTS: list[tuple[Any, Any, Place, str, str]] = [
    ({}, {}, SEPARATE, "not proven yet", ANEW),
    ({}, {}, dataclasses.replace(ROOT, folder="/boot"), "/boot is no partition of its own", ANEW),
    ({}, {}, dataclasses.replace(SEPARATE, file_system="vfat"), "/boot is vfat", ANEW),
    ({"file_system": "btrfs"}, {}, SEPARATE, "/ is btrfs", ANEW),
    ({"file_system": "xfs"}, {}, SEPARATE, "/ is xfs", ANEW),
    ({}, {"kind": "lvm", "kinds_below": ("part", "disk")}, SEPARATE, "lies on lvm", ANEW),
    ({}, {"kind": "raid1", "kinds_below": ("part", "disk")}, SEPARATE, "lies on raid1", ANEW),
    ({}, {"kind": "disk", "kinds_below": ()}, SEPARATE, "a whole disk", ANEW),
    ({}, {"kind": "crypt", "kinds_below": ("part", "disk")}, SEPARATE, "encrypted already", "nothing to do"),
    ({}, {"kind": "lvm", "kinds_below": ("crypt", "part", "disk")}, SEPARATE, "encrypted already", "nothing to do"),
    ({"mount_point": "/srv"}, {}, SEPARATE, "lies on /srv", "leave strategy out"),
]


@pytest.mark.parametrize("layout", LAYOUTS, ids=[reason for *_layout, reason, _way_out in LAYOUTS])
def test_every_layout_is_refused_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, layout: tuple[Any, Any, Place, str, str]
) -> None:
    place, device, boot, reason, way_out = layout
    monkeypatch.setattr(inspection, "place", lambda _machine, _folder: boot)
    found = dataclasses.replace(ROOT, **place)
    sentence = system_layout.refusal(Machine(), found, dataclasses.replace(DEVICE, **device))
    assert reason in sentence
    assert way_out in sentence
    assert sentence.count(". ") == 0
    assert sentence.endswith(".")


def test_a_root_without_a_device_is_refused() -> None:
    sentence = system_layout.refusal(Machine(), dataclasses.replace(ROOT, file_system="overlay"), None)
    assert "/ is overlay" in sentence
    assert ANEW in sentence


def test_the_planner_refuses_before_it_looks_any_further(monkeypatch: pytest.MonkeyPatch) -> None:
    """No plan, so no question for a confirmation, and nothing that could be armed."""

    def places(_machine: Machine, folder: str) -> Place:
        return SEPARATE if folder == "/boot" else ROOT

    def never(*_arguments: object) -> Iterator[str]:
        raise AssertionError("the planner went on")

    monkeypatch.setattr(inspection, "place", places)
    monkeypatch.setattr(inspection, "block", lambda _machine, _path: DEVICE)
    monkeypatch.setattr(inspection, "content", never)
    with pytest.raises(HardeningError, match=r"^Nothing was changed\. /dev/sda2 holds the running system"):
        planning.propose(Machine(), "studies", {"folder": "/srv/images", "strategy": "system"})


def test_another_strategy_is_still_refused_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "place", lambda _machine, _folder: ROOT)
    monkeypatch.setattr(inspection, "block", lambda _machine, _path: DEVICE)
    with pytest.raises(HardeningError, match="accepted are in_place, volume, container, system"):
        planning.propose(Machine(), "studies", {"folder": "/srv/images", "strategy": "whole"})
