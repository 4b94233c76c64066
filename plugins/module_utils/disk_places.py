# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The places where patient data lie or pass, what protects each, and what encrypting those in clear would take."""

from __future__ import annotations

import dataclasses
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import (
    disk_databases,
    orthanc_service,
    orthanc_text,
)
from ansible_collections.radiology.hardening.plugins.module_utils.disk_stack import (
    FINDMNT,
    NETWORK,
    SAFE,
    UNKNOWN,
    Mount,
    Stack,
    mount_of,
    parse_mounts,
)
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host

DATA = ("images", "index", "database", "declared")
SYSTEM = ("system", "homes")
PASSING = ("temporary", "scratch")
ENCRYPT = "ansible-playbook radiology.hardening.encrypt_storage -l {name}"
ELSEWHERE = "what "
"""Begins the name of a place that is no folder of this host; those of others begin with a slash."""
RATES = {True: 60, False: 150}
"""MiB/s that an encryption in place is assumed to reach, on a turning disk and on flash: each byte is read, encrypted,
journalled and written, and read twice more for its checksum."""

Place = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Orthanc:
    """What the running Orthanc was told: its merged configuration, where that lies, its process (0: none)."""

    told: Mapping[str, Any]
    path: str
    process: str


def observe(host: Host, stack: Stack, scope: Mapping[str, Any]) -> list[Place]:
    """Return the places of a host: of Orthanc as it runs, of a workstation's people, and those declared."""
    orthanc = orthanc_as_told(host)
    databases = disk_databases.observe(host, orthanc.told) if orthanc else []
    wanted = [*_wanted(host, scope, orthanc), *((folder, "database") for each in databases for folder in each.folders)]
    found = [_place(host, stack, path, purpose) for path, purpose in dict.fromkeys(wanted)]
    found += [_elsewhere(each) for each in databases if not each.folders]
    return found + ([_orthanc_scratch(host, stack, orthanc)] if orthanc else [])


def in_clear(places: Iterable[Place], purposes: Sequence[str]) -> list[str]:
    """Return the places of these purposes that are neither encrypted nor in memory, as sentences."""
    return [
        f"{place['path']} ({place['purpose']}) lies on {place['source'] or 'nothing that can be told'}"
        + {"network": ", another machine's disk", "unknown": ", whose protection cannot be told"}.get(
            place["protection"], ", in clear"
        )
        for place in places
        if place["purpose"] in purposes and place["protection"] not in SAFE
    ]


def orthanc_as_told(host: Host) -> Orthanc | None:
    """Return what the running Orthanc was told of its folders; None where it is not installed."""
    if host.stat(orthanc_service.BINARY) is None:
        return None
    known = orthanc_service.properties(host)
    path = orthanc_service.configuration_path(known)
    merged, _twice = orthanc_text.merge(orthanc_text.look(host, path)[0])
    return Orthanc(merged, path, known.get("MainPID", "0"))


def orthanc_folders(host: Host, orthanc: Orthanc | None) -> list[tuple[str, str]]:
    """Return Orthanc's folders with their purpose. A relative path begins where its configuration file lies."""
    if orthanc is None:
        return []
    told, path = orthanc.told, orthanc.path
    entry = host.stat(path)
    base = path if entry is not None and entry.is_directory else posixpath.dirname(path)
    images = posixpath.join(base, str(told.get("StorageDirectory", "OrthancStorage")))
    index = posixpath.join(base, str(told.get("IndexDirectory") or images))
    return [(images, "images"), (index, "index")]


