# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is said to an internet box and what it answers: SSDP and SOAP of UPnP, NAT-PMP, PCP. Pure functions.

UPnP Device Architecture 2.0 (1.3 search, 2.3 description, 3.2 control), WANIPConnection:1 (2.4.12 to 2.4.18),
RFC 6886 (NAT-PMP), RFC 6887 (PCP). What comes from the network is bounded, and XML that declares a document type,
as every entity needs it, is not read.
"""

from __future__ import annotations

import ipaddress
import struct
import urllib.parse
from collections.abc import Mapping
from typing import Any, NamedTuple
from xml.parsers import expat  # with a handler below that refuses any document type, and with it every entity

SSDP_PORT, PMP_PORT = 1900, 5351
MULTICAST = "239.255.255.250"
DEVICE = "urn:schemas-upnp-org:device:InternetGatewayDevice:1"
MARK = 0x72616469
"""On packets of this code. Only root may set a mark (CAP_NET_ADMIN, CAP_NET_RAW), and root may change every rule."""
SEARCH = (
    f'M-SEARCH * HTTP/1.1\r\nHOST: {MULTICAST}:{SSDP_PORT}\r\nMAN: "ssdp:discover"\r\nMX: 1\r\nST: {DEVICE}\r\n\r\n'
).encode("ascii")
"""UPnP Device Architecture 2.0, 1.3.2; a box of InternetGatewayDevice:2 has to answer it as well."""

EXTERNAL_ADDRESS = bytes([0, 0])
"""RFC 6886, 3.2: what is the box's external address? It changes nothing, and a box that is told to map answers it."""

PCP_VERSION, ANNOUNCE, ANSWER = 2, 0, 0x80
DEEPEST = 64
"""Elements within each other."""
LONGEST = 80
"""Characters that are repeated of a description, which anybody on the network may have written."""


class Service(NamedTuple):
    """A service of a box that opens ports: its type and the path where it takes orders."""

    type: str
    address: str
    port: int
    path: str

    @property
    def name(self) -> str:
        """The type in one word, as WANIPConnection."""
        return self.type.split(":")[-2]


class PortMapping(NamedTuple):
    """A port of the box that leads to a machine inside; `port` 0 is every port."""

    protocol: str
    remote: str
    port: int
    target: str
    target_port: int
    description: str
    lease: int
    """Seconds that are left; 0 for ever."""

    def __str__(self) -> str:
        """Name port, protocol, target, description and lease."""
        port = f"port {self.port}" if self.port else "every port"
        lease = f"for {self.lease} s" if self.lease else "for ever"
        who = self.remote or "anywhere"
        return f"{self.protocol} {port} from {who} to {self.target}:{self.target_port}, {self.description!r}, {lease}"


def announce(client: str) -> bytes:
    """Return PCP's question whether there is a server (RFC 6887, 14.1), from this IPv4 address."""
    return struct.pack("!BBHI", PCP_VERSION, ANNOUNCE, 0, 0) + ipaddress.IPv6Address(f"::ffff:{client}").packed


def takes_pmp(answer: bytes) -> bool:
    """Tell whether a box opens ports by NAT-PMP: it answers with result 0; 2 is said where that is switched off."""
    return len(answer) >= 12 and answer[:2] == bytes([0, 128]) and answer[2:4] == b"\0\0"


def takes_pcp(answer: bytes) -> bool:
    """Tell whether a box opens ports by PCP: an answer to ANNOUNCE with result 0 (RFC 6887, 7.2)."""
    return len(answer) >= 24 and answer[:2] == bytes([PCP_VERSION, ANSWER | ANNOUNCE]) and answer[3] == 0


def location(answer: bytes, sender: str) -> str | None:
    """Return where a box says that its description is; None where it does not say, or names another machine."""
    lines = answer.decode("latin-1").split("\r\n")
    if not lines[0].startswith("HTTP/1.") or " 200 " not in f"{lines[0]} ":
        return None
    headers = {name.strip().lower(): text.strip() for name, mark, text in (line.partition(":") for line in lines[1:])}
    if "InternetGatewayDevice" not in headers.get("st", ""):
        return None
    return _own(headers.get("location", ""), sender)


