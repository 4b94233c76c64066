# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which installed packages are below the versions that mend their published flaws, in dpkg's own order."""

from __future__ import annotations

import itertools
import re
import subprocess

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import imaging_flaws, imaging_software
from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import Deliberate
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host, Result

POLICY = "{name}:\n  Installed: 0\n  Candidate: {version}\n  Version table:\n     {version} 500\n"


class Packages(Host):
    """A host with packages as `package source version want status`; dpkg compares versions itself."""

    def __init__(self, *installed: str, **offered: str) -> None:
        super().__init__("/nowhere")
        self.installed, self.offered, self.did = installed, offered, []

    def run(self, command, **_):
        if command[0] == "dpkg-query":
            return Result(0, "".join(f"{line}\n" for line in self.installed), "")
        if command[0] == "dpkg":
            done = subprocess.run(command, check=False)
            return Result(done.returncode, "", "")
        if command[0] == "apt-cache":
            known = [POLICY.format(name=name, version=self.offered.get(name, "(none)")) for name in command[2:]]
            return Result(0, "".join(known), "")
        self.did.append(list(command))
        return Result(0, "", "")


def seen(host, codename="bookworm"):
    return imaging_software.observe(host, codename)


@pytest.mark.parametrize(
    ("line", "codename", "below"),
    [
        ("dcmtk dcmtk 3.6.7-9~deb12u4 install installed", "bookworm", False),
        ("dcmtk dcmtk 3.6.7-9~deb12u3 install installed", "bookworm", True),
        ("dcmtk dcmtk 3.6.7-9 install installed", "bookworm", False),
        ("libdcmtk17 dcmtk 3.6.7-9~deb12u3 install installed", "bookworm", True),
        ("dcmtk dcmtk 3.6.9-5+deb13u2 install installed", "trixie", True),
        ("dcmtk dcmtk 3.6.9-5+deb13u3 install installed", "trixie", False),
        ("dcmtk dcmtk 3.6.7-9~deb12u3 deinstall config-files", "bookworm", False),
        ("dcmtk dcmtk 3.6.5-1 install installed", "sid", False),
        ("nginx-common nginx 1.22.1-9+deb12u9 install installed", "bookworm", True),
        ("nginx-common nginx 1.22.1-9+deb12u11 install installed", "bookworm", False),
        ("stunnel4 stunnel4 3:5.68-2+deb12u1 install installed", "bookworm", False),
        ("stunnel4 stunnel4 5.74-1 install installed", "trixie", True),
        ("weasis weasis 4.5.1-1 install installed", "bookworm", True),
        ("weasis weasis 4.6.0-1 install installed", "trixie", False),
        ("openssl openssl 0.1-1 install installed", "bookworm", False),
        ("half a line", "bookworm", False),
    ],
)
def test_packages_below_their_floor_are_named(line, codename, below):
    found = seen(Packages(line), codename)
    assert bool(found["outdated"]) is below
    assert bool(found["advice"]) is below


def test_a_finding_names_the_version_and_the_latest_flaws():
    (said,) = seen(Packages("dcmtk dcmtk 3.6.7-9~deb12u3 install installed"))["outdated"]
    assert said.startswith("dcmtk 3.6.7-9~deb12u3, mended in 3.6.7-9~deb12u4: CVE-2026-12805, CVE-2026-10194, ")
    assert said.endswith(" and 2 more")
    (said,) = seen(Packages("weasis weasis 4.5.1 install installed"))["outdated"]
    assert said == "weasis 4.5.1, mended in 4.6.0: CVE-2024-55557"


@pytest.mark.parametrize(
    ("want", "candidate", "upgraded", "told"),
    [
        ("install", "3.6.7-9~deb12u4", True, ""),
        (
            "install",
            "3.6.7-9~deb12u3",
            False,
            "no package archive of this host offers dcmtk in version 3.6.7-9~deb12u4",
        ),
        ("install", "(none)", False, "no package archive"),
        ("hold", "3.6.7-9~deb12u4", False, "apt-mark unhold dcmtk"),
    ],
)
def test_what_the_archives_offer_is_upgraded_and_the_rest_is_told(tmp_path, want, candidate, upgraded, told):
    host = Packages(f"dcmtk dcmtk 3.6.5-1 {want} installed", dcmtk=candidate)
    host.root = str(tmp_path)
    found = seen(host)
    (step,) = imaging_software.steps(found, ["system.imaging.outdated"])
    assert isinstance(step, Deliberate) is not upgraded
    assert told in " ".join(found["advice"])
    if upgraded:
        assert step.does == "Upgrade dcmtk"
        step.do(host)
        assert [each[-3:] for each in host.did if "install" in each] == [["--only-upgrade", "install", "dcmtk"]]


def test_a_host_with_none_of_them_has_nothing_to_do():
    assert seen(Packages()) == {"outdated": [], "upgradable": [], "advice": []}
    assert imaging_software.steps(seen(Packages()), []) == []


def test_the_floors_of_a_source_rise_and_name_each_flaw_once():
    def key(floor):
        return floor.source, floor.release

    for (_source, _release), floors in itertools.groupby(imaging_flaws.FLOORS, key):
        listed = list(floors)
        flaws = [flaw for floor in listed for flaw in floor.mends]
        assert len(flaws) == len(set(flaws))
        assert all(re.fullmatch(r"CVE-20\d\d-\d{4,6}", flaw) for flaw in flaws)
        for lower, higher in itertools.pairwise(listed):
            compared = ["dpkg", "--compare-versions", lower.version, "le", higher.version]
            assert subprocess.run(compared, check=False).returncode == 0
    keys = [key(floor) for floor in imaging_flaws.FLOORS]
    assert [each for each, _group in itertools.groupby(keys)] == list(dict.fromkeys(keys))
