# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What surfaces replace is kept once; the undo restores it, in any order and after being broken off anywhere."""

from __future__ import annotations

import json
import os
import shutil
import stat
from pathlib import Path

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import (
    kept,
    reversion,
    second_factor,
    timed_undo,
    undo_stays,
    undoing,
)
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host, Result
from ansible_collections.radiology.hardening.plugins.module_utils.steps import apply
from hypothesis import given
from hypothesis import strategies as st

ME = {"owner": "root", "group": "root"}
JSON = "/etc/daemon/settings.json"
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="owners are given and kept")


class Machine(Host):
    """A folder as the host, with the units of systemd in a table of its own; dies before a given change."""

    def __init__(self, root: Path, units: dict[str, list[str]] | None = None) -> None:
        super().__init__(str(root))
        self.units = units if units is not None else {}
        self.ran: list[list[str]] = []

    def run(self, command, **how):
        if self.ledger is not None:
            self.ledger.command(command)
        words = [word for word in command if not word.startswith("-")]
        self.ran.append(words)
        if words[:2] == ["systemctl", "show"]:
            active, state = self.units.get(words[2], ["inactive", ""])
            return Result(0, f"ActiveState={active}\nUnitFileState={state}\nLoadState=loaded\n", "")
        if words == ["systemd-analyze", "unit-paths"]:
            return Result(0, "/etc/systemd/system\n/units\n", "")
        if words[0] == "systemctl":
            for unit in words[2:]:
                known = self.units.setdefault(unit, ["inactive", "disabled"])
                known[0] = {"stop": "inactive", "start": "active", "restart": "active"}.get(words[1], known[0])
                known[1] = {"enable": "enabled", "disable": "disabled"}.get(words[1], known[1])
        return Result(0, "", "")

    def list(self, path):
        return (*self.units, "web.service.d") if path == "/units" else super().list(path)


def machine(root: Path, surface: str = "", units: dict[str, list[str]] | None = None, own: tuple[str, ...] = ()):
    made = Machine(root, units)
    if surface:
        made.ledger = kept.Ledger(made, surface, own)
    return made


def put(root: Path, path: str, text: str, mode: int = 0o644) -> Path:
    target = root / path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    target.chmod(mode)
    return target


