# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""No path of ours formats, encrypts or wipes a device that holds anything, or that is not the one that was confirmed.

Every such path is walked with every kind of content, also with content that appears between the look and the write.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import contents
import pytest
import storage
from ansible_collections.radiology.hardening.plugins.module_utils import disk_swap
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host as Surface
from ansible_collections.radiology.hardening.plugins.module_utils.migration import (
    deliberate,
    engine,
    job,
    luks,
    retirement,
)
from ansible_collections.radiology.hardening.plugins.module_utils.migration.luks import State
from ansible_collections.radiology.hardening.plugins.module_utils.migration.machine import Result
from contents import CONTENTS, run
from disks import ROOT, loop
from storage import MIB, Disk, Host, Practice, mounted, unchanged

KEY = b"RECO-VERY-KEYO-FTHE-INTE-RLOC-KS"
UUID = "5d0f4c6e-0000-4000-8000-000000000002"


class Rival(Host):
    """A host on which somebody else writes to a device at the very moment in which a command of ours runs."""

    def __init__(self, moment: str, act: Callable[[], None]) -> None:
        """Let `act` happen once, right before the command that holds the word `moment`."""
        super().__init__()
        self.moment, self.act = moment, act
        self.acted = False

    def run(self, command: Sequence[str], *, stdin: bytes = b"") -> Result:
        """Run a command, the rival first if this is the moment."""
        if not self.acted and self.moment in command:
            self.acted = True
            self.act()
        return super().run(command, stdin=stdin)


class OwnVolume(Host):
    """A host whose opened volume is stood in for by a device: this kernel may have no device-mapper."""

    def __init__(self, volume: str) -> None:
        """Take the device."""
        super().__init__()
        self.volume = volume

    def open_volume(self, device: str, name: str, key: bytes, *, header: str = "") -> str:
        """Return the device."""
        return self.volume

    def close_volume(self, name: str) -> None:
        """Leave it."""

    def mounted(self, where: str) -> bool:
        """Whether something is mounted there."""
        return super().mounted(where)

    def shows_volume(self, where: str, name: str) -> bool:
        """Take the volume as mounted."""
        return True


def make_job(strategy: str, *, stage: str = "planned", **more: object) -> job.Job:
    """Return a job at a stage, as one that was confirmed."""
    name = f"studies{next(storage.NUMBERS)}"
    plan = job.Plan(name, strategy, str(ROOT / "srv"), memory=0, luks_uuid=UUID)
    made = job.Job.create(os.path.join(job.FOLDER, name), dataclasses.replace(plan, **more))  # type: ignore[arg-type]
    made.record(stage)
    return made


def device_of(disk: Disk, **more: str) -> job.Device:
    """Return a disk as it was confirmed."""
    return job.Device(disk.device, contents.device_size(disk.device), **more)


@contextlib.contextmanager
def refused(*said: str) -> Iterator[None]:
    """Show that a refusal says all of this."""
    with pytest.raises(HardeningError) as refusal:
        yield
    assert all(each in str(refusal.value) for each in said), str(refusal.value)


@pytest.fixture
def disk() -> Iterator[Disk]:
    """Yield an empty disk."""
    with storage.disk(80 * MIB) as made:
        yield made


def test_every_content_is_what_it_is_called(disk: Disk) -> None:
    for name, make in CONTENTS.items():
        make(disk.device)
        assert set(name.split(", ")) <= set(Host().signatures(disk.device))
        run("wipefs", "--all", "--quiet", disk.device)


@pytest.mark.parametrize("name", CONTENTS)
def test_a_spare_disk_that_holds_something_is_never_taken(practice: Practice, name: str) -> None:
    practice.ask_for("volume")
    practice.seal()
    confirm = practice.confirm
    CONTENTS[name](practice.spare.device)  # after it was shown empty, before the answer comes
    with unchanged(practice.storage, practice.spare):
        says = ("Nothing was changed", "is not empty, it holds", name.rsplit(", ", maxsplit=1)[-1], "wipe it yourself")
        with refused(*says):
            practice.prepare(confirm)
        with refused(*says):
            practice.seal()
    assert not os.path.exists(f"{job.FOLDER}/{practice.name}/plan.json")


