# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether the corrections of the release that runs come from anywhere, as apt tells its sources."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import (
    packages,
    security_archive,
    security_updates,
)
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host, Result

INSTALLED = "Package files:\n 100 /var/lib/dpkg/status\n     release a=now\n"
SOURCE = """\
{priority:>4} http://{site} {name}/main amd64 Packages
     release v=13,o=Debian,a=stable,n={name},l=Debian,c={component},b=amd64
     origin {site}
"""
INDEX = f"{security_archive.LISTS}/deb.debian.org_debian_dists_trixie_InRelease"


class Machine(Host):
    """A host below a folder, whose apt knows these sources."""

    def __init__(self, root: Path, *sources: str) -> None:
        super().__init__(str(root))
        self.told = "".join([INSTALLED, *sources, "Pinned packages:\n"])
        self.ran = []
        self.can_unshare = True

    def run(self, command, **_):
        self.ran.append(command)
        assert command[-1].endswith("policy")
        if command[0] == "unshare" and not self.can_unshare:
            return Result(1, "", "unshare: unshare failed: Operation not permitted")
        return Result(0, self.told, "")

    def lay(self, path):
        file = Path(self.path(path))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def source(name, priority=500, component="main"):
    return SOURCE.format(name=name, priority=priority, component=component, site="mirror.example")


MAIN, FIXES = source("trixie"), source("trixie-security")
BEHIND = "http://mirror.example trixie-security has priority"


@pytest.mark.parametrize(
    ("sources", "unsourced"),
    [
        ([FIXES, MAIN], []),
        ([source("trixie-security", 990), MAIN], []),
        ([source("trixie-security", -1), FIXES, MAIN], []),
        ([FIXES, MAIN, source("trixie", 1000).replace("o=Debian", "o=MariaDB")], []),
        ([MAIN, source("trixie-updates")], ["apt has no index of trixie-security, only of trixie, trixie-updates"]),
        (
            [source("bookworm-security"), MAIN],
            ["apt has no index of trixie-security, only of bookworm-security, trixie"],
        ),
        (
            [source("trixie-security", component="contrib"), MAIN],
            ["apt has no index of trixie-security, only of trixie"],
        ),
        ([], ["apt has no index of trixie-security, only of nothing"]),
        ([source("trixie-security", -1), MAIN], [f"{BEHIND} -1, below 500"]),
        ([FIXES, source("trixie", 990)], [f"{BEHIND} 500, below 990"]),
        ([source("trixie-security", 50)], [f"{BEHIND} 50, below 100"]),
    ],
)
def test_corrections_come_from_the_archive_of_the_release_that_runs(tmp_path, sources, unsourced):
    machine = Machine(tmp_path, *sources)
    machine.lay(INDEX)
    assert security_archive.unsourced(machine, "trixie") == unsourced


@pytest.mark.parametrize("renewed", [packages.STAMP, INDEX, INDEX.replace("InRelease", "Release")])
def test_a_host_that_never_renewed_its_index_is_not_told_so(tmp_path, renewed):
    machine = Machine(tmp_path)
    machine.lay(f"{security_archive.LISTS}/lock")
    assert security_archive.unsourced(machine, "trixie") == []
    machine.lay(renewed)
    assert security_archive.unsourced(machine, "trixie")
    assert security_archive.unsourced(machine, "") == []


@pytest.mark.parametrize(
    ("cached", "can_unshare", "ran"),
    [
        (False, True, [security_archive.ASK]),
        (True, True, [security_archive.ASK_CACHE]),
        (True, False, [security_archive.ASK_CACHE, security_archive.ASK]),
    ],
)
def test_apt_reads_its_cache_where_it_has_one_and_never_writes_it(tmp_path, cached, can_unshare, ran):
    machine = Machine(tmp_path, MAIN)
    machine.can_unshare = can_unshare
    machine.lay(INDEX)
    if cached:
        machine.lay(security_archive.CACHE)
    assert security_archive.unsourced(machine, "trixie")
    assert machine.ran == ran
    assert "mount --bind -o ro /var/cache/apt" in security_archive.ASK_CACHE[-1]
    assert {"Dir::Cache::pkgcache=", "Dir::Cache::srcpkgcache="} < set(security_archive.ASK)


def test_which_archive_to_take_is_left_to_a_person():
    found = {"unsourced": ["apt has no index of trixie-security, only of trixie"], "days_behind": 0, "installed": True}
    (step,) = security_updates.steps({**found, "every_days": 1}, ["system.updates.unsourced"])
    assert type(step).__name__ == "Deliberate"
    assert "only of trixie): have the security archive of its release" in step.does
