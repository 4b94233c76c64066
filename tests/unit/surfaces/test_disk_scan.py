# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The look for images in clear: what counts, what bounds it, and that it says when it was cut."""

from __future__ import annotations

import os

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import disk_scan, disk_stack
from ansible_collections.radiology.hardening.plugins.module_utils.disk_stack import Mount
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from disk_host import recording
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ROOT = Mount(target="/", source="/dev/sda1", file_system="ext4", number="8:1", root="/", options=("rw",))
IMAGE = bytes(128) + b"DICM" + bytes(16)


def laid(root, **files):
    for name, content in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def count(root, seconds=60.0, files=1000):
    return disk_scan.count(Host(str(root)), [ROOT], seconds, files)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(min_size=124, max_size=140) | st.binary(max_size=8).map(lambda end: bytes(128) + b"DICM" + end))
def test_the_four_letters_at_offset_128_are_what_counts(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    assert disk_scan.is_image(str(path)) is (content[128:132] == b"DICM")


def test_images_are_counted_by_file_system_and_never_named(tmp_path):
    laid(tmp_path, home__anna__export=IMAGE, home__anna__note=bytes(500), srv__deep__er__x=IMAGE, short=b"DICM")
    found = count(tmp_path)
    assert (found.images, found.total, found.files, found.bound_reached) == ({"/": 2}, 2, 3, False)


def test_folders_of_programs_and_what_is_no_file_are_passed_over(tmp_path):
    laid(tmp_path, usr__share__doc__x=IMAGE, boot__x=IMAGE, usr__local__lib__x=IMAGE, usr__local__import__x=IMAGE)
    os.mkfifo(tmp_path / "pipe")
    os.symlink(tmp_path / "boot" / "x", tmp_path / "link")
    assert count(tmp_path).total == 1


def test_a_bound_that_was_reached_is_said(tmp_path):
    laid(tmp_path, **{f"srv__{number}": IMAGE for number in range(9)})
    assert count(tmp_path, files=9).bound_reached is False
    cut = count(tmp_path, files=8)
    assert (cut.bound_reached, cut.files, cut.total) == (True, 8, 8)
    late = count(tmp_path, seconds=0.0)
    assert (late.bound_reached, late.files) == (True, 0)


def test_folders_without_files_reach_the_bound_of_time_too(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert count(tmp_path, seconds=0.0).bound_reached is True


def test_likely_folders_come_first(tmp_path):
    laid(tmp_path, aaa__x=bytes(500), home__x=IMAGE)
    assert count(tmp_path, files=1).total == 1


def test_a_time_stamp_stays(tmp_path):
    laid(tmp_path, home__x=IMAGE)
    path = tmp_path / "home" / "x"
    os.utime(path, ns=(1, 1))
    count(tmp_path)
    assert path.stat().st_atime_ns == 1


@pytest.mark.parametrize("encrypted", [True, False])
def test_only_file_systems_in_clear_are_looked_through(encrypted):
    asked = recording("clear.debian12")["asked"]["runs"]
    table = asked["dmsetup table"][1] if encrypted else ""
    stack = disk_stack.Stack(
        disk_stack.parse_nodes(asked[" ".join(disk_stack.LSBLK)][1]),
        disk_stack.parse_mounts(asked[" ".join(disk_stack.FINDMNT)][1]),
        disk_stack.parse_tables(table),
        {},
    )
    targets = {mount.target for mount in disk_scan.in_clear(stack)}
    assert targets == ({"/", "/boot"} if encrypted else {"/", "/boot", "/var/lib/orthanc"})
