# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A program that only looks at a device is told from one that works on it."""

from __future__ import annotations

import itertools

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils.migration import processes


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """Let time pass only while somebody sleeps."""
    now = [0.0]
    monkeypatch.setattr(processes.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(processes.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    return now


def test_nobody_there_is_told_at_once(clock):
    assert processes.lasting(lambda: ()) == ()
    assert clock[0] == 0


def test_a_glance_is_forgotten():
    looks = itertools.chain([("losetup", "qemu")], itertools.repeat(("qemu",)))
    assert processes.lasting(lambda: next(looks)) == ("qemu",)


def test_one_glance_after_another_is_no_writer():
    looks = itertools.cycle([("losetup",), ("blkid",)])
    assert processes.lasting(lambda: next(looks)) == ()


def test_a_writer_is_watched_for_the_whole_time(clock):
    assert processes.lasting(lambda: ("qemu",)) == ("qemu",)
    assert clock[0] >= processes.GLANCE
