# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who waits for callers on a workstation, what mounts itself, and what may dump its memory, as hosts tell it."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import (
    listeners,
    workstation_automount,
    workstation_core_dumps,
    workstation_listeners,
)
from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import parted
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host, Result
from ansible_collections.radiology.hardening.plugins.module_utils.surfaces import workstation
from ansible_collections.radiology.hardening.plugins.plugin_utils import catalogue

WANTED = catalogue.wanted(catalogue.load("workstation"))
SCOPE = {"ssh_port": 22, "port": 11112, "tls": True, "listeners": [], "lock_seconds": 600}
SSHD = 'tcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:(("sshd",pid=52,fd=3))'
VIEWER = 'tcp LISTEN 0 5 {}:{} 0.0.0.0:* users:(("viewer",pid=900,fd=9))'
TLS = "New, TLSv1.3, Cipher is TLS_AES_256_GCM_SHA384\n"
CLEAR = "no peer certificate available\nNew, (NONE), Cipher is (NONE)\n"
OFF = {"tunnel.wanted", "tunnel.active"}
"""What is told of tunnels that are not wanted."""
ENDED = {
    "systemctl show --property=DefaultLimitCORE": "DefaultLimitCORE=0\n",
    "systemd-analyze cat-config systemd/coredump.conf": "[Coredump]\nStorage=none\nProcessSizeMax=0\n",
}


class Machine(Host):
    """A host below a folder, with a table of sockets, active units and other answers."""

    def __init__(self, root: Path, *sockets: str, active: tuple[str, ...] = (), **answers: str) -> None:
        super().__init__(str(root))
        self.sockets, self.active, self.answers = sockets, active, {**ENDED, **answers}
        self.asked: list[str] = []

    def run(self, command, **dummy):
        words = " ".join(command)
        self.asked.append(words)
        if command[0] == "ss":
            return Result(0, "\n".join((SSHD, *self.sockets)), "")
        if command[:2] == ["systemctl", "is-active"]:
            return Result(0, "\n".join("active" if unit in self.active else "inactive" for unit in command[2:]), "")
        return Result(0, next((told for begin, told in self.answers.items() if words.startswith(begin)), ""), "")

    def lay(self, path, text):
        file = Path(self.path(path))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def own(self, process, unit):
        self.lay(f"/proc/{process}/cgroup", f"0::/{unit}\n")


def seen(root, *sockets, scope=None, **how):
    return workstation_listeners.observe(Machine(root, *sockets, **how), scope or SCOPE)


def told(facts):
    return {name: facts[name].get("open", facts[name].get("undeclared")) for name in facts}


NONE = {"listeners": [], "remote_desktop": [], "viewers": []}


@pytest.mark.parametrize(
    ("socket", "part", "shown"),
    [
        (VIEWER.format("0.0.0.0", 4242), "viewers", "tcp 0.0.0.0:4242 by viewer"),
        (VIEWER.format("[::]", 104), "viewers", "tcp [::]:104 by viewer"),
        (VIEWER.format("*", 11113), "viewers", "tcp *:11113 by viewer"),
        (VIEWER.format("[fe80::1]%lan", 11113), "viewers", "tcp [fe80::1]:11113 by viewer"),
        (VIEWER.format("10.77.11.20", 5901), "remote_desktop", "tcp 10.77.11.20:5901 by viewer"),
        (VIEWER.format("0.0.0.0", 6000), "remote_desktop", "tcp 0.0.0.0:6000 by viewer"),
        (
            'udp UNCONN 0 0 0.0.0.0:177 0.0.0.0:* users:(("gdm3",pid=7,fd=9))',
            "remote_desktop",
            "udp 0.0.0.0:177 by gdm3",
        ),
        (VIEWER.format("0.0.0.0", 8081), "listeners", "tcp 0.0.0.0:8081 by viewer"),
        (VIEWER.format("0.0.0.0%lan", 45000), "listeners", "tcp 0.0.0.0:45000 by viewer"),
        ("udp UNCONN 0 0 0.0.0.0:2049 0.0.0.0:*", "listeners", "udp 0.0.0.0:2049 by the kernel"),
    ],
)
def test_a_listener_is_named_once_by_what_it_is(tmp_path, socket, part, shown):
    assert told(seen(tmp_path, socket)) == {**NONE, part: [shown]}


@pytest.mark.parametrize(
    "socket",
    [
        VIEWER.format("127.0.0.1", 11112),
        VIEWER.format("127.0.0.53%lo", 53),
        VIEWER.format("[::1]", 4242),
        VIEWER.format("[::ffff:127.0.0.1]", 4242),
        'udp UNCONN 0 0 0.0.0.0:68 0.0.0.0:* users:(("dhclient",pid=7,fd=9))',
        'udp UNCONN 0 0 0.0.0.0:41000 0.0.0.0:* users:(("firefox",pid=7,fd=9))',
    ],
)
def test_loopback_and_what_asks_others_is_no_finding(tmp_path, socket):
    assert told(seen(tmp_path, socket)) == NONE


