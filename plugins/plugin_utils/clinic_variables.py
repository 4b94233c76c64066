# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""From a clinic file that holds together to what Ansible works with: hosts, groups and variables."""

from __future__ import annotations

import dataclasses
import ipaddress
from typing import Any

from ansible_collections.radiology.hardening.plugins.plugin_utils import (
    clinic_cleartext,
    clinic_laptop,
    clinic_remote,
    clinic_room,
    clinic_services,
    known_hosts,
)
from ansible_collections.radiology.hardening.plugins.plugin_utils.clinic_addresses import loopback
from ansible_collections.radiology.hardening.plugins.plugin_utils.clinic_model import (
    DEVICES,
    INTERNET,
    KINDS,
    Address,
    Clinic,
    Host,
)
from ansible_collections.radiology.hardening.plugins.plugin_utils.clinic_outbound import destinations

ALL_HOSTS = "clinic_hosts"
DECLARED_ONLY = "declared_only"
"""Group of the hosts that nobody logs in to: without an `ssh` block, or lost."""
CONTROL_TARGETS = ("9.9.9.9:443", "1.1.1.1:443", "[2620:fe::fe]:443", "[2606:4700:4700::1111]:443")
"""Public name servers, which answer everybody on the internet: by them a vantage point there shows that it hears."""
ASK_WHETHER_ALIVE = "-o ServerAliveInterval=15 -o ServerAliveCountMax=8"
"""For ssh(1): a host that says nothing for two minutes is lost. Else a run waits two hours for one that lost power."""


@dataclasses.dataclass(frozen=True)
class Inventory:
    """What the plugin adds to the inventory."""

    group: str
    shared: dict[str, Any]
    hosts: dict[str, dict[str, Any]]
    groups: dict[str, list[str]]


def inventory(clinic: Clinic, file: str, directory: str) -> Inventory:
    """Return groups, hosts and variables; `file` and `directory` are absolute paths."""
    groups: dict[str, list[str]] = {key: [] for key in KINDS}
    hosts: dict[str, dict[str, Any]] = {}
    for host in clinic.hosts:
        name = inventory_name(clinic, host)
        hosts[name] = _host_variables(clinic, host)
        groups[str(host.path[0])].append(name)
    group = f"clinic_{clinic.name.replace('-', '_')}"
    groups[group] = list(hosts)
    groups[ALL_HOSTS] = list(hosts)
    groups[DECLARED_ONLY] = [name for name, known in hosts.items() if not known["clinic_managed"]]
    return Inventory(group, _shared(clinic, file, directory), hosts, groups)


def inventory_name(clinic: Clinic, host: Host) -> str:
    """Return the host's name in the inventory: `pacs.dmz-practice`."""
    return f"{host.name}.{clinic.name}"


def targets(clinic: Clinic, vantage: Host) -> list[dict[str, Any]]:
    """Return what to probe from a vantage point: each server and gateway, where it may be reached, what may answer.

    And each device that has an address of its own from there; a lost one is no longer there.
    """
    outside = vantage.given["kind"] == INTERNET
    listed = [
        {
            "host": inventory_name(clinic, server),
            "kind": server.kind,
            "addresses": _worth_trying(clinic, vantage, server),
            "ae_title": server.ae_title,
            "expected_ports": clinic_services.answering(clinic, vantage, server),
            "cleartext_ports": clinic_cleartext.ports(clinic),
        }
        for server in (*clinic.servers, *clinic.gateways)
        if server.kind == "orthanc_server" or not outside or _routed_of(clinic, server)
    ]
    for device in clinic.devices:
        known = clinic.addresses(device) if outside else _inside(clinic, vantage, device)
        addresses = _texts([address for address in known if _routed(address) or not outside])
        if addresses and device.name != vantage.given.get("device") and not device.given.get("lost"):
            listed.append(
                {
                    "host": inventory_name(clinic, device),
                    "kind": device.kind,
                    "addresses": addresses,
                    "ae_title": device.ae_title,
                    "expected_ports": clinic_services.answering(clinic, vantage, clinic.box_of(device) or device),
                    "ports": [device.given["port"]] if device.given.get("port") else [],
                }
            )
    return listed


