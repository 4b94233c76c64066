# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What lies under a path, from its file system down to the disks: encrypted, in memory, elsewhere, or in clear.

Asks lsblk, findmnt, device-mapper and the kernel; reads no configuration file.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import posixpath
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host

ENCRYPTED, MEMORY, NETWORK, CLEAR, UNKNOWN = "encrypted", "memory", "network", "clear", "unknown"
"""What protects the files of a path. Only the first two keep them from whoever takes the disk away."""
SAFE = (ENCRYPTED, MEMORY)

IN_MEMORY = frozenset({"tmpfs", "ramfs", "devtmpfs", "hugetlbfs"})
ELSEWHERE = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "virtiofs", "ceph", "glusterfs", "fuse.sshfs"})

COLUMNS = "NAME,KNAME,PATH,TYPE,SIZE,FSTYPE,UUID,PARTUUID,MAJ:MIN,ROTA,RM,HOTPLUG,TRAN"
LSBLK = ["lsblk", "--json", "--bytes", "--output", COLUMNS]
FINDMNT = ["findmnt", "--json", "--list", "--output", "TARGET,SOURCE,FSTYPE,MAJ:MIN,FSROOT,OPTIONS"]


@dataclasses.dataclass(frozen=True)
class Node:
    """A block device as lsblk tells of it."""

    name: str
    kernel_name: str
    path: str
    kind: str
    """disk, part, crypt, lvm, loop, rom, raid1 and so on."""
    size: int
    """Bytes."""
    file_system: str
    uuid: str
    partition_uuid: str
    number: str
    """Major and minor number, as 254:1."""
    rotational: bool
    removable: bool
    """A drive that people plug in: removable medium, hot-plugged, or on USB."""
    parents: tuple[str, ...] = ()
    """Kernel names of the devices that it lies on."""


@dataclasses.dataclass(frozen=True)
class Mount:
    """A mounted file system."""

    target: str
    source: str
    file_system: str
    number: str
    root: str
    """The part of the file system that is mounted; / is all of it."""
    options: tuple[str, ...]


class Stack:
    """The block devices and the mounted file systems of a host, as they were at one moment."""

    def __init__(
        self,
        nodes: Mapping[str, Node],
        mounts: Iterable[Mount],
        tables: Mapping[str, list[str]],
        backing: Mapping[str, str],
    ) -> None:
        """Take nodes by kernel name, device-mapper's tables by name, and files under loop devices by kernel name."""
        self.nodes = dict(nodes)
        self.mounts = tuple(mounts)
        self.tables = dict(tables)
        self.backing = dict(backing)

    def mount_of(self, path: str) -> Mount | None:
        """Return the file system that holds an absolute path without links; of two on one point the upper one."""
        return mount_of(self.mounts, path)

    def protection(self, mount: Mount | None) -> str:
        """Tell what protects the files of a mounted file system."""
        if mount is None:
            return UNKNOWN
        if mount.file_system in IN_MEMORY:
            return MEMORY
        if mount.file_system in ELSEWHERE:
            return NETWORK
        found = {self.protection_of(node) for node in self.nodes_of(mount)}
        return _weakest(found)

    def protection_of(self, node: Node, seen: tuple[str, ...] = ()) -> str:
        """Tell what protects what is written to a block device: every way down has to be encrypted."""
        if node.kernel_name in seen:
            return UNKNOWN
        if self.encrypts(node):
            return ENCRYPTED
        if node.kernel_name.startswith(("zram", "ram")):
            return CLEAR if self.backing.get(node.kernel_name) else MEMORY
        if node.kernel_name.startswith(("nbd", "rbd", "drbd")):
            return NETWORK
        seen = (*seen, node.kernel_name)
        if node.parents:
            return _weakest({self.protection_of(self.nodes[name], seen) for name in node.parents})
        if node.kernel_name in self.backing:
            under = self.mount_of(self.backing[node.kernel_name])
            known = under is not None and not any(each.kernel_name in seen for each in self.nodes_of(under))
            return self.protection(under) if known else UNKNOWN
        return CLEAR

    def encrypts(self, node: Node) -> bool:
        """Tell whether device-mapper encrypts all of a device with a true cipher, now.

        A LUKS volume whose encryption in place has only begun is of the same kind, but its table says linear.
        """
        table = self.tables.get(node.name, [])
        return bool(table) and all(cipher_of(target) not in ("", "cipher_null") for target in table)

    def nodes_of(self, mount: Mount) -> list[Node]:
        """Return the block devices that a mounted file system lies on; none where that cannot be told."""
        source = mount.source.partition("[")[0]
        found = [node for node in self.nodes.values() if mount.number == node.number or source == node.path]
        if mount.file_system == "btrfs" and found:
            uuids = {node.uuid for node in found if node.uuid}
            found += [node for node in self.nodes.values() if node.uuid in uuids and node not in found]
        return found

    def node_of_path(self, path: str) -> Node | None:
        """Return the block device of a path below /dev, links resolved by the caller."""
        return next((node for node in self.nodes.values() if path in (node.path, f"/dev/{node.kernel_name}")), None)

    def below(self, node: Node) -> list[Node]:
        """Return a device and all that it lies on, itself first."""
        return [node, *(deeper for name in node.parents for deeper in self.below(self.nodes[name]))]

    def describe(self, mount: Mount | None) -> list[str]:
        """Return what lies under a mounted file system, the file system first, as short texts."""
        if mount is None:
            return []
        layers = [f"{mount.file_system} {mount.source}"]
        for node in self.nodes_of(mount):
            layers += [f"{deeper.kind} {deeper.name}" for deeper in self.below(node)]
            layers += [
                f"file {self.backing[deeper.kernel_name]}"
                for deeper in self.below(node)
                if deeper.kernel_name in self.backing
            ]
        return list(dict.fromkeys(layers))

    def is_removable(self, mount: Mount) -> bool:
        """Tell whether a file system lies on a drive that people plug in."""
        return any(deeper.removable for node in self.nodes_of(mount) for deeper in self.below(node))


