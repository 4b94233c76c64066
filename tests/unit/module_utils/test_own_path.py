# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Root gives away nothing that an account put where it may write: no link's target, no second name, no device."""

from __future__ import annotations

import os
import signal
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import kept, orthanc_files, undoing
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.steps import apply

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="owners are given and kept")
DAEMON = {"owner": "daemon", "group": "daemon"}
"""An account of every Debian, in the place of Orthanc's."""
DAEMON_UID = 1
LOGS = "var/log/orthanc"
ROOTS = "of-root-in-these-tests-alone"
"""What links lead to: no such folder is on the machine of the tests, which a link followed outside of the host hits."""


@pytest.fixture(name="root")
def _root(tmp_path: Path) -> Path:
    """Return a host with a file of root's, and a folder in which the account of a service may write."""
    for folder in ("etc", "srv", ROOTS, LOGS):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / ROOTS / "shadow").write_text("secret")
    (tmp_path / ROOTS / "shadow").chmod(0o600)
    os.chown(tmp_path / LOGS, DAEMON_UID, DAEMON_UID)
    return tmp_path


def link(root: Path, path: str, to: str, uid: int = DAEMON_UID) -> None:
    (root / path).symlink_to(to)
    os.chown(root / path, uid, uid, follow_symlinks=False)