def services(description: bytes, url: str) -> list[Service]:
    """Return the services of a description that open ports; those that lie on another machine are left out."""
    sender = str(urllib.parse.urlsplit(url).hostname)
    base = next((root["URLBase"] for root in elements(description, "root") if root.get("URLBase")), url)
    found = []
    for told in elements(description, "service"):
        kind = told.get("serviceType", "")
        where = _own(_joined(base, told.get("controlURL", "")), sender)
        if where and any(f":{name}:" in kind for name in ("WANIPConnection", "WANPPPConnection")):
            parts = urllib.parse.urlsplit(where)
            path = parts.path + (f"?{parts.query}" if parts.query else "")
            found.append(Service(kind, sender, parts.port or 80, path or "/"))
    return found


def order(service: Service, action: str, arguments: Mapping[str, Any]) -> bytes:
    """Return a whole HTTP request that calls an action of a service, with arguments in the order of its definition."""
    inner = "".join(f"<{name}>{_escaped(str(value))}</{name}>" for name, value in arguments.items())
    body = (
        '<?xml version="1.0"?>\r\n<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
        's:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>'
        f'<u:{action} xmlns:u="{_escaped(service.type)}">{inner}</u:{action}></s:Body></s:Envelope>\r\n'
    ).encode()
    head = (
        f"POST {service.path} HTTP/1.1\r\nHost: {service.address}:{service.port}\r\nConnection: close\r\n"
        f'Content-Type: text/xml; charset="utf-8"\r\nContent-Length: {len(body)}\r\n'
        f'SOAPAction: "{service.type}#{action}"\r\n\r\n'
    )
    return head.encode("latin-1", "replace") + body


def look_up(url: str) -> bytes:
    """Return a whole HTTP request for a page."""
    parts = urllib.parse.urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode("latin-1", "replace")


def port_mapping(answer: bytes) -> PortMapping | None:
    """Return the mapping that GetGenericPortMappingEntry answered; None where it is none."""
    for told in elements(answer, "GetGenericPortMappingEntryResponse"):
        try:
            return PortMapping(
                protocol=_plain(told["NewProtocol"]).upper(),
                remote=_plain(told.get("NewRemoteHost", "")),
                port=int(told["NewExternalPort"]),
                target=_plain(told["NewInternalClient"]),
                target_port=int(told["NewInternalPort"]),
                description=_plain(told.get("NewPortMappingDescription", "")),
                lease=int(told.get("NewLeaseDuration") or 0),
            )
        except (KeyError, ValueError):
            return None
    return None


def fault(answer: bytes) -> int:
    """Return the error code of UPnP in an answer (713: there is no entry of this number); 0 where there is none."""
    codes = [told.get("errorCode", "") for told in elements(answer, "UPnPError")]
    return int(codes[0]) if codes and codes[0].isdecimal() and len(codes[0]) < 6 else 0


def elements(document: bytes, name: str) -> list[dict[str, str]]:
    """Return, for each element of this name, the texts of the elements below it; nothing where it is no safe XML."""
    found: list[dict[str, str]] = []
    path: list[str] = []
    text: list[str] = []

    def begin(tag: str, attributes: dict[str, str]) -> None:
        path.append(tag.rpartition(":")[2])
        if len(path) > DEEPEST:
            raise ValueError("a box describes itself in fewer layers")
        text.clear()
        if path[-1] == name:
            found.append({})

    def end(tag: str) -> None:
        if name in path[:-1]:
            found[-1].setdefault(path[-1], "".join(text).strip())
        path.pop()
        text.clear()

    parser = expat.ParserCreate()
    parser.StartElementHandler = begin
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text.append
    parser.StartDoctypeDeclHandler = _refuse
    try:
        parser.Parse(document, True)
    except (expat.ExpatError, ValueError, LookupError):
        return []
    return found


def _refuse(*declared: object) -> None:
    raise ValueError("a box describes itself without a document type")


def _own(url: str, sender: str) -> str | None:
    """Return a URL that leads to the sender itself, by its literal address, in plain HTTP; else None."""
    try:
        parts = urllib.parse.urlsplit(url)
        ours = parts.scheme == "http" and parts.hostname == sender and 0 < (parts.port or 80) < 65536
    except ValueError:
        return None
    return url if ours and url.isprintable() and " " not in url else None


def _joined(base: str, path: str) -> str:
    try:
        return urllib.parse.urljoin(base, path)
    except ValueError:
        return ""


def _plain(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text[:LONGEST])


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
