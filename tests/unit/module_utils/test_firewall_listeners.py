# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""On a server and on a gateway each listener is one that the firewall lets in, one of ours, or named and left alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import firewall_listeners
from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import Deliberate
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host, Result
from ansible_collections.radiology.hardening.plugins.module_utils.surfaces import firewall
from ansible_collections.radiology.hardening.plugins.plugin_utils import catalogue
from test_agreement import hardened, with_fact

UNITS = {
    1: "init.scope",
    20: "ssh.service",
    30: "orthanc.service",
    40: "dicom-front.service",
    50: "orthanc-web.service",
}
UNITS |= {60: "share.service", 70: "wsdd.service", 80: "user.slice/user-0.slice/session-3.scope", 90: "docker.service"}
SOCKET = '{0} {1} 0 128 {2} *:* users:(("{3}",pid={4},fd=3))'
DECLARED = (
    SOCKET.format("tcp", "LISTEN", "0.0.0.0:22", "sshd", 20),
    SOCKET.format("tcp", "LISTEN", "[::]:22", "sshd", 20),
    SOCKET.format("tcp", "LISTEN", "*:8042", "Orthanc", 30),
    SOCKET.format("tcp", "LISTEN", "*:4242", "Orthanc", 30),
    SOCKET.format("tcp", "LISTEN", "10.77.11.10:2762", "nginx", 40),
    SOCKET.format("tcp", "LISTEN", "10.77.11.10:443", "nginx", 50),
    SOCKET.format("tcp", "LISTEN", "127.0.0.1:25", "exim4", 60),
    "udp UNCONN 0 0 0.0.0.0:51820 0.0.0.0:*",
    SOCKET.format("udp", "UNCONN", "0.0.0.0:68", "dhclient", 60),
    SOCKET.format("udp", "UNCONN", "[fe80::1]%lan:546", "dhcpcd", 60),
    SOCKET.format("udp", "UNCONN", "0.0.0.0:41000", "systemd-timesyn", 60),
    SOCKET.format("udp", "UNCONN", "0.0.0.0:123", "ntpd", 60),
    SOCKET.format("udp", "UNCONN", "127.0.0.1:323", "chronyd", 60),
    SOCKET.format("udp", "UNCONN", "0.0.0.0:3702", "nc", 70),
)
"""What a hardened server shows, and one unit of which another fact tells."""


class Server(Host):
    """A host with these sockets, whose processes are of UNITS."""

    def __init__(self, root: Path, *sockets: str, asked: int = 0) -> None:
        super().__init__(str(root))
        self.sockets, self.status = sockets, asked
        for process, unit in UNITS.items():
            file = root / f"proc/{process}/cgroup"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"0::/system.slice/{unit}\n" if unit.endswith(".service") else f"0::/{unit}\n")

    def run(self, command: Any, **_how: Any) -> Result:
        return Result(self.status, "\n".join(self.sockets) if command[0] == "ss" and not self.status else "", "")


OF_SERVERS = catalogue.wanted([each for each in catalogue.load("firewall") if each.asked_of("orthanc_server")])


def scope(release: str = "debian12", **more: Any) -> dict[str, Any]:
    return {**hardened("firewall", release)["scope"], **more}


def undeclared(root: Path, *sockets: str, **more: Any) -> list[str] | None:
    known = scope(**more)
    facts = firewall_listeners.observe(Server(root, *sockets), known, firewall._let_in(known), ["wsdd.service"])
    assert len(facts["advice"]) == len(facts["undeclared"])
    found: list[str] = facts["undeclared"]
    return found


def test_a_hardened_server_has_no_listener_that_is_unknown(tmp_path: Path) -> None:
    assert undeclared(tmp_path, *DECLARED) == []


@pytest.mark.parametrize(
    ("socket", "told"),
    [
        (SOCKET.format("tcp", "LISTEN", "0.0.0.0:5555", "python3", 60), "tcp 0.0.0.0:5555 by python3 (share.service)"),
        (SOCKET.format("tcp", "LISTEN", "[::]:8042", "python3", 60), "tcp [::]:8042 by python3 (share.service)"),
        (SOCKET.format("tcp", "LISTEN", "*:45000", "nc", 80), "tcp *:45000 by nc"),
        (SOCKET.format("udp", "UNCONN", "0.0.0.0:161", "snmpd", 60), "udp 0.0.0.0:161 by snmpd (share.service)"),
        (SOCKET.format("udp", "UNCONN", "0.0.0.0:443", "nc", 60), "udp 0.0.0.0:443 by nc (share.service)"),
        (SOCKET.format("udp", "UNCONN", "*:123", "nc", 60), "udp *:123 by nc (share.service)"),
        (SOCKET.format("tcp", "LISTEN", "*:8080", "docker-proxy", 90), "tcp *:8080 by docker-proxy (docker.service)"),
        ("tcp LISTEN 0 64 0.0.0.0:2049 0.0.0.0:*", "tcp 0.0.0.0:2049 by the kernel"),
    ],
)
def test_any_other_listener_is_named_and_declared_it_is_not(tmp_path: Path, socket: str, told: str) -> None:
    assert undeclared(tmp_path, *DECLARED, socket) == [told]
    protocol, place = told.split()[:2]
    assert undeclared(tmp_path, *DECLARED, socket, listeners=[f"{protocol}/{place.rpartition(':')[2]}"]) == []


