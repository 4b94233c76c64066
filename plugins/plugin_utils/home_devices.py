# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is set by hand for reading from home: a file for each device, and one for the internet box's technician.

None holds a secret: the private key is made on the device, and stays there.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import firewall_tunnel, home_ipsec, home_tunnel
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.plugin_utils import (
    clinic_folder,
    home_certificates,
    home_ipsec_devices,
)

FOLDER = "remote_access"
BOX = "internet-box.txt"
GATEWAY = "gateway-public-key.txt"
"""Holds the gateway's public key, which the laptops of the clinic file are given."""
PUBLIC = ".pub"
"""End of the name of the file that holds the public key which a laptop of the clinic file made."""
KEY = re.compile(r"[A-Za-z0-9+/]{43}=")
ROLES = ("remote_access", "reading_laptop")
"""The roles whose hosts need each other's public keys."""
KEEPALIVE = 25
"""Seconds; what wg(8) advises behind the address translation of a home's box."""


def with_keys(scope: Mapping[str, Any]) -> dict[str, Any]:
    """Return a scope with the public keys that hosts made and that lie beside the clinic file.

    `waiting`, of a tunnel, are the devices whose workstation has made none yet: they are no peers so far.
    """
    found, directory = dict(scope), str(scope.get("clinic_directory", ""))
    if laptop := scope.get("home"):
        found["home"] = {**laptop, "gateway_key": public_key(directory, GATEWAY)}
    tunnel = scope.get("tunnel")
    if tunnel and home_ipsec.is_chosen(tunnel):
        found["tunnel"] = home_certificates.known(tunnel, directory)
    elif tunnel:
        peers = [
            {**peer, "public_key": public_key(directory, made_by(peer["name"], peer["workstation"]))}
            if _makes_it(peer)
            else peer
            for peer in tunnel["peers"]
        ]
        _refuse_shared(peers)
        found["tunnel"] = {
            **tunnel,
            "peers": [peer for peer in peers if peer["public_key"]],
            "waiting": sorted(str(peer["name"]) for peer in peers if not peer["public_key"]),
        }
    return found


def made_by(name: str, workstation: str) -> str:
    """Return the name of the file with the public key that a workstation made: another one is another device."""
    return f"{name}.{workstation}{PUBLIC}"


def _refuse_shared(peers: Sequence[Mapping[str, Any]]) -> None:
    """Refuse one key for two devices, as of a disk that was copied: WireGuard would know the last of them alone."""
    first: dict[str, Any] = {}
    for peer in peers:
        other = first.setdefault(str(peer["public_key"]), peer["name"]) if peer["public_key"] else peer["name"]
        if other != peer["name"]:
            raise HardeningError(
                f"{other} and {peer['name']} of remote_access.peers have one key: remove "
                f"/etc/radiology-tunnel/private.key on the workstation that was copied from the other, and harden it."
            )


def public_key(directory: str, name: str) -> str:
    """Return a public key that is kept beside the clinic file; empty where there is none yet."""
    path = os.path.join(directory, FOLDER, name)
    text = clinic_folder.read(path).strip()
    if text and not KEY.fullmatch(text):
        raise HardeningError(f"{path} holds no public key of WireGuard: remove it, and harden the host that made it.")
    return text


def keep_key(directory: str, name: str, public: str) -> list[str]:
    """Keep a public key that a host made, and return a sentence where that changes anything."""
    folder = os.path.join(directory, FOLDER)
    with clinic_folder.locked(folder, "the public keys of those who read from home"):
        if clinic_folder.read(os.path.join(folder, name)) == f"{public}\n":
            return []
        clinic_folder.write(os.path.join(folder, name), f"{public}\n")
    return [f"Write {FOLDER}/{name} beside the clinic file"]


def _makes_it(peer: Mapping[str, Any]) -> bool:
    """Tell whether a device is a workstation of the clinic file, which makes its key itself."""
    return bool(peer.get("workstation"))


def sentence(ports: Sequence[int], gateway: str, address: str) -> str:
    """Return what the internet box is set to, for whoever sets it."""
    return (
        f"set the internet box to forward {firewall_tunnel.named(ports)} to {address} ({gateway}), and no other port; "
        "DMZ mode and UPnP stay off"
    )


def files(scope: Mapping[str, Any], public: str, gateway: str) -> dict[str, str]:
    """Return name and text of each file; `scope` is that of the role, `public` the gateway's public key."""
    tunnel = scope["tunnel"]
    names = {person["login"]: person["name"] for person in scope.get("people") or []}
    address = next(text for text in tunnel["reached"] if ":" not in text)
    told = sentence(firewall_tunnel.ports(tunnel), gateway, address)
    box = {BOX: f"{told[0].upper()}{told[1:]}.\n"}
    if home_ipsec.is_chosen(tunnel):
        return box | home_ipsec_devices.files(scope)
    return {
        **box,
        GATEWAY: f"{public}\n",
        **{
            f"{peer['name']}.conf": _ascii(
                _device(peer, names.get(peer["person"], peer["person"]), tunnel, public, scope.get("internet") or [])
            )
            for peer in tunnel["peers"]
            if not _makes_it(peer)
        },
    }


def write(directory: str, wanted: Mapping[str, str], tunnel: Mapping[str, Any]) -> list[str]:
    """Bring the folder of the clinic to these files, and return a sentence for each change.

    Public keys stay that laptops of the tunnel made, and certificates of its devices.
    """
    made = {made_by(peer["name"], peer["workstation"]) for peer in tunnel["peers"] if _makes_it(peer)}
    made |= home_certificates.kept(tunnel)
    folder = os.path.join(directory, FOLDER)
    done = []
    with clinic_folder.locked(folder, "what devices at home are set to"):
        for name, text in sorted(wanted.items()):
            if clinic_folder.read(os.path.join(folder, name)) != text:
                clinic_folder.write(os.path.join(folder, name), text)
                done.append(f"Write {FOLDER}/{name} beside the clinic file")
        for name in sorted(os.listdir(folder)):
            if name.endswith((".conf", ".crt", home_ipsec_devices.ENDING, PUBLIC)) and name not in (*wanted, *made):
                clinic_folder.remove(os.path.join(folder, name))
                done.append(f"Remove {FOLDER}/{name} beside the clinic file")
    return done


def _device(
    peer: Mapping[str, Any], person: str, tunnel: Mapping[str, Any], public: str, internet: Sequence[str]
) -> str:
    own = ", ".join(_alone(address) for address in peer["addresses"])
    reached = ", ".join(_alone(address) for address in peer["reached"])
    public4 = next((address for address in internet if ":" not in address), "ADDRESS-OF-THE-INTERNET-BOX")
    box = f"{public4}:{tunnel['port']}"  # the box forwards the port to an IPv4 address
    return f"""\
# For the WireGuard program on {peer["name"]}, of {person}.
# Put the private key that was made there in the place of the words after PrivateKey; it never leaves that device.
# The server is then called as in the practice: {home_tunnel.pages(peer, tunnel)}
[Interface]
PrivateKey = PRIVATE-KEY-OF-THIS-DEVICE
Address = {own}

[Peer]
PublicKey = {public}
Endpoint = {box}
AllowedIPs = {reached}
PersistentKeepalive = {KEEPALIVE}
"""


def _alone(address: str) -> str:
    return str(ipaddress.ip_network(address))


def _ascii(text: str) -> str:
    """Return a text in ASCII, as the files of the clinic's folder are; a letter of another script becomes a mark."""
    return text.encode("ascii", "replace").decode("ascii")
