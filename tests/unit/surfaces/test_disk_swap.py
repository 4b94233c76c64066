# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Swap: only what is swap is touched, and a failure leaves both tables as they were."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import disk_swap
from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import Deliberate, parted
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.steps import apply
from disk_host import RecordedHost
from hypothesis import given
from hypothesis import strategies as st

SOURCE = "/dev/disk/by-partuuid/a369e6d7-50ed-814e-8e3f-e24ba0eaa6b2"
NAME = "swap_e24ba0eaa6b2"
TABLE = "LABEL=root / ext4 errors=remount-ro 0 1\nUUID=b38f none swap sw,pri=5 0 0\n"
LINES = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n")))


def device(**changes):
    return {
        "path": "/dev/vdc1",
        "kind": "partition",
        "protection": "clear",
        "lasting": False,
        "active": True,
        "used_kib": 100,
        "sources": ["UUID=b38f"],
        "source": SOURCE,
        "signature": "swap",
        **changes,
    }


def swap(*devices, **changes):
    in_clear = [each["path"] for each in devices]
    return {
        "devices": list(devices),
        "in_clear": in_clear,
        "available_kib": 500_000,
        "opener": True,
        "initramfs": False,
        **changes,
    }


def prepared(holds="swap"):
    host = RecordedHost(asked={"files": {"/etc/fstab": TABLE, "/proc/swaps": "Filename Type Size Used Priority\n"}})
    host.answers("swapoff /dev/vdc1", "systemctl daemon-reload", f"systemctl start systemd-cryptsetup@{NAME}.service")
    host.answers("udevadm settle", "swapon /dev/dm-1")
    host.answers(f"readlink -f {SOURCE}", output="/dev/vdc1\n")
    host.answers(f"readlink -f /dev/mapper/{NAME}", output="/dev/dm-1\n")
    host.answers("wipefs --noheadings --output TYPE /dev/vdc1", output=f"{holds}\n" if holds else "")
    return host


@pytest.mark.parametrize("holds", ["swap", ""])
def test_a_swap_partition_gets_a_random_key_at_each_boot(holds):
    host = prepared(holds)
    apply(host, disk_swap.steps(swap(device())))
    assert host.files["/etc/crypttab"] == f"{NAME} {SOURCE} /dev/urandom swap,cipher=aes-xts-plain64,size=512\n"
    assert host.files["/etc/fstab"] == TABLE.replace("UUID=b38f", f"/dev/mapper/{NAME}")
    changes = [done for done in host.done if not done.startswith(("readlink ", "blkid "))]
    assert changes[0] == "swapoff /dev/vdc1"
    assert host.done[-1] == "swapon /dev/dm-1"
    guarded = host.files[f"/etc/systemd/system/systemd-cryptsetup@{NAME}.service.d/zz-radiology-only-swap.conf"]
    assert f"TYPE {SOURCE} | grep -qvx swap'" in guarded


@pytest.mark.parametrize(
    "holds",
    [
        "ext4",
        "xfs",
        "ntfs",
        "LVM2_member",
        "linux_raid_member",
        "zfs_member",
        "crypto_LUKS",
        "gpt",
    ],
)
def test_a_partition_that_holds_anything_else_is_never_given_a_key(holds):
    (step,) = disk_swap.steps(swap(device(signature=holds)))
    assert isinstance(step, Deliberate)
    host = prepared(holds)  # it changed between the look and the change
    with pytest.raises(HardeningError, match=f"holds {holds} and is left"):
        apply(host, disk_swap.steps(swap(device())))
    assert not [done for done in host.done if done.startswith("write")]


def test_a_volume_that_does_not_open_leaves_both_tables_as_they_were():
    host = prepared()
    host.answers(f"systemctl start systemd-cryptsetup@{NAME}.service", status=1)
    with pytest.raises(HardeningError, match="Both tables are as they were"):
        apply(host, disk_swap.steps(swap(device())))
    assert host.files["/etc/fstab"] == TABLE
    assert "/etc/crypttab" not in host.files


def test_a_swap_file_is_no_longer_used_and_stays_where_it_is():
    host = RecordedHost(asked={"files": {"/etc/fstab": "/swapfile none swap sw 0 0\n"}})
    host.answers("swapoff /swapfile", "systemctl daemon-reload")
    apply(host, disk_swap.steps(swap(device(path="/swapfile", kind="file", sources=["/swapfile"], source=""))))
    assert host.files["/etc/fstab"] == "# radiology.hardening: swap in clear is not used. /swapfile none swap sw 0 0\n"
    assert host.done == ["swapoff /swapfile", "write /etc/fstab", "systemctl daemon-reload"]


