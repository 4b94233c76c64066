# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who on a workstation waits for others to call: viewers, remote desktops, services of Debian, anything else.

Asks the kernel by ss(8). What a service of Debian opens, the role closes; any other program is somebody's work, so it
is told with its name and left to a person.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import listeners
from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import deliberate
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.listeners import Listener
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step

FACTS: dict[str, str] = {
    "listeners.undeclared": "list of str: other listeners beyond loopback that nobody declared, each with its program",
    "listeners.services": "list of str: active units that open listeners which a workstation does not need",
    "listeners.advice": "list of str: what a person does about the listeners that no service of Debian opens",
    "remote_desktop.open": "list of str: listeners of remote desktops beyond loopback, each with its program",
    "remote_desktop.services": "list of str: active units that show the screen to others",
    "remote_desktop.advice": "list of str: what a person does about the others",
    "viewers.open": "list of str: listeners on ports of DICOM viewers that others reach, and that speak no TLS",
    "viewers.advice": "list of str: what a person does about them",
}

SERVICES = (
    *("avahi-daemon.service", "avahi-daemon.socket", "cups-browsed.service", "rpcbind.service", "rpcbind.socket"),
    *("inetd.service", "openbsd-inetd.service", "xinetd.service", "snmpd.service", "tftpd-hpa.service"),
    *("vsftpd.service", "minidlna.service", "miniupnpd.service", "minissdpd.service", "rygel.service"),
    *("upnpd.service", "wsdd.service", "wsdd2.service"),
)
REMOTE_DESKTOPS = (
    *("anydesk.service", "gnome-remote-desktop.service", "rustdesk.service", "teamviewerd.service"),
    *("tigervncserver.service", "vncserver.service", "x11vnc.service", "xrdp.service", "xrdp-sesman.service"),
)
VIEWER_PORTS = frozenset({104, 2761, 2762, 3333, 4006, 4242, 8042, 11112, 11113})
"""Ports that DICOM viewers and small archives listen on by their own defaults (facts/domain.md, section 5; IANA)."""
DESKTOP_PORTS = frozenset({("udp", 177), ("tcp", 3350), ("tcp", 3389), ("tcp", 5938), ("tcp", 7070)})
DESKTOP_RANGES = ((5900, 5999), (6000, 6063))
"""VNC, and X itself: TCP."""
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]", "*": "[::1]"}  # noqa: S104 # as ss shows them
"""Address of a socket that takes calls to every address -> one of them."""
TLS = ("timeout", "5", "openssl", "s_client", "-connect")


def observe(host: Host, scope: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts below `listeners`, `remote_desktop` and `viewers`."""
    declared = listeners.declared(scope.get("listeners") or [], "workstation_listeners")
    declared.add(("tcp", int(scope.get("ssh_port") or 22)))
    services, desktops = _active(host, SERVICES), _active(host, REMOTE_DESKTOPS)
    found = listeners.undeclared(host, listeners.listening(host), declared, (*services, *desktops))
    viewers = [each for each in found if _is_viewer(each, scope)]
    open_viewers = [str(each) for each in viewers if not _speaks_tls_as_declared(host, each, scope)]
    remote = [str(each) for each in found if each not in viewers and _is_desktop(each)]
    others = [str(each) for each in found if each not in viewers and not _is_desktop(each)]
    return {
        "listeners": {"undeclared": others, "services": services, "advice": [*map(_undeclared, others)]},
        "remote_desktop": {"open": remote, "services": desktops, "advice": [*map(_shown, remote)]},
        "viewers": {"open": open_viewers, "advice": [*map(_in_clear, open_viewers)]},
    }


def steps(facts: Mapping[str, Any]) -> list[Step]:
    """Return what closes the listeners; one of a program that is no service of Debian is left to a person."""
    units = [*facts["listeners"]["services"], *facts["remote_desktop"]["services"]]
    found = [Step(f"Stop and disable {', '.join(units)}", lambda host: _stop(host, units))] if units else []
    said = [*map(_undeclared, facts["listeners"]["undeclared"]), *map(_shown, facts["remote_desktop"]["open"])]
    return found + [deliberate(sentence) for sentence in (*said, *map(_in_clear, facts["viewers"]["open"]))]


def _is_viewer(listener: Listener, scope: Mapping[str, Any]) -> bool:
    return listener.protocol == "tcp" and listener.port in {*VIEWER_PORTS, int(scope.get("port") or 0)}


def _is_desktop(listener: Listener) -> bool:
    if (listener.protocol, listener.port) in DESKTOP_PORTS:
        return True
    return listener.protocol == "tcp" and any(first <= listener.port <= last for first, last in DESKTOP_RANGES)


def _speaks_tls_as_declared(host: Host, listener: Listener, scope: Mapping[str, Any]) -> bool:
    """Tell whether it is the one listener that the clinic file gives this workstation, and answers in TLS."""
    if listener.port != int(scope.get("port") or 0) or not scope.get("tls"):
        return False
    address = EVERYWHERE.get(listener.address, listener.address)
    said = host.run([*TLS, f"{address}:{listener.port}"], stdin="").output
    return any("Cipher is" in line and "(NONE)" not in line for line in said.splitlines())


def _undeclared(listener: str) -> str:
    return (
        f"{listener} answers whoever calls: end what nobody needs, have the rest listen on 127.0.0.1 alone, or declare "
        "it by workstation_listeners"
    )


def _shown(listener: str) -> str:
    return f"{listener} shows this screen to whoever calls: switch it off where it was switched on"


def _in_clear(listener: str) -> str:
    return (
        f"{listener} takes or gives images in clear: switch the viewer's listener off, or set its address to 127.0.0.1"
    )


def _active(host: Host, units: Sequence[str]) -> list[str]:
    states = host.run(["systemctl", "is-active", *units]).output.split()
    return [unit for unit, state in zip(units, states, strict=False) if state == "active"]


def _stop(host: Host, units: Iterable[str]) -> None:
    host.must(["systemctl", "--quiet", "disable", "--now", *units])
