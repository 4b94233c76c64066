# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What others wrote after a surface is left, or kept for them, by the undo."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import reversion, undoing
from ansible_collections.radiology.hardening.plugins.module_utils.steps import apply
from test_undoing import _former, machine, put, pytestmark, tree

__all__ = ["_former", "pytestmark"]


def besides(root: Path) -> dict[str, tuple[str, int]]:
    """Return what is kept for a person, by its name without the number in front, with its mode."""
    found = (path for path in (root / "var/lib/radiology-hardening").iterdir() if path.is_file())
    return {path.name.partition("-")[2]: (path.read_text(), stat.S_IMODE(path.stat().st_mode)) for path in found}


def test_what_others_laid_where_we_removed_a_file_is_left_and_the_former_is_kept_for_them(former: Path) -> None:
    machine(former, "orthanc").remove("/etc/stray")
    put(former, "/etc/stray", "another's")
    host = machine(former)
    for _again in range(2):
        plan = undoing.plan(host, "orthanc")
        assert any(step.does.startswith("Leave /etc/stray, which others changed since") for step in plan)
        apply(host, plan[:-1])
    assert (former / "etc/stray").read_text() == "another's"
    assert besides(former) == {"stray": ("stray", 0o600)}


def test_a_file_that_others_laid_again_as_it_was_is_restored(former: Path) -> None:
    before = tree(former)
    machine(former, "orthanc").remove("/etc/stray")
    put(former, "/etc/stray", "stray", 0o600)
    host = machine(former)
    apply(host, undoing.plan(host, "orthanc"))
    assert tree(former) == before
    assert besides(former) == {}


def test_what_others_laid_where_a_link_was_is_left_or_kept_for_them(former: Path) -> None:
    machine(former, "orthanc").remove("/etc/link")
    host = machine(former)
    (former / "etc/link").symlink_to("loose")
    (step,) = [step for step in undoing.plan(host, "orthanc") if "/etc/link" in step.does]
    assert step.does == "Leave /etc/link, which others changed since: it was a link to secret"
    step.do(host)
    assert os.readlink(former / "etc/link") == "loose"
    (former / "etc/link").unlink()
    put(former, "/etc/link", "another's")
    apply(host, undoing.plan(host, "orthanc"))
    assert os.readlink(former / "etc/link") == "secret"
    assert besides(former) == {"link": ("another's", 0o600)}


def test_what_others_laid_where_a_link_was_is_kept_before_it_is_removed_again(former: Path) -> None:
    machine(former, "orthanc").remove("/etc/link")
    put(former, "/etc/link", "another's")
    machine(former, "orthanc").remove("/etc/link")
    assert besides(former) == {"link": ("another's", 0o600)}
    (former / "etc/link").symlink_to("secret")
    machine(former, "orthanc").remove("/etc/link")
    assert besides(former) == {"link": ("another's", 0o600)}


def test_each_version_that_was_removed_is_kept(former: Path) -> None:
    for text in ("stray", "second", "second", "third", "stray"):
        put(former, "/etc/stray", text)
        machine(former, "orthanc").remove("/etc/stray")
    assert besides(former) == {"stray": ("second", 0o600), "stray.1": ("third", 0o600)}
    host = machine(former)
    plan = undoing.plan(host, "orthanc")
    told = next(step.does for step in plan if "/etc/stray" in step.does)
    assert re.fullmatch(r"Restore /etc/stray; what others wrote .* in \S+/1-stray, \S+/1-stray\.1", told)
    apply(host, plan)
    assert (former / "etc/stray").read_text() == "stray"


def test_what_a_surface_wrote_itself_is_not_kept_when_it_is_removed(former: Path) -> None:
    host = machine(former, "orthanc")
    for path in ("/etc/secret", "/etc/made"):
        host.write(path, "ours")
        host.remove(path)
        host.write(path, "ours again")
        host.remove(path)
    assert besides(former) == {}


def test_what_others_wrote_between_two_surfaces_is_kept_when_the_first_is_undone(former: Path) -> None:
    machine(former, "orthanc").remove("/etc/stray")
    machine(former, "orthanc").write("/etc/secret", "ours")
    put(former, "/etc/stray", "another's")
    machine(former, "system").remove("/etc/stray")
    machine(former, "system").write("/etc/secret", "ours too")
    host = machine(former)
    apply(host, undoing.plan(host, "orthanc"))
    assert besides(former) == {"stray": ("another's", 0o600)}
    apply(host, undoing.plan(host, "system"))
    assert (former / "etc/stray").read_text() == "stray"
    assert (former / "etc/secret").read_text() == "theirs"


def test_a_run_that_ended_right_after_it_wrote_a_file_is_undone(former: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = tree(former)

    replaced = os.replace

    def replace(source: str, target: str) -> None:
        replaced(source, target)
        if target.endswith("/etc/secret"):
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(KeyboardInterrupt):
        machine(former, "orthanc").write("/etc/secret", "ours", mode=0o640)
    monkeypatch.undo()
    later = machine(former)
    apply(later, undoing.plan(later, "orthanc"))
    assert tree(former) == before


def test_what_a_command_made_of_a_file_is_undone_like_what_was_written(former: Path) -> None:
    host = machine(former, "workstation")
    host.keep("/etc/secret")
    put(former, "/etc/secret", "made\0by a command", 0o600)
    host.made("/etc/secret")
    later = machine(former)
    apply(later, undoing.plan(later, "workstation"))
    assert (former / "etc/secret").read_text() == "theirs"
    assert reversion.revert(b"a\0\nB\nmore\n", b"a\0\nB\n", b"a\0\nb\n") is None


def test_a_link_that_one_surface_replaced_is_handed_to_the_next(former: Path) -> None:
    before = tree(former)
    machine(former, "orthanc").write("/etc/link", "ours")
    machine(former, "system").write("/etc/link", "ours too")
    host = machine(former)
    apply(host, undoing.plan(host, "orthanc"))
    assert (former / "etc/link").read_text() == "ours too"
    apply(host, undoing.plan(host, "system"))
    assert tree(former) == before
