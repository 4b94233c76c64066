# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What keeps a service from writing on the system's disk while the volume of its data is not mounted.

Orthanc finds an empty folder, makes an empty archive there, and takes images on the system's disk. So its unit requires
the mount, and the folder under the mount point is empty and immutable (`chattr +i`). So is it with a volume in clear,
while it waits for its encryption.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ansible_collections.radiology.hardening.plugins.module_utils import orthanc_service
from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import deliberate
from ansible_collections.radiology.hardening.plugins.module_utils.disk_places import DATA, Place
from ansible_collections.radiology.hardening.plugins.module_utils.disk_stack import CLEAR, ENCRYPTED, Mount
from ansible_collections.radiology.hardening.plugins.module_utils.disk_swap import TABLE, parse_table
from ansible_collections.radiology.hardening.plugins.module_utils.host import WITH_OWN_MOUNTS, Host
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step

SERVICES = {"images": orthanc_service.UNIT, "index": orthanc_service.UNIT}
"""Purpose of a place to the unit that writes there; Debian's PostgreSQL requires its folder by itself,
and MariaDB starts on no empty one."""
LOCAL = (ENCRYPTED, CLEAR)
"""What protects the places whose mount points are looked at: those on disks of the host."""
DROP_IN = orthanc_service.MOUNTS_DROP_IN
LOOK = 'umount --lazy "$0" && lsattr -d "$0" && ls -A "$0" | wc -l'
OPEN = 'umount --lazy "$0"; chattr -i "$0"'
CLOSE = 'umount --lazy "$0" && test -z "$(ls -A "$0")" && chattr +i "$0"'


def observe(host: Host, places: Iterable[Place]) -> dict[str, list[str]]:
    """Return the facts: units that may write before their volume is there, mount points that can be written."""
    own = [
        place
        for place in places
        if place["purpose"] in DATA and place["protection"] in LOCAL and place["mount_point"] not in ("", "/")
    ]
    points = sorted({place["mount_point"] for place in own})
    writers = sorted({(unit, place["mount_point"]) for place in own if (unit := SERVICES.get(place["purpose"], ""))})
    unguarded = [f"{unit} does not require {point}" for unit, point in writers if not _requires(host, unit, point)]
    found: dict[str, list[str]] = {
        "unguarded": unguarded,
        "open": [],
        "hidden": [],
        "unlisted": [],
    }
    for point in points:
        if _listed(host, point) is False:
            found["unlisted"].append(point)
        flags, entries = _uncovered(host, point)
        if entries:
            found["hidden"].append(f"{entries} entries in clear lie under the mount point {point}")
        elif "i" not in flags:
            found["open"].append(point)
    return found


def closed(host: Host, mounts: Iterable[Mount]) -> dict[str, str]:
    """Return the mount points of encrypted volumes that the file-system table names but that are not mounted now."""
    mounted = {mount.target for mount in mounts}
    return {
        words[1]: words[0]
        for words in parse_table(host.text(TABLE) or "")
        if len(words) > 2 and words[0].startswith("/dev/mapper/") and words[2] != "swap" and words[1] not in mounted
    }


def steps(unmet: str, said: Iterable[str]) -> list[Step]:
    """Return what mends one of the facts, `said` being its value."""
    mend = {"unguarded": _guard, "open": _close, "hidden": _hidden, "unlisted": _unlisted}[unmet]
    return [mend(each) for each in said]


def drop_in(point: str, former: str) -> str:
    """Return the text of our drop-in that requires a mount point, besides those that it requires already."""
    head = "# Written by radiology.hardening: nothing is stored before its volume is mounted.\n[Unit]\n"
    kept = [line for line in former.splitlines() if line.startswith("RequiresMountsFor=")]
    line = f"RequiresMountsFor={point}"
    return head + "".join(f"{each}\n" for each in dict.fromkeys((*kept, line)))


def requires(value: str, point: str) -> bool:
    """Tell whether systemd's RequiresMountsFor= names a path on the mount point or below it."""
    return any(path == point or path.startswith(point + "/") for path in value.split())


def _requires(host: Host, unit: str, point: str) -> bool:
    answer = host.run(["systemctl", "show", unit, "--property=RequiresMountsFor", "--value"])
    return answer.ok and requires(answer.output, point)


def _listed(host: Host, point: str) -> bool | None:
    """Tell whether the mount comes back after a restart; None when systemd does not say."""
    unit = host.run(["systemd-escape", "--path", "--suffix=mount", point]).output.strip()
    answer = host.run(["systemctl", "show", unit, "--property=SourcePath,FragmentPath"])
    pairs: Mapping[str, str] = dict(line.split("=", 1) for line in answer.output.splitlines() if "=" in line)
    if not answer.ok or not pairs:
        return None
    return pairs.get("SourcePath") == "/etc/fstab" or pairs.get("FragmentPath", "").startswith(
        ("/etc/", "/usr/", "/lib/")
    )


def _uncovered(host: Host, point: str) -> tuple[str, int]:
    """Return the attributes of the folder under a mount point, and how many entries it has; neither where unknown."""
    answer = host.run([*WITH_OWN_MOUNTS, LOOK, point])
    lines = answer.output.split("\n") if answer.ok else []
    if len(lines) < 2 or not lines[1].strip().isdigit():
        return "", 0
    return lines[0].partition(" ")[0], int(lines[1])


def _guard(sentence: str) -> Step:
    unit, told, point = sentence.partition(" does not require ")
    if not told:
        return deliberate(f"{sentence}: add RequiresMountsFor= to the unit that writes there")

    def do(host: Host) -> None:
        path = f"/etc/systemd/system/{unit}.d/{DROP_IN}"
        host.write(path, drop_in(point, host.text(path) or ""))
        host.must(["systemctl", "daemon-reload"])

    return Step(f"Have {unit} start only with {point} mounted", do)


def _close(point: str) -> Step:
    def do(host: Host) -> None:
        host.undone_by(f"Let the folder under the mount point {point} be written again", *WITH_OWN_MOUNTS, OPEN, point)
        host.must([*WITH_OWN_MOUNTS, CLOSE, point])

    return Step(f"Make the empty folder under the mount point {point} immutable", do)


def _hidden(sentence: str) -> Step:
    return deliberate(
        f"{sentence}: look at them (`mount --bind / /mnt`), then move them into the volume or remove them"
    )


def _unlisted(point: str) -> Step:
    return deliberate(
        f"The volume at {point} is in no /etc/fstab, so it is gone after a restart and images would be stored beside "
        "it: add it"
    )
