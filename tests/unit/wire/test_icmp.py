# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A host that forbids calls by ICMP is there, although connect(2) says of it what it says of one that is off."""

from __future__ import annotations

import errno
import ipaddress
import os
import shutil
import socket
import struct
import subprocess
import sys
from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils.wire import device, icmp, ports, presence
from hypothesis import given
from hypothesis import strategies as st

OWN, TARGET, ROUTER = "10.77.0.1", "10.78.0.1", "10.77.0.2"
OWN_6, TARGET_6, ROUTER_6 = "fd77::1", "fd78::1", "fd77::2"
RECORDED = bytes.fromhex("710000000203" + "0d" + "00" * 9 + "02000000" + "0a4e0001" + "00" * 8)
"""What Linux 6 queued when TARGET rejected a connection as prohibited by its administrator."""
RULES = """\
table inet t {
 chain i {
  type filter hook input priority 0
  tcp dport 81 reject with icmpx type admin-prohibited
 }
}
"""
LOOK = """\
import sys
from ansible_collections.radiology.hardening.plugins.module_utils.wire.ports import Place, knock
for place in (("10.77.0.1", 81), ("fd77::1", 81), ("127.0.0.1", 81), ("10.99.0.1", 81)):
    print(place[0], knock(Place(*place)))
"""


def message(sender: str, code: int, about: int = 3, number: int = errno.EHOSTUNREACH) -> icmp.Message:
    """Return what the kernel queues."""
    address = ipaddress.ip_address(sender)
    if address.version == 4:
        behind = struct.pack("=HH", socket.AF_INET, 0) + address.packed + bytes(8)
        return 0, 11, struct.pack("=IBBBBII", number, 2, about, code, 0, 0, 0) + behind
    behind = struct.pack("=HHI", socket.AF_INET6, 0, 0) + address.packed + bytes(4)
    return 41, 25, struct.pack("=IBBBBII", number, 3, about, code, 0, 0, 0) + behind


def test_what_linux_queues_is_read() -> None:
    assert message(TARGET, 13) == (0, 11, RECORDED)
    assert icmp.tells_of_it([(0, 11, RECORDED)], TARGET)


@pytest.mark.parametrize(
    ("found", "target", "there"),
    [
        (message(TARGET, 1), TARGET, True),
        (message(ROUTER, 1), TARGET, False),
        (message(OWN, 1), TARGET, False),
        (message(ROUTER, 0), TARGET, False),
        *((message(ROUTER, code), TARGET, True) for code in (9, 10, 13)),
        (message(ROUTER, 13, about=11), TARGET, False),
        (message(OWN, 13), TARGET, False),
        (message(TARGET_6, 3, about=1), TARGET_6, True),
        (message(TARGET_6, 3, about=1), f"{TARGET_6}%lan", True),
        (message(ROUTER_6, 0, about=1), TARGET_6, False),
        (message(ROUTER_6, 3, about=1), TARGET_6, False),
        *((message(ROUTER_6, code, about=1), TARGET_6, True) for code in (1, 5, 6)),
        (message(OWN_6, 1, about=1), TARGET_6, False),
        ((1, 29, RECORDED), TARGET, False),
        ((0, 11, RECORDED[:8]), TARGET, False),
        ((0, 11, b"q\0\0\0\1" + RECORDED[5:]), TARGET, False),
    ],
)
def test_who_answers_or_is_forbidden_is_there_and_who_has_no_way_is_not(
    found: icmp.Message, target: str, *, there: bool
) -> None:
    assert icmp.tells_of_it([found], target, (OWN, OWN_6)) is there
    assert icmp.tells_of_it([(1, 2, b""), found], target, (OWN, OWN_6)) is there


@given(st.tuples(st.sampled_from([(0, 11), (41, 25)]), st.binary(max_size=60)))
def test_whatever_is_queued_is_read_without_an_error(found: tuple[tuple[int, int], bytes]) -> None:
    assert icmp.tells_of_it([(*found[0], found[1])], TARGET) in (True, False)


def unreachable(monkeypatch: pytest.MonkeyPatch, *queued: icmp.Message) -> None:
    """Let each connection end as Linux has it end for `No route to host`."""

    class Caller(socket.socket):
        def connect(self, _where: Any) -> None:
            raise OSError(errno.EHOSTUNREACH, "No route to host")

        def recvmsg(self, *_limits: int) -> Any:
            if not queued:
                raise BlockingIOError
            return b"", list(queued), 0, (TARGET, 104)

        def getsockname(self) -> Any:
            return OWN, 40000

    monkeypatch.setattr(ports.socket, "socket", Caller)


def test_a_device_that_forbids_all_calls_is_there_and_one_that_is_off_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "answering", lambda *_arguments: {})
    target = {"host": "us.test", "addresses": [TARGET], "kind": "modality"}
    for queued in ((message(TARGET, 13),), (message(ROUTER, 13),)):
        unreachable(monkeypatch, *queued)
        assert ports.knock(ports.Place(TARGET, 104)) == "refused"
        assert device.probe(target, [], None)["present"] is True
    for queued in ((), (message(ROUTER, 1),)):
        unreachable(monkeypatch, *queued)
        assert ports.knock(ports.Place(TARGET, 104)) == "no host"
        told = device.probe(target, [], None)
        assert (told["reachable"], told["present"]) == (False, False)


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("nft"), reason="a network of its own, and nftables")
def test_the_kernel_tells_who_forbids_a_call() -> None:
    network = "ip link set lo up; ip address add 10.77.0.1/32 dev lo; ip address add fd77::1/128 dev lo"
    script = f'{network}; ip route add unreachable 10.99.0.0/16; nft -f - && exec "$0" -c "$1"'
    command = ["unshare", "--net", "sh", "-ec", script, sys.executable, LOOK]
    there = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    answers = subprocess.check_output(command, input=RULES, text=True, timeout=60, env=there)
    assert dict(line.split(maxsplit=1) for line in answers.splitlines()) == {
        "10.77.0.1": "refused",
        "fd77::1": "refused",
        "127.0.0.1": "refused",
        "10.99.0.1": "no host",
    }