def test_what_is_declared_is_no_finding_and_in_another_form_refused(tmp_path):
    clock = 'udp UNCONN 0 0 0.0.0.0:123 0.0.0.0:* users:(("ntpd",pid=7,fd=9))'
    assert told(seen(tmp_path, clock))["listeners"] == ["udp 0.0.0.0:123 by ntpd"]
    assert told(seen(tmp_path, clock, scope={**SCOPE, "listeners": ["udp/123"]})) == NONE
    assert told(seen(tmp_path, clock, scope={**SCOPE, "listeners": ["tcp/123"]})) != NONE
    with pytest.raises(HardeningError, match="workstation_listeners holds 'ntp'; accepted: protocol and port"):
        seen(tmp_path, scope={**SCOPE, "listeners": ["ntp"]})


@pytest.mark.parametrize(
    ("answer", "scope", "open_"),
    [
        (TLS, SCOPE, False),
        (CLEAR, SCOPE, True),
        ("", SCOPE, True),
        (TLS, {**SCOPE, "tls": False}, True),
        (TLS, {**SCOPE, "port": 4242}, True),
        (TLS, {**SCOPE, "port": 0}, True),
    ],
)
def test_a_viewer_answers_others_in_tls_on_its_declared_port_or_not_at_all(tmp_path, answer, scope, open_):
    facts = seen(tmp_path, VIEWER.format("0.0.0.0", 11112), scope=scope, **{"timeout 5 openssl": answer})
    assert bool(facts["viewers"]["open"]) is open_


def test_the_handshake_goes_to_an_address_on_which_it_listens(tmp_path):
    for address, asked in (("0.0.0.0", "127.0.0.1"), ("*", "[::1]"), ("10.77.11.20", "10.77.11.20")):
        machine = Machine(tmp_path, VIEWER.format(address, 11112))
        workstation_listeners.observe(machine, SCOPE)
        assert f"timeout 5 openssl s_client -connect {asked}:11112" in machine.asked


def test_a_service_of_debian_is_stopped_and_its_sockets_are_not_left_to_a_person(tmp_path):
    mdns = 'udp UNCONN 0 0 0.0.0.0:5353 0.0.0.0:* users:(("avahi-daemon",pid=40,fd=9))'
    ports = 'tcp LISTEN 0 9 0.0.0.0:111 0.0.0.0:* users:(("systemd",pid=1,fd=9))'
    machine = Machine(
        tmp_path,
        mdns,
        ports,
        active=("avahi-daemon.service", "rpcbind.socket"),
        **{"systemctl list-sockets": "0.0.0.0:111 rpcbind.socket rpcbind.service\n"},
    )
    machine.own(40, "system.slice/avahi-daemon.service")
    facts = workstation_listeners.observe(machine, SCOPE)
    assert told(facts) == NONE
    ordinary, left = parted(workstation_listeners.steps(facts))
    assert [step.does for step in ordinary] == ["Stop and disable avahi-daemon.service, rpcbind.socket"]
    assert left == []


def test_a_person_s_program_is_told_with_its_service_and_never_ended(tmp_path):
    machine = Machine(tmp_path, VIEWER.format("0.0.0.0", 8081), VIEWER.format("0.0.0.0", 4242))
    machine.own(900, "user.slice/user-1000.slice/user@1000.service/app.slice/viewer.service")
    facts = {"workstation": {**workstation.observe(machine, SCOPE)}}
    assert facts["workstation"]["viewers"]["open"] == ["tcp 0.0.0.0:4242 by viewer (viewer.service of user 1000)"]
    ordinary, left = parted(workstation.plan(facts, WANTED, SCOPE))
    assert not [step for step in ordinary if "Stop" in step.does]
    assert [step.does for step in left] == [
        *facts["workstation"]["listeners"]["advice"],
        *facts["workstation"]["viewers"]["advice"],
    ]


def test_a_program_of_a_session_has_no_service(tmp_path):
    for group in ("user.slice/user-1000.slice/session-3.scope", "user.slice/user@1000.service", "init.scope"):
        machine = Machine(tmp_path, VIEWER.format("0.0.0.0", 4242))
        machine.own(900, group)
        (only,) = listeners.listening(machine)[1:] or listeners.listening(machine)
        assert only.unit == ""