@pytest.mark.parametrize(
    ("changes", "more"),
    [
        ({"used_kib": 450_000}, {}),
        ({"source": ""}, {}),
        ({"protection": "network"}, {}),
        ({}, {"in_clear": ["/dev/other"]}),
    ],
)
def test_what_cannot_be_done_safely_is_left_to_a_person(changes, more):
    ordinary, left = parted(disk_swap.steps(swap(device(**changes), **more)))
    assert ordinary == []
    assert len(left) == 1


def test_a_host_that_cannot_open_volumes_gets_the_package_first():
    sentences = [step.does for step in disk_swap.steps(swap(device(), opener=False, initramfs=True))]
    assert sentences == [
        "Install systemd-cryptsetup, which opens encrypted swap",
        f"Give the swap on /dev/vdc1 a fresh random key at each boot, as {NAME}",
        "Have the initramfs of the next kernel look for no hibernated memory",
    ]


def test_swaps_in_use_are_read_with_their_escapes():
    text = (
        "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"
        "/dev/dm-1                               partition\t131068\t\t12\t\t-2\n"
        "/srv/my\\040swap                         file\t\t16380\t\t0\t\t-3\n"
    )
    assert disk_swap.parse_swaps(text) == [("/dev/dm-1", "partition", 12), ("/srv/my swap", "file", 0)]


@given(st.text())
def test_any_text_of_swaps_is_read(text):
    assert all(isinstance(used, int) for _path, _kind, used in disk_swap.parse_swaps(text))


@given(LINES, st.sampled_from(["", "/dev/mapper/swap_x"]))
def test_no_other_line_of_the_table_changes(lines, source):
    text = "".join(f"{line}\n" for line in (*lines, "UUID=b38f none swap sw 0 0"))
    kept = [line for line in lines if line.split()[:1] != ["UUID=b38f"]]
    changed = disk_swap.with_source(text, ["UUID=b38f"], source)
    left = changed.split("\n")
    assert [line for line in kept if line not in left] == []
    assert disk_swap.with_source(changed, ["UUID=b38f", source] if source else ["UUID=b38f"], source) == changed


@given(st.text(min_size=1))
def test_a_name_of_any_device_is_one_that_systemd_need_not_escape(source):
    name = disk_swap.volume_name(source)
    assert name.replace("_", "").isascii()
    assert name.replace("_", "").isalnum()


@pytest.mark.parametrize(
    ("settings", "hibernates"),
    [
        ("[Sleep]\n#AllowHibernation=yes\n", True),
        (disk_swap.SLEEP_TEXT, False),
        (f"{disk_swap.SLEEP_TEXT}\n[Sleep]\nAllowHybridSleep=yes\n", True),
        ("[Sleep]\nAllowHibernation=no\n", True),
        ("", True),
    ],
)
def test_hibernation_is_off_only_where_the_last_word_says_so(settings, hibernates):
    host = RecordedHost()
    host.answers("systemd-analyze cat-config systemd/sleep.conf", output=settings)
    assert disk_swap._hibernates(host) is hibernates


def test_a_partition_that_cannot_be_read_is_never_given_a_key():
    host = prepared()
    host.answers("wipefs --noheadings --output TYPE /dev/vdc1", status=1)
    with pytest.raises(HardeningError, match="what wipefs cannot read"):
        apply(host, disk_swap.steps(swap(device())))
    assert not [done for done in host.done if done.startswith("write")]


UUID = "b38f3b8e-5a0e-4d7e-9d0b-0d6f5b1c2a11"


def undone(file, *more):
    command = ["sh", "-c", disk_swap.BACK, str(file), "radiology_no_such_volume", UUID, *(more or [""])]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.skipif(shutil.which("mkswap") is None or shutil.which("wipefs") is None, reason="util-linux is wanted")
def test_the_undo_makes_swap_of_the_partition_again_by_its_former_uuid(tmp_path):
    file = tmp_path / "partition"
    file.write_bytes(b"\xa5" * (1 << 20))
    file.chmod(0o600)
    assert undone(file).returncode == 0
    made = file.read_bytes()
    told = subprocess.run(["blkid", "-p", "-o", "export", str(file)], capture_output=True, text=True, check=True).stdout
    assert f"UUID={UUID}" in told.split()
    assert "TYPE=swap" in told.split()
    assert undone(file).returncode == 0
    assert file.read_bytes() == made


@pytest.mark.skipif(shutil.which("wipefs") is None, reason="util-linux is wanted")
def test_the_undo_leaves_a_partition_that_was_given_to_something_else(tmp_path):
    file = tmp_path / "partition"
    file.write_bytes(b"\0" * 1080 + b"\x53\xef" + b"\0" * (1 << 20))  # ext's magic number at 0x438
    before = file.read_bytes()
    done = undone(file)
    assert done.returncode == 1
    assert "something else than swap" in done.stderr
    assert file.read_bytes() == before
