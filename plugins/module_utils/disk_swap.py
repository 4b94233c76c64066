# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Memory that reaches a disk: swap, and hibernation.

A swap partition gets a fresh random key at each boot (crypttab(5), option `swap`), a swap file in clear is no longer
used. Nothing but a partition that the kernel swaps to, or that the file-system table calls swap, is ever touched.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import deliberate
from ansible_collections.radiology.hardening.plugins.module_utils.disk_stack import (
    CLEAR,
    ENCRYPTED,
    MEMORY,
    SAFE,
    Stack,
)
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step

TABLE, CRYPT_TABLE = "/etc/fstab", "/etc/crypttab"
SLEEP = "/etc/systemd/sleep.conf.d/zz-radiology-hibernation.conf"
SLEEP_TEXT = """\
# Written by radiology.hardening: a hibernating machine writes its whole memory to the disk.
[Sleep]
AllowHibernation=no
AllowHybridSleep=no
AllowSuspendThenHibernate=no
"""
WAYS_TO_HIBERNATE = ("AllowHibernation", "AllowHybridSleep", "AllowSuspendThenHibernate")
RESUME = "/etc/initramfs-tools/conf.d/resume"
RESUME_TEXT = """\
# Written by radiology.hardening: swap has a new key at each boot, so nothing can be resumed from it.
RESUME=none
"""
OPTIONS = "swap,cipher=aes-xts-plain64,size=512"
"""Of the volume in crypttab; size is the length of the key in bits."""
REMAINS = "what it holds stays on the disk until you remove it (`shred -u`)"
OPENERS = ("/usr/lib/systemd/systemd-cryptsetup", "/lib/systemd/systemd-cryptsetup", "/usr/bin/systemd-cryptsetup")
SEVERAL = "several signatures"
"""What is said of a device on which blkid(8) finds more than one thing (its status 8)."""
ABSENT = "absent"
"""The file-system table names a swap device that is not there, so nothing is written to it."""
IN_USE = 'swapon --show=NAME --noheadings --raw | grep -qxF "$(readlink -f "$0")"'
AGAIN = f'{IN_USE} || swapon "$0"'
"""Swaps to $0, unless it is swapped to already."""
BACK = f"""\
if [ -e "/dev/mapper/$1" ]; then
  swapoff "$(readlink -f "/dev/mapper/$1")" 2>/dev/null
  systemctl stop "systemd-cryptsetup@$1.service" 2>/dev/null
  [ ! -e "/dev/mapper/$1" ] || cryptsetup close "$1" || exit 1
fi
{IN_USE} && exit 0
if wipefs --noheadings --output TYPE "$0" | grep -qvx swap; then
  echo "$0 holds something else than swap and is left as it is" >&2
  exit 1
fi
[ -z "$2" ] || [ "$(blkid -p -s UUID -o value "$0")" = "$2" ] || mkswap -U "$2" "$0" >/dev/null || exit 1
[ -z "$3" ] || swapon "$0"
"""
"""Makes swap in clear of $0 again, by the UUID $2, once $1 is closed; where $3 says so it is swapped to."""
GUARD = "zz-radiology-only-swap.conf"
SHARE = 0.8
"""How much of the available memory what is swapped out may fill when it is taken back."""


def observe(host: Host, stack: Stack) -> dict[str, Any]:
    """Return the facts of swap and hibernation."""
    devices = _devices(host, stack)
    return {
        "devices": devices,
        "in_clear": [device["path"] for device in devices if device["protection"] not in (*SAFE, ABSENT)],
        "available_kib": _available(host.text("/proc/meminfo") or ""),
        "opener": any(host.stat(path) is not None for path in OPENERS),
        "initramfs": host.stat("/etc/initramfs-tools/conf.d") is not None,
        "hibernation_exposed": _hibernates(host) and not _lasting(devices),
    }


def parse_swaps(text: str) -> list[tuple[str, str, int]]:
    """Return path, kind (partition or file) and KiB in use of each line of /proc/swaps."""
    found = []
    for line in text.splitlines()[1:]:
        words = line.split()
        if len(words) >= 4 and words[3].isdigit():
            path = re.sub(r"\\(\d{3})", lambda escaped: chr(int(escaped[1], 8)), words[0])
            found.append((path, words[1], int(words[3])))
    return found


