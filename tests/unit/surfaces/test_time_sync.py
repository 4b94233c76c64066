# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whom time services say that they ask, by how much the clock is off, and what is done about it."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import packages, time_daemons, time_sync
from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import Deliberate
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host, Result

BOX, OTHER = "192.168.10.1", "192.0.2.7"
UNIT = "LoadState=loaded\nActiveState={active}\nUnitFileState={enabled}\n"
NTPQ = """\
     remote           refid      st t when poll reach   delay   offset   jitter
===============================================================================
*192.168.10.1    .GPS.            1 u   12   64  377   0.5000  -250.50   0.0500
+2001:db8:10:20:30:40:50:1
                 192.168.10.9     2 u   12   64  377   0.5000   0.1230   0.0500
"""
SOURCES = (
    f"^,*,{BOX},2,6,17,11,-0.007,-0.006,0.006\n^,-,{OTHER},2,6,17,11,-0.007,-0.006,0.006\n#,-,PPS0,0,4,0,1,0,0,0\n"
)
TRACKING = f"0A4D0B01,{BOX},3,1795747428.9,{{off}},0.0009,0.0009,0.000,491.777,1.0,0.012,11.67,2.0,{{leap}}\n"


def message(*, off=0.0, count=1, ago=5.0):
    """Return what timesyncd measured: a clock that is `off` seconds behind, over a path of 2 ms."""
    back = int((time.time() - ago) * 1e6)
    sent, server = back - 2000, back - 1000 + int(off * 1e6)
    return [0, 4, 4, 2, -20, 0, 0, [76, 79, 67, 76], sent, server, server, back, False, count, 0]


class Clock(Host):
    """A host with one time service, which answers as told; commands that change are kept."""

    def __init__(self, root: Path, daemon: str = "systemd-timesyncd") -> None:
        super().__init__(str(root))
        self.daemon, self.active, self.enabled = daemon, "active", "enabled"
        self.virt, self.bounds, self.conditions = "none", 1 << 25, []
        self.servers, self.followed, self.message = [BOX], [2, [192, 168, 10, 1]], message()
        self.answers = {"ntpq": NTPQ, "sources": SOURCES, "tracking": TRACKING.format(off="-0.25", leap="Normal")}
        self.changed: list[str] = []

    def text(self, path):
        return f"CapBnd:\t{self.bounds:016x}\n" if path == "/proc/1/status" else super().text(path)

    def write(self, path, content, **_):
        Path(self.path(path)).parent.mkdir(parents=True, exist_ok=True)
        Path(self.path(path)).write_text(content)
        if path == time_sync.FILES["systemd-timesyncd"]:
            self.servers = content.splitlines()[-1].partition("=")[2].split()

    def run(self, command, **_):
        words = [word for word in command if not word.startswith("-")]
        if words[0] == "dpkg-query":
            return Result(0, f"{self.daemon} installed\n" if self.daemon else "", "")
        if words[0] == "systemd-detect-virt":
            return Result(0 if self.virt != "none" else 1, f"{self.virt}\n", "")
        if words[:2] == ["systemctl", "show"]:
            return Result(0, UNIT.format(active=self.active, enabled=self.enabled), "")
        if words[0] == "busctl":
            said = [self.servers, self.followed, self.message] if "NTPMessage" in words else [self.conditions]
            return Result(0, "".join(json.dumps({"data": each}) + "\n" for each in said), "")
        question = words[1] if words[0] == "chronyc" else words[0]
        if question in self.answers:
            return Result(0, self.answers[question], "")
        self.changed.append(" ".join(command))
        if words[0] == "systemctl" and self.daemon:
            self.active, self.enabled = "active", "enabled"
        return Result(0, "", "")


@pytest.fixture(name="clock")
def kept_by_timesyncd(tmp_path):
    clock = Clock(tmp_path)
    clock.write(time_sync.FILES["systemd-timesyncd"], time_sync.render("systemd-timesyncd", [BOX]))
    return clock


def broken(found):
    """Return the facts that do not meet the control."""
    wanted = {"running": True, "at_boot": True, "configured": True, "servers_missing": [], "server_declared": True}
    names = [name for name, value in wanted.items() if found[name] != value]
    off = found["offset_seconds"]
    names += [] if off is not None and off <= 1 else ["offset_seconds"]
    names += [] if found["daemon"] in time_daemons.ASK else ["daemon"]
    return [f"system.time.{name}" for name in names]


