# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every interlock: its one sentence, at each of the three calls that come before a change, and no byte of a disk changed.

The recovery key is sealed and shown to open before the trouble is made, so the last call meets what came in between.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator

import contents
import pytest
import storage
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.migration import deliberate, inspection, planning
from ansible_collections.radiology.hardening.plugins.module_utils.migration.machine import Result
from contents import run
from disks import ROOT
from storage import MIB, Practice, mounted, unchanged

Trouble = Callable[[Practice], contextlib.AbstractContextManager[object]]
TROUBLES: dict[str, tuple[str, Trouble, str]] = {}
"""By name: the strategy, what makes the trouble, and what its sentence says."""


def trouble(strategy: str, says: str) -> Callable[[Callable[[Practice], Iterator[None]]], None]:
    """Take a generator that makes a trouble, and ends it."""

    def take(makes: Callable[[Practice], Iterator[None]]) -> None:
        TROUBLES[makes.__name__] = (strategy, contextlib.contextmanager(makes), says)

    return take


def smart(practice: Practice, answer: dict[str, object] | None) -> Iterator[None]:
    """Give smartctl's answer for a disk; None: it is not installed."""
    told = Result(127, b"", b"") if answer is None else Result(0, json.dumps(answer).encode(), b"")
    practice.machine.instead["smartctl"] = told
    yield


@contextlib.contextmanager
def without_mount(practice: Practice, options: str = "noatime") -> Iterator[None]:
    """Unmount the storage for as long as something is done to its file system."""
    run("umount", str(practice.folder))
    yield
    run("mount", "-o", options, practice.storage.device, str(practice.folder))


@trouble("in_place", "cryptsetup 2.8.1 is installed; only 2.6.1 and 2.7.5 were proven")
def unknown_cryptsetup(practice: Practice) -> Iterator[None]:
    practice.machine.cryptsetup = ("echo", "cryptsetup", "2.8.1")
    yield


@trouble("in_place", "runs on its battery: connect it to the mains")
def battery(practice: Practice) -> Iterator[None]:
    supply = ROOT / "power" / "AC"
    supply.mkdir()
    (supply / "type").write_text("Mains\n")
    (supply / "online").write_text("0\n")
    yield
    (supply / "online").write_text("1\n")
    (supply / "type").unlink()
    (supply / "online").unlink()
    supply.rmdir()


@trouble("in_place", "No backup is declared: name in the clinic file")
def no_backup(practice: Practice) -> Iterator[None]:
    practice.given["backup"] = {}
    yield


@trouble("volume", "is not there: make the first backup")
def backup_never_made(practice: Practice) -> Iterator[None]:
    practice.given["backup"] = {"stamp": str(ROOT / "no-backup")}
    yield


@trouble("volume", "is 25 hours old; accepted are 24")
def backup_too_old(practice: Practice) -> Iterator[None]:
    stamp = ROOT / "backup"
    stamp.touch()
    os.utime(stamp, (time.time() - 90000,) * 2)
    practice.given["backup"] = {"stamp": str(stamp)}
    yield


@trouble("in_place", "sleep writes below")
def a_viewer_still_writes(practice: Practice) -> Iterator[None]:
    (path, *_others) = practice.folder.glob("*/*")
    with path.open("r+b") as image:
        viewer = subprocess.Popen(("sleep", "100"), stdin=image)
    yield
    viewer.kill()
    viewer.wait()


@trouble("volume", "sleep has files or folders below")
def a_program_stands_there(practice: Practice) -> Iterator[None]:
    with subprocess.Popen(("sleep", "100"), cwd=practice.folder) as program:
        yield
        program.kill()


@trouble("in_place", "is also mounted at")
def mounted_elsewhere(practice: Practice) -> Iterator[None]:
    with mounted(practice.storage.device, ROOT / "elsewhere"):
        yield


@trouble("in_place", "and would not be encrypted: unmount it")
def another_file_system_below(practice: Practice) -> Iterator[None]:
    with mounted(str(ROOT / "etc"), practice.folder / "00", "bind"):
        yield


@trouble("in_place", "open for writing: end it first")
def a_virtual_machine_has_the_disk(practice: Practice) -> Iterator[None]:
    handle = os.open(practice.storage.whole, os.O_RDWR)
    yield
    os.close(handle)


@trouble("in_place", "lies under a loop device")
def a_loop_device_lies_on_it(practice: Practice) -> Iterator[None]:
    device = storage.LOOPS.attach(practice.storage.device, "--read-only")
    yield
    storage.LOOPS.detach(device)


@trouble("volume", "is in use: Device or resource busy")
def spare_disk_in_use(practice: Practice) -> Iterator[None]:
    handle = os.open(practice.spare.device, os.O_RDONLY | os.O_EXCL)
    yield
    os.close(handle)