def parse_table(text: str) -> list[list[str]]:
    """Return the fields of each line of a table such as fstab or crypttab, comments left out."""
    return [line.split() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def with_source(text: str, sources: Sequence[str], source: str) -> str:
    """Return the file-system table with another source in its swap lines of `sources`; empty comments them out.

    A table without such a line gets one.
    """
    lines, found = [], False
    for line in _lines(text):
        words = line.split()
        if len(words) < 3 or words[0] not in sources or words[2] != "swap":
            lines.append(line)
            continue
        if source and not found:
            lines.append(line.replace(words[0], source, 1))
        elif not source:
            lines.append(f"# radiology.hardening: swap in clear is not used. {line}")
        found = True
    if source and not found:
        lines.append(f"{source} none swap sw 0 0")
    return "".join(f"{line}\n" for line in lines)


def with_volume(text: str, name: str, source: str) -> str:
    """Return crypttab with one line for a swap volume that has a random key at each boot."""
    kept = [line for line in _lines(text) if line.split()[:1] != [name]]
    return "".join(f"{line}\n" for line in (*kept, f"{name} {source} /dev/urandom {OPTIONS}"))


def volume_name(source: str) -> str:
    """Return the name of the encrypted swap on a device, from what its stable name ends with."""
    return f"swap_{re.sub('[^0-9a-zA-Z]', '', source)[-12:]}"


def _lines(text: str) -> list[str]:
    """Return the lines of a table, which only a line feed ends; nothing else of it is lost."""
    return text.removesuffix("\n").split("\n") if text else []


def steps(swap: Mapping[str, Any]) -> list[Step]:
    """Return what ends swap in clear."""
    known = {device["path"]: device for device in swap["devices"]}
    return [step for path in swap["in_clear"] for step in _steps(known.get(path), path, swap)]


def sleep_steps() -> list[Step]:
    """Return what ends hibernation."""
    return [
        Step(
            "Have systemd never hibernate: memory would reach a disk in clear",
            lambda host: host.write(SLEEP, SLEEP_TEXT),
        )
    ]


def _steps(device: Mapping[str, Any] | None, path: str, swap: Mapping[str, Any]) -> list[Step]:
    if device is None or device["protection"] != CLEAR:
        return [deliberate(f"Swap to {path} cannot be proven to be encrypted: run `swapoff {path}` or encrypt it")]
    if device["active"] and device["used_kib"] > SHARE * swap["available_kib"]:
        return [
            deliberate(
                f"Swap to {path} is in clear and holds {device['used_kib'] // 1024} MiB, more than the memory that is "
                "free: stop some programs or restart the host, then run this role again"
            )
        ]
    if device["kind"] == "file":
        return [
            Step(f"Stop swapping to the file {path}, which lies in clear; {REMAINS}", lambda host: _end(host, device))
        ]
    if device["kind"] != "partition" or not device["source"]:
        return [deliberate(f"Swap to {path} is in clear and has no name that outlives a restart: `swapoff {path}`")]
    if device["signature"] not in ("", "swap"):
        return [
            deliberate(f"{path} is called swap but holds {device['signature']}: correct /etc/fstab; it is not touched")
        ]
    name = volume_name(device["source"])
    opener = [] if swap["opener"] else [Step("Install systemd-cryptsetup, which opens encrypted swap", _install)]
    resume = [_resume()] if swap["initramfs"] else []
    return [
        *opener,
        Step(
            f"Give the swap on {path} a fresh random key at each boot, as {name}", lambda host: _encrypt(host, device)
        ),
        *resume,
    ]


def _devices(host: Host, stack: Stack) -> list[dict[str, Any]]:
    """Return what is swapped to, or would be after a restart; fstab's names of it in `sources`."""
    active = {path: (kind, used) for path, kind, used in parse_swaps(host.text("/proc/swaps") or "")}
    named: dict[str, list[str]] = {}
    for words in parse_table(host.text(TABLE) or ""):
        if len(words) >= 3 and words[2] == "swap" and "noauto" not in (words[3:4] or [""])[0].split(","):
            path = _resolved(host, words[0])
            same = next((known for known in active if _resolved(host, known) == path), path)
            named.setdefault(same, []).append(words[0])
    return [
        _device(host, stack, path, active.get(path), named.get(path, [])) for path in sorted({*active, *named}) if path
    ]


def _device(host: Host, stack: Stack, path: str, active: tuple[str, int] | None, sources: list[str]) -> dict[str, Any]:
    real = _resolved(host, path)
    node = stack.node_of_path(real)
    if node is not None:
        protection = stack.protection_of(node)
    elif real.startswith("/dev/"):
        protection = ABSENT
    else:
        protection = stack.protection(stack.mount_of(real))
    signature = host.run(["blkid", "-p", "-s", "TYPE", "-o", "value", real]) if node and protection == CLEAR else None
    return {
        "path": path,
        "kind": "file" if node is None and protection != ABSENT else "partition",
        "protection": protection,
        "lasting": node is not None and protection == ENCRYPTED and "/dev/urandom" not in _crypt_line(host, node.name),
        "active": active is not None,
        "used_kib": active[1] if active else 0,
        "sources": sources,
        "source": _stable(host, real, node.partition_uuid) if node is not None and protection == CLEAR else "",
        "signature": (signature.output.strip() or (SEVERAL if signature.status == 8 else "")) if signature else "",
    }


def _stable(host: Host, path: str, partition_uuid: str) -> str:
    """Return a name of a block device that outlives a restart and does not depend on what the device holds."""
    if partition_uuid:
        return f"/dev/disk/by-partuuid/{partition_uuid}"
    for name in host.list("/dev/disk/by-id"):
        link = f"/dev/disk/by-id/{name}"
        if name.startswith(("dm-uuid-LVM-", "dm-name-")) and _resolved(host, link) == path:
            return link
    return ""


def _crypt_line(host: Host, name: str) -> list[str]:
    lines = parse_table(host.text(CRYPT_TABLE) or "")
    return next((words for words in lines if words[0] == name), [])


def _resolved(host: Host, source: str) -> str:
    """Return the path that a source of fstab stands for; the source itself where nothing bears the name."""
    if "=" in source and not source.startswith("/"):
        return host.run(["findfs", source]).output.strip() or source
    return host.run(["readlink", "-f", source]).output.strip() or source


def _available(text: str) -> int:
    found = re.search(r"^MemAvailable:\s*(\d+) kB", text, re.MULTILINE)
    return int(found[1]) if found else 0


def _hibernates(host: Host) -> bool:
    """Tell whether systemd would hibernate when asked: its settings in force, the last one counting."""
    text = host.run(["systemd-analyze", "cat-config", "systemd/sleep.conf"]).output
    allowed = dict.fromkeys(WAYS_TO_HIBERNATE, True)
    for name, value in re.findall(r"^[ \t]*(Allow\w+)[ \t]*=[ \t]*(\S+)", text, re.MULTILINE):
        allowed[name] = value.lower() in ("yes", "true", "on", "1", "y", "t")
    return any(allowed[name] for name in WAYS_TO_HIBERNATE)


def _lasting(devices: Sequence[Mapping[str, Any]]) -> bool:
    """Tell whether all swap on disks is encrypted with a key that lasts, so that a hibernated memory is as well."""
    on_disk = [device for device in devices if device["protection"] not in (MEMORY, ABSENT)]
    return bool(on_disk) and all(device["lasting"] for device in on_disk)


def _end(host: Host, device: Mapping[str, Any]) -> None:
    if device["active"]:
        host.undone_by(f"Swap to {device['path']} again", "sh", "-c", AGAIN, device["path"])
        host.must(["swapoff", device["path"]], timeout=600)
    if device["sources"]:
        host.write(TABLE, with_source(host.text(TABLE) or "", device["sources"], ""))
        host.must(["systemctl", "daemon-reload"])


def _install(host: Host) -> None:
    host.must(["apt-get", "update", "-qq"], timeout=600)
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "systemd-cryptsetup"]
    host.must(["env", "DEBIAN_FRONTEND=noninteractive", *install], timeout=600)