@pytest.mark.parametrize("name", CONTENTS)
def test_the_engine_makes_no_volume_over_anything(disk: Disk, name: str) -> None:
    CONTENTS[name](disk.device)
    with unchanged(disk):
        for stage in ("planned", "claimed"):
            made = make_job("volume", stage=stage, target=device_of(disk))
            with refused("is not empty, it holds", "Nothing was written"):
                engine.prepare(made.folder, Host(), KEY, lambda _: None)
            assert made.stage == stage
        for kind in ("ext4", "xfs"):
            with refused("is not empty, it holds"):
                Host().make_file_system(disk.device, kind)
        with pytest.raises(HardeningError), Host().claimed(disk.device):
            pytest.fail("the device was claimed")


@pytest.mark.parametrize("name", CONTENTS)
def test_what_appears_while_the_header_is_made_is_not_written_over(disk: Disk, name: str) -> None:
    with storage.disk(80 * MIB) as model:
        CONTENTS[name](model.device)
        image = model.file.read_bytes()

    def lay() -> None:
        # As dd does: programs that ask for the device alone are held off.
        assert subprocess.run(("mkfs.ext4", "-q", "-F", disk.device), capture_output=True, check=False).returncode
        contents.write_at(disk.device, 0, image)

    rival = Rival("luksFormat", lay)
    made = make_job("volume", stage="claimed", target=device_of(disk))
    with refused("is not empty, it holds"):
        engine.prepare(made.folder, rival, KEY, lambda _: None)
    assert rival.acted
    assert disk.file.read_bytes() == image


@pytest.mark.parametrize("name", CONTENTS)
def test_nothing_but_the_file_system_that_was_confirmed_is_encrypted(disk: Disk, name: str) -> None:
    CONTENTS[name](disk.device)
    with unchanged(disk):
        for stage in ("planned", "prepared"):
            source = device_of(disk, file_system_uuid="11111111-2222-4333-8444-555555555555")
            made = make_job("in_place", stage=stage, source=source)
            with refused("holds the file system", "the one that was confirmed is 11111111"):
                engine.carry_out(made.folder, Host(), KEY, lambda _: None)


@pytest.mark.parametrize("name", CONTENTS)
def test_nothing_that_appeared_after_the_survey_is_encrypted(disk: Disk, name: str) -> None:
    made, host = encrypting(disk)
    CONTENTS[name](disk.device)
    with unchanged(disk), refused(f"{disk.device} holds "):
        engine.carry_out(made.folder, host, KEY, lambda _: None)
    assert luks.state(luks.dump(host, made.path("header"))) is State.INITIALISED


@pytest.mark.parametrize("name", CONTENTS)
def test_nothing_that_was_made_over_half_of_it_is_encrypted(disk: Disk, name: str) -> None:
    made, host = encrypting(disk)
    stop_halfway(host, made, disk)
    CONTENTS[name](disk.device)
    with unchanged(disk), refused("Another program formatted it since its encryption began"):
        engine.carry_out(made.folder, host, KEY, lambda _: None)


def encrypting(disk: Disk) -> tuple[job.Job, Host]:
    """Return a job whose files are read and whose programs are stopped, with both headers made."""
    contents.ext4(disk.device)
    uuid = run("blkid", "-p", "-s", "UUID", "-o", "value", disk.device).decode().strip()
    made, host = make_job("in_place", source=device_of(disk, file_system_uuid=uuid)), Host()
    engine.prepare(made.folder, host, KEY, lambda _: None)
    made.record("stopped")
    return made, host


