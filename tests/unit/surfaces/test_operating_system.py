# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is read of apt's configuration, stamps and sources, of processes, the journal and the release."""

from __future__ import annotations

import datetime
import os
import time
from pathlib import Path

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import (
    apt_configuration,
    journal,
    release_support,
    replaced_libraries,
    security_updates,
)
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host, Result
from hypothesis import given
from hypothesis import strategies as st

DUMP = """\
APT "";
APT::Periodic "";
APT::Periodic::Update-Package-Lists "1";
APT::Periodic::Unattended-Upgrade "1";
Unattended-Upgrade "";
Unattended-Upgrade::Origins-Pattern "";
Unattended-Upgrade::Origins-Pattern:: "origin=Debian,codename=${distro_codename},label=Debian";
Unattended-Upgrade::Origins-Pattern:: "origin=Debian,codename=${distro_codename}-security,label=Debian-Security";
Unattended-Upgrade::Package-Blacklist "";
"""
TIMERS = """\
Id=apt-daily.timer
ActiveState=active
UnitFileState=enabled

Id=apt-daily-upgrade.timer
ActiveState=active
UnitFileState=enabled
"""
RELEASE = "Origin: Debian\nLabel: Debian-Security\nSuite: oldstable-security\nCodename: bookworm-security\n"
DAY = 86400


class Machine(Host):
    """A host below a folder, whose programs answer by a table."""

    def __init__(self, root: Path, **answers: str) -> None:
        super().__init__(str(root))
        self.answers = {"apt-config": DUMP, "systemctl": TIMERS, **answers}

    def run(self, command, **_):
        return Result(0, self.answers.get(command[0], ""), "")

    def lay(self, path, text="", *, days_ago=0.0):
        file = Path(self.path(path))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        os.utime(file, (time.time() - days_ago * DAY,) * 2)


@pytest.fixture(name="machine")
def with_updates(tmp_path):
    machine = Machine(tmp_path)
    machine.lay(security_updates.PROGRAM)
    machine.lay(security_updates.FILE, security_updates.TEXT)
    return machine


def updates(machine):
    return security_updates.observe(machine, "bookworm")


def test_debians_own_settings_install_security_updates(machine):
    assert updates(machine) == {
        "installed": True,
        "every_days": 1,
        "security": True,
        "unsourced": [],
        "timers_off": [],
        "days_behind": 0,
        "withheld": [],
        "unverified": [],
        "advice": {"unsourced": [], "days_behind": [], "withheld": [], "unverified": []},
    }


@pytest.mark.parametrize(
    ("changes", "every"),
    [
        ({'Unattended-Upgrade "1"': 'Unattended-Upgrade "0"'}, None),
        ({'Package-Lists "1"': 'Package-Lists "7"'}, 7),
        ({'Package-Lists "1"': 'Package-Lists "12h"'}, 1),
        ({'Package-Lists "1"': 'Package-Lists "36h"'}, 1.5),
        ({'Package-Lists "1"': 'Package-Lists "always"'}, 1),
        ({'Package-Lists "1"': 'Package-Lists "soon"'}, None),
        ({'APT "";': 'APT "";\nAPT::Periodic::Enable "0";'}, None),
        ({'APT "";': 'APT "";\napt::periodic::enable "false";'}, None),
        ({'APT "";': 'APT "";\nUnattended-Upgrade::InstallOnShutdown "true";'}, None),
    ],
)
def test_how_often_updates_are_installed(machine, changes, every):
    for old, new in changes.items():
        machine.answers["apt-config"] = machine.answers["apt-config"].replace(old, new)
    assert updates(machine)["every_days"] == every


@pytest.mark.parametrize(
    ("pattern", "taken"),
    [
        ('Origins-Pattern:: "origin=Debian,codename=${distro_codename}-security,label=Debian-Security"', True),
        ('Origins-Pattern:: "o=Debian,a=oldstable-security"', True),
        ('Origins-Pattern:: "origin=*"', True),
        ('Origins-Pattern:: "site=security.debian.org"', True),
        ('Allowed-Origins:: "Debian:oldstable-security"', True),
        ('Allowed-Origins:: "${distro_id} oldstable-security"', True),
        ('Allowed-Origins:: "${distro_id}:stable-security"', False),
        ('Origins-Pattern:: "origin=Debian,suite=stable-security"', False),
        ('Origins-Pattern:: "origin=Debian,codename=trixie-security"', False),
        ('Origins-Pattern:: "origin=Debian,codename=${distro_codename},label=Debian"', False),
        ('Origins-Pattern:: "origin=Debian,colour=blue"', False),
        ('Origins-Pattern:: ""', False),
    ],
)
def test_which_patterns_take_the_security_archive(machine, pattern, taken):
    machine.lay(
        f"{security_updates.LISTS}/security.debian.org_debian-security_dists_bookworm-security_InRelease", RELEASE
    )
    machine.answers["apt-config"] = f"Unattended-Upgrade::{pattern};\n"
    assert updates(machine)["security"] is taken


