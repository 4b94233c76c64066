# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a JSON Schema cannot say of a clinic file: whether it holds together.

Each check yields the path of what is wrong and a clause for people. They run only on data that the schema accepts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.ae_titles import FACTORY_AE_TITLES
from ansible_collections.radiology.hardening.plugins.module_utils.dicom_tunnel import LOCAL_PORT
from ansible_collections.radiology.hardening.plugins.plugin_utils import (
    clinic_addresses,
    clinic_attestations,
    clinic_cleartext,
    clinic_days,
    clinic_outbound,
    clinic_remote,
    clinic_room,
)
from ansible_collections.radiology.hardening.plugins.plugin_utils.clinic_model import INTERNET, Clinic, Host, literal
from ansible_collections.radiology.hardening.plugins.plugin_utils.clinic_schema import nearest
from ansible_collections.radiology.hardening.plugins.plugin_utils.clinic_text import (
    Document,
    Path,
    Problem,
    dotted,
    shown,
)

Found = Iterator[tuple[Path, str]]

SHARED_LOGINS = frozenset(
    {
        "admin",
        "administrator",
        "doctor",
        "guest",
        "nurse",
        "orthanc",
        "pacs",
        "radio",
        "radiology",
        "reader",
        "root",
        "secretary",
        "service",
        "shared",
        "staff",
        "technician",
        "test",
        "user",
        "viewer",
    }
)
"""Logins that no one person answers for (and `orthanc`, whose factory password everyone knows)."""

TAKEN_NAMES = frozenset({"hosts"})
"""Clinic names whose group `clinic_<name>` is a group of all clinics."""


def problems(document: Document, clinic: Clinic, controls: Callable[[], list[str]]) -> list[Problem]:
    """Return what does not hold together; `controls` returns the ids of all controls, asked only for waivers."""
    checks = (
        names,
        of_servers,
        ae_titles,
        peers,
        people,
        tunnels,
        storages,
        clinic_addresses.networks,
        clinic_addresses.public,
    )
    found = [
        *clinic_outbound.problems(clinic),
        *clinic_addresses.hosts(clinic),
        *clinic_addresses.loopbacks(clinic),
        *waivers(clinic, controls),
        *clinic_attestations.problems(clinic),
    ]
    further = (clinic_outbound, clinic_cleartext, clinic_remote, clinic_room)
    for check in (*checks, *(each.problems for each in further)):
        found += check(clinic)
    return sorted({Problem(document.line(path), clause) for path, clause in found})


def names(clinic: Clinic) -> Found:
    """Names of clinic and hosts: none taken, none twice."""
    if clinic.name in TAKEN_NAMES:
        yield ("name",), f"name is {shown(clinic.name)}, which Ansible's groups need; accepted: another name"
    seen: dict[str, Path] = {}
    for host in clinic.hosts:
        first = seen.setdefault(host.name, host.path)
        if first != host.path:
            yield (
                host.path,
                f"{dotted(host.path)} has the name of {dotted(first)}; accepted: a name of its own",
            )


def of_servers(clinic: Clinic) -> Found:
    """Servers: none whose sshd has a port of its own programs, none whose web certificate has a host's name."""
    for server in clinic.servers:
        port = server.given.get("ssh", {}).get("port")
        if port in clinic_cleartext.SERVED:
            taken_by = clinic_cleartext.SERVED[port]
            yield (
                (*server.path, "ssh", "port"),
                f"{dotted(server.path)}.ssh.port is {port}, which is {taken_by}; accepted: another, such as 22",
            )
    taken = {f"{server.name}-web": dotted(server.path) for server in clinic.servers}
    for host in clinic.hosts:
        if host.kind != "vantage_point" and host.name in taken:
            clause = f"has the name of the web certificate of {taken[host.name]}; accepted: a name of its own"
            yield host.path, f"{dotted(host.path)} {clause}"


def ae_titles(clinic: Clinic) -> Found:
    """AE titles: none that software has from the factory, none twice (in whatever case, as Orthanc compares them)."""
    seen: dict[str, str] = {}
    for host in clinic.hosts:
        if not host.ae_title:
            continue
        path = (*host.path, "ae_title")
        key = dotted(path)
        title = host.ae_title.upper()
        if title in FACTORY_AE_TITLES:
            yield (
                path,
                f"{key} is {shown(host.ae_title)}, a factory value; accepted: a title of the clinic's own",
            )
        first = seen.setdefault(title, key)
        if first != key:
            yield (
                path,
                f"{key} is {shown(host.ae_title)}, as {first} is; accepted: one title a machine, in whatever case",
            )


def peers(clinic: Clinic) -> Found:
    """Vantage points: a peer names its device, the others their addresses."""
    known = [host.name for host in clinic.devices]
    for host in clinic.hosts:
        key = dotted(host.path)
        kind = host.given.get("kind")
        device = host.given.get("device")
        if host.kind != "vantage_point":
            continue
        if kind == "peer" and device is None:
            yield host.path, f"{key} lacks device; accepted: the workstation or modality in whose place it stands"
        elif kind == "peer" and device not in known:
            yield (
                (*host.path, "device"),
                f"{key}.device is {shown(device)}, which is no device here; {nearest(str(device), known)}",
            )
        elif kind == "peer" and "addresses" in host.given:
            yield (
                (*host.path, "addresses"),
                f"{key}.addresses is given; accepted: no addresses, a peer has those of its device",
            )
        elif kind != "peer" and device is not None:
            yield (*host.path, "device"), f"{key}.device is given; accepted: device only where kind is peer"
        elif kind in ("lan", "admin") and "addresses" not in host.given:
            yield host.path, f"{key} lacks addresses; accepted: a mapping of network names to lists of addresses"
        yield from _control_targets(host)