def plan(clock, servers=(BOX,)):
    found = time_sync.observe(clock, list(servers))
    return time_sync.steps(found, broken(found), list(servers))


def test_a_clock_that_is_kept_is_left_alone(clock):
    found = time_sync.observe(clock, [BOX])
    assert found == {
        "own": True,
        "daemon": "systemd-timesyncd",
        "running": True,
        "at_boot": True,
        "configured": True,
        "servers_missing": [],
        "server_declared": True,
        "offset_seconds": 0.0,
        "advice": [],
    }
    assert plan(clock) == []


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        (message(off=2.5), 2.5),
        (message(off=-0.25), 0.25),
        (message(count=0), None),
        (message(ago=4 * 3600), None),
        ([], None),
        ("nothing", None),
    ],
)
def test_only_what_timesyncd_measured_lately_counts(clock, said, seconds):
    clock.message = said
    found = time_sync.observe(clock, [BOX])
    assert found["offset_seconds"] == pytest.approx(seconds)
    assert bool(found["advice"]) is (seconds is None or seconds > 1)


def test_a_bus_that_does_not_answer_is_no_measurement(clock, monkeypatch):
    monkeypatch.setattr(time_daemons, "properties", lambda *_: [])
    assert time_daemons.timesyncd(clock) == time_daemons.Said()
    monkeypatch.undo()
    clock.run = lambda *_, **__: Result(0, "no json\n", "")
    assert time_daemons.properties(clock, ("a",)) == []


def test_chrony_tells_whom_it_follows(clock):
    assert time_daemons.chrony(clock) == time_daemons.Said([BOX, OTHER], BOX, 0.25)
    clock.answers["tracking"] = TRACKING.format(off="0.1", leap="Not synchronised")
    assert time_daemons.chrony(clock).offset is None
    clock.answers |= {"sources": SOURCES.replace(",*,", ",?,"), "tracking": TRACKING.format(off="0", leap="Normal")}
    assert time_daemons.chrony(clock) == time_daemons.Said([BOX, OTHER], "", None)
    clock.answers |= {"sources": "506 Cannot talk to daemon\n", "tracking": "506 Cannot talk to daemon\n"}
    assert time_daemons.chrony(clock) == time_daemons.Said([], "", None)


def test_chrony_that_follows_a_clock_of_the_machine_is_synchronised(tmp_path):
    clock = Clock(tmp_path, "chrony")
    clock.write(time_sync.FILES["chrony"], time_sync.render("chrony", [BOX]))
    clock.answers["sources"] = f"#,*,GPS,0,4,377,11,0.0,0.0,0.0\n{SOURCES.replace(',*,', ',+,')}"
    assert time_daemons.chrony(clock) == time_daemons.Said([BOX, OTHER], "GPS", 0.25, attached=True)
    assert broken(time_sync.observe(clock, [BOX])) == []
    assert broken(time_sync.observe(clock, [BOX, "192.0.2.9"])) == [
        "system.time.configured",
        "system.time.servers_missing",
    ]
    clock.answers["sources"] = f"#,?,GPS,0,4,0,11,0.0,0.0,0.0\n{SOURCES.replace(',*,', ',?,')}"
    assert broken(time_sync.observe(clock, [BOX])) == ["system.time.server_declared", "system.time.offset_seconds"]


def test_ntpsec_tells_in_milliseconds_and_breaks_long_addresses(clock):
    assert time_daemons.ntpsec(clock) == time_daemons.Said([BOX, "2001:db8:10:20:30:40:50:1"], BOX, 0.2505)
    clock.answers["ntpq"] = "ntpq: read: Connection refused\n"
    assert time_daemons.ntpsec(clock) == time_daemons.Said([], "", None)