def tree(root: Path) -> dict[str, tuple[str, int, str]]:
    """Return every file, folder and link of the host, our own memory left out."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = f"/{path.relative_to(root)}"
        if not name.startswith("/var"):
            content = os.readlink(path) if path.is_symlink() else "" if path.is_dir() else path.read_text()
            found[name] = (content, stat.S_IMODE(path.lstat().st_mode), path.lstat().st_uid)
    return found


def harden(root: Path, units: dict[str, list[str]]) -> None:
    """Replace, make, remove, tighten, stop and start as a surface does."""
    host = machine(root, "orthanc", units)
    host.write("/etc/secret", "ours", mode=0o640)
    host.write("/etc/new/deep/file", "ours")
    host.write("/etc/link", "ours")
    host.remove("/etc/stray")
    host.own("/etc/loose", mode=0o600)
    host.folder("/etc/folder", mode=0o700)
    host.folder("/etc/made", mode=0o750)
    host.must(["systemctl", "--quiet", "disable", "--now", "web.service"])
    host.must(["systemctl", "stop", "web.service"])
    host.must(["systemctl", "--quiet", "enable", "front.service"])
    host.must(["systemctl", "restart", "front.service"])


@pytest.fixture(name="former")
def _former(tmp_path: Path) -> Path:
    put(tmp_path, "/etc/secret", "theirs", 0o600)
    put(tmp_path, "/etc/stray", "stray")
    put(tmp_path, "/etc/loose", "loose", 0o644)
    (tmp_path / "etc/folder").mkdir(mode=0o755)
    (tmp_path / "etc/link").symlink_to("secret")
    os.chown(tmp_path / "etc/stray", 12, 13)
    return tmp_path


def test_an_undo_restores_files_links_modes_folders_and_units(former: Path) -> None:
    units = {"web.service": ["active", "enabled"]}
    before = tree(former)
    harden(former, units)
    assert tree(former) != before
    host = machine(former, units=units)
    apply(host, undoing.plan(host, "orthanc"))
    assert tree(former) == before
    assert units == {"web.service": ["active", "enabled"], "front.service": ["inactive", "disabled"]}
    assert not (former / "var/lib/radiology-hardening/kept/orthanc").exists()


def test_an_undo_that_is_broken_off_anywhere_is_done_whole_the_next_time(former: Path) -> None:
    before = tree(former)
    units = {"web.service": ["active", "enabled"]}
    harden(former, units)
    host = machine(former, units=units)
    number = len(undoing.plan(host, "orthanc"))
    assert number > 10
    for stop in range(number):
        apply(host, undoing.plan(host, "orthanc")[:stop])
        apply(host, undoing.plan(host, "orthanc"))
        assert tree(former) == before, stop
        harden(former, units)


def test_a_folder_that_somebody_removed_since_is_made_again_for_what_was_in_it(tmp_path: Path) -> None:
    put(tmp_path, "/etc/desktop/conf.d/login.conf", "theirs", 0o600)
    before = tree(tmp_path)
    machine(tmp_path, "orthanc").write("/etc/desktop/conf.d/login.conf", "ours")
    shutil.rmtree(tmp_path / "etc/desktop")
    host = machine(tmp_path)
    apply(host, undoing.plan(host, "orthanc"))
    assert tree(tmp_path) == before


def test_what_is_kept_is_the_first_state_with_its_mode_in_a_closed_folder(former: Path) -> None:
    for text in ("ours", "ours again"):
        machine(former, "orthanc").write("/etc/secret", text)
    entries = kept.read(machine(former), "orthanc") or []
    copy = next(entry.former["copy"] for entry in entries if entry.name == "/etc/secret")
    found = former / copy.lstrip("/")
    assert found.read_text() == "theirs"
    assert stat.S_IMODE(found.stat().st_mode) == 0o600
    assert stat.S_IMODE(found.parent.stat().st_mode) == stat.S_IMODE(found.parent.parent.stat().st_mode) == 0o700
    assert [entry.name for entry in entries].count("/etc/secret") == 1


def test_nothing_is_written_before_it_is_kept(former: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = machine(former, "orthanc")

    def full(*_given: object) -> None:
        raise HardeningError("No space left on device.")

    monkeypatch.setattr(kept, "put", full)
    before = tree(former)
    for change in (
        lambda: host.write("/etc/secret", "ours"),
        lambda: host.remove("/etc/stray"),
        lambda: host.own("/etc/loose", mode=0o600),
        lambda: host.folder("/etc/made"),
        lambda: host.must(["systemctl", "stop", "web.service"]),
    ):
        host.ledger.idle = False
        with pytest.raises(HardeningError, match="No space"):
            change()
    host.write("/etc/stray", "stray")  # as a surface puts back what it had changed before the disk was full
    assert {path: found[0] for path, found in tree(former).items()} == {
        path: found[0] for path, found in before.items()
    }
    assert [words for words in host.ran if words[1] == "stop"] == []


def test_a_host_hardened_by_an_earlier_release_keeps_nothing_and_says_so(former: Path) -> None:
    put(former, "/etc/ours", "ours")
    machine(former, "orthanc", own=("/etc/ours",)).write("/etc/secret", "ours")
    with pytest.raises(HardeningError, match=r"Nothing of orthanc was kept on this host: .* earlier release"):
        undoing.plan(machine(former), "orthanc")


def test_a_run_that_was_broken_off_goes_on_keeping(former: Path) -> None:
    own = ("/etc/ours",)
    machine(former, "orthanc", own=own).write("/etc/ours", "ours")
    machine(former, "orthanc", own=own).write("/etc/secret", "ours")
    host = machine(former)
    apply(host, undoing.plan(host, "orthanc"))
    assert (former / "etc/secret").read_text() == "theirs"
    assert not (former / "etc/ours").exists()


def settings(root: Path, surface: str, changes: dict[str, object]) -> None:
    """Lay a surface's keys over those of the file, as the configuration of Orthanc is held."""
    host = machine(root, surface)
    told = json.loads(host.text(JSON) or "{}") or {"Base": 1, "Shared": "first"}
    host.keep_keys(JSON, told, {**told, **changes})
    host.write(JSON, json.dumps({**told, **changes}))
    host.write("/etc/drop-in", "ours")


SURFACES = {
    "orthanc": {"Own": 1, "Shared": "orthanc"},
    "dicom_tls": {"Tls": True, "Shared": "dicom"},
    "authentication": {"Base": 2, "Shared": "people"},
}


@given(st.permutations(list(SURFACES)), st.permutations(list(SURFACES)))
def test_surfaces_that_share_a_file_are_undone_in_any_order(tmp_path_factory, hardened, undone) -> None:
    root = tmp_path_factory.mktemp("host")
    put(root, "/etc/drop-in", "theirs")
    before = tree(root)
    for surface in hardened:
        settings(root, surface, SURFACES[surface])
    left = list(hardened)
    for surface in undone:
        left.remove(surface)
        host = machine(root)
        apply(host, undoing.plan(host, surface))
        if surface in undoing.GUARDED:
            apply(host, undoing.finish(host, surface))
        if left:
            due = {"Base": 1, "Shared": "first"}
            for other in left:
                due |= SURFACES[other]
            assert json.loads((root / JSON.lstrip("/")).read_text()) == due
            assert (root / "etc/drop-in").read_text() == "ours"
    assert tree(root) == before


def test_lines_of_others_stay_when_ours_are_taken_out() -> None:
    former, ours = b"a\nb\nc\n", b"a\nB\nc\nours\n"
    assert reversion.revert(ours, ours, former) == former
    assert reversion.revert(former, ours, former) == former
    assert reversion.revert(b"a\nB\nc\nours\ntheirs\n", ours, former) == b"a\nb\nc\ntheirs\n"
    assert reversion.revert(b"theirs\na\nB\nc\nours\n", ours, former) == b"theirs\na\nb\nc\n"
    assert reversion.revert(b"a\nours\n", ours, former) is None
    assert reversion.revert(b"a\nB\nB\nc\nours\n", ours, former) == b"a\nb\nB\nc\n"