@trouble("in_place", "has errors (state: clean with errors): check it with e2fsck -f first")
def errors_that_a_check_found(practice: Practice) -> Iterator[None]:
    with without_mount(practice):
        run("debugfs", "-w", "-R", "set_super_value state 3", practice.storage.device)
    yield


@trouble("volume", "has errors (state: clean): check it with e2fsck -f first")
def errors_that_the_kernel_met(practice: Practice) -> Iterator[None]:
    with without_mount(practice):
        run("debugfs", "-w", "-R", "set_super_value error_count 2", practice.storage.device)
    yield


@trouble("in_place", "fails (SMART): replace it")
def disk_that_fails(practice: Practice) -> Iterator[None]:
    yield from smart(practice, {"smart_status": {"passed": False}})


@trouble("in_place", "has 8 bad sectors (Current_Pending_Sector, SMART): replace it first")
def disk_with_bad_sectors(practice: Practice) -> Iterator[None]:
    counter = {"id": 197, "name": "Current_Pending_Sector", "raw": {"value": 8}}
    yield from smart(practice, {"smart_status": {"passed": True}, "ata_smart_attributes": {"table": [counter]}})


@trouble("in_place", "has 3 media errors (NVMe SMART): replace it first")
def flash_with_media_errors(practice: Practice) -> Iterator[None]:
    yield from smart(practice, {"nvme_smart_health_information_log": {"media_errors": 3}})


@trouble("in_place", "smartctl is not installed")
def nobody_can_tell_whether_it_fails(practice: Practice) -> Iterator[None]:
    yield from smart(practice, None)


@trouble("in_place", "is a whole disk without partitions")
def storage_without_partition(practice: Practice) -> Iterator[None]:
    with storage.disk(48 * MIB) as whole:
        contents.ext4(whole.device)
        (storage.NAMES / "whole").symlink_to(whole.device)
        with mounted(whole.device, ROOT / "whole") as folder, unchanged(whole):
            practice.given["folder"] = str(folder)
            yield
        (storage.NAMES / "whole").unlink()


@trouble("in_place", "holds zfs_member beside ext4: find out which of them is stale")
def a_second_signature(practice: Practice) -> Iterator[None]:
    contents.zfs(practice.storage.device)
    yield


@trouble("in_place", "is ext2; accepted are ext4 and xfs")
def a_file_system_that_was_not_proven(practice: Practice) -> Iterator[None]:
    with without_mount(practice, "ro"):
        run("mkfs.ext2", "-q", "-F", "-b", "4096", practice.storage.device)
    yield


@trouble("in_place", "is xfs; online is proven for ext4 alone")
def online_on_xfs(practice: Practice) -> Iterator[None]:
    practice.given["online"] = True
    with without_mount(practice):
        contents.xfs(practice.storage.device)
    yield


@trouble("in_place", "is a part of")
def a_bind_mount(practice: Practice) -> Iterator[None]:
    with mounted(str(practice.folder / "00"), ROOT / "bound", "bind") as folder:
        practice.given["folder"] = str(folder)
        yield


@trouble("volume", "no name below /dev/disk that survives a reboot")
def a_name_that_a_reboot_changes(practice: Practice) -> Iterator[None]:
    (storage.NAMES / practice.spare.uuid).unlink()
    yield
    (storage.NAMES / practice.spare.uuid).symlink_to(practice.spare.device)


@trouble("volume", "has neither a serial number nor a UUID")
def a_disk_that_no_answer_can_name(practice: Practice) -> Iterator[None]:
    with storage.disk(96 * MIB) as whole:
        (storage.NAMES / "nameless").symlink_to(whole.device)
        practice.given["onto"] = whole.device
        with unchanged(whole):
            yield
        (storage.NAMES / "nameless").unlink()


@trouble("volume", "MiB: make room, or choose another strategy")
def a_spare_disk_that_is_too_small(practice: Practice) -> Iterator[None]:
    with storage.disk(24 * MIB, partition=True) as small:
        practice.given["onto"] = small.device
        with unchanged(small):
            yield


@trouble("volume", "has room for 2432: make it larger")
def more_files_than_a_new_volume_takes(practice: Practice) -> Iterator[None]:
    for number in range(2500):
        (practice.folder / "00" / f"{number}.json").touch()
    with storage.disk(40 * MIB, partition=True) as small:
        practice.given["onto"] = small.device
        with unchanged(small):
            yield


@trouble("volume", "Strategy volume needs onto")
def no_spare_disk(practice: Practice) -> Iterator[None]:
    del practice.given["onto"]
    yield