def _shared(clinic: Clinic, file: str, directory: str) -> dict[str, Any]:
    given = clinic.given
    networks = [
        {"name": name, "kind": network["kind"], "cidrs": [str(ipaddress.ip_network(cidr)) for cidr in network["cidrs"]]}
        for name, network in given["networks"].items()
    ]
    public = _public(clinic)
    found: dict[str, Any] = {
        "clinic": {
            "name": clinic.name,
            "title": given.get("title", clinic.name),
            "file": file,
            "directory": directory,
            "networks": networks,
            "internet": {"addresses": public},
            "exposed": _exposed(clinic),
            "forward": clinic_remote.forward(clinic),
        },
        "clinic_devices": [_device(clinic, host) for host in clinic.devices],
        "clinic_people": [
            {"login": login, "name": person["name"], "role": person["role"]}
            for login, person in given.get("people", {}).items()
        ],
        "clinic_admin_cidrs": clinic.cidrs("admin"),
        "ansible_ssh_extra_args": f"{ASK_WHETHER_ALIVE}{known_hosts.argument(directory)}",
    }
    if servers := given.get("outbound", {}).get("time_servers"):
        found["clinic_time_servers"] = [str(ipaddress.ip_address(text)) for text in servers]
    if "escrow" in given:
        found["clinic_escrow"] = given["escrow"]
    if "hardening_profile" in given:
        found["hardening_profile"] = given["hardening_profile"]
    if "hardening_waivers" in given:
        found["hardening_waivers"] = [_with_host(clinic, waiver) for waiver in given["hardening_waivers"]]
    if "hardening_attestations" in given:
        found["hardening_attestations"] = [_with_host(clinic, each) for each in given["hardening_attestations"]]
    return found


def _called_at(clinic: Clinic, host: Host, server: Host) -> str:
    """Return the server's first address of kind lan that is of a version of IP which the host has there as well."""
    own = {address.version for address in clinic.addresses(host, "lan")}
    there = clinic.addresses(server, "lan")
    return str(next((address for address in there if address.version in own), there[0]))


def _storage(given: dict[str, Any]) -> dict[str, Any]:
    """Return a server's storage, what unlocks it in the words of Clevis (a pin and its configuration)."""
    found = {key: value for key, value in given.items() if key != "unlock"}
    unlock = given.get("unlock", {})
    if "tpm2" in unlock:
        config = {"pcr_bank": "sha256", "pcr_ids": unlock["tpm2"].get("pcrs", "7")}
        found["unlock"] = {"pin": "tpm2", "config": config}
    if "tang" in unlock:
        config = {"url": unlock["tang"]["url"], "thp": unlock["tang"]["thumbprint"]}
        found["unlock"] = {"pin": "tang", "config": config}
    return found


def _with_host(clinic: Clinic, given: dict[str, Any]) -> dict[str, Any]:
    """Return a waiver or an attestation with its host, if it has one, under the name that the inventory gives it."""
    if "host" not in given:
        return dict(given)
    return {**given, "host": f"{given['host'].removesuffix(f'.{clinic.name}')}.{clinic.name}"}


def _host_variables(clinic: Clinic, host: Host) -> dict[str, Any]:
    about: dict[str, Any] = {
        "name": host.name,
        "title": host.given.get("title", host.name),
        "kind": host.kind,
        "addresses": _texts(clinic.addresses(host)),
        "lan_addresses": _texts(clinic.addresses(host, "lan")),
        "admin_addresses": _texts(clinic.addresses(host, "admin")),
        "networks": list(dict.fromkeys(placed.network for placed in clinic.source(host).placed)),
        "ae_title": host.ae_title,
    }
    managed = "ssh" in host.given and not host.given.get("lost")
    found: dict[str, Any] = {"clinic_host": about, "clinic_managed": managed}
    if host.kind in DEVICES:
        about |= {key: value for key, value in _device(clinic, host).items() if key in ("port", "tls", "may", "lost")}
        about["away_days"] = int(host.given.get("away_days", 0))
    if services := clinic_services.of_host(clinic, host):
        found["clinic_services"] = services
    if host.kind in ("orthanc_server", "gateway"):
        found["clinic_destinations"] = destinations(clinic, host)
        found["clinic_tunnel"] = clinic_remote.tunnel(clinic, host)
    if through := clinic_remote.through(clinic, host) if host.kind == "orthanc_server" else {}:
        found["clinic_through_gateway"] = through
    if host.kind == "gateway":
        found["clinic_room"] = clinic_room.room(clinic, host)
    if host.kind == "workstation":
        about["tunnel"] = bool(host.given.get("tunnel", False))
        found["clinic_home"] = clinic_remote.laptop(clinic, host)
        if found["clinic_home"]:
            found["clinic_time_servers"] = clinic_laptop.time_servers(clinic)
    if host.kind == "workstation" or "room" in host.given:
        found["clinic_servers"] = [
            {"name": server.name, "ae_title": server.ae_title, "address": _called_at(clinic, host, server)}
            for server in clinic.servers
        ]
    if "plugins" in host.given:
        found["clinic_plugins"] = list(host.given["plugins"])
    if "storage" in host.given:
        found["clinic_storage"] = _storage(host.given["storage"])
    if host.kind == "vantage_point":
        found["clinic_vantage"] = {"name": host.name, "kind": host.given["kind"]}
        if host.given["kind"] == INTERNET:
            found["clinic_vantage"]["control_targets"] = list(host.given.get("control_targets", CONTROL_TARGETS))
        found["clinic_targets"] = targets(clinic, host)
        if "device" in host.given:
            about["device"] = host.given["device"]
    return found | _connection(clinic, host)


