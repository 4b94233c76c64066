# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keys that lie in clear, and what a crash or a plugged drive would leave there."""

from __future__ import annotations

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import disk_key_files, disk_removable, disk_traces
from ansible_collections.radiology.hardening.plugins.module_utils.disk_stack import Mount, Node, Stack
from disk_host import RecordedHost

ENTRY = {"mode": "0400", "owner": "root", "group": "root", "size": 64, "is_directory": False, "modified": 0.0}
CRYPT = "0 8 crypt aes-xts-plain64 :64:logon:cryptsetup:x-d0 0 8:0 0"


def node(name, kind, number, **more):
    known = {"file_system": "", "partition_uuid": "", "rotational": False, "uuid": "", "removable": False, **more}
    return Node(name=name, kernel_name=name, path=f"/dev/{name}", kind=kind, size=1, number=number, **known)


def mount(target, number, *options):
    return Mount(target=target, source="", file_system="ext4", number=number, root="/", options=options or ("rw",))


STICK = node("sdb1", "part", "8:17", uuid="AB-12", removable=True)


def stack(*more, root="8:1"):
    """Return a host with / in clear on 8:1 or encrypted on 254:0, an encrypted /safe, and a plugged stick."""
    nodes = [node("sda", "disk", "8:1"), node("safe", "crypt", "254:0", parents=("sda",)), STICK]
    mounts = [mount("/", root), mount("/safe", "254:0"), *more]
    return Stack({each.kernel_name: each for each in nodes}, mounts, {"safe": [CRYPT]}, {})


@pytest.mark.parametrize(
    ("line", "entry", "said"),
    [
        ("v UUID=x /etc/v.key luks", {}, ["v: its key lies in clear at /etc/v.key"]),
        ("v UUID=x /safe/v.key luks", {}, []),
        (
            "v UUID=x /safe/v.key luks",
            {"mode": "0440"},
            ["v: its key file /safe/v.key has mode 0440 and belongs to root"],
        ),
        (
            "v UUID=x /safe/v.key luks",
            {"owner": "anna"},
            ["v: its key file /safe/v.key has mode 0400 and belongs to anna"],
        ),
        ("v UUID=x /safe/v.key luks", None, ["v: its key file /safe/v.key is not there"]),
        ("v UUID=x /v.key:LABEL=stick luks", {}, ["v: its key lies on another device (LABEL=stick)"]),
        ("v UUID=x none luks", {}, ["v: its key lies in clear at /etc/cryptsetup-keys.d/v.key"]),
        ("v UUID=x none luks", None, []),
        ("v UUID=x", None, []),
        ("v UUID=x /dev/urandom swap", {}, []),
        ("# v UUID=x /etc/v.key luks", {}, []),
    ],
)
def test_a_key_is_safe_only_where_it_is_encrypted_and_root_s_alone(line, entry, said):
    host = RecordedHost(asked={"files": {"/etc/crypttab": line + "\n"}})
    for path in ("/etc/v.key", "/safe/v.key", "/etc/cryptsetup-keys.d/v.key"):
        host.stats[path] = None if entry is None else {**ENTRY, **entry}
    assert disk_key_files.exposed(host, stack()) == said


@pytest.mark.parametrize(
    ("text", "exposed"),
    [
        ('KEYFILE_PATTERN="/etc/keys/*.key"\n', True),
        ("#KEYFILE_PATTERN=x\n", False),
        ("KEYFILE_PATTERN=\nUMASK=77\n", False),
    ],
)
def test_keys_in_an_initramfs_lie_where_boot_lies(text, exposed):
    host = RecordedHost(asked={"files": {disk_key_files.HOOK: text}})
    assert bool(disk_key_files.exposed(host, stack())) is exposed
    assert disk_key_files.exposed(host, stack(root="254:0")) == []


@pytest.mark.parametrize(
    ("pattern", "storage", "in_clear"),
    [
        ("core", "", True),
        ("/safe/core.%p", "", False),
        ("|/bin/false", "", False),
        ("|/usr/lib/systemd/systemd-coredump %P", "#Storage=external\n", True),
        ("|/usr/lib/systemd/systemd-coredump %P", "Storage=external\nStorage=none\n", False),
        ("|/usr/share/other/handler", "", True),
        ("", "", False),
    ],
)
def test_where_a_core_dump_goes(pattern, storage, in_clear):
    host = RecordedHost(asked={"files": {disk_traces.PATTERN: pattern + "\n"}})
    host.answers("systemd-analyze cat-config systemd/coredump.conf", output=storage)
    assert disk_traces._dumped(host, stack()) is in_clear
    assert disk_traces._dumped(host, stack(root="254:0")) is False


def test_a_plugged_drive_in_clear_is_told_and_one_that_the_system_runs_from_is_spared():
    plugged = stack(mount("/media/anna/STICK", "8:17", "rw", "nosuid"))
    found = disk_removable.observe(RecordedHost(), plugged, True)
    assert found["exempt"] == []
    assert found["unprotected"] == [
        disk_removable.MISSING,
        "a removable drive in clear is writable at /media/anna/STICK",
    ]
    assert disk_removable.observe(RecordedHost(), plugged, False)["unprotected"] == []
    system = stack(mount("/srv", "8:17"))
    assert disk_removable.observe(RecordedHost(), system, True)["exempt"] == ["AB-12"]


def test_a_plugged_drive_is_protected_once_the_rule_is_there_and_it_is_read_only():
    host = RecordedHost(asked={"files": {disk_removable.RULE: disk_removable.rule([])}})
    found = disk_removable.observe(host, stack(mount("/media/anna/STICK", "8:17", "ro")), True)
    assert found["unprotected"] == []
    assert disk_removable.steps(found) == []