def _encrypt(host: Host, device: Mapping[str, Any]) -> None:
    """Stop swapping, look at the device once more, write both tables, open it with a random key, swap again."""
    path, source, name = device["path"], device["source"], volume_name(device["source"])
    uuid = host.run(["blkid", "-p", "-s", "UUID", "-o", "value", _resolved(host, source)]).output.strip()
    on = "swapon" if device["active"] else ""
    host.undone_by(f"Swap to {path} in clear again", "sh", "-c", BACK, source, name, uuid, on)
    if device["active"]:
        host.must(["swapoff", path], timeout=600)
    real = _resolved(host, source)
    holds = _held(host, real)
    if holds:
        raise HardeningError(f"{source} holds {holds} and is left as it is: correct /etc/fstab.")
    host.write(f"/etc/systemd/system/systemd-cryptsetup@{name}.service.d/{GUARD}", guard(source))
    former = {table: host.text(table) for table in (TABLE, CRYPT_TABLE)}
    host.write(CRYPT_TABLE, with_volume(former[CRYPT_TABLE] or "", name, source))
    host.write(TABLE, with_source(former[TABLE] or "", device["sources"], f"/dev/mapper/{name}"))
    try:
        host.must(["systemctl", "daemon-reload"])
        host.must(["systemctl", "start", f"systemd-cryptsetup@{name}.service"])
        host.must(["udevadm", "settle"])
        opened = _resolved(host, f"/dev/mapper/{name}")
        if opened not in [path for path, _kind, _used in parse_swaps(host.text("/proc/swaps") or "")]:
            host.must(["swapon", opened])
    except HardeningError as error:
        for table, text in former.items():
            if text is None:
                host.remove(table)
            else:
                host.write(table, text)
        host.run(["systemctl", "daemon-reload"])
        raise HardeningError(f"{error} Both tables are as they were; the host runs without this swap.") from error


def _held(host: Host, device: str) -> str:
    """Return what a device holds beside swap, partition tables and second signatures too; empty for nothing."""
    told = host.run(["wipefs", "--noheadings", "--output", "TYPE", device])
    if not told.ok:
        return "what wipefs cannot read"
    return ", ".join(sorted(set(told.output.split()) - {"swap"}))


def guard(source: str) -> str:
    """Return what lets no boot make swap of a partition that somebody has given to something else meanwhile."""
    look = f"! wipefs --noheadings --output TYPE {source} | grep -qvx swap"
    return f"# Written by radiology.hardening\n[Service]\nExecCondition=/bin/sh -c '{look}'\n"


def _resume() -> Step:
    """Return the step for which no initramfs is made anew: an old one waits half a minute for the former swap."""
    does = "Have the initramfs of the next kernel look for no hibernated memory"
    return Step(does, lambda host: host.write(RESUME, RESUME_TEXT))
