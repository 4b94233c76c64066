# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The programs that images pass through, as dpkg knows them, against the versions that mend their published flaws."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import imaging_flaws, packages
from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import deliberate
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.imaging_flaws import Floor
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step

FACTS: dict[str, str] = {
    "imaging.outdated": "list of str: packages of DCMTK, nginx, stunnel, GDCM and Weasis with published flaws that a "
    "newer version mends, each with that version and the flaws",
    "imaging.upgradable": "list of str: those that the package archives of this host offer in that version",
    "imaging.advice": "list of str: what to do about the others",
}
ASKED = "${Package} ${source:Package} ${source:Version} ${db:Status-Want} ${db:Status-Status}\\n"
NAMED = 6
"""Flaws that a sentence names; of more it tells how many."""


@dataclasses.dataclass(frozen=True)
class Wanting:
    """An installed package below its floors, the lowest version that mends them all, and what apt offers."""

    package: str
    installed: str
    floors: Sequence[Floor]
    held: bool
    offered: bool

    @property
    def version(self) -> str:
        """The version that mends everything: floors stand in their order."""
        return self.floors[-1].version

    def __str__(self) -> str:
        """Read as `dcmtk 3.6.7-1, mended in 3.6.7-9~deb12u4: CVE-2024-28130`."""
        flaws = sorted({flaw for floor in self.floors for flaw in floor.mends}, key=_number, reverse=True)
        more = f" and {len(flaws) - NAMED} more" if len(flaws) > NAMED else ""
        return f"{self.package} {self.installed}, mended in {self.version}: {', '.join(flaws[:NAMED])}{more}"

    @property
    def advice(self) -> str:
        """What a person does where no run upgrades it."""
        if self.held:
            return (
                f"{self.package} is on hold below {self.version}: run `apt-mark unhold {self.package}` and upgrade it"
            )
        return (
            f"no package archive of this host offers {self.package} in version {self.version}: add Debian's security "
            "archive, or bring the version from where this one came from"
        )


def observe(host: Host, codename: str) -> dict[str, Any]:
    """Return the facts below `imaging`."""
    found = list(_wanting(host, codename))
    return {
        "outdated": [str(each) for each in found],
        "upgradable": [each.package for each in found if each.offered and not each.held],
        "advice": [each.advice for each in found if each.held or not each.offered],
    }


def steps(found: Mapping[str, Any], unmet: Sequence[str]) -> list[Step]:
    """Return the step that upgrades what the archives offer; the rest is left to a person."""
    if not unmet:
        return []
    done = [packages.upgrade(found["upgradable"])] if found["upgradable"] else []
    left = found["advice"] or ([] if done else ["upgrade what has published flaws"])
    return [*done, *(deliberate(sentence) for sentence in left)]


def _wanting(host: Host, codename: str) -> Iterator[Wanting]:
    """Yield installed packages below their floors."""
    below = []
    for package, version, want, floors in _installed(host, codename):
        unmet = [floor for floor in floors if _older(host, version, floor.version)]
        if unmet:
            below.append((package, version, want == "hold", unmet))
    offered = _candidates(host, [package for package, *_more in below])
    for package, version, held, floors in below:
        candidate = offered.get(package, "")
        enough = bool(candidate) and not _older(host, candidate, floors[-1].version)
        yield Wanting(package, version, floors, held, enough)


def _installed(host: Host, codename: str) -> Iterator[tuple[str, str, str, list[Floor]]]:
    """Yield each installed package of the sources, with its source's version, what dpkg wants of it, and its floors."""
    for line in host.run(["dpkg-query", "--show", f"--showformat={ASKED}"]).output.splitlines():
        fields = line.split()
        if len(fields) == 5 and fields[1] in imaging_flaws.SOURCES and fields[4] == "installed":
            floors = [
                floor for floor in imaging_flaws.FLOORS if floor.source == fields[1] and floor.release in ("", codename)
            ]
            yield fields[0], fields[2], fields[3], floors


def _candidates(host: Host, names: Sequence[str]) -> dict[str, str]:
    """Return the version of each package that apt would install now."""
    shown = host.run(["apt-cache", "policy", *names]).output if names else ""
    return dict(re.findall(r"(?m)^(\S+):\n  Installed: .*\n  Candidate: (\d\S*)$", shown))


def _older(host: Host, version: str, than: str) -> bool:
    """Tell whether a version comes before another in Debian's order, which dpkg knows."""
    return host.run(["dpkg", "--compare-versions", version, "lt", than]).ok


def _number(flaw: str) -> tuple[int, int]:
    year, number = flaw.split("-")[1:]
    return int(year), int(number)
