# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What lies under a path: every way down to the disks has to be encrypted, now and wholly."""

from __future__ import annotations

import json

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import disk_stack
from ansible_collections.radiology.hardening.plugins.module_utils.disk_stack import Mount, Node, Stack
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from hypothesis import given
from hypothesis import strategies as st

CRYPT = ["0 999424 crypt aes-xts-plain64 :64:logon:cryptsetup:af05-d0 0 254:1 32768 1 sector_size:4096"]
names = st.sampled_from(["sda", "sdb", "sda1", "sda2", "sdb1", "dm-0", "dm-1", "dm-2", "md0", "loop0"])


def node(name, kind, *parents, number="1:1", **more):
    known = {"file_system": "", "uuid": "", "partition_uuid": "", "rotational": False, "removable": False, **more}
    return Node(
        name=name,
        kernel_name=name,
        path=f"/dev/{name}",
        kind=kind,
        size=1 << 30,
        number=number,
        parents=parents,
        **known,
    )


def mount(target, source, file_system="ext4", number=""):
    return Mount(target=target, source=source, file_system=file_system, number=number, root="/", options=("rw",))


def stack(*nodes, mounts=(), tables=None, backing=None):
    return Stack({each.kernel_name: each for each in nodes}, mounts, tables or {}, backing or {})


DISKS = (node("sda", "disk"), node("sdb", "disk", number="1:2"))


@pytest.mark.parametrize(
    ("nodes", "tables", "protection"),
    [
        ([node("sda1", "part", "sda", number="9:9")], {}, "clear"),
        ([node("data", "crypt", "sda", number="9:9")], {"data": CRYPT}, "encrypted"),
        ([node("data", "crypt", "sda"), node("lv", "lvm", "data", number="9:9")], {"data": CRYPT}, "encrypted"),
        ([node("data", "crypt", "sda"), node("lv", "lvm", "data", "sdb", number="9:9")], {"data": CRYPT}, "clear"),
        ([node("md0", "raid1", "sda", "sdb", number="9:9")], {}, "clear"),
        (
            [node("data", "crypt", "md0", number="9:9"), node("md0", "raid1", "sda", "sdb")],
            {"data": CRYPT},
            "encrypted",
        ),
        ([node("data", "crypt", "sda", number="9:9")], {}, "clear"),
        ([node("data", "crypt", "sda", number="9:9")], {"data": ["0 999424 linear 254:1 0"]}, "clear"),
        ([node("data", "crypt", "sda", number="9:9")], {"data": [*CRYPT, "999424 8 linear 254:1 0"]}, "clear"),
        (
            [node("data", "crypt", "sda", number="9:9")],
            {"data": ["0 8 crypt cipher_null-ecb - 0 254:1 0"]},
            "clear",
        ),
        ([node("zram0", "disk", number="9:9")], {}, "memory"),
        ([node("nbd0", "disk", number="9:9")], {}, "network"),
    ],
)
def test_every_way_down_has_to_be_encrypted(nodes, tables, protection):
    found = stack(*DISKS, *nodes, mounts=[mount("/", "/dev/x", number="9:9")], tables=tables)
    assert found.protection(found.mount_of("/var/lib")) == protection


@pytest.mark.parametrize(
    ("file_system", "protection"),
    [
        ("tmpfs", "memory"),
        ("nfs4", "network"),
        ("zfs", "unknown"),
        ("overlay", "unknown"),
        ("fuse.gocryptfs", "unknown"),
    ],
)
def test_what_cannot_be_looked_under_is_never_called_encrypted(file_system, protection):
    found = stack(*DISKS, mounts=[mount("/", "tank/root", file_system)])
    assert found.protection(found.mount_of("/data")) == protection


def test_btrfs_is_encrypted_only_where_all_of_its_devices_are():
    one = node("data", "crypt", "sda", number="9:9", uuid="u", file_system="btrfs")
    other = node("sdb1", "part", "sdb", number="9:8", uuid="u", file_system="btrfs")
    mounted = mount("/", "/dev/data[/@]", "btrfs", number="0:30")
    assert stack(*DISKS, one, mounts=[mounted], tables={"data": CRYPT}).protection(mounted) == "encrypted"
    assert stack(*DISKS, one, other, mounts=[mounted], tables={"data": CRYPT}).protection(mounted) == "clear"