def test_a_file_that_others_rewrote_is_left_and_ours_is_kept_for_them(former: Path) -> None:
    machine(former, "orthanc").write("/etc/secret", "ours")
    put(former, "/etc/secret", "rewritten")
    host = machine(former)
    plan = undoing.plan(host, "orthanc")
    assert any(step.does.startswith("Leave /etc/secret, which others changed since") for step in plan)
    apply(host, plan)
    assert (former / "etc/secret").read_text() == "rewritten"
    assert [path.read_text() for path in (former / "var/lib/radiology-hardening").glob("*-secret")] == ["theirs"]


def test_sshd_is_undone_behind_a_guard_and_forgotten_only_when_somebody_came_in(former: Path) -> None:
    (former / "run").mkdir()
    units = {"ssh.service": ["active", "enabled"]}
    machine(former, "authentication", units).write("/etc/ssh/sshd_config.d/00-radiology-hardening.conf", "ours")
    host = machine(former, units=units)
    plan = undoing.plan(host, "authentication")
    assert plan[0].does == undoing.GUARDED["authentication"].undo.armed
    assert not any("Forget" in step.does for step in plan)
    apply(host, plan)
    assert kept.read(host, "authentication") is not None
    apply(host, undoing.finish(host, "authentication"))
    assert kept.read(host, "authentication") is None
    assert [path.name for path in (former / "etc/systemd/system").glob("radiology-*")] == []


def test_the_seconds_in_which_the_engineer_comes_in_begin_after_all_that_is_slow(former: Path) -> None:
    """Orthanc may take longer to start than the guard waits, which would put sshd back at each undo."""
    units = {"ssh.service": ["active", "enabled"], "orthanc.service": ["active", "enabled"]}
    put(former, "/etc/pam.d/sshd", "theirs")
    hardened = machine(former, "authentication", units)
    hardened.write("/etc/ssh/sshd_config.d/00-radiology-hardening.conf", "ours")
    hardened.must(["systemctl", "reload", "ssh.service"])
    hardened.folder(second_factor.FOLDER)
    hardened.write(second_factor.OUTSIDE, "ours")
    hardened.write("/etc/default/ssh", "ours")
    hardened.write("/etc/pam.d/sshd", "ours")
    hardened.write("/etc/secret", "ours", mode=0o640)
    hardened.must(["systemctl", "restart", "orthanc.service"])
    hardened.must(["systemctl", "enable", "--now", "front.service"])
    (former / "run").mkdir()
    host = machine(former, units=units)
    steps = undoing.plan(host, "authentication")
    plan = [step.does for step in steps]
    armed = plan.index(undoing.GUARDED["authentication"].undo.armed)
    assert plan[armed:] == [
        undoing.GUARDED["authentication"].undo.armed,
        "Restore /etc/pam.d/sshd",
        "Remove /etc/default/ssh",
        f"Remove {second_factor.OUTSIDE}",
        "Remove /etc/ssh/sshd_config.d/00-radiology-hardening.conf",
        *(
            f"Remove the folder {path}, unless something else lies in it"
            for path in (second_factor.FOLDER, "/etc/ssh/sshd_config.d", "/etc/ssh")
        ),
        "Have systemd read its units anew",
        "Have ssh.service read its former files",
    ]
    assert {"Stop and disable front.service", "Restore /etc/secret", "Start orthanc.service with its former files"} <= {
        *plan[:armed]
    }
    apply(host, steps[armed:])
    script = host.text(undoing.GUARDED["authentication"].undo.script) or ""
    assert [line.split()[-1] for line in script.splitlines() if line.startswith(timed_undo.LINES)] == [
        "/etc/pam.d/sshd",
        "/etc/default/ssh",
        second_factor.OUTSIDE,
        "/etc/ssh/sshd_config.d/00-radiology-hardening.conf",
    ]
    assert not (former / second_factor.FOLDER.lstrip("/")).exists()
    assert (former / "etc/pam.d/sshd").read_text() == "theirs"


def test_a_unit_that_came_with_a_package_of_ours_did_not_run_before(former: Path) -> None:
    """A run that is killed while it installs knows as well what came."""
    units = {"old.service": ["active", "enabled"]}
    host = machine(former, units=units)
    kept.before_install(host)
    units["web.service"] = ["active", "enabled"]
    assert kept.came_with_us(host) == {"web.service"}
    kept.before_install(host)
    kept.after_install(host)
    units["later.service"] = ["active", "enabled"]
    assert kept.came_with_us(host) == {"web.service"}
    machine(former, "dicom_tls", units).must(["systemctl", "disable", "--now", "web.service", "old.service"])
    apply(host, undoing.plan(host, "dicom_tls"))
    assert units["old.service"] == ["active", "enabled"]
    assert units["web.service"][1] == "disabled"


def test_the_page_on_undo_names_each_surface() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "undo.md").read_text(encoding="utf-8")
    listed = page.partition("Before a surface (")[2].partition(")")[0]
    assert {name.strip("` \n") for name in listed.split(",")} == set(undo_stays.STAYS)