def _connection(clinic: Clinic, host: Host) -> dict[str, Any]:
    """Return Ansible's own variables for a host with an `ssh` block."""
    if "ssh" not in host.given:
        return {}
    ssh = host.given["ssh"]
    known = [*clinic.addresses(host, "admin"), *clinic.addresses(host, "lan"), *clinic.addresses(host)]
    found: dict[str, Any] = {"ansible_host": ssh["address"]} if "address" in ssh else {}
    if not found and known:
        found["ansible_host"] = str(known[0])
    if "user" in ssh:
        found["ansible_user"] = ssh["user"]
    if "port" in ssh:
        found["ansible_port"] = int(ssh["port"])
    return found


def _device(clinic: Clinic, host: Host) -> dict[str, Any]:
    here = clinic.addresses(host, "lan")
    address = next(address for address in here if isinstance(address, ipaddress.IPv4Address))
    return {
        "name": host.name,
        "kind": host.kind,
        "ae_title": host.ae_title,
        "address": str(address),
        "address6": next((str(address) for address in here if address.version == 6), ""),
        "loopback": loopback(address),
        "port": int(host.given.get("port", 0)),
        "tls": host.given["tls"],
        "lost": bool(host.given.get("lost", False)),
        "revoked": [serial(text) for text in host.given.get("revoked_certificates", [])],
        "may": list(host.given["may"]),
        "cleartext": clinic_cleartext.declared_of(clinic, host),
    }


def serial(text: str) -> str:
    """Return a certificate's serial number in one form: lower-case hexadecimal without colons and leading zeros."""
    return f"{int(text.replace(':', ''), 16):x}"


def _worth_trying(clinic: Clinic, vantage: Host, server: Host) -> list[str]:
    """Return addresses of a server to try from a vantage point.

    From the internet: the box's public addresses, unless it is a gateway, and its own IPv6 addresses that are routed
    there (not unique local ones, RFC 4193). From the administration network: its addresses there, else as from the LAN.
    """
    if vantage.given["kind"] == "internet":
        return [*(_public(clinic) if server.kind == "orthanc_server" else ()), *_routed_of(clinic, server)]
    return _texts(_inside(clinic, vantage, server))


def _exposed(clinic: Clinic) -> list[str]:
    """Return the addresses at which a vantage point on the internet comes to hosts, or to the box before them."""
    stand = (*clinic.servers, *clinic.gateways)
    return _public(clinic) + [address for host in stand for address in _routed_of(clinic, host)]


def _public(clinic: Clinic) -> list[str]:
    """Return the public addresses of the clinic's internet box."""
    return [str(ipaddress.ip_address(text)) for text in clinic.given.get("internet", {}).get("addresses", [])]


def _routed_of(clinic: Clinic, server: Host) -> list[str]:
    return _texts([address for address in clinic.addresses(server) if _routed(address)])


def _inside(clinic: Clinic, vantage: Host, host: Host) -> list[Address]:
    """Return the addresses at which a host is reached from a vantage point inside the clinic."""
    administered = clinic.addresses(host, "admin") if vantage.given["kind"] == "admin" else []
    return administered or clinic.addresses(host, "lan")


def _routed(address: Address) -> bool:
    return isinstance(address, ipaddress.IPv6Address) and address not in ipaddress.IPv6Network("fc00::/7")


def _texts(addresses: list[Address]) -> list[str]:
    return [str(address) for address in addresses]