def test_timers_that_are_masked_or_idle_are_told(machine):
    machine.answers["systemctl"] = TIMERS.replace("=enabled", "=masked", 1)
    assert updates(machine)["timers_off"] == ["apt-daily.timer"]
    machine.answers["systemctl"] = ""
    assert updates(machine)["timers_off"] == list(security_updates.TIMERS)


@pytest.mark.parametrize(
    ("index", "installed", "behind"),
    [(0, 0, 0), (0, 9, 9), (12, 0, 12), (None, None, 3), (0, None, 3), (None, 0, 3), (-2, 0, 0)],
)
def test_the_later_of_two_stamps_tells_how_far_a_host_is_behind(machine, index, installed, behind):
    os.utime(machine.path(security_updates.FILE), (time.time() - 3 * DAY - 60,) * 2)
    for paths, days_ago in zip(security_updates.STAMPS, (index, installed), strict=True):
        if days_ago is not None:
            machine.lay(paths[-1], days_ago=days_ago + 0.001)
    assert updates(machine)["days_behind"] == behind


def test_a_host_that_never_had_updates_is_not_said_to_be_current(machine):
    Path(machine.path(security_updates.FILE)).unlink()
    found = updates(machine)
    assert found["days_behind"] is None
    assert [step.does for step in security_updates.steps(found, ["system.updates.days_behind"])] == [
        "Have security updates installed every day"
    ]


def test_updates_that_are_waived_are_not_switched_on_by_the_look_at_their_age(tmp_path):
    found = updates(Machine(tmp_path))
    (step,) = security_updates.steps(found, ["system.updates.days_behind"])
    assert type(step).__name__ == "Deliberate"
    assert "never installed" in step.does


def test_holds_and_patterns_keep_packages_from_updates(machine):
    machine.lay(
        security_updates.STATUS,
        "Package: orthanc\nStatus: hold ok installed\nVersion: 1\n\nPackage: nginx\nStatus: install ok installed\n",
    )
    machine.answers["apt-config"] += 'Unattended-Upgrade::Package-Blacklist:: "^linux-";\n'
    machine.answers["apt-config"] += (
        'Unattended-Upgrade::Package-Whitelist "";\nUnattended-Upgrade::Package-Whitelist:: "^tz";\n'
    )
    assert updates(machine)["withheld"] == [
        "orthanc (on hold)",
        "^linux- (Package-Blacklist)",
        "all but ^tz (Package-Whitelist)",
    ]


def test_sources_that_nobody_signs_are_told_by_their_lines(machine):
    machine.lay(
        security_updates.SOURCES,
        "# deb [trusted=yes] http://a.example x main\ndeb http://b.example x main\n"
        "deb [arch=amd64 Trusted=yes] http://c.example x y\n",
    )
    stanza = "Types: deb\nURIs: http://d.example\nTrusted: yes\n"
    machine.lay(f"{security_updates.SOURCES_FOLDER}/d.sources", f"{stanza}\nEnabled: no\n{stanza}")
    machine.lay(f"{security_updates.SOURCES_FOLDER}/e.list.save", "deb [trusted=yes] http://e.example x main\n")
    machine.answers["apt-config"] += 'APT::Get::AllowUnauthenticated "true";\n'
    assert updates(machine)["unverified"] == [
        f"{security_updates.SOURCES}:3",
        f"{security_updates.SOURCES_FOLDER}/d.sources:3",
        "APT::Get::AllowUnauthenticated of apt's configuration",
    ]


def test_a_later_file_that_switches_updates_off_is_said(machine, monkeypatch):
    monkeypatch.setattr(security_updates.packages, "plan", lambda host, names: [])
    monkeypatch.setattr(machine, "write", machine.lay)
    machine.answers["apt-config"] = DUMP.replace('Upgrade "1"', 'Upgrade "0"')
    (step,) = security_updates.steps(updates(machine), ["system.updates.every_days"])
    with pytest.raises(HardeningError, match=r"that is read after .*99radiology-updates"):
        step.do(machine)
    machine.answers["apt-config"] = DUMP
    step.do(machine)


def test_what_somebody_decided_is_left_to_a_person(machine):
    found = {**updates(machine), "days_behind": 9, "withheld": ["orthanc (on hold)"], "unverified": ["/x:1"]}
    told = security_updates.steps(
        found, [f"system.updates.{name}" for name in ("days_behind", "unverified", "withheld")]
    )
    assert [type(step).__name__ for step in told] == ["Deliberate"] * 3
    assert "for 9 days" in told[0].does
    assert "/x:1" in told[1].does
    assert "orthanc (on hold)" in told[2].does


MAPS = "7f00 r-xp 00000000 fd:00 77  /usr/lib/x86_64-linux-gnu/libssl.so.3 (deleted)\n"


