# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The TLS tunnels of a device that speaks none: what their files say. Pure text; nothing here touches the host.

stunnel as a unit of its own. What crosses the clinic's network is TLS between the device's certificate and the
server's, each checked by chain and name. The side in clear is loopback where a viewer runs on this host. Where this
host is a box that stands beside a modality, it is the cable to the modality (`room` of the role's inputs).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import front_unit

UNIT = "dicom-tunnel.service"
USER = "dicom-tunnel"
FOLDER = "/etc/dicom-tunnel"
CONFIGURATION = f"{FOLDER}/stunnel.conf"
KEY = f"{FOLDER}/host.key"
REQUEST = f"{FOLDER}/host.csr"
CERTIFICATE = f"{FOLDER}/host.crt"
AUTHORITY = f"{FOLDER}/ca.crt"
UNIT_FILE = f"/etc/systemd/system/{UNIT}"
ACCOUNT_FILE = "/etc/sysusers.d/dicom-tunnel.conf"
PROGRAM = "/usr/bin/stunnel4"
PORT = 2762
"""Where a hardened server takes DICOM over TLS (IANA)."""
LOCAL_PORT = 4242
"""Of loopback: where the viewer calls the first server; the next ones follow."""
LOOPBACK = "127.0.0.1"
PRIVILEGED = 1024
"""The first port that takes no privilege to listen on."""
FROM_SERVERS = "from-servers"
"""The service by which servers send what the device asked them for."""
HEAD = f"""\
; Kept by radiology.hardening (role {{role}}).
foreground = yes
syslog = no
debug = warning
pid =
sslVersionMin = TLSv1.2
ciphers = ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305
key = {KEY}
cert = {CERTIFICATE}
CAfile = {AUTHORITY}
verifyChain = yes
"""
CALLING = """
; The {device} calls {name}.
[to-{name}]
client = yes
accept = {local}
connect = {target}
checkHost = {name}
"""
CALLED = """
; Servers send what the {device} asked for.
[{service}]
accept = {address}
connect = {local}
requireCert = yes
{names}"""
SECTION = re.compile(r"\[([^\]]+)\]")
SETTING = re.compile(r"(\w+)\s*=\s*(.*)")


@dataclasses.dataclass(frozen=True)
class Clear:
    """The side in clear, as the role's inputs give it."""

    role: str
    device: str
    """What speaks no TLS, in a word."""
    listens: str
    """The address at which the device calls us."""
    called: str
    """The device's own address."""
    first: int
    """The TCP port at which the device calls the first server; the next ones follow."""


def clear(scope: Mapping[str, Any]) -> Clear:
    """Return the side in clear."""
    room = scope.get("room")
    if not room:
        return Clear("workstation", "viewer", LOOPBACK, LOOPBACK, LOCAL_PORT)
    return Clear("modality_box", "modality", str(room["address"]), str(room["modality_address"]), int(room["ports"][0]))


def account(scope: Mapping[str, Any]) -> str:
    """Return the sysusers.d(5) file of the tunnels' account."""
    side = clear(scope)
    return front_unit.account(side.role, USER, f"TLS tunnels of a DICOM {side.device}")


def service(scope: Mapping[str, Any]) -> str:
    """Return the unit; modalities of old call port 104, whatever they are told."""
    side = clear(scope)
    return front_unit.service(
        side.role,
        USER,
        f"TLS tunnels of a DICOM {side.device}",
        memory_mib=256,
        low_port=side.first < PRIVILEGED or 0 < int(scope["device"]["port"]) < PRIVILEGED,
        start=f"{PROGRAM} /etc/{{name}}/stunnel.conf",
    )


def configuration(scope: Mapping[str, Any]) -> str:
    """Return stunnel.conf for the role's inputs."""
    servers, device, side = list(scope["servers"]), scope["device"], clear(scope)
    calling = [
        CALLING.format(
            device=side.device,
            name=each["name"],
            local=endpoint(side.listens, side.first + place),
            target=endpoint(str(each["address"]), PORT),
        )
        for place, each in enumerate(servers)
    ]
    port = int(device["port"])
    called = CALLED.format(
        device=side.device,
        service=FROM_SERVERS,
        address=endpoint(str(device["address"]), port),
        local=endpoint(side.called, port),
        names="".join(f"checkHost = {each['name']}\n" for each in servers),
    )
    return HEAD.format(role=side.role) + "".join(calling) + (called if port else "")


def endpoint(address: str, port: int) -> str:
    """Write an address and a port as stunnel does: the port after the last colon."""
    return f"{address}:{port}"


def names(device: Mapping[str, Any]) -> list[str]:
    """Return the certificate's subjectAltName entries as OpenSSL's configuration writes them."""
    addresses = [str(device[key]) for key in ("address", "address6") if device.get(key)]
    return [f"DNS:{device['name']}", *(f"IP:{address}" for address in addresses)]


def services(text: str) -> dict[str, dict[str, list[str]]]:
    """Read stunnel.conf: service to its settings, each with its values; those before the first are every service's."""
    common: dict[str, list[str]] = {}
    found: dict[str, dict[str, list[str]]] = {}
    into = common
    for line in (line.strip() for line in text.splitlines()):
        section, setting = SECTION.fullmatch(line), SETTING.fullmatch(line)
        if section:
            into = found.setdefault(section[1], {name: list(values) for name, values in common.items()})
        elif setting and not line.startswith((";", "#")):
            values = into.setdefault(setting[1], [])
            if setting[1] != "checkHost":
                values.clear()
            values.append(setting[2])
    return found


def unverified(text: str, servers: Sequence[str]) -> list[str]:
    """Return the services that take a peer without its chain and its name, each with what it lacks."""
    found = []
    for name, told in services(text).items():
        lacks = [] if told.get("verifyChain") == ["yes"] and told.get("CAfile") == [AUTHORITY] else ["verifyChain"]
        checked = told.get("checkHost", [])
        lacks += [] if checked and set(checked) <= set(servers) else ["checkHost"]
        lacks += [] if told.get("sslVersionMin") in (["TLSv1.2"], ["TLSv1.3"]) else ["sslVersionMin"]
        found += [f"{name}: {', '.join(lacks)}"] if lacks else []
    return found


def exposed(text: str, side: Clear) -> list[str]:
    """Return the services whose side in clear is not where it belongs, each with its address."""
    found = []
    for name, told in services(text).items():
        calls = told.get("client") == ["yes"]
        place = told.get("accept" if calls else "connect", [""])[0]
        if not place.startswith(f"{side.listens if calls else side.called}:"):
            found.append(f"{name}: {place or 'nowhere'}")
    return found