def test_a_rule_that_is_read_after_ours_is_named(tmp_path):
    machine = Machine(tmp_path)
    machine.lay(workstation_automount.RULE, workstation_automount.TEXT)
    machine.lay("/usr/lib/udev/rules.d/80-udisks2.rules", 'ENV{UDISKS_AUTO}="0"\n')
    machine.lay("/etc/udev/rules.d/zzz-kiosk.rules", 'ENV{UDISKS_AUTO}="1"\n')
    facts = workstation_automount.observe(machine)
    assert facts["overridden"] == ["/etc/udev/rules.d/zzz-kiosk.rules"]
    (step,) = workstation_automount.steps(facts)
    assert parted([step])[1] == [step]


def test_what_mounts_unasked_is_stopped_by_the_name_that_systemd_gives_it(tmp_path):
    units = "autofs.service loaded active running Automounts\ndevmon@radio.service loaded active running x\n"
    machine = Machine(tmp_path, **{"systemctl list-units": units})
    facts = workstation_automount.observe(machine)
    assert facts["services"] == ["autofs.service", "devmon@radio.service"]
    for step in workstation_automount.steps(facts)[1:]:
        step.do(machine)
    assert machine.asked[-1] == "systemctl --quiet disable --now autofs.service devmon@radio.service"


def test_udev_is_told_where_it_runs_alone(tmp_path, monkeypatch):
    machine = Machine(tmp_path)
    monkeypatch.setattr(machine, "write", machine.lay)
    (step,) = workstation_automount.steps(workstation_automount.observe(machine))
    step.do(machine)
    assert workstation_automount.observe(machine)["off_by_rule"] is True
    assert not [words for words in machine.asked if words.startswith("udevadm")]
    machine.lay(workstation_automount.CONTROL, "")
    step.do(machine)
    assert [words for words in machine.asked if words.startswith("udevadm control --reload")]


OURS = {workstation_core_dumps.SESSIONS: workstation_core_dumps.SESSIONS_TEXT}
LATER = "/etc/security/limits.d/zzz.conf"


@pytest.mark.parametrize(
    ("files", "of_sessions", "granted"),
    [
        ({}, ["*", "root"], []),
        (OURS, [], []),
        ({"/etc/security/limits.d/10-coredump-debian.conf": "* hard core infinity\n", **OURS}, [], []),
        ({workstation_core_dumps.LIMITS: "#* hard core 1\n* soft core 1\n* hard nofile 1\n", **OURS}, [], []),
        ({**OURS, LATER: "* hard core 7\n"}, ["*"], [f"{LATER}:1 (* hard core 7)"]),
        ({**OURS, LATER: "* hard core 7\n* hard core 0\n"}, [], []),
        (
            {**OURS, workstation_core_dumps.LIMITS: "@it - core 9\n"},
            [],
            [f"{workstation_core_dumps.LIMITS}:1 (@it - core 9)"],
        ),
    ],
)
def test_of_several_limits_the_last_one_counts(tmp_path, files, of_sessions, granted):
    machine = Machine(tmp_path)
    for path, text in files.items():
        machine.lay(path, text)
    facts = workstation_core_dumps.observe(machine)
    assert (facts["of_sessions"], facts["granted"]) == (of_sessions, granted)
    assert (facts["of_services"], facts["caught"]) == ("0", False)


def test_a_file_that_outranks_ours_is_said_and_not_passed_over(tmp_path, monkeypatch):
    shown = "Storage=none\nProcessSizeMax=0\n[Coredump]\n Storage = external\n"
    machine = Machine(tmp_path, **{"systemd-analyze cat-config systemd/coredump.conf": shown})
    monkeypatch.setattr(machine, "write", machine.lay)
    facts = workstation_core_dumps.observe(machine)
    assert facts["caught"] is True
    (step,) = workstation_core_dumps.steps(facts)
    with pytest.raises(HardeningError, match="sets DefaultLimitCORE, Storage or ProcessSizeMax otherwise"):
        step.do(machine)


def test_what_is_observed_is_what_is_declared(tmp_path):
    facts = workstation.observe(Machine(tmp_path), SCOPE)
    leaves = {f"{name}.{inner}" for name, value in facts.items() for inner in value}
    assert leaves == {name for name in workstation.FACTS if not name.startswith("tunnel.")} | OFF
    servers = [{"name": "pacs", "address": "10.77.11.10"}]
    device = {"name": "ws", "address": "10.77.11.20", "port": 11112}
    facts = workstation.observe(Machine(tmp_path), {**SCOPE, "tunnel": True, "device": device, "servers": servers})
    assert {f"tunnel.{inner}" for inner in facts["tunnel"]} == {n for n in workstation.FACTS if n.startswith("tunnel.")}