@trouble("in_place", "lies on tmpfs; accepted are ext4 and xfs")
def records_that_a_power_cut_takes(practice: Practice) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planning, "RECORDS", str(ROOT / "records"))
        yield


@trouble("in_place", "lies on the storage itself")
def records_on_the_storage(practice: Practice) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planning, "RECORDS", str(practice.folder / "records"))
        patch.setattr("ansible_collections.radiology.hardening.plugins.module_utils.migration.interlocks.HEADERS", 0)
        yield


@trouble("in_place", "headers, journal and checksums need 64: make room there")
def no_room_for_headers(practice: Practice) -> Iterator[None]:
    with storage.disk(32 * MIB) as small, pytest.MonkeyPatch.context() as patch:
        contents.ext4(small.device)
        with mounted(small.device, ROOT / "small") as folder, unchanged(small):
            patch.setattr(planning, "RECORDS", str(folder))
            yield


@pytest.mark.parametrize("name", TROUBLES)
def test_an_interlock(practice: Practice, name: str) -> None:
    strategy, makes, says = TROUBLES[name]
    practice.ask_for(strategy)
    practice.seal()
    confirm = practice.confirm
    with makes(practice), unchanged(practice.storage, practice.spare):
        refusals = practice.describe()["refusals"]
        assert says in refusals[0]
        assert len(refusals) == 1
        with pytest.raises(HardeningError) as sealing:
            practice.seal()
        with pytest.raises(HardeningError) as preparing:
            practice.prepare(confirm)
        assert str(sealing.value) == str(preparing.value) == f"Nothing was changed. {refusals[0]}"
    assert not os.path.exists(f"{deliberate.job.FOLDER}/{practice.name}/plan.json")


@pytest.mark.parametrize("strategy", ["in_place", "volume"])
def test_where_nothing_is_wrong_the_answer_alone_is_missing(practice: Practice, strategy: str) -> None:
    practice.ask_for(strategy)
    with unchanged(practice.storage, practice.spare):
        assert practice.describe()["refusals"] == []
        practice.seal()
        for confirm in ("", "yes", practice.storage.file.name):
            with pytest.raises(HardeningError, match="does not name"):
                practice.prepare(confirm)
        other = practice.spare if strategy == "in_place" else practice.storage
        with pytest.raises(HardeningError, match="does not name"):
            practice.prepare(other.uuid)


def test_no_escrow(practice: Practice) -> None:
    practice.ask_for("in_place")
    with unchanged(practice.storage), pytest.raises(HardeningError, match="no escrow, no encryption"):
        deliberate.seal(practice.machine, practice.name, practice.given, [])
    assert not os.path.exists(f"{deliberate.job.FOLDER}/{practice.name}")


def test_an_escrow_that_does_not_open(practice: Practice) -> None:
    practice.ask_for("in_place")
    practice.seal()
    right = practice.answer
    with unchanged(practice.storage):
        for wrong in ("", right[:-1], right[:-1] + ("1" if right[-1] == "0" else "0")):
            practice.answer = wrong
            with pytest.raises(HardeningError, match="was not shown to open: no escrow, no encryption"):
                practice.prepare(practice.confirm)
    practice.answer = right
    with unchanged(practice.storage):  # the header is made beside the device, of which no byte is written yet
        assert practice.prepare(practice.confirm)["luks_uuid"]


def test_a_container_for_a_file_system_of_its_own(practice: Practice) -> None:
    practice.ask_for("container")
    with unchanged(practice.storage), pytest.raises(HardeningError, match="container is for a folder: choose in_place"):
        practice.seal()


def test_a_container_without_room(practice: Practice) -> None:
    folder = ROOT / "system" / "images"
    folder.mkdir()
    (folder / "image").write_bytes(bytes(1000))
    practice.given |= {"strategy": "container", "folder": str(folder)}
    with unchanged(practice.storage):
        refusals = practice.describe()["refusals"]
        with pytest.raises(HardeningError, match="Strategy container needs"):
            practice.seal()
    assert all("container" in each or "holds" in each for each in refusals)


def test_a_container_whose_former_folder_would_find_its_name_taken(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, taken = ROOT / "system" / "images", ROOT / "system" / "images.in-clear"
    for each in (folder, taken):
        each.mkdir(exist_ok=True)
        (each / "image").write_bytes(b"DICM")
    practice.given |= {"strategy": "container", "folder": str(folder)}
    place = inspection.place
    monkeypatch.setattr(inspection, "place", lambda *given: dataclasses.replace(place(*given), free=10 << 30))
    with unchanged(practice.storage), pytest.raises(HardeningError, match=r"images\.in-clear is there already"):
        practice.seal()
    assert (taken / "image").read_bytes() == b"DICM"