def stop_halfway(host: Host, made: job.Job, disk: Disk) -> None:
    """Encrypt a part of the device and stop between two chunks, as a stop of the unit does."""
    header = made.path("header")
    for _attempt in range(20):
        command = ("reencrypt", "--header", header, "--resume-only", "--resilience", "journal", "--hotzone-size", "1M")
        process = subprocess.Popen((*host.cryptsetup, *command, "--key-file", "-", "--batch-mode", disk.device),
                                   stdin=subprocess.PIPE)  # fmt: skip
        assert process.stdin
        process.stdin.write(KEY)
        process.stdin.close()
        begun = sequence = luks.epoch(Path(header).read_bytes()[:64])
        while sequence < begun + 6 and process.poll() is None:
            time.sleep(0.001)
            sequence = luks.epoch(Path(header).read_bytes()[:64])
        process.send_signal(signal.SIGINT)
        process.wait()
        if luks.state(luks.dump(host, header)) is State.PARTIAL:
            return
    pytest.fail("the encryption was not stopped between two chunks")


@pytest.mark.parametrize("name", CONTENTS)
def test_nothing_but_the_former_copy_is_wiped(disk: Disk, name: str) -> None:
    CONTENTS[name](disk.device)
    with unchanged(disk):
        for stage in ("done", "retiring"):
            source = device_of(disk, file_system_uuid="11111111-2222-4333-8444-555555555555")
            made = make_job("volume", stage=stage, source=source, target=job.Device("/dev/null", 0))
            with refused("holds the file system", "the one that was confirmed is 11111111"):
                retirement.retire(made, OwnVolume(disk.device), lambda _: None)
            with refused("The encrypted volume is not mounted"):
                retirement.retire(made, Host(), lambda _: None)


@pytest.mark.parametrize("name", CONTENTS)
def test_a_container_is_never_made_over_a_file(name: str) -> None:
    path = ROOT / "system" / "records" / "volumes" / f"{name}.luks"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(80 * MIB)
    with loop(str(path)) as device:
        CONTENTS[name](device)
    before = path.read_bytes()
    for stage in ("planned", "claimed"):
        made = make_job("container", stage=stage, container=str(path), container_size=72 * MIB)
        with refused("is there already" if stage == "planned" else "is not empty, it holds"):
            engine.prepare(made.folder, Host(), KEY, lambda _: None)
    assert path.read_bytes() == before
    path.unlink()


class Ordinary(Surface):
    """The ordinary role's view of this machine, which must come to no change of it."""

    def write(self, *_: object, **__: object) -> None:  # type: ignore[override]
        """Fail."""
        raise AssertionError("a table was written")

    def must(self, command: Sequence[str], *, stdin: str | None = None, timeout: float = 120) -> str:
        """Fail."""
        raise AssertionError(f"{command} was run")


@pytest.mark.parametrize("name", [each for each in CONTENTS if each != "swap"])
def test_the_ordinary_role_makes_swap_of_nothing_else(disk: Disk, name: str) -> None:
    CONTENTS[name](disk.device)
    device = {"path": disk.device, "source": disk.device, "active": False, "sources": [], "kind": "partition"}
    with unchanged(disk), refused("holds", "is left as it is"):
        disk_swap._encrypt(Ordinary(), device)
    look = disk_swap.guard(disk.device).split("/bin/sh -c '")[1].rstrip("'\n")
    assert subprocess.run(("sh", "-c", look), check=False).returncode == 1
    run("wipefs", "--all", "--quiet", disk.device)
    assert subprocess.run(("sh", "-c", look), check=False).returncode == 0
    contents.swap(disk.device)
    assert subprocess.run(("sh", "-c", look), check=False).returncode == 0


# A device that changed since it was confirmed


def test_another_size(practice: Practice) -> None:
    practice.ask_for("in_place")
    practice.seal()
    practice.prepare(practice.confirm)
    run("umount", str(practice.folder))
    run("partx", "--delete", practice.storage.whole)
    run("sfdisk", "--quiet", "--no-tell-kernel", practice.storage.whole, stdin=b"label: gpt\nsize=60M\n")
    run("partx", "--add", practice.storage.whole)
    (storage.NAMES / practice.storage.uuid).unlink()
    (storage.NAMES / practice.storage.uuid).symlink_to(practice.storage.device)
    with unchanged(practice.storage), refused("has 62914560 bytes; the device that was confirmed has"):
        engine.carry_out(f"{job.FOLDER}/{practice.name}", practice.machine, KEY, lambda _: None)
    contents.ext4(practice.storage.device)
    run("mount", practice.storage.device, str(practice.folder))


