# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An internet box on loopback, asked over real sockets: what it tells, and what it may try on who asks it."""

from __future__ import annotations

import http.server
import ipaddress
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import firewall_box, internet_box
from ansible_collections.radiology.hardening.plugins.module_utils import internet_box_words as words
from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import Deliberate
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from hypothesis import given
from hypothesis import strategies as st

LOOPBACK = "127.0.0.1"
TYPE = "urn:schemas-upnp-org:service:WANIPConnection:1"
ROUTES = """\
Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
lan	00000000	0100007F	0003	0	0	0	00000000	0	0	0
lan	000B4D0A	00000000	0001	0	0	0	00FFFFFF	0	0	0
lan	00004D0A	010B4D0A	0003	0	0	0	0000FFFF	0	0	0
"""
SOAP = '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>{}</s:Body></s:Envelope>'
ENTRY = (
    "<NewRemoteHost></NewRemoteHost><NewExternalPort>{0}</NewExternalPort><NewProtocol>tcp</NewProtocol>"
    "<NewInternalPort>8042</NewInternalPort><NewInternalClient>{1}</NewInternalClient><NewEnabled>1</NewEnabled>"
    "<NewPortMappingDescription>View\ter</NewPortMappingDescription><NewLeaseDuration>60</NewLeaseDuration>"
)
DESCRIPTION = (
    '<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0"><device><serviceList><service>'
    "<serviceType>urn:schemas-upnp-org:service:WANCommonInterfaceConfig:1</serviceType><controlURL>/c</controlURL>"
    f"</service><service><serviceType>{TYPE}</serviceType><controlURL>/ctl</controlURL></service>"
    "</serviceList></device></root>"
).encode()


class Behaviour:
    """How the box behaves: what it has mapped, what it answers to the search, and its description."""

    def __init__(self) -> None:
        self.mapped: list[tuple[int, str]] = [(8042, "10.77.11.10"), (5000, "10.77.11.99")]
        self.description = DESCRIPTION
        self.location = "http://{address}:{port}/root.xml"
        self.answers = True
        self.pmp = bytes([0, 128, 0, 0]) + bytes(8)
        self.pcp = bytes([2, 128, 0, 0]) + bytes(20)
        self.keeps = False
        self.paths: list[str] = []
        self.pause = 0.0

    def act(self, action: str, body: bytes) -> str:
        if action == "GetExternalIPAddress":
            return "<r:GetExternalIPAddressResponse><NewExternalIPAddress>203.0.113.11</NewExternalIPAddress></r:GetExternalIPAddressResponse>"
        number = words.elements(body, action)[0]
        if action == "DeletePortMapping":
            if not self.keeps:
                self.mapped = [each for each in self.mapped if str(each[0]) != number["NewExternalPort"]]
            return "<r:DeletePortMappingResponse/>"
        index = int(number["NewPortMappingIndex"])
        if index < len(self.mapped):
            entry = ENTRY.format(*self.mapped[index])
            return f"<r:GetGenericPortMappingEntryResponse>{entry}</r:GetGenericPortMappingEntryResponse>"
        return "<UPnPError><errorCode>713</errorCode></UPnPError>"


class Place(Host):
    """A host whose only gateway is loopback, where the box of the test is."""

    def text(self, path: str) -> str | None:
        return ROUTES if path == "/proc/net/route" else None

    def run(self, command: Any, **dummy: Any) -> Any:
        from ansible_collections.radiology.hardening.plugins.module_utils.host import Result

        return Result(
            0, '[{"ifname": "lan", "addr_info": [{"local": "10.77.11.10", "prefixlen": 24, "scope": "global"}]}]', ""
        )