@pytest.mark.parametrize(
    ("maps", "group", "outdated"),
    [
        (MAPS, "0::/system.slice/orthanc.service\n", ["orthanc.service"]),
        (MAPS, "1:name=systemd:/system.slice/orthanc.service\n0::/\n", ["orthanc.service"]),
        (
            MAPS.replace("/usr/lib/x86_64-linux-gnu/libssl.so.3", "/usr/sbin/Orthanc"),
            "0::/system.slice/a.service/b\n",
            ["a.service"],
        ),
        (MAPS.replace(" (deleted)", ""), "0::/system.slice/orthanc.service\n", []),
        (MAPS.replace("r-xp", "rw-s"), "0::/system.slice/orthanc.service\n", []),
        (
            MAPS.replace("/usr/lib/x86_64-linux-gnu/libssl.so.3", "/tmp/lib/x.so"),
            "0::/system.slice/orthanc.service\n",
            [],
        ),
        (MAPS.replace("/usr/lib/x86_64-linux-gnu/libssl.so.3", "/memfd:x"), "0::/system.slice/orthanc.service\n", []),
        (MAPS, "0::/user.slice/user-1000.slice/session-3.scope\n", []),
        (MAPS, "0::/user.slice/user-1000.slice/user@1000.service/app.slice/dbus.service\n", []),
    ],
)
def test_services_that_run_what_was_replaced(tmp_path, maps, group, outdated):
    machine = Machine(tmp_path)
    machine.lay("/proc/41/maps", maps)
    machine.lay("/proc/41/cgroup", group)
    machine.lay("/proc/version", "Linux")
    (tmp_path / "proc" / "42").mkdir()
    found = replaced_libraries.observe(machine)
    assert (found["outdated"], found["restart_due_days"]) == (outdated, 0)
    assert [f"systemctl restart {outdated[0]}" in sentence for sentence in found["advice"]] == [True] * len(outdated)


def test_a_restart_that_is_asked_for_grows_old(tmp_path):
    machine = Machine(tmp_path)
    machine.lay(replaced_libraries.ASKED, days_ago=8.5)
    found = replaced_libraries.observe(machine)
    assert found["restart_due_days"] == 8
    (step,) = replaced_libraries.steps(found, ["system.running.restart_due_days"])
    assert "8 days" in step.does


@pytest.mark.parametrize(("codename", "end"), release_support.ENDS.items())
def test_how_long_a_release_is_supported(tmp_path, monkeypatch, codename, end):
    machine = Machine(tmp_path)
    machine.lay(release_support.FILE, f'PRETTY_NAME="Debian"\nVERSION_CODENAME={codename}\n')
    noon = datetime.datetime.combine(end, datetime.time(12), datetime.UTC)
    for days in (-1, 0, 400):
        moment = (noon - datetime.timedelta(days=days)).timestamp()
        monkeypatch.setattr(release_support.time, "time", lambda moment=moment: moment)
        found = release_support.observe(machine)
        assert (found["codename"], found["supported_days"]) == (codename, days)
        assert ("ended" if days < 0 else f"ends in {days} days") in found["advice"][0]


@pytest.mark.parametrize("text", ["", "VERSION_CODENAME=sid\n", 'ID="debian"\n'])
def test_an_unknown_release_is_not_said_to_be_supported(tmp_path, text):
    machine = Machine(tmp_path)
    machine.lay(release_support.FILE, text)
    found = release_support.observe(machine)
    assert found["supported_days"] is None
    assert "is not known here" in release_support.steps(found, ["system.release.supported_days"])[0].does
    assert release_support.steps(found, []) == []


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("365day", 365),
        ("1year", 365),
        ("6 months", 182),
        ("6month 2d", 184),
        ("26w", 182),
        ("86400", 1),
        ("0", 0),
        ("1.5d", 1),
        ("a year", None),
        ("12x", None),
        ("", None),
        ("-1", None),
    ],
)
def test_time_spans_of_systemd(text, days):
    assert journal.days(text) == days


@given(st.text(max_size=30))
def test_no_text_is_too_odd_for_a_time_span(text):
    assert journal.days(text) is None or journal.days(text) >= 0


@pytest.mark.parametrize(
    ("shown", "on_disk", "persistent", "days"),
    [
        ("[Journal]\n", True, True, 0),
        ("[Journal]\n#Storage=persistent\n", False, False, 0),
        ("[Journal]\nStorage=volatile\n[Journal]\nStorage=persistent\nMaxRetentionSec=200day\n", False, True, 200),
        ("[Journal]\nStorage=persistent\n[Journal]\nStorage=none\n", True, False, 0),
        (journal.render(365), False, True, 365),
    ],
)
def test_what_is_read_of_the_journal(tmp_path, shown, on_disk, persistent, days):
    machine = Machine(tmp_path, **{"systemd-analyze": shown, "systemctl": ""})
    if on_disk:
        machine.lay(f"{journal.FOLDER}/ab/system.journal")
        Path(machine.path(f"{journal.FOLDER}/ab/system.journal")).chmod(0o644)
    found = journal.observe(machine)
    assert (found["persistent"], found["days"]) == (persistent, days)
    assert found["open_files"] == ([f"{journal.FOLDER}/ab/system.journal"] if on_disk else [])


def test_settings_that_are_read_twice_count_as_apt_counts_them():
    told = apt_configuration.parse('A::B "1";\nA::b "2";\nA::L:: "x";\nA::L:: "y";\n')
    assert told == {"a::b": ("1", "2"), "a::l": ("x", "y")}