def _control_targets(host: Host) -> Found:
    """Yield what is wrong with the places that a vantage point on the internet has to hear."""
    for place, text in enumerate(host.given.get("control_targets", [])):
        path: Path = (*host.path, "control_targets", place)
        address, _colon, port = text.rpartition(":")
        if host.given["kind"] != INTERNET:
            yield path[:-1], f"{dotted(path[:-1])} is given; accepted: control_targets only where kind is internet"
            return
        if literal(address.strip("[]")) is None or not 0 < int(port) < 65536:
            accepted = 'accepted: an address and a TCP port, such as "9.9.9.9:443" or "[2620:fe::fe]:443"'
            yield path, f"{dotted(path)} is {shown(text)}, which is none; {accepted}"


def people(clinic: Clinic) -> Found:
    """Logins are personal: none that several people share, none that differs from another by a mark alone."""
    seen: dict[str, str] = {}
    for login in clinic.given.get("people", {}):
        path: Path = ("people", login)
        if login in SHARED_LOGINS:
            yield (
                path,
                f"people.{login} is a login that people share; accepted: one personal login each, such as a.martin",
            )
        first = seen.setdefault(login.replace(".", "").replace("-", "").replace("_", ""), login)
        if first != login:
            yield path, f"people.{login} reads like people.{first}; accepted: logins that differ in letters or digits"


def tunnels(clinic: Clinic) -> Found:
    """Tunnels of viewers: where somebody logs in and TLS is admitted, on a port that they can have."""
    first, last = LOCAL_PORT, LOCAL_PORT + len(clinic.servers) - 1
    for host in clinic.hosts:
        if not host.given.get("tunnel"):
            continue
        path, port = (*host.path, "tunnel"), int(host.given.get("port", 0))
        if "ssh" not in host.given:
            yield path, f"{dotted(path)} is of a host that is never logged in to; accepted: a host with ssh"
        if not host.given["tls"]:
            yield path, f"{dotted(path)} is true, but tls is false; accepted: tls: true, since tunnels speak it"
        if port and (port < 1024 or first <= port <= last):
            accepted = f"from 1024 on, but not {first} to {last}, where the viewer calls the servers"
            yield (
                (*host.path, "port"),
                f"{dotted(host.path)}.port is {port}, which a tunnel cannot have; accepted: {accepted}",
            )


def storages(clinic: Clinic) -> Found:
    """Disks: none to be encrypted without an escrow, a copy only onto a disk that is named."""
    for host in clinic.hosts:
        storage = host.given.get("storage")
        if storage is None:
            continue
        path = (*host.path, "storage")
        if "escrow" not in clinic.given:
            yield path, f"{dotted(path)} is given, but escrow is not; accepted: escrow with certificates and folders"
        if "ssh" not in host.given:
            yield path, f"{dotted(path)} is of a host that is never logged in to; accepted: a host with ssh"
        strategy = storage.get("strategy", "volume" if "onto" in storage else "")
        if strategy == "volume" and "onto" not in storage:
            yield (*path, "strategy"), f"{dotted(path)}.strategy is volume, but onto names no disk; accepted: onto"
        if storage.get("online") and strategy != "in_place":
            yield (
                (*path, "online"),
                f"{dotted(path)}.online is true, but strategy is {shown(strategy)}; accepted: strategy in_place",
            )
        if strategy != "system" and storage["folder"] == "/":
            yield (
                (*path, "folder"),
                f"{dotted(path)}.folder is /, but strategy is {shown(strategy)}; accepted: strategy system",
            )
        if strategy == "system" and "tang" in storage.get("unlock", {}):
            yield (
                (*path, "unlock"),
                f"{dotted(path)}.unlock is tang, but strategy is system, opened before the network is; accepted: tpm2",
            )
        if strategy != "volume" and "onto" in storage:
            yield (
                (*path, "onto"),
                f"{dotted(path)}.onto is given, but strategy is {shown(strategy)}; accepted: strategy volume",
            )


def waivers(clinic: Clinic, controls: Callable[[], list[str]]) -> Found:
    """Waivers: a control that exists, a host of this file, one a control and host, a day that is not years ahead."""
    listed: list[dict[str, Any]] = clinic.given.get("hardening_waivers", [])
    known = controls() if listed else []
    hosts = [host.name for host in clinic.hosts]
    seen: dict[tuple[str, str], int] = {}
    for place, waiver in enumerate(listed):
        path: Path = ("hardening_waivers", place)
        key = f"hardening_waivers[{place}]"
        if waiver["control"] not in known:
            hint = nearest(waiver["control"], known) if known else "accepted: an id of docs/controls.md"
            close = hint if len(hint) < 120 else "accepted: an id of docs/controls.md"
            yield (
                (*path, "control"),
                f"{key}.control is {shown(waiver['control'])}, which is no control; {close}",
            )
        host = waiver.get("host")
        if host is not None and host.removesuffix(f".{clinic.name}") not in hosts:
            yield (
                (*path, "host"),
                f"{key}.host is {shown(host)}, which is no host here; {nearest(host, hosts)}",
            )
        concerned = (waiver["control"], (host or "").removesuffix(f".{clinic.name}"))
        first = seen.setdefault(concerned, place)
        if first != place:
            clause = f"waives what hardening_waivers[{first}] does; accepted: one waiver a control and host"
            yield path, f"{key} {clause}"
        yield from clinic_days.of_an_exception(path, waiver["expires"], clinic.today)