@contextmanager
def box(behaviour: Behaviour) -> Iterator[tuple[int, int]]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.tell(behaviour.description)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told = behaviour.act(self.headers["SOAPAction"].strip('"').partition("#")[2], body)
            self.tell(SOAP.format(told).replace("r:", "").encode())

        def tell(self, body: bytes) -> None:
            behaviour.paths.append(self.path)
            time.sleep(behaviour.pause)
            self.send_response(500 if b"UPnPError" in body else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *dummy: object) -> None:
            return

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, *dummy: object) -> None:
            """Whoever asks may go before the answer."""

    server = Server((LOOPBACK, 0), Handler)
    threads = [threading.Thread(target=server.serve_forever, daemon=True)]
    udp = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for dummy in range(2)]
    where = behaviour.location.format(address=LOOPBACK, port=server.server_address[1])

    def answer(asked: bytes) -> bytes | None:
        if asked.startswith(b"M-SEARCH"):
            return f"HTTP/1.1 200 OK\r\nST: {words.DEVICE}\r\nLOCATION: {where}\r\n\r\n".encode()
        return behaviour.pcp if asked[0] == 2 else behaviour.pmp

    def serve(each: socket.socket) -> None:
        while True:
            try:
                asked, sender = each.recvfrom(2000)
                if not asked:
                    return
                if behaviour.answers and (told := answer(asked)):
                    each.sendto(told, sender)
            except OSError:
                return

    for each in udp:
        each.bind((LOOPBACK, 0))
        threads.append(threading.Thread(target=serve, args=(each,), daemon=True))
    for thread in threads:
        thread.start()
    try:
        yield udp[0].getsockname()[1], udp[1].getsockname()[1]
    finally:
        server.shutdown()
        server.server_close()
        for each in udp:
            each.sendto(b"", each.getsockname())
        for thread in threads:
            thread.join(5)
        for each in udp:
            each.close()


def asked(behaviour: Behaviour, **more: Any) -> internet_box.Box:
    with box(behaviour) as ports:
        return internet_box.ask(Place(), ports=ports, **more)


def test_a_box_tells_what_it_opened_and_for_whom() -> None:
    told = asked(Behaviour())
    assert [str(each) for each in internet_box.leading_to(told, ["10.77.11.10", "10.77.11.20"])] == [
        "TCP port 8042 from anywhere to 10.77.11.10:8042, 'View?er', for 60 s"
    ]
    assert len(told.mappings) == 2
    assert told.unread == []
    assert sorted(each.partition(":")[0] for each in told.opens) == [
        f"NAT-PMP at {LOOPBACK}",
        f"PCP at {LOOPBACK}",
        f"UPnP at {LOOPBACK}",
    ]
    assert any(each.endswith(", outside 203.0.113.11") for each in told.opens)
    assert internet_box.facts(told, ["10.77.11.30"])["mappings"] == []


def test_a_mapping_is_given_back_and_others_stay() -> None:
    behaviour = Behaviour()
    with box(behaviour) as ports:
        told = internet_box.ask(Place(), ports=ports)
        internet_box.drop(told, internet_box.leading_to(told, ["10.77.11.10"]))
        assert internet_box.ask(Place(), ports=ports).mappings == [
            each for each in told.mappings if each.target == "10.77.11.99"
        ]
        behaviour.mapped, behaviour.keeps = [(8042, "10.77.11.10")], True
        internet_box.drop(told, told.mappings)
        assert len(internet_box.ask(Place(), ports=ports).mappings) == 1


def test_a_silent_box_costs_a_second_and_one_that_refuses_nothing() -> None:
    silent = Behaviour()
    silent.answers = False
    began = time.monotonic()
    assert asked(silent) == ([], [], [], [])
    assert internet_box.SILENCE <= time.monotonic() - began < 2
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind((LOOPBACK, 0))
        unused = free.getsockname()[1]
    began = time.monotonic()
    assert internet_box.ask(Place(), ports=(unused, unused)) == ([], [], [], [])
    assert time.monotonic() - began < internet_box.SILENCE


def test_a_box_whose_talk_does_not_end_is_unread_within_its_time() -> None:
    slow = Behaviour()
    slow.pause = 0.5
    slow.mapped *= 100
    began = time.monotonic()
    told = asked(slow)
    assert time.monotonic() - began < internet_box.SILENCE + internet_box.TALK + 1
    assert "has not answered within" in told.unread[0]


@pytest.mark.parametrize(
    "location", ["http://192.0.2.1:80/x", "https://{address}:{port}/x", "http://u@192.0.2.1/", "x"]
)
def test_no_location_leads_to_another_machine(location: str) -> None:
    behaviour = Behaviour()
    behaviour.location = location
    told = asked(behaviour)
    assert (behaviour.paths, told.mappings, told.services) == ([], [], [])