def test_a_container_file_is_encrypted_by_what_lies_above_it_and_a_plain_loop_by_what_lies_below():
    root = mount("/", "/dev/sda1", number="8:1")
    nodes = [*DISKS, node("sda1", "part", "sda", number="8:1"), node("loop0", "loop", number="7:0")]
    plain = mount("/srv", "/dev/loop0", number="7:0")
    backing = {"loop0": "/var/lib/container"}
    assert stack(*nodes, mounts=[root, plain], backing=backing).protection(plain) == "clear"
    inside = mount("/srv", "/dev/mapper/data", number="9:9")
    opened = stack(
        *nodes,
        node("data", "crypt", "loop0", number="9:9"),
        mounts=[root, inside],
        tables={"data": CRYPT},
        backing=backing,
    )
    assert opened.protection(inside) == "encrypted"
    assert opened.describe(inside) == ["ext4 /dev/mapper/data", "crypt data", "loop loop0", "file /var/lib/container"]
    under = mount("/", "/dev/data", number="9:9")
    below = stack(
        *DISKS,
        node("data", "crypt", "sda", number="9:9"),
        node("loop0", "loop", number="7:0"),
        mounts=[under, plain],
        tables={"data": CRYPT},
        backing=backing,
    )
    assert below.protection(plain) == "encrypted"


def test_a_loop_whose_file_lies_on_itself_is_unknown():
    mounted = mount("/", "/dev/loop0", number="7:0")
    found = stack(node("loop0", "loop", number="7:0"), mounts=[mounted], backing={"loop0": "/file"})
    assert found.protection(mounted) == "unknown"


def test_compressed_memory_that_is_written_back_to_a_disk_is_in_clear():
    assert stack(node("zram0", "disk"), backing={"zram0": "/dev/sda3"}).protection_of(node("zram0", "disk")) == "clear"


def test_of_two_file_systems_on_one_point_the_upper_one_holds_the_path():
    lower, upper = mount("/srv", "/dev/sda1"), mount("/srv", "/dev/sda2")
    found = stack(mounts=[mount("/", "/dev/sda3"), lower, mount("/srv2", "/dev/sda4"), upper])
    assert found.mount_of("/srv/x") is upper
    assert found.mount_of("/srv") is upper
    assert found.mount_of("/srv20").target == "/"
    assert stack().mount_of("/srv") is None


def test_a_device_under_two_parents_knows_both():
    leaf = {"name": "md0", "kname": "md0", "type": "raid1", "maj:min": "9:0"}
    text = json.dumps(
        {
            "blockdevices": [
                {"name": "sda", "kname": "sda", "type": "disk", "children": [leaf]},
                {"name": "sdb", "kname": "sdb", "type": "disk", "rm": "1", "children": [leaf]},
            ]
        }
    )
    found = disk_stack.parse_nodes(text)
    assert found["md0"].parents == ("sda", "sdb")
    assert found["sdb"].removable
    assert not found["sda"].removable


@given(st.text())
def test_what_is_no_list_is_refused_in_a_sentence(text):
    for parse in (disk_stack.parse_nodes, disk_stack.parse_mounts):
        try:
            parse(text)
        except HardeningError as error:
            assert str(error).endswith(".")


@given(st.text())
def test_tables_of_any_text_hold_targets_only(text):
    for targets in disk_stack.parse_tables(text).values():
        assert all(target[0].isdigit() for target in targets)


def test_tables_of_two_devices_and_of_none():
    text = f"a: {CRYPT[0]}\nb: 0 8 linear 8:1 0\nb: 8 8 linear 8:2 0\n"
    assert disk_stack.parse_tables(text) == {"a": CRYPT, "b": ["0 8 linear 8:1 0", "8 8 linear 8:2 0"]}
    assert disk_stack.parse_tables("No devices found\n") == {}


@given(
    st.lists(st.tuples(names, st.sampled_from(["disk", "crypt", "lvm", "loop", "part"]), st.lists(names, max_size=3))),
    st.sets(names),
)
def test_nothing_is_called_encrypted_that_has_a_way_to_a_disk_past_every_cipher(drawn, opened):
    """Compare with a walk that knows nothing but parents: all simple ways down have to meet a device with a table."""
    nodes = {}
    for name, kind, parents in drawn:
        nodes[name] = node(
            name, kind, *[parent for parent in dict.fromkeys(parents) if parent in nodes and parent != name]
        )
    tables = {name: CRYPT for name in opened if name in nodes}
    found = Stack(nodes, [], tables, {})

    def ways(name, way):
        way = (*way, name)
        parents = [parent for parent in nodes[name].parents if parent not in way]
        return [deeper for parent in parents for deeper in ways(parent, way)] or [way]

    for name, each in nodes.items():
        if found.protection_of(each) == "encrypted":
            assert all(set(way) & set(tables) for way in ways(name, ()))
