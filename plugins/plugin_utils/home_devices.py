# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is set by hand for reading from home: a file for each device, and one for the internet box's technician.

None holds a secret: the private key is made on the device, and stays there.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.plugin_utils import clinic_folder

FOLDER = "remote_access"
BOX = "internet-box.txt"
KEEPALIVE = 25
"""Seconds; what wg(8) advises behind the address translation of a home's box."""


def sentence(port: int, gateway: str, address: str) -> str:
    """Return what the internet box is set to, for whoever sets it."""
    return (
        f"set the internet box to forward UDP port {port} to {address} ({gateway}), and no other port; "
        "DMZ mode and UPnP stay off"
    )


def files(scope: Mapping[str, Any], public: str, gateway: str) -> dict[str, str]:
    """Return name and text of each file; `scope` is that of the role, `public` the gateway's public key."""
    tunnel = scope["tunnel"]
    names = {person["login"]: person["name"] for person in scope.get("people") or []}
    address = next(text for text in tunnel["reached"] if ":" not in text)
    told = sentence(int(tunnel["port"]), gateway, address)
    return {
        BOX: f"{told[0].upper()}{told[1:]}.\n",
        **{
            f"{peer['name']}.conf": _ascii(
                _device(peer, names.get(peer["person"], peer["person"]), tunnel, public, scope.get("internet") or [])
            )
            for peer in tunnel["peers"]
        },
    }


def write(directory: str, wanted: Mapping[str, str]) -> list[str]:
    """Bring the folder of the clinic to these files, and return a sentence for each change."""
    folder = os.path.join(directory, FOLDER)
    done = []
    with clinic_folder.locked(folder, "what devices at home are set to"):
        for name, text in sorted(wanted.items()):
            if clinic_folder.read(os.path.join(folder, name)) != text:
                clinic_folder.write(os.path.join(folder, name), text)
                done.append(f"Write {FOLDER}/{name} beside the clinic file")
        for name in sorted(os.listdir(folder)):
            if name.endswith(".conf") and name not in wanted:
                clinic_folder.remove(os.path.join(folder, name))
                done.append(f"Remove {FOLDER}/{name} beside the clinic file")
    return done


def _device(
    peer: Mapping[str, Any], person: str, tunnel: Mapping[str, Any], public: str, internet: Sequence[str]
) -> str:
    own = ", ".join(_alone(address) for address in peer["addresses"])
    reached = ", ".join(_alone(address) for address in tunnel["reached"])
    public4 = next((address for address in internet if ":" not in address), "ADDRESS-OF-THE-INTERNET-BOX")
    box = f"{public4}:{tunnel['port']}"  # the box forwards the port to an IPv4 address
    return f"""\
# For the WireGuard program on {peer["name"]}, of {person}.
# Put the private key that was made there in the place of the words after PrivateKey; it never leaves that device.
# The server is then called as in the practice: https://{next(text for text in tunnel["reached"] if ":" not in text)}/
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