@pytest.mark.parametrize(
    "told",
    [
        DESCRIPTION.replace(b"<root", b'<!DOCTYPE root [<!ENTITY a "b">]><root'),
        DESCRIPTION.replace(b"/ctl<", b"http://192.0.2.1/ctl<"),
        b"<root>" + b"<a>" * 30_000,
        b" " * (internet_box.LARGEST + 1),
        b"<root/>",
    ],
    ids=["entities", "another machine", "deep", "long", "no service"],
)
def test_a_description_that_is_not_safe_is_not_read_and_said_to_be_unread(told: bytes) -> None:
    behaviour = Behaviour()
    behaviour.description = told
    seen = asked(behaviour)
    assert behaviour.paths == ["/root.xml"]
    assert (seen.mappings, seen.services) == ([], [])
    assert len(seen.unread) == 1
    assert "does not tell its port mappings" in seen.unread[0]


def test_a_box_that_has_pmp_and_pcp_switched_off_says_so() -> None:
    behaviour = Behaviour()
    behaviour.pmp = bytes([0, 128, 0, 2]) + bytes(8)
    behaviour.pcp = bytes([2, 128, 0, 2]) + bytes(20)
    assert [each.partition(" ")[0] for each in asked(behaviour).opens] == ["UPnP"]
    assert words.announce("10.77.11.10").hex() == "020000000000000000000000000000000000ffff0a4d0b0a"


def test_routes_are_read_as_the_kernel_writes_them(tmp_path: Path) -> None:
    (tmp_path / "proc" / "net").mkdir(parents=True)
    (tmp_path / "proc" / "net" / "route").write_text(ROUTES.replace("0100007F", "010B4D0A"), encoding="ascii")
    assert internet_box.gateways(Host(str(tmp_path))) == ["10.77.11.1"]
    assert internet_box.neighbours(Host(str(tmp_path))) == [ipaddress.IPv4Network("10.77.11.0/24")]
    assert internet_box.gateways(Host(str(tmp_path / "nothing"))) == []


def test_what_the_box_does_is_told_to_be_done() -> None:
    behaviour = Behaviour()
    with box(behaviour) as ports:
        monkey = pytest.MonkeyPatch()
        monkey.setattr(internet_box, "gateways", lambda host: [LOOPBACK])
        monkey.setattr(firewall_box.internet_box.ask, "__kwdefaults__", {"everybody": False, "ports": ports})
        try:
            facts = firewall_box.observe(Place(), [{"address": "10.77.11.99"}])
            steps = firewall_box.plan(facts, [], opens_rules=False)
            steps[0].do(Place())
            after = firewall_box.observe(Place(), [])
        finally:
            monkey.undo()
    assert len(facts["mappings"]) == 2
    assert steps[0].does.startswith("Ask the internet box to close, for good: TCP port 8042 from anywhere")
    assert [isinstance(step, Deliberate) for step in steps] == [False, True, True]
    assert steps[1].does.startswith(f"Switch UPnP, NAT-PMP and PCP off in the pages of the internet box ({LOOPBACK})")
    assert after["mappings"] == []
    assert [each[1] for each in behaviour.mapped] == ["10.77.11.99"]


def test_rules_of_our_own_that_drop_the_question_are_no_act_of_a_person_where_they_are_loaded_anew() -> None:
    facts = {"mappings": [], "opens_ports": [], "unread": [f"The box cannot be asked: {internet_box.BLOCKED}."]}
    facts["advice"] = ["Look."]
    assert firewall_box.plan(facts, [], opens_rules=True) == []
    assert [step.does for step in firewall_box.plan(facts, [], opens_rules=False)] == ["Look."]


@given(st.binary(max_size=400))
def test_no_answer_of_a_box_breaks_who_reads_it(answer: bytes) -> None:
    words.location(answer, LOOPBACK)
    words.takes_pmp(answer)
    words.takes_pcp(answer)
    words.services(answer, "http://127.0.0.1/")
    assert words.port_mapping(answer) is None
    assert words.fault(answer) == 0
    assert isinstance(internet_box.body(answer), bytes)