def mount_of(mounts: Iterable[Mount], path: str) -> Mount | None:
    """Return the mounted file system that holds an absolute path; of two on one point the upper one."""
    best: Mount | None = None
    for mount in mounts:
        inside = path == mount.target or path.startswith(mount.target.rstrip("/") + "/")
        if inside and (best is None or len(mount.target) >= len(best.target)):
            best = mount
    return best


def cipher_of(target: str) -> str:
    """Return the cipher of one line of device-mapper's table; cipher_null for none, empty for another target."""
    words = target.split()
    if len(words) < 4 or words[2] != "crypt":
        return ""
    return "cipher_null" if "cipher_null" in words[3] else words[3]


def observe(host: Host) -> Stack:
    """Look at the host's block devices and mounts."""
    nodes = parse_nodes(host.must(LSBLK))
    backing = {
        name: text
        for name in nodes
        if (text := _backing_file(host, name)) and text != "none" and name.startswith(("loop", "zram"))
    }
    return Stack(nodes, parse_mounts(host.must(FINDMNT)), parse_tables(host.run(["dmsetup", "table"]).output), backing)


def parse_nodes(text: str) -> dict[str, Node]:
    """Return lsblk's devices by kernel name; one that stands under several parents knows them all."""
    nodes: dict[str, Node] = {}

    def walk(entry: Mapping[str, Any], parent: str) -> None:
        name = str(entry["kname"])
        parents = nodes[name].parents if name in nodes else ()
        if parent and parent not in parents:
            parents = (*parents, parent)
        removable = _true(entry.get("rm")) or _true(entry.get("hotplug")) or entry.get("tran") == "usb"
        nodes[name] = Node(
            name=str(entry["name"]),
            kernel_name=name,
            path=str(entry.get("path") or f"/dev/{name}"),
            kind=str(entry.get("type") or ""),
            size=int(entry.get("size") or 0),
            file_system=str(entry.get("fstype") or ""),
            uuid=str(entry.get("uuid") or ""),
            partition_uuid=str(entry.get("partuuid") or ""),
            number=str(entry.get("maj:min") or "").strip(),
            rotational=_true(entry.get("rota")),
            removable=removable and not name.startswith(("loop", "zram", "dm-", "md")),
            parents=parents,
        )
        for child in entry.get("children") or []:
            walk(child, name)

    for entry in _list(text, "blockdevices", "lsblk"):
        walk(entry, "")
    return nodes


def parse_mounts(text: str) -> list[Mount]:
    """Return findmnt's file systems in the order in which they were mounted."""
    return [
        Mount(
            target=posixpath.normpath(str(entry["target"])),
            source=str(entry.get("source") or ""),
            file_system=str(entry.get("fstype") or ""),
            number=str(entry.get("maj:min") or "").strip(),
            root=str(entry.get("fsroot") or "/"),
            options=tuple(str(entry.get("options") or "").split(",")),
        )
        for entry in _list(text, "filesystems", "findmnt")
    ]


def parse_tables(text: str) -> dict[str, list[str]]:
    """Return device-mapper's tables by name, a line a target (`0 2048 crypt aes-xts-plain64 ...`)."""
    tables: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, colon, target = line.partition(": ")
        if colon and target[:1].isdigit():
            tables.setdefault(name, []).append(target.strip())
    return tables


def _list(text: str, key: str, command: str) -> list[dict[str, Any]]:
    try:
        found = json.loads(text)[key]
    except (ValueError, KeyError, TypeError) as error:
        raise HardeningError(f"`{command} --json` gave no list of {key}.") from error
    return [entry for entry in found if isinstance(entry, dict)]


def _backing_file(host: Host, kernel_name: str) -> str:
    """Return the file under a loop device, or what a compressed memory device writes back to; empty for neither."""
    for attribute in ("loop/backing_file", "backing_dev"):
        found = (host.text(f"/sys/block/{kernel_name}/{attribute}") or "").strip()
        if found:
            return found
    return ""


def _true(value: object) -> bool:
    return value in (True, 1, "1")


def _weakest(found: set[str]) -> str:
    """Return the worst of several protections; unknown for none at all."""
    order = (CLEAR, UNKNOWN, NETWORK, MEMORY, ENCRYPTED)
    return functools.reduce(lambda one, other: min(one, other, key=order.index), found) if found else UNKNOWN
