# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Devices that cannot speak TLS, at the DICOM front: the port on which each alone speaks in clear, and what is seen.

The front takes the device's addresses alone on its port, and Orthanc meets it at its own loopback address, as it meets
every device: so address and AE title stay bound. Where the device listens, Orthanc calls it through the front as well.
Pure text; nothing here touches the host.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

Block = list[list[str]]
"""The directives of one server of nginx's, each as its words."""

LOG = """
  # Links in clear, each declared for one device.
  log_format cleartext '$remote_addr in clear to $server_port device=$machine '
                       '$protocol $bytes_received $bytes_sent $session_time $status';
"""

DOOR = """
  # %(name)s alone, which cannot speak TLS, until %(expires)s.
  server {
%(listens)s
%(allows)s
    deny all;
    access_log syslog:server=unix:/run/systemd/journal/dev-log,tag=dicom_front,nohostname cleartext;
    limit_conn machines %(most)d;
    proxy_timeout 600s;
    proxy_bind %(loopback)s;
    proxy_pass 127.0.0.1:%(orthanc_port)d;
    proxy_ssl on;
    proxy_ssl_protocols TLSv1.3;
    proxy_ssl_certificate %(folder)s/link.crt;
    proxy_ssl_certificate_key %(folder)s/link.key;
    proxy_ssl_trusted_certificate %(orthanc_certificate)s;
    proxy_ssl_verify on;
    proxy_ssl_name orthanc;
  }
"""

CALLED = """
  # Orthanc calls %(name)s, in clear until %(expires)s.
  server {
    listen %(loopback)s:%(port)d;
    access_log syslog:server=unix:/run/systemd/journal/dev-log,tag=dicom_front,nohostname cleartext;
    proxy_timeout 600s;
    proxy_pass %(target)s;
  }
"""

BOUND = ("allow", "deny", "proxy_bind", "proxy_pass")
"""Directives that say who is let in by a port in clear, and as whom."""

SERVER = re.compile(r"\bserver\s*\{([^{}]*)\}")
COMMENT = re.compile(r"(?m)(^|\s)#[^\n]*$")


