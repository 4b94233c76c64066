# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Name what takes a workstation over or gives its files away: remote desktops, shells of old, and file shares.

RDP, VNC and SMB are spoken to, as far as their first answer; the others are known by their port.
"""

from __future__ import annotations

import socket
from typing import NamedTuple

from ansible_collections.radiology.hardening.plugins.module_utils.wire.ports import Place

RDP = 3389
CONTROLS = {
    23: "Telnet",
    RDP: "RDP",
    3283: "Apple Remote Desktop",
    5900: "VNC",
    5901: "VNC",
    5938: "TeamViewer",
    7070: "AnyDesk",
}
SMB = 445
SHARES = {21: "FTP", 139: "SMB over NetBIOS", SMB: "SMB", 548: "AFP", 2049: "NFS"}
PORTS = (*CONTROLS, *SHARES)
SECONDS = 4

RDP_REQUEST = bytes.fromhex("03000013 0ee00000 000000 01000800 03000000")
"""An X.224 connection request that offers TLS and CredSSP ([MS-RDPBCGR] 2.2.1.1), in a TPKT of 19 bytes."""
DIALECTS = ((b"NT LM 0.12",), (b"NT LM 0.12", b"SMB 2.002", b"SMB 2.???"))
"""Offers of an SMB client: version 1 alone, then everything ([MS-SMB2] 3.2.4.2.2.1)."""


class Service(NamedTuple):
    """What answers at a port, in words, and whether it takes the machine over; else it gives files away."""

    words: str
    controls: bool


def named(place: Place, banner: bytes) -> Service | None:
    """Return what a port is named for by what it says, or by its number; None where it is neither."""
    if banner.startswith(b"RFB "):
        return Service(f"VNC, protocol {banner[4:11].decode('ascii', 'replace')}", controls=True)
    if place.port == RDP:
        return Service("RDP" if speaks_rdp(place) else "the port of RDP takes connections", controls=True)
    if place.port in CONTROLS:
        return Service(f"the port of {CONTROLS[place.port]} takes connections", controls=True)
    if place.port == SMB:
        version = smb_version(place)
        return Service(f"SMB, version {version}" if version else "the port of SMB takes connections", controls=False)
    if place.port in SHARES:
        return Service(f"the port of {SHARES[place.port]} takes connections", controls=False)
    return None


def speaks_rdp(place: Place) -> bool:
    """Tell whether a port confirms an X.224 connection (TPKT version 3, code 0xD0)."""
    answer = _ask(place, RDP_REQUEST, 6)
    return len(answer) == 6 and answer[0] == 3 and answer[5] == 0xD0


def smb_version(place: Place) -> str:
    """Return `1` where a server takes the version that should be dead, `2 or newer`, or nothing."""
    for offer, marks in zip(DIALECTS, ((b"\xffSMB",), (b"\xffSMB", b"\xfeSMB")), strict=True):
        answer = _ask(place, smb_negotiate(offer), 8)
        if answer[4:8] in marks:
            return "1" if answer[4:8] == b"\xffSMB" else "2 or newer"
    return ""


def smb_negotiate(dialects: tuple[bytes, ...]) -> bytes:
    """Return an SMB_COM_NEGOTIATE for these dialects, in a NetBIOS session message ([MS-CIFS] 2.2.4.52)."""
    listed = b"".join(b"\x02" + dialect + b"\0" for dialect in dialects)
    header = b"\xffSMB\x72" + bytes(4) + b"\x18" + b"\x01\x48" + bytes(12) + b"\xff\xff\xff\xfe" + bytes(4)
    message = header + b"\0" + len(listed).to_bytes(2, "little") + listed
    return len(message).to_bytes(4, "big") + message


def _ask(place: Place, question: bytes, wanted: int) -> bytes:
    """Return the first bytes of an answer; fewer where the server says less, or nothing in time."""
    received = b""
    try:
        with socket.create_connection(place, timeout=SECONDS) as connection:
            connection.settimeout(SECONDS)
            connection.sendall(question)
            while len(received) < wanted and (more := connection.recv(wanted - len(received))):
                received += more
    except OSError:
        pass
    return received
