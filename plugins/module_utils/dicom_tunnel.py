# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The TLS tunnels of a viewer that speaks none: what their files say. Pure text; nothing here touches the host.

stunnel as a unit of its own. The viewer calls each server at a port of loopback, and listens on loopback alone; what
crosses the network is TLS between this workstation's certificate and the server's, each checked by chain and name.
"""

from __future__ import annotations

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
FROM_SERVERS = "from-servers"
"""The service by which servers send what the viewer asked them for."""
DESCRIPTION = "TLS tunnels of a DICOM viewer"
ACCOUNT = front_unit.account("workstation", USER, DESCRIPTION)
SERVICE = front_unit.service(
    "workstation", USER, DESCRIPTION, memory_mib=256, start=f"{PROGRAM} /etc/{{name}}/stunnel.conf"
)
HEAD = f"""\
; Kept by radiology.hardening (role workstation).
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
; The viewer calls {name}.
[to-{name}]
client = yes
accept = 127.0.0.1:{local}
connect = {target}
checkHost = {name}
"""
CALLED = """
; Servers send what the viewer asked for.
[{service}]
accept = {address}:{port}
connect = 127.0.0.1:{port}
requireCert = yes
{names}"""
SECTION = re.compile(r"\[([^\]]+)\]")
SETTING = re.compile(r"(\w+)\s*=\s*(.*)")


def configuration(scope: Mapping[str, Any]) -> str:
    """Return stunnel.conf for the role's inputs."""
    servers, device = list(scope["servers"]), scope["device"]
    calling = [
        CALLING.format(name=each["name"], local=LOCAL_PORT + place, target=endpoint(str(each["address"]), PORT))
        for place, each in enumerate(servers)
    ]
    names = "".join(f"checkHost = {each['name']}\n" for each in servers)
    called = CALLED.format(service=FROM_SERVERS, address=device["address"], port=device["port"], names=names)
    return HEAD + "".join(calling) + (called if device["port"] else "")


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


def exposed(text: str) -> list[str]:
    """Return the services whose side in clear is not on loopback, each with its address."""
    found = []
    for name, told in services(text).items():
        side = told.get("accept" if told.get("client") == ["yes"] else "connect", [""])[0]
        if not side.startswith("127.0.0.1:"):
            found.append(f"{name}: {side or 'nowhere'}")
    return found
