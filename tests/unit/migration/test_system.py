# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Strategy system: the running system never encrypts, an initramfs only what it can open, and the script's decisions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.migration import (
    system,
    system_boot,
    system_files,
    units,
)
from ansible_collections.radiology.hardening.plugins.module_utils.migration.job import Device, Job, Plan
from ansible_collections.radiology.hardening.plugins.module_utils.migration.machine import Machine, Result
from ansible_collections.radiology.hardening.plugins.module_utils.migration.system import AwaitedBootError, System

INITIALISED = {
    "config": {"requirements": {"mandatory": ["online-reencrypt-v2"]}},
    "segments": {"0": {"type": "linear", "flags": []}},
}
ENDED = {**INITIALISED, "segments": {"0": {"type": "crypt", "flags": []}}}


class Stub(Machine):
    """Answers as a machine would whose cryptsetup does everything at once."""

    def __init__(self, *, mounted: bool = False, opens: bool = True) -> None:
        self.mounted_root, self.opens = mounted, opens
        self.metadata: dict[str, Any] = INITIALISED
        self.calls: list[str] = []

    def run(self, command: Sequence[str], *, stdin: bytes = b"") -> Result:
        words = " ".join(command)
        self.calls.append(words)
        if "luksDump" in command:
            return Result(0, json.dumps(self.metadata).encode(), b"")
        if "open" in command and not self.opens:
            return Result(1, b"", b"device-mapper is missing")
        if "--resume-only" in command:
            self.metadata = ENDED
        return Result(0, b"UUID" if command[0] == "blkid" else b"", b"")

    def device(self, device: Device) -> str:
        return device.path

    def uses(self, device: str) -> bool:
        return self.mounted_root

    def confirm_file_system(self, device: str, confirmed: Device | None) -> None:
        self.calls.append("confirm")

    def confirm_no_other(self, device: str, confirmed: Device | None) -> None:
        self.calls.append("confirm")

    def sync_device(self, device: str) -> None:
        self.calls.append("sync")

    def did(self, word: str) -> bool:
        return any(word in call for call in self.calls)


def make(folder: Path, machine: Machine, stage: str = "installed") -> System:
    device = Device("/dev/disk/by-partuuid/X", 1 << 20, file_system_uuid="UUID")
    job = Job.create(str(folder), Plan("system", "system", "/", device))
    job.record(stage)
    for name in ("header", "header.final"):
        Path(job.path(name)).write_bytes(name.encode())
    return System(job, machine, b"KEY", lambda _: None)


def test_a_running_system_never_encrypts(tmp_path: Path) -> None:
    machine = Stub(mounted=True)
    with pytest.raises(AwaitedBootError, match="restart"):
        make(tmp_path, machine).run()
    assert not machine.did("cryptsetup")


def test_an_initramfs_encrypts_and_installs_the_final_header(tmp_path: Path) -> None:
    machine = Stub()
    strategy = make(tmp_path, machine)
    strategy.run(until=System.WHOLE)
    assert strategy.job.stage == "encrypted"
    assert Path(strategy.header).read_bytes() == b"header.final"
    order = [call for call in machine.calls if "e2fsck" in call or "--readonly" in call or "--resume-only" in call]
    assert [call.split()[0] for call in order] == ["e2fsck", "cryptsetup", "cryptsetup"]
    assert "--readonly" in order[1]


def test_what_this_initramfs_could_not_open_is_not_encrypted(tmp_path: Path) -> None:
    machine = Stub(opens=False)
    with pytest.raises(HardeningError, match="device-mapper"):
        make(tmp_path, machine).run(until=System.WHOLE)
    assert not machine.did("--resume-only")


def test_what_was_begun_is_not_rehearsed_again(tmp_path: Path) -> None:
    machine = Stub()
    machine.metadata = {**INITIALISED, "segments": {"0": {"type": "crypt"}, "1": {"type": "linear"}}}
    make(tmp_path, machine).run(until=System.WHOLE)
    assert machine.did("--resume-only")
    assert not machine.did("--readonly")
    assert not machine.did("e2fsck")


@pytest.mark.parametrize(("stage", "needed"), [("prepared", True), ("installed", False), ("encrypted", False)])
def test_the_key_is_needed_until_the_initramfs_is_made(tmp_path: Path, stage: str, needed: bool) -> None:
    assert make(tmp_path, Stub(), stage).needs_key() is needed


def test_the_script_opens_from_the_stage_that_is_whole() -> None:
    plan = Plan("system", "system", "/", Device("/dev/disk/by-partuuid/X", 1))
    text = system_files.texts(plan, "B", "radiology-hardening/system")[system_files.SCRIPT_PATH]
    whole = System.STAGES[System.STAGES.index(System.WHOLE) :]
    assert f"        {' | '.join(whole)}) return 0" in text
    assert f"= {System.STAGES[System.STAGES.index(System.WHOLE) - 1]} ]" in text


def test_the_job_is_found_on_boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "FOLDER", str(tmp_path / "boot"))
    folder = tmp_path / "jobs" / "system"
    for _again in range(2):
        system.lay_folder(str(folder))
    assert folder.resolve() == tmp_path / "boot" / "system"