def declared(devices: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the devices that the clinic file lets speak in clear, those whose declaration has expired too."""
    return [device for device in devices if device.get("cleartext") and not device.get("tls")]


def admitted(devices: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the devices that may speak in clear today."""
    return [device for device in declared(devices) if device["cleartext"]["in_force"] and not device.get("lost")]


def addresses(device: Mapping[str, Any]) -> list[str]:
    """Return a device's addresses, IPv4 and, where it has one, IPv6."""
    return [str(address) for address in (device["address"], device.get("address6")) if address]


def endpoint(address: str, port: int) -> str:
    """Write an address and a port as nginx does: IPv6 in brackets."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def doors(device: Mapping[str, Any], own: Sequence[str]) -> list[str]:
    """Return where the front takes a device in clear: on those of its own addresses that the device can call."""
    families = {":" in address for address in addresses(device)}
    port = int(device["cleartext"]["port"])
    return [endpoint(str(address), port) for address in own if (":" in str(address)) in families]


def servers(scope: Mapping[str, Any], common: Mapping[str, Any]) -> str:
    """Return the servers of nginx's for the devices that may speak in clear today; nothing where there is none."""
    found = []
    for device in admitted(scope.get("devices") or []):
        given = {**common, **device, "expires": device["cleartext"]["expires"]}
        listens = "\n".join(f"    listen {door};" for door in doors(device, scope["addresses"]))
        allows = "\n".join(f"    allow {address};" for address in addresses(device))
        found.append(DOOR % {**given, "listens": listens, "allows": allows})
        if device.get("port"):
            found.append(CALLED % {**given, "target": endpoint(str(device["address"]), int(device["port"]))})
    return "".join([LOG, *found]) if found else ""


def blocks(text: str) -> list[Block]:
    """Return the servers of an nginx.conf, each as its directives."""
    inner = SERVER.findall(COMMENT.sub("", text))
    return [[words for each in block.split(";") if (words := each.split())] for block in inner]


def observe(text: str, directives: Block, scope: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the front's configuration says of links in clear, beside what the clinic file declares of them.

    `directives` are all of the configuration's. `cleartext_listens` tells those ports that are declared for nobody.
    """
    devices = scope.get("devices") or []
    servers_, opened = blocks(text), _in_clear(directives)
    calls = sorted({call for block in servers_ for call in _calls(block)})
    known = {call: device for device in declared(devices) for call in _declared_call(device)}
    of_port = {int(device["cleartext"]["port"]): device for device in declared(devices)}
    in_force = admitted(devices)
    bound = [
        (device["name"], door)
        for block in servers_
        for device in in_force
        if _is_bound(block, device)
        for door in _in_clear(block)
    ]
    return {
        "cleartext_listens": sorted(door for door in opened if _port(door) not in of_port),
        "cleartext_unbound": sorted(
            f"{device['name']}: {door}"
            for door in opened
            for device in in_force
            if of_port.get(_port(door)) is device and (device["name"], door) not in bound
        ),
        "cleartext_expired": [
            _told(device, is_open=device in [*(of_port.get(_port(door)) for door in opened), *map(known.get, calls)])
            for device in declared(devices)
            if device not in in_force
        ],
        "cleartext_calls": [call for call in calls if call not in known],
    }


def as_opened(directives: Block, devices: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the devices as if exactly those were declared in force whose port is open in a configuration.

    That a port is open a day too long, or not yet, is told by facts of its own.
    """
    ports = {_port(door) for door in _in_clear(directives)}
    return [
        {**device, "cleartext": {**device["cleartext"], "in_force": int(device["cleartext"]["port"]) in ports}}
        if device in declared(devices)
        else device
        for device in devices
    ]


def _in_clear(block: Block) -> list[str]:
    """Return where directives listen in clear, loopback apart: there Orthanc alone calls."""
    listens = [words[1] for words in block if words[0] == "listen" and len(words) > 1 and "ssl" not in words[2:]]
    return [listen for listen in listens if not listen.startswith(("127.", "[::1]"))]


def _port(listen: str) -> int:
    last = listen.rpartition(":")[2]
    return int(last) if last.isdigit() else 0


def _is_bound(block: Block, device: Mapping[str, Any]) -> bool:
    """Tell whether a server takes a device's addresses alone, and hands them to Orthanc as that device alone."""
    due = [["allow", address] for address in addresses(device)]
    due += [["deny", "all"], ["proxy_bind", str(device["loopback"])], ["proxy_pass", "127.0.0.1:4242"]]
    return [words for words in block if words[0] in BOUND] == due


def _calls(block: Block) -> list[str]:
    """Return `listen -> target` of a server that calls on in clear, beyond loopback."""
    targets = [words[1] for words in block if words[0] == "proxy_pass" and len(words) > 1]
    if ["proxy_ssl", "on"] in block or not targets or targets[0].startswith(("127.", "[::1]", "unix:", "$")):
        return []
    listens = [words[1] for words in block if words[0] == "listen" and len(words) > 1]
    return [f"{listen} -> {target}" for listen in listens for target in targets]


def _declared_call(device: Mapping[str, Any]) -> list[str]:
    """Return how the front calls a device that is declared in clear; nothing where it does not listen."""
    port = int(device.get("port") or 0)
    return [f"{endpoint(device['loopback'], port)} -> {endpoint(device['address'], port)}"] if port else []


def _told(device: Mapping[str, Any], *, is_open: bool) -> str:
    link, state = device["cleartext"], "open" if is_open else "shut"
    return (
        f"{device['name']} was declared in clear until {link['expires']} by {link['owner']}, and its port "
        f"{link['port']} is {state}: renew that in the clinic file, or take it out"
    )
