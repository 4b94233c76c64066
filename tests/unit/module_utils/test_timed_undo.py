# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An undo that a broken-off run left armed keeps what was there before that run."""

from __future__ import annotations

import getpass
import grp
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import timed_undo
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host, Result
from ansible_collections.radiology.hardening.plugins.module_utils.timed_undo import Undo

UNDO = Undo(name="trial", what="the trial", role="trial", finish=("true",))


@pytest.fixture
def host(tmp_path, monkeypatch) -> Host:
    monkeypatch.setattr(Host, "run", lambda self, command, **_given: Result(0, "", ""))
    plain = Host.write
    mine = {"owner": getpass.getuser(), "group": grp.getgrgid(os.getgid()).gr_name}

    def write(self: Host, path: str, content: bytes | str, *, mode: int = 0o644, **_whose: str) -> None:
        plain(self, path, content, mode=mode, **mine)

    monkeypatch.setattr(Host, "write", write)
    monkeypatch.setattr(Host, "folder", lambda self, path, **_given: os.makedirs(self.path(path), exist_ok=True))
    (tmp_path / "run").mkdir()
    return Host(str(tmp_path))


def test_what_is_put_back_is_what_was_there_before_the_run_that_was_broken_off(host: Host) -> None:
    host.write("/etc/one", "before")
    assert not UNDO.waits(host)
    UNDO.arm(["/etc/one", "/etc/two"], "broken off").do(host)
    assert UNDO.waits(host)
    host.write("/etc/one", "unconfirmed")
    host.write("/etc/two", "unconfirmed")
    host.write("/etc/three", "before, too")
    UNDO.arm(["/etc/one", "/etc/two", "/etc/three"], "the next").do(host)
    script = (host.text(UNDO.script) or "").splitlines()
    above = host.stat("/etc")
    whose = f"{above.mode} {above.owner} {above.group}"
    assert script[(head := len(timed_undo.HEAD.splitlines())) :] == [
        f"back {UNDO.folder}/0 {whose} /etc/one",
        "rm -f /etc/two",
        f"back {UNDO.folder}/2 {whose} /etc/three",
        "true",
        f"touch {UNDO.undone}",
        '[ -z "$failed" ] || exit 1',
        f"systemctl disable {UNDO.timer}",
        f"rm -rf {UNDO.folder}",
    ]
    assert script[:head] == timed_undo.HEAD.splitlines()
    assert host.text(f"{UNDO.folder}/0") == "before"
    assert host.text(f"{UNDO.folder}/2") == "before, too"


def test_a_link_that_was_put_back_meanwhile_is_replaced_and_not_written_through(host: Host) -> None:
    root = Path(host.root)
    host.write("/etc/one", "hardened")
    UNDO.arm(["/etc/one"], "mine").do(host)
    (root / "srv").mkdir()
    (root / "srv/one").write_text("the site's own", encoding="ascii")
    (root / "etc/one").unlink()
    (root / "etc/one").symlink_to(root / "srv/one")
    assert carry_out(host) == 0
    assert (root / "srv/one").read_text(encoding="ascii") == "the site's own"
    assert (root / "etc/one").read_text(encoding="ascii") == "hardened"
    assert not (root / "etc/one").is_symlink()


def carry_out(host: Host) -> int:
    """Run the script as the host's own, with a systemctl that does nothing; return its status."""
    script = Path(host.path(UNDO.script))
    text = re.sub(r"(?<=[ ])/(?=etc|var)", f"{host.root}/", script.read_text(encoding="ascii"))
    return subprocess.run(["sh", "-c", f"systemctl() {{ :; }}\n{text}"], check=False).returncode


def test_a_folder_that_the_change_removed_is_made_again(host: Host) -> None:
    root = Path(host.root)
    (root / "etc/apart").mkdir(parents=True, mode=0o750)
    host.write("/etc/apart/one", "hardened", mode=0o640)
    UNDO.arm(["/etc/apart/one"], "mine").do(host)
    (root / "etc/apart/one").unlink()
    (root / "etc/apart").rmdir()
    assert carry_out(host) == 0
    assert (root / "etc/apart/one").read_text(encoding="ascii") == "hardened"
    modes = [(root / path).stat().st_mode & 0o777 for path in ("etc/apart", "etc/apart/one")]
    assert modes == [0o750, 0o640]
    assert not UNDO.waits(host)


def test_what_cannot_be_put_back_now_is_kept_for_the_next_start(host: Host) -> None:
    root = Path(host.root)
    for name in ("one", "two"):
        host.write(f"/etc/{name}/file", "hardened")
    UNDO.arm(["/etc/one/file", "/etc/two/file"], "mine").do(host)
    shutil.rmtree(root / "etc/one")
    (root / "etc/one").touch()  # no folder can be made there
    host.write("/etc/two/file", "changed")
    assert carry_out(host) == 1
    assert host.text("/etc/two/file") == "hardened"
    assert UNDO.waits(host)
    assert host.stat(UNDO.undone) is not None
    (root / "etc/one").unlink()
    assert carry_out(host) == 0
    assert host.text("/etc/one/file") == "hardened"
    assert not UNDO.waits(host)


def test_lines_that_a_former_release_armed_stay(host: Host) -> None:
    former = f"cp -p --remove-destination {UNDO.folder}/0 /etc/one"
    for path, text in (("/etc/one", "unconfirmed"), (f"{UNDO.folder}/0", "before")):
        host.write(path, text)
    host.write(UNDO.script, f"set -u\n{former}\ntrue\nsystemctl disable {UNDO.timer}\nrm -rf {UNDO.folder}\n")
    UNDO.arm(["/etc/one"], "mine").do(host)
    assert [line for line in (host.text(UNDO.script) or "").splitlines() if line.startswith(timed_undo.LINES)] == [
        former
    ]
    assert carry_out(host) == 0
    assert host.text("/etc/one") == "before"


def test_a_confirmation_that_comes_after_the_undo_is_none(host: Host) -> None:
    host.write("/etc/one", "before")
    UNDO.arm(["/etc/one"], "mine").do(host)
    UNDO.confirm(host, "mine")
    (Path(host.root) / UNDO.script.lstrip("/")).unlink()
    UNDO.confirm(host, "mine")  # another run confirmed it meanwhile
    (Path(host.root) / UNDO.undone.lstrip("/")).touch()
    with pytest.raises(HardeningError, match="had put the trial back"):
        UNDO.confirm(host, "mine")


def test_of_two_runs_the_one_that_armed_it_last_stops_it(host: Host, monkeypatch) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr(Host, "run", lambda self, command, **_given: ran.append(list(command)) or Result(0, "", ""))
    host.write("/etc/one", "before")
    UNDO.arm(["/etc/one"], "first").do(host)
    host.write("/etc/one", "of the first")
    UNDO.arm(["/etc/one"], "second").do(host)
    ran.clear()
    UNDO.confirm(host, "first")
    assert ran == []
    assert UNDO.waits(host)
    assert host.text(f"{UNDO.folder}/0") == "before"
    UNDO.confirm(host, "second")
    assert ran[0] == ["systemctl", "--quiet", "disable", "--now", UNDO.timer]
    assert ran[-1] == ["rm", "-rf", UNDO.folder]