TOOLS = {
    "mount": 'echo "mount $*" >>$LOG',
    "umount": 'echo "umount" >>$LOG',
    "e2fsck": "exit 0",
    "sleep": "exit 0",
    "python3": 'echo "encrypt" >>$LOG; [ -n "$FAILS" ] || sed -i s/installed/encrypted/ $JOB/stage.json',
    "cryptsetup": 'case "$*" in *luksDump*) echo "  1: clevis" ;; *export*) echo token ;;'
    ' *) read -r key; echo "open $key $*" >>$LOG; case "$key" in bound | typed-key) touch $MAPPER ;; *) exit 2 ;; esac ;; esac',
    "jose": "cat",
    "clevis": '[ -z "$REFUSES" ] && echo bound; true',
    "askpass": "n=$(cat $ASKED 2>/dev/null || echo 0); echo $((n+1)) >$ASKED; [ $n = 0 ] && echo wrong || echo typed-key",
}


def start(folder: Path, stage: str, *, armed: bool = True, **settings: str) -> list[str]:
    """Run the initramfs' script among stand-ins, and return what it did."""
    job, tools, mapper = folder / "boot" / "job", folder / "tools", folder / "mapper"
    for each in (job, tools):
        each.mkdir(parents=True)
    (job / "stage.json").write_text(json.dumps({"stage": stage}, indent=1), encoding="utf-8")
    (job / "header").touch()
    if armed:
        (job / "armed").touch()
    for name, text in TOOLS.items():
        (tools / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        (tools / name).chmod(0o755)
    plan = Plan("volume", "system", "/", Device(str(job), 1), unlock={"pin": "tpm2", "config": {}})
    text = system_files.texts(plan, "B", "job")[system_files.SCRIPT_PATH]
    for path, stand_in in {
        "/radiology-boot": folder / "boot",
        "/dev/disk/by-uuid/B": job,
        "/dev/mapper/volume": mapper,
        "/lib/cryptsetup/askpass": tools / "askpass",
        "/usr/bin/python3": tools / "python3",
        "tr a-z A-Z": "cat",
    }.items():
        assert path in text, path
        text = text.replace(path, str(stand_in))
    log = folder / "log"
    log.touch()
    places = {"LOG": log, "JOB": job, "MAPPER": mapper, "ASKED": folder / "asked"}
    environment = {"PATH": f"{tools}:/usr/sbin:/usr/bin:/sbin:/bin", **{key: str(at) for key, at in places.items()}}
    subprocess.run(["sh", "-c", text], env={**environment, **settings}, check=True, timeout=60, capture_output=True)
    return [line.split(" --")[0] for line in log.read_text(encoding="utf-8").splitlines() if "mount" not in line]


@pytest.mark.parametrize("stage", System.STAGES[System.STAGES.index(System.WHOLE) :])
def test_a_whole_root_is_opened_by_the_tpm(tmp_path: Path, stage: str) -> None:
    assert start(tmp_path, stage, armed=False) == ["open bound open"]


def test_a_root_that_waits_is_encrypted_and_opened(tmp_path: Path) -> None:
    assert start(tmp_path, "installed") == ["encrypt", "open bound open"]


def test_a_root_that_is_not_whole_is_never_opened(tmp_path: Path) -> None:
    assert start(tmp_path, "installed", FAILS="yes") == ["encrypt"]


@pytest.mark.parametrize(("stage", "armed"), [("installed", False), ("prepared", True), ("planned", True), ("", True)])
def test_a_job_that_does_not_wait_for_a_boot_is_left_alone(tmp_path: Path, stage: str, armed: bool) -> None:
    assert start(tmp_path, stage, armed=armed) == []


def test_a_person_is_asked_when_the_tpm_refuses(tmp_path: Path) -> None:
    opened = start(tmp_path, "done", armed=False, REFUSES="yes")
    assert opened[-2:] == ["open wrong open", "open typed-key open"]


def test_hook_and_script_are_shell(tmp_path: Path) -> None:
    plan = Plan("system", "system", "/", Device("/dev/disk/by-partuuid/X", 1))
    system_files.install(str(tmp_path), plan, "B", "radiology-hardening/system")
    for path in (system_files.HOOK_PATH, system_files.SCRIPT_PATH):
        assert os.access(tmp_path / path, os.X_OK)
        subprocess.run(["sh", "-n", str(tmp_path / path)], check=True)
        assert subprocess.run([str(tmp_path / path), "prereqs"], check=True, capture_output=True).stdout == b"\n"


def test_the_interpreters_files_are_enough(tmp_path: Path) -> None:
    """What the hook copies runs in an otherwise empty root, up to the sentence that there is no job."""
    library, root = tmp_path / "library", tmp_path / "root"
    for module in units.PROGRAM:
        path = (library / Path(*module.__name__.split("."))).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(units.source(module))
    words = [sys.executable, "-S", "-m", system_boot.__name__]
    environment = {"PYTHONPATH": str(library), "PATH": "/usr/sbin:/usr/bin"}
    listed = subprocess.run([*words, "files"], env=environment, check=True, capture_output=True, text=True)
    paths = listed.stdout.split("\n")[:-1]
    for path in paths:
        if not path.endswith(".py"):
            told = subprocess.run(["ldd", path], check=False, capture_output=True, text=True).stdout
            paths += [word for word in told.split() if word.startswith("/")]
    for path in dict.fromkeys(paths):
        target = root / path[1:]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(Path(path).read_bytes())
        target.chmod(0o755)
    inside = ["unshare", "--map-root-user", "chroot", str(root), paths[0], "-S", "-m", system_boot.__name__]
    done = subprocess.run([*inside, "run", "/none"], env=environment, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (system_boot.NEEDS_A_PERSON, "")
    assert "There is no job in /none" in done.stdout