def state(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_uid, stat.S_IMODE(found.st_mode)


def log(root: Path, name: str, mode: int = 0o644, uid: int = DAEMON_UID) -> Path:
    path = root / LOGS / name
    path.write_text("")
    path.chmod(mode)
    os.chown(path, uid, uid)
    return path


@pytest.mark.parametrize("to", [f"/{ROOTS}/shadow", f"../../../{ROOTS}/shadow"])
def test_root_follows_no_link_that_an_account_made(root: Path, to: str) -> None:
    link(root, f"{LOGS}/planted", to)
    host = Host(str(root))
    with pytest.raises(HardeningError, match="that another account than root may have put there"):
        host.own(f"/{LOGS}/planted", mode=0o640, **DAEMON)
    assert state(root / ROOTS / "shadow") == (0, 0o600)


def test_root_follows_no_link_of_an_account_that_is_a_folder_on_the_way(root: Path) -> None:
    link(root, f"{LOGS}/tmp", f"/{ROOTS}")
    host = Host(str(root))
    for change in (
        lambda: host.folder(f"/{LOGS}/tmp", mode=0o700, **DAEMON),
        lambda: host.folder(f"/{LOGS}/tmp/cron.d", mode=0o700, **DAEMON),
        lambda: host.own(f"/{LOGS}/tmp/shadow", mode=0o640, **DAEMON),
    ):
        with pytest.raises(HardeningError, match="that another account than root may have put there"):
            change()
    assert state(root / ROOTS) == (0, 0o755)
    assert os.listdir(root / ROOTS) == ["shadow"]


def test_a_link_of_roots_leads_on_unless_an_account_may_have_moved_it(root: Path) -> None:
    (root / ROOTS / "images").mkdir(mode=0o755)
    link(root, "images", f"/{ROOTS}/images", 0)
    link(root, f"{LOGS}/whole", f"/{ROOTS}/images", 0)
    link(root, f"{LOGS}/moved", f"../../../{ROOTS}/images", 0)
    host = Host(str(root))
    for path in ("/images", f"/{LOGS}/whole"):
        (root / ROOTS / "images").chmod(0o755)
        os.chown(root / ROOTS / "images", 0, 0)
        host.folder(path, mode=0o750, **DAEMON)
        assert state(root / ROOTS / "images") == (DAEMON_UID, 0o750)
    os.link(root / LOGS / "whole", root / LOGS / "second", follow_symlinks=False)
    for path in ("moved", "second"):
        with pytest.raises(HardeningError, match="that another account than root may have put there"):
            host.folder(f"/{LOGS}/{path}", mode=0o755)


def test_links_that_lead_in_a_ring_end(root: Path) -> None:
    link(root, "one", "/two", 0)
    link(root, "two", "/one", 0)
    with pytest.raises(HardeningError, match="Too many levels of symbolic links"):
        Host(str(root)).own("/one/file", mode=0o600)


def test_a_second_name_of_anothers_file_a_fifo_and_a_device_are_refused(root: Path) -> None:
    os.link(root / ROOTS / "shadow", root / LOGS / "name")
    os.mkfifo(root / LOGS / "fifo")
    host = Host(str(root))
    with pytest.raises(HardeningError, match="has another name"):
        host.own(f"/{LOGS}/name", mode=0o640, **DAEMON)
    with pytest.raises(HardeningError, match="neither a file nor a folder"):
        host.own(f"/{LOGS}/fifo", mode=0o640, **DAEMON)
    assert state(root / ROOTS / "shadow") == (0, 0o600)
    os.link(log(root, "log"), root / LOGS / "its own")
    host.own(f"/{LOGS}/its own", mode=0o640, **DAEMON)
    assert state(root / LOGS / "log") == (DAEMON_UID, 0o640)


def test_only_files_themselves_are_logs(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orthanc_files, "USER", "daemon")
    (root / LOGS).chmod(0o750)
    newest, of_root = log(root, "Orthanc.log.1"), log(root, "Orthanc.log.2", uid=0)
    os.link(root / ROOTS / "shadow", root / LOGS / "name")
    os.mkfifo(root / LOGS / "fifo")
    link(root, f"{LOGS}/planted", f"/{ROOTS}/shadow")
    link(root, f"{LOGS}/Orthanc.log", "Orthanc.log.1")
    host = Host(str(root))
    found = orthanc_files.observe(host, {})
    assert found["open_logs"] == [f"/{LOGS}/Orthanc.log.1", f"/{LOGS}/Orthanc.log.2"]
    for step in orthanc_files.steps(found, ["orthanc.files.open_logs"]):
        step.do(host)
    assert state(newest) == state(of_root) == (DAEMON_UID, 0o640)
    assert state(root / ROOTS / "shadow") == (0, 0o600)
    assert orthanc_files.observe(host, {})["open_logs"] == []


def test_a_storage_behind_a_link_of_an_account_is_told_and_ends_no_hardening(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orthanc_files, "USER", "daemon")
    to = os.path.relpath(root / ROOTS, root / LOGS)
    link(root, f"{LOGS}/db", to)
    host = Host(str(root))
    (step,) = orthanc_files.steps({"open_folders": [f"/{LOGS}/db", f"/{LOGS}"]}, ["orthanc.files.open_folders"])
    step.do(host)
    (told,) = host.remarks
    assert told.startswith(f"/{LOGS}/db leads over db, a link to {to} that another account than root")
    assert state(root / LOGS) == (DAEMON_UID, 0o750), "what is no link is closed all the same"


def test_no_file_that_root_is_given_runs_as_root(root: Path) -> None:
    (root / "etc/orthanc").mkdir()
    planted = root / "etc/orthanc/planted"
    planted.write_text("#!/bin/sh")
    os.chown(planted, DAEMON_UID, DAEMON_UID)
    planted.chmod(0o4777)
    host = Host(str(root))
    found = orthanc_files.observe(host, {})
    assert found["open_configuration"] == ["/etc/orthanc/planted"]
    for step in orthanc_files.steps(found, ["orthanc.files.open_configuration"]):
        step.do(host)
    assert state(planted) == (0, 0o755)


def test_the_mode_of_a_link_is_neither_kept_nor_restored(root: Path) -> None:
    (root / ROOTS / "images").mkdir(mode=0o755)
    link(root, "images", f"/{ROOTS}/images", 0)
    host = Host(str(root))
    host.ledger = kept.Ledger(host, "orthanc", ())
    host.own("/images", mode=0o750, **DAEMON)
    entries = kept.read(host, "orthanc") or []
    assert [(entry.kind, entry.name, entry.former["mode"]) for entry in entries] == [
        ("mode", f"/{ROOTS}/images", 0o755)
    ]
    newest = log(root, "Orthanc.log.1", 0o640)
    link(root, f"{LOGS}/Orthanc.log", "Orthanc.log.1")
    of_an_earlier_run = kept.Entry("mode", f"/{LOGS}/Orthanc.log", 9, {"mode": 0o777, "user": 1, "group": 1})
    kept.store(host, "orthanc", [*entries, of_an_earlier_run])
    later = Host(str(root))
    apply(later, [step for step in undoing.plan(later, "orthanc") if "systemd" not in step.does])
    assert state(newest) == (DAEMON_UID, 0o640)
    assert state(root / ROOTS / "images") == (0, 0o755)


@pytest.mark.parametrize("planted", ["link", "name", "folder"])
def test_an_undo_gives_nothing_away_that_was_put_there_since(root: Path, planted: str) -> None:
    path = log(root, "begun")
    host = Host(str(root))
    host.ledger = kept.Ledger(host, "orthanc", ())
    host.own(f"/{LOGS}/begun", mode=0o600)
    path.unlink()
    if planted == "link":
        link(root, f"{LOGS}/begun", f"/{ROOTS}/shadow")
    elif planted == "name":
        os.link(root / ROOTS / "shadow", path)
    else:
        (root / LOGS).rmdir()
        link(root, LOGS, f"/{ROOTS}")
        os.link(root / ROOTS / "shadow", root / ROOTS / "begun")
    later = Host(str(root))
    steps = [step for step in undoing.plan(later, "orthanc") if "owner and mode" in step.does]
    assert len(steps) == (0 if planted == "link" else 1)
    for step in steps:
        with pytest.raises(HardeningError):
            step.do(later)
    assert state(root / ROOTS / "shadow") == (0, 0o600)


@pytest.fixture(name="soon")
def _soon() -> Iterator[None]:
    """End a test that waits."""

    def late(*_given: object) -> None:
        raise TimeoutError

    former = signal.signal(signal.SIGALRM, late)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, former)


@pytest.mark.usefixtures("soon")
def test_nobody_waits_for_a_fifo_or_reads_a_device_in_the_place_of_a_file(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(root / "srv/authorized_keys")
    (root / "srv/nothing").symlink_to("/dev/null")
    monkeypatch.chdir(root / "srv")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")  # its whole path may be too long for one
        for name in ("authorized_keys", "nothing", "socket"):
            assert Host(str(root)).read(f"/srv/{name}") is None