@pytest.mark.parametrize(
    ("group", "told"),
    [
        ("0::/system.slice/orthanc.service", ""),
        ("0::/system.slice/system-orthanc.slice/orthanc.service/payload", ""),
        ("9:name=systemd:/\n4:memory:/\n0::/system.slice/orthanc.service", ""),
        ("4:memory:/\n1:name=systemd:/system.slice/orthanc.service", ""),
        (
            "0::/user.slice/user-1000.slice/user@1000.service/app.slice/orthanc.service",
            " by nc (orthanc.service of user 1000)",
        ),
        ("0::/machine.slice/systemd-nspawn@x.service/payload/system.slice/orthanc.service", " by nc"),
        ("0::/system.slice/docker-1.scope/system.slice/orthanc.service", " by nc"),
        ("0::/system.slice/share.service/system.slice/orthanc.service", " by nc (share.service)"),
        ("0::/docker/1/system.slice/orthanc.service", " by nc"),
    ],
)
def test_a_unit_is_the_host_s_own_whatever_a_person_or_a_container_calls_theirs(
    tmp_path: Path, group: str, told: str
) -> None:
    server = Server(tmp_path, SOCKET.format("tcp", "LISTEN", "0.0.0.0:8043", "nc", 60))
    (tmp_path / "proc/60/cgroup").write_text(f"{group}\n")
    facts = firewall_listeners.observe(server, scope(), [], [])
    assert facts["undeclared"] == ([f"tcp 0.0.0.0:8043{told}"] if told else [])
    for process in ("1", "60"):
        (tmp_path / f"proc/{process}").mkdir(exist_ok=True)
        path = "/init.scope" if process == "1" else group.rpartition(":")[2]
        (tmp_path / f"proc/{process}/cgroup").write_text(f"0::/lxc/7{path}\n")
    assert firewall_listeners.observe(server, scope(), [], [])["undeclared"] == facts["undeclared"]


def test_the_kernel_asks_others_as_well(tmp_path: Path) -> None:
    """WireGuard of a laptop, or of a provider's way in, takes any port at each start, which nobody can declare."""
    assert undeclared(tmp_path, "udp UNCONN 0 0 0.0.0.0:43210 0.0.0.0:*") == []


def test_what_the_firewall_lets_in_is_declared_and_what_it_lets_in_no_more_is_not(tmp_path: Path) -> None:
    socket = SOCKET.format("tcp", "LISTEN", "0.0.0.0:9100", "exporter", 60)
    service = {"name": "metrics", "port": 9100, "sources": ["10.78.11.5"]}
    services = scope()["services"]
    assert undeclared(tmp_path, socket, services=[*services, service]) == []
    granted = {"name": "home", "addresses": ["10.99.11.2"], "services": {"metrics": 9100}}
    assert undeclared(tmp_path, socket, tunnel={"port": 51820, "peers": [granted]}) == []
    assert undeclared(tmp_path, socket, room={"ports": [9100]}) == []
    assert undeclared(tmp_path, socket) == ["tcp 0.0.0.0:9100 by exporter (share.service)"]


def test_the_ports_of_a_tunnel_are_those_of_its_kind(tmp_path: Path) -> None:
    charon = [SOCKET.format("udp", "UNCONN", f"*:{port}", "charon", 60) for port in (500, 4500)]
    found = ["udp *:500 by charon (share.service)", "udp *:4500 by charon (share.service)"]
    assert undeclared(tmp_path, *charon, tunnel={"port": 51820}) == found
    assert undeclared(tmp_path, *charon, tunnel={}) == found
    assert undeclared(tmp_path, *charon, tunnel={"ports": [500, 4500]}) == []


def test_ssh_has_its_own_port_where_no_service_of_that_name_gives_another(tmp_path: Path) -> None:
    assert undeclared(tmp_path, DECLARED[0], services=[], tunnel={}) == []
    elsewhere = {"name": "ssh", "port": 2222, "sources": []}
    assert undeclared(tmp_path, DECLARED[0], services=[elsewhere], tunnel={}) == [
        "tcp 0.0.0.0:22 by sshd (ssh.service)"
    ]


def test_a_declaration_in_another_form_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HardeningError, match=r"firewall_listeners holds 'snmp'; accepted: protocol and port"):
        undeclared(tmp_path, listeners=["snmp"])


def test_without_ss_nothing_is_known_and_the_control_is_not_kept(tmp_path: Path) -> None:
    facts = firewall_listeners.observe(Server(tmp_path, asked=127), scope(), [], [])
    assert facts == {"undeclared": None, "advice": []}
    wanted = OF_SERVERS["firewall.listeners.undeclared"]
    assert wanted == {"empty": True}


def test_a_program_of_somebody_s_is_left_to_a_person_and_the_rules_stay_as_they_are() -> None:
    known = hardened("firewall", "debian13")
    facts = with_fact(known["facts"], "firewall.listeners.undeclared", ["tcp *:5555 by python3 (share.service)"])
    (step,) = firewall.plan(facts, OF_SERVERS, known["scope"])
    assert isinstance(step, Deliberate)
    assert step.does.startswith("tcp *:5555 by python3 (share.service) waits for callers, and nobody declared it: stop")
    assert "firewall_listeners" in step.does