@pytest.mark.parametrize(
    ("virt", "bounds", "conditions", "own"),
    [
        ("none", 0, [], True),
        ("lxc", 0, [], False),
        ("docker", 1 << 25, [], True),
        ("docker", 1 << 25, [["ConditionVirtualization", False, True, "container", -1]], False),
        ("docker", 1 << 25, [["ConditionCapability", False, False, "CAP_SYS_TIME", 1]], True),
    ],
)
def test_a_container_is_asked_for_a_clock_only_where_it_may_set_one(clock, virt, bounds, conditions, own):
    clock.active, clock.virt, clock.bounds, clock.conditions = "inactive", virt, bounds, conditions
    found = time_sync.observe(clock, [BOX])
    assert found["own"] is own
    assert bool(plan(clock)) is own
    assert found["advice"] == []


@pytest.mark.parametrize("change", [{"active": "inactive"}, {"enabled": "disabled"}, {"servers": [OTHER]}])
def test_timesyncd_is_started_with_the_servers_of_the_clinic(clock, change):
    for name, value in change.items():
        setattr(clock, name, value)
    if "servers" in change:
        Path(clock.path(time_sync.FILES["systemd-timesyncd"])).write_text("[Time]\nNTP=192.0.2.7\n")
    (step,) = plan(clock)
    assert step.does == f"Have the clock kept right by {BOX}, with systemd-timesyncd"
    step.do(clock)
    assert clock.text(time_sync.FILES["systemd-timesyncd"]).endswith(f"[Time]\nNTP=\nNTP={BOX}\n")
    assert clock.changed[-1] == "systemctl restart systemd-timesyncd.service"
    assert plan(clock) == []


def test_where_the_clinic_names_none_our_file_goes_and_the_services_own_servers_do(clock):
    (step,) = plan(clock, [])
    step.do(clock)
    assert clock.text(time_sync.FILES["systemd-timesyncd"]) is None
    assert time_sync.observe(clock, [])["server_declared"] is True
    assert plan(clock, []) == []


def test_debians_service_is_installed_where_there_is_none(clock, monkeypatch):
    clock.daemon, clock.active = "", "inactive"
    monkeypatch.setattr(
        packages, "plan", lambda *_: [time_sync.Step("", lambda host: setattr(host, "daemon", "systemd-timesyncd"))]
    )
    (step,) = plan(clock)
    assert step.does.endswith("with systemd-timesyncd, which is installed for it")
    step.do(clock)
    assert time_sync.observe(clock, [BOX])["running"] is True


def test_chrony_is_told_of_the_servers_and_stays(tmp_path):
    clock = Clock(tmp_path, "chrony")
    (step,) = plan(clock)
    step.do(clock)
    assert "server 192.168.10.1 iburst prefer\n" in clock.text(time_sync.FILES["chrony"])
    assert clock.changed[-1] == "chronyc reload sources"
    assert plan(clock) == []


def test_a_server_that_the_service_does_not_take_ends_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(time_sync, "PATIENCE", 0)
    monkeypatch.setattr(time_sync, "LONGER", 0)
    clock = Clock(tmp_path, "chrony")
    clock.answers["sources"] = ""
    (step,) = plan(clock)
    with pytest.raises(HardeningError, match=r"chrony does not ask 192\.168\.10\.1"):
        step.do(clock)


@pytest.mark.parametrize(
    ("daemon", "change", "words"),
    [
        ("systemd-timesyncd", {"message": message(count=0)}, "see that 192.168.10.1 can be reached by NTP"),
        ("systemd-timesyncd", {"message": message(off=7)}, "found the clock 7.0 s off"),
        ("systemd-timesyncd", {"followed": [2, [192, 0, 2, 7]]}, "follows another time server than 192.168.10.1"),
        ("systemd-timesyncd", {"followed": [0, []], "message": message(count=0)}, "no time server has answered"),
        (
            "ntpsec",
            {"answers": {"ntpq": NTPQ.replace(BOX, OTHER)}},
            "put `server 192.168.10.1 iburst` into /etc/ntpsec",
        ),
        ("openntpd", {}, "the clock is kept by openntpd"),
    ],
)
def test_what_a_run_cannot_mend_is_left_to_a_person(clock, daemon, change, words):
    clock.daemon = daemon
    for name, value in change.items():
        setattr(clock, name, value)
    steps = plan(clock)
    assert steps
    assert all(isinstance(step, Deliberate) for step in steps)
    assert words in " ".join(step.does for step in steps)
    assert words in " ".join(time_sync.observe(clock, [BOX])["advice"])
