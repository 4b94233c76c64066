# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The line of a mount point changes hands once; every other line stays as it is."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.radiology.hardening.plugins.module_utils.migration import table
from ansible_collections.radiology.hardening.plugins.module_utils.migration.job import Plan
from hypothesis import given
from hypothesis import strategies as st

PLAN = Plan("studies", "in_place", "/srv/images", unlock={"pin": "tpm2", "config": {}})
TEXT = "# a comment /srv/images\nUUID=1 / ext4 errors=remount-ro 0 1\nUUID=2 /srv/images/ ext4 defaults 0 2\n"


def test_the_former_line_is_kept_as_a_comment() -> None:
    after = table.with_line(TEXT, PLAN).splitlines()
    assert after[:2] == TEXT.splitlines()[:2]
    assert after[2] == table.FORMER + "UUID=2 /srv/images/ ext4 defaults 0 2"
    assert after[3].split()[:3] == ["/dev/mapper/studies", "/srv/images", "ext4"]
    assert "nofail" in after[3]
    assert "radiology-unlock@studies.service" in after[3]


def test_tang_is_asked_over_the_network() -> None:
    plan = Plan("studies", "volume", "/srv/images", unlock={"pin": "tang", "config": {}})
    assert "_netdev" in table.line(plan)
    assert "_netdev" not in table.line(PLAN)


def test_what_any_file_system_takes_goes_on_to_the_volume(tmp_path: Path) -> None:
    path = tmp_path / "fstab"
    path.write_text("UUID=2 /srv/images xfs nosuid,noauto,inode64,sync,x-systemd.automount 0 2\n")
    for _time in range(2):
        table.put(str(path), PLAN)
        assert table.options(str(path), "/srv/images") == ("nosuid", "sync")
    assert "inode64" not in path.read_text().splitlines()[-1]
    assert table.options(str(path), "/srv") == ()
    assert table.options(str(tmp_path / "none"), "/srv/images") == ()


@given(st.text(alphabet=" \t\n#/abcsrvimages12", max_size=200))
def test_writing_twice_changes_nothing(text: str) -> None:
    once = table.with_line(text, PLAN)
    assert table.with_line(once, PLAN) == once


def test_put_says_whether_it_changed_anything(tmp_path: Path) -> None:
    path = tmp_path / "fstab"
    path.write_text(TEXT)
    assert table.put(str(path), PLAN)
    assert not table.put(str(path), PLAN)
    assert path.stat().st_mode & 0o777 == 0o644
