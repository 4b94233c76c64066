# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ask for one DICOM association and a C-ECHO, and print in one word how it ended.

`accepted` (and the C-ECHO succeeded), `rejected` (the peer spoke DICOM and refused), `refused` (no DICOM came back).
Usage: associate.py ADDRESS PORT CALLING CALLED [CERTIFICATE KEY [CA]]; without a certificate the association is in
clear, with `-` for CERTIFICATE it is over TLS without one.
"""

from __future__ import annotations

import ssl
import sys
import time

from pynetdicom import AE


def main(address: str, port: str, calling: str, called: str, *identity: str) -> None:
    """Associate, echo, release; print the outcome and the seconds that it took."""
    entity = AE(ae_title=calling)
    entity.add_requested_context("1.2.840.10008.1.1")
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 60
    entity.connection_timeout = 5
    began = time.monotonic()
    options = {"tls_args": (context(*identity), None)} if identity else {}
    association = entity.associate(address, int(port), ae_title=called, **options)
    outcome = "rejected" if association.is_rejected else "refused"
    if association.is_established:
        answer = association.send_c_echo()
        outcome = "accepted" if getattr(answer, "Status", None) == 0 else "rejected"
        association.release()
    print(f"{outcome} {time.monotonic() - began:.3f}")


def context(certificate: str, key: str = "", authority: str = "") -> ssl.SSLContext:
    """Return a TLS client that shows this certificate, or none for `-`."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    if authority:
        made.load_verify_locations(authority)
        made.verify_mode = ssl.CERT_REQUIRED
    if certificate != "-":
        made.load_cert_chain(certificate, key)
    return made


if __name__ == "__main__":
    main(*sys.argv[1:])