def test_another_disk_of_the_same_size(disk: Disk) -> None:
    made = make_job("volume", target=device_of(disk, serial="WD-4711"))
    with unchanged(disk), refused("serial number none; the one that was confirmed has WD-4711"):
        engine.carry_out(made.folder, Host(), KEY, lambda _: None)


def test_another_file_system_of_the_same_size(disk: Disk) -> None:
    made, host = encrypting(disk)
    made.record("prepared")
    run("tune2fs", "-U", "random", disk.device)
    with unchanged(disk), refused("holds the file system", "the one that was confirmed is"):
        engine.carry_out(made.folder, host, KEY, lambda _: None)


# A file system whose errors only a whole check finds, and a device that something has open


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_errors_that_only_a_whole_check_finds(disk: Disk, kind: str) -> None:
    CONTENTS[kind](disk.device)
    if kind == "ext4":
        run("debugfs", "-w", "-R", "clri <2>", disk.device)  # no root folder: beyond `-p`
    else:
        contents.write_at(disk.device, 512, bytes(4))  # the magic number of the first group's free space
    with pytest.raises(HardeningError, match=r"e2fsck|xfs_repair"):
        Host().check_file_system(disk.device, kind)
    if kind == "xfs":
        with unchanged(disk), pytest.raises(HardeningError, match="xfs_repair"):
            Host().check_file_system(disk.device, kind)


@pytest.mark.parametrize("strategy", ["volume", "in_place", "retire"])
def test_a_device_in_use(disk: Disk, strategy: str) -> None:
    host = Host()
    if strategy == "in_place":
        made, host = encrypting(disk)
    with contextlib.ExitStack() as stack:
        if strategy == "retire":
            contents.ext4(disk.device)
        if strategy == "volume":
            made = make_job("volume", stage="claimed", target=device_of(disk))
            handle = os.open(disk.device, os.O_RDONLY | os.O_EXCL)
            stack.callback(os.close, handle)
        elif strategy == "in_place":
            stack.enter_context(mounted(disk.device, ROOT / "busy", "ro"))
        with unchanged(disk):
            if strategy == "retire":
                contents_uuid = retired(disk)
                made = make_job("volume", stage="done", source=device_of(disk, file_system_uuid=contents_uuid),
                                target=job.Device("/dev/null", 0))  # fmt: skip
                stack.enter_context(mounted(disk.device, ROOT / "busy", "ro"))
                with refused("is in use", "Nothing was wiped"):
                    retirement.retire(made, OwnVolume(disk.device), lambda _: None)
            else:
                with refused("in use" if strategy == "volume" else "exclusive"):
                    engine.carry_out(made.folder, host, KEY, lambda _: None)


def retired(disk: Disk) -> str:
    """Return the UUID of a former copy's file system."""
    return run("blkid", "-p", "-s", "UUID", "-o", "value", disk.device).decode().strip()


def test_what_is_begun_again_is_only_what_is_ours(disk: Disk) -> None:
    """After a cut our own half-made header is taken as ours, by its second copy as well; another's is not."""
    host, header = Host(), str(ROOT / "header")
    plan = job.Plan("studies", "volume", "/srv", memory=0, luks_uuid=UUID)
    luks.make_new(host, header, plan, KEY, contents.device_size(disk.device))
    contents.write_at(disk.device, 4096, Path(header).read_bytes()[4096:])  # the first sector comes last
    host.confirm_empty(disk.device, but_for=UUID)
    with host.claimed(disk.device, but_for=UUID) as handle:
        host.write_new_header(handle, disk.device, header, but_for=UUID)
    host.confirm_empty(disk.device, but_for=UUID)
    assert luks.opens(host, disk.device, KEY)
    for other in ("", UUID.replace("2", "3")):
        with unchanged(disk), refused("is not empty, it holds: crypto_LUKS"):
            host.confirm_empty(disk.device, but_for=other)
    assert deliberate.job is job