def estimates(places: Iterable[Place], stack: Stack) -> dict[str, dict[str, Any]]:
    """Return what encrypting would take, by mount point: bytes, minutes, and the rate that is assumed."""
    found: dict[str, dict[str, Any]] = {}
    for place in places:
        if place["purpose"] not in (*DATA, *SYSTEM) or place["protection"] in SAFE or not place["mount_point"]:
            continue
        mount = stack.mount_of(place["mount_point"])
        nodes = stack.nodes_of(mount) if mount else []
        rate = RATES[any(deeper.rotational for node in nodes for deeper in stack.below(node))]
        own = place["mount_point"] != "/"
        size = place["size_bytes"] if own else place["used_bytes"]
        found[place["mount_point"]] = {
            "used_bytes": place["used_bytes"],
            "bytes_to_encrypt": size,
            "minutes": -(-size // (rate << 20) // 60) + 1,
            "assumed_mib_per_second": rate,
        }
    return found


def encrypt_sentences(said: Iterable[str], places: Iterable[Place], found: Mapping[str, Any], name: str) -> list[str]:
    """Return how to encrypt what sentences of `in_clear` say lies in clear, and how long it takes.

    What lies on one file system is encrypted at once, so it is told in one sentence.
    """
    command = ENCRYPT.format(name=name)
    listed = list(places)
    by_point: dict[str, list[str]] = {}
    for sentence in said:
        place = next((each for each in listed if sentence.startswith(f"{each['path']} (")), None)
        by_point.setdefault((place and place["mount_point"]) or sentence, []).append(sentence)
    return [_encrypt_sentence(sentences, found.get(point), command) for point, sentences in by_point.items()]


def _encrypt_sentence(sentences: list[str], estimate: Mapping[str, Any] | None, command: str) -> str:
    where = "; ".join(dict.fromkeys(sentences))
    if where.startswith(ELSEWHERE):
        return f"{where}: see to it that what holds it is encrypted, and waive this with that as the reason"
    if not estimate:
        return f"{where}: encrypt it by `{command}`"
    return (
        f"{where}: encrypt its {estimate['used_bytes'] / 2**30:.1f} GiB by `{command}`, about "
        f"{estimate['minutes']} min at an assumed {estimate['assumed_mib_per_second']} MiB/s"
    )


def _wanted(host: Host, scope: Mapping[str, Any], orthanc: Orthanc | None) -> list[tuple[str, str]]:
    found = [*orthanc_folders(host, orthanc), *((str(path), "declared") for path in scope.get("folders") or [])]
    if scope.get("kind") == "workstation":
        found += [
            ("/", "system"),
            ("/home", "homes"),
            ("/root", "homes"),
            ("/tmp", "temporary"),  # noqa: S108
            ("/var/tmp", "temporary"),  # noqa: S108
        ]
        found += [(str(path), "temporary") for path in scope.get("caches") or []]
    return found


def _place(host: Host, stack: Stack, path: str, purpose: str) -> Place:
    real = host.run(["readlink", "-m", path]).output.strip() or path
    return _described(host, stack, path, purpose, stack.mount_of(real))


def _elsewhere(database: disk_databases.Database) -> Place:
    """Return the place of a database that lies on another machine, or of which nothing can be told."""
    return {
        "path": f"{ELSEWHERE}{database.plugin} keeps",
        "purpose": "database",
        "mount_point": "",
        "source": database.server,
        "protection": NETWORK if database.server else UNKNOWN,
        "below": [],
        "used_bytes": 0,
        "size_bytes": 0,
    }


def _described(host: Host, stack: Stack, path: str, purpose: str, mount: Mount | None) -> Place:
    used, size = _filled(host, mount.target if mount else path)
    return {
        "path": path,
        "purpose": purpose,
        "mount_point": mount.target if mount else "",
        "source": mount.source if mount else "",
        "protection": stack.protection(mount),
        "below": stack.describe(mount),
        "used_bytes": used,
        "size_bytes": size,
    }


def _orthanc_scratch(host: Host, stack: Stack, orthanc: Orthanc) -> Place:
    """Return the folder where Orthanc packs archives, as the running service sees it: it may have a /tmp of its own."""
    folder = str(orthanc.told.get("TemporaryDirectory") or "/tmp")  # noqa: S108 # Orthanc's own default
    process = orthanc.process
    answer = host.run([*FINDMNT, "--task", process]) if process.isdigit() and int(process) else None
    mounts = parse_mounts(answer.output) if answer is not None and answer.ok else stack.mounts
    real = host.run(["readlink", "-m", folder]).output.strip() or folder
    return _described(host, stack, folder, "scratch", mount_of(mounts, real))


def _filled(host: Host, path: str) -> tuple[int, int]:
    """Return bytes in use and bytes in all of the file system at a path; zeros where it cannot be asked."""
    answer = host.run(["df", "--block-size=1", "--output=used,size", path])
    words = answer.output.split()[-2:] if answer.ok else []
    return (int(words[0]), int(words[1])) if len(words) == 2 and all(word.isdigit() for word in words) else (0, 0)
