# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Look from here at a workstation or a modality, and tell it as facts.

A modality may be old: each open port is asked a few questions, no list of TLS suites, and no password is tried; an SSH
server is asked what it takes. What Horos and OsiriX open is known: DICOM on 11112 (on from the factory), the web portal
on 3333 and XML-RPC on 8080 (at a click; horosproject/horos, DefaultsOsiriX.m), under the AE titles OSIRIX, HOROS or the
machine's name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.radiology.hardening.plugins.module_utils import internet_box
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.wire import (
    datagrams,
    dicom,
    ports,
    presence,
    services,
    shell,
    tls,
    web,
)
from ansible_collections.radiology.hardening.plugins.module_utils.wire.ports import Place

OLD = "modality"
"""A kind that may be old: inside, where nothing is asked of it about UDP, it is spared those questions."""
KINDS = ("workstation", OLD)
DICOM_PORTS = (104, 2761, 2762, 4242, 11112, 11113)
PORTAL, XML_RPC = 3333, 8080
WEB_PORTS = {PORTAL: "the web portal of Horos and OsiriX", XML_RPC: "XML-RPC of Horos and OsiriX"}
"""Ports of viewers -> what has them from the factory."""
ENDED = {"accepted": "accepts", "rejected": "rejects"}
QUESTION = b"<?xml version='1.0'?><methodCall><methodName>system.listMethods</methodName><params/></methodCall>"


class Door(NamedTuple):
    """One open port, and what it answers."""

    place: Place
    banner: bytes
    service: services.Service | None
    secure: bool = False
    ended: str = ""
    called: str = ""
    page: web.Answer | None = None
    xml_rpc: bool = False

    @property
    def web(self) -> bool:
        """Whether its web server is one of those that are told of: in clear, or where viewers have theirs."""
        return self.page is not None and (self.place.port in WEB_PORTS or (not self.secure and web.in_clear(self.page)))


def probe(target: Mapping[str, Any], more_ports: Sequence[int], box: internet_box.Box | None) -> dict[str, Any]:
    """Return the facts below `wire` of one device: host, addresses, ae_title, ports, expected_ports."""
    usual = {*DICOM_PORTS, *(int(port) for port in target.get("ports") or [])}
    tried = [*ports.WELL_KNOWN, *services.PORTS, *usual, *more_ports]
    found, reached, answers = ports.scan(target["addresses"], tried)
    heard = {} if found else presence.answering(Host(), target["addresses"])
    there = "refused" in answers or any(heard.values())
    if not reached:
        tried_at = ", ".join(target["addresses"]) or "no address"
        told = {"present": there} if there or "no host" in answers else {}
        return {"reachable": False, **told, "errors": [f"There is no route from here to {tried_at}."]}
    if absent := [address for address, answered in heard.items() if not answered]:
        silent = f"{', '.join(absent)} does not answer on its own network: it is switched off, or has another address."
        return {"reachable": False, "present": there, "errors": [silent]}
    names = (str(target.get("ae_title") or ""), str(target["host"]).partition(".")[0].upper())
    doors = list(ports.each(lambda place: _door(place, names), found).values())
    in_clear = [door for door in doors if door.ended in ENDED and not door.secure]
    counts = [
        dicom.readable(door.place, door.called, tls.context() if door.secure else None)
        for door in doors
        if door.ended == "accepted"
    ]
    asks_udp = box is None or target.get("kind") != OLD
    udp = {"udp": datagrams.answered(target["addresses"])} if asks_udp else {}
    shells, errors = shell.passwords([door.place for door in doors if door.banner.startswith(b"SSH-")])
    return {
        "reachable": True,
        "present": bool(found or there or udp.get("udp")),
        "errors": errors,
        "ports": {
            **ports.told(target, reached, tried, found),
            **udp,
        },
        "dicom": {
            "cleartext_ports": [str(door.place) for door in in_clear],
            "cleartext_association": dicom.worst(door.ended for door in in_clear),
            "tls_ports": [
                str(door.place) for door in doors if door.secure and (door.ended in ENDED or door.place.port in usual)
            ],
            "readable_studies": max((studies for studies, _series in counts), default=0),
            "readable_series": max((series for _studies, series in counts), default=0),
        },
        "http": {"cleartext_ports": [str(door.place) for door in doors if door.web and not door.secure]},
        "ssh": shells,
        "device": _told(doors, usual),
        **({} if box is None else {"box": internet_box.facts(box, target["addresses"])}),
    }


def _door(place: Place, names: tuple[str, ...]) -> Door:
    """Ask one open port what it is."""
    banner = ports.banner(place)
    service = services.named(place, banner)
    if service or banner:
        return Door(place, banner, service)
    secure = tls.speaks(place)
    ended, called = dicom.best(place, *names, tls=tls.context() if secure else None)
    if ended in ENDED:
        return Door(place, banner, None, secure, ended, called)
    page = web.get(place, "/", secure=secure)
    asked = web.ask(place, "/", secure=secure, headers={"Content-Type": "text/xml"}, body=QUESTION) if page else None
    speaks_xml_rpc = asked is not None and b"<methodResponse" in asked.body
    return Door(place, banner, None, secure, page=page, xml_rpc=speaks_xml_rpc)


def _told(doors: Sequence[Door], usual: set[int]) -> dict[str, list[str]]:
    """Return what answers, in words that name address and port."""
    services_of = {door.place: door.service for door in doors if door.service}
    return {
        "dicom": [told for door in doors if (told := _dicom(door, usual))],
        "web": [f"{door.place} {_web(door)}" for door in doors if door.web],
        "remote_control": [f"{place} {service.words}" for place, service in services_of.items() if service.controls],
        "file_shares": [f"{place} {service.words}" for place, service in services_of.items() if not service.controls],
    }


def _dicom(door: Door, usual: set[int]) -> str:
    """Say how a port takes DICOM of a stranger; nothing where it takes none, or only over TLS with a certificate."""
    how = "over TLS without a certificate" if door.secure else "in clear"
    if door.ended in ENDED:
        return f"{door.place} answers DICOM {how}: {ENDED[door.ended]} a stranger who calls {door.called}"
    if door.place.port in usual and not (door.secure or door.banner or door.service or door.page):
        return f"{door.place} takes connections in clear, and says nothing to a stranger"
    return ""


def _web(door: Door) -> str:
    how = "HTTPS" if door.secure else "HTTP in clear"
    status = door.page.status if door.page else 0
    known = f", the port of {WEB_PORTS[door.place.port]}" if door.place.port in WEB_PORTS else ""
    return f"answers {how} with {status}{' and speaks XML-RPC' if door.xml_rpc else ''}{known}"
