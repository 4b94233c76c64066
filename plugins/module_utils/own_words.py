# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a unit that is ours alone runs by what we wrote: named by file and line, never by words that may be a secret.

A line more, a file that is included, or a drop-in of systemd's, and a front or a firewall does something else than the
facts that are read from our own file say. Settings of drop-ins that only bound or time a unit are nobody's concern.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Mapping, Sequence

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host

ANYWHERE = "service.d"
"""Folder of drop-ins for every service: what a site, or the container that the host runs in, says of all of them."""

EFFECTIVE = re.compile(
    r"(Exec\w+|Condition\w+|Assert\w+|User|Group|SupplementaryGroups|DynamicUser|Environment\w*|PassEnvironment|"
    r"Root\w+|\w+Paths|TemporaryFileSystem|MountImages|ExtensionImages|\w*Capabilit\w+|Type|Requisite|Requires|BindsTo|"
    r"PartOf|Conflicts|NetworkNamespacePath|JoinsNamespaceOf)"
)
"""Settings of systemd.unit(5), systemd.service(5) and systemd.exec(5) that have another thing run, or none."""


def altered(
    host: Host, unit: Mapping[str, str], unit_file: tuple[str, str], *texts: tuple[str, Sequence[str]]
) -> list[str]:
    """Return `path: what` for each way in which a unit runs otherwise than we wrote; none where it is not installed.

    `unit`: what systemd says of it. `unit_file`: its path and our text. `texts`: path of a further file that the unit
    reads and how many of its lines are not ours (see `foreign`).
    """
    path, ours = unit_file
    if host.stat(path) is None:
        return []
    found = [f"{path}: is not as it was written"] if host.text(path) != ours else []
    fragment = unit.get("FragmentPath", "")
    if fragment not in ("", path):
        found.append(f"{fragment}: takes the place of {path}")
    for drop_in in unit.get("DropInPaths", "").split():
        if os.path.basename(os.path.dirname(drop_in)) != ANYWHERE:
            names = list(dict.fromkeys(filter(EFFECTIVE.fullmatch, _settings(host.text(drop_in) or ""))))
            found += [f"{drop_in}: sets {', '.join(names)}"] if names else []
    return found + [f"{read}{place}" for read, places in texts for place in places]


def foreign(text: str | None, ours: str, judged: re.Pattern[str] | None = None) -> list[str]:
    """Return where a file differs from our text, as `:7: is not ours` and `: lacks <our line>`; none without a file.

    Lines that match `judged` are left out on both sides: facts of their own tell them.
    """
    if text is None or text == ours:
        return []
    here, there = _lines(text, judged), _lines(ours, judged)
    compared = difflib.SequenceMatcher(None, [line for _number, line in here], [line for _number, line in there], False)
    found = []
    for word, first, last, since, until in compared.get_opcodes():
        if word != "equal":
            found += [f":{number}: is not ours" for number, _line in here[first:last]]
            found += [f": lacks {line}" for _number, line in there[since:until]]
    return found


def strangers(found: Iterable[str], *own: str) -> list[str]:
    """Return the files in `found` that are not ours; HardeningError for one that came with a package."""
    paths = list(dict.fromkeys(each.partition(": ")[0] for each in found))
    others = [path for path in paths if path.startswith("/") and re.sub(r":\d+$", "", path) not in own]
    packaged = [path for path in others if not path.startswith(("/etc/", "/run/"))]
    if packaged:
        raise HardeningError(f"{packaged[0]} changes what this host's {_unit_of(packaged[0])} runs: take it out there.")
    return others


def _unit_of(path: str) -> str:
    return os.path.basename(os.path.dirname(path)).removesuffix(".d")


def _settings(text: str) -> list[str]:
    return re.findall(r"(?m)^\s*(\w+)\s*=", text)


def _lines(text: str, judged: re.Pattern[str] | None) -> list[tuple[int, str]]:
    lines = ((number, line.strip()) for number, line in enumerate(text.splitlines(), 1))
    return [(number, line) for number, line in lines if line and not (judged and judged.fullmatch(line))]
