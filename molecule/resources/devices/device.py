# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Play a modality or a workstation, as its maker's software would.

    device.py request  --name ct --address 10.77.11.30 [--address ...]   make a key that stays here, print a request
    device.py store    --server HOST --port N --aet ME --called SERVER FOLDER
    device.py query    ... prints how many studies and series are found
    device.py retrieve ... fetches every study by C-MOVE to its own listener, prints how many images came
    device.py echo     ...
    device.py trickle  ... FOLDER  store one image a second until FOLDER/stop is there, print how many were and were not

With --tls the association is over TLS with this device's key, the server's name (--server-name) is checked, and its
own listener speaks TLS alone.
"""

from __future__ import annotations

import argparse
import ipaddress
import ssl
import sys
import threading
import time
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import AE, StoragePresentationContexts, evt

HOME = Path("/etc/dicom-device")
ECHO = "1.2.840.10008.1.1"
FIND, MOVE = "1.2.840.10008.5.1.4.1.2.2.1", "1.2.840.10008.5.1.4.1.2.2.2"


def request(name: str, addresses: list[str]) -> str:
    """Make a key pair, unless there is one, and return a certificate signing request (PKCS #10, PEM)."""
    HOME.mkdir(mode=0o700, exist_ok=True)
    file = HOME / "device.key"
    if not file.exists():
        made = ec.generate_private_key(ec.SECP256R1())
        file.touch(mode=0o600)
        file.write_bytes(
            made.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
    key = serialization.load_pem_private_key(file.read_bytes(), None)
    names: list[x509.GeneralName] = [x509.DNSName(name)]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    )
    signed = builder.sign(key, hashes.SHA256())  # type: ignore[arg-type]
    return signed.public_bytes(serialization.Encoding.PEM).decode()


def context(side: ssl._SSLMethod) -> ssl.SSLContext:
    """Return TLS with this device's identity, trusting the clinic's authority alone."""
    made = ssl.SSLContext(side)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.load_cert_chain(str(HOME / "device.crt"), str(HOME / "device.key"))
    made.load_verify_locations(str(HOME / "ca.crt"))
    made.verify_mode = ssl.CERT_REQUIRED
    return made


class Device:
    """One application entity and the server that it talks to."""

    def __init__(self, given: argparse.Namespace) -> None:
        """Take the command line."""
        self.given = given

    def associate(self, *contexts: str, storage: bool = False) -> object:
        """Return an established association, or end with the reason why there is none."""
        entity = AE(ae_title=self.given.aet)
        # A server whose disk is busy may take a minute for one image: what is waited for here is an answer, not speed.
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 300
        entity.connection_timeout = 5
        for each in contexts:
            entity.add_requested_context(each)
        if storage:
            for each in StoragePresentationContexts[:120]:
                entity.add_requested_context(each.abstract_syntax)
        options = {}
        if self.given.tls:
            tls = context(ssl.PROTOCOL_TLS_CLIENT)
            options["tls_args"] = (tls, self.given.server_name)
        association = entity.associate(self.given.server, self.given.port, ae_title=self.given.called, **options)
        if not association.is_established:
            sys.exit(f"no association with {self.given.server}:{self.given.port}")
        return association

    def echo(self) -> str:
        """C-ECHO."""
        association = self.associate(ECHO)
        status = association.send_c_echo().Status
        association.release()
        if status:
            sys.exit(f"C-ECHO ended with status {status:04X}")
        return "alive"

    def store(self, folder: str) -> str:
        """C-STORE every file of a folder in one association."""
        files = sorted(Path(folder).glob("*.dcm"))
        association = self.associate(storage=True)
        for file in files:
            answer = association.send_c_store(dcmread(file))
            if getattr(answer, "Status", None) != 0:
                said = f"status {answer.Status:04X}" if "Status" in answer else "no answer"
                sys.exit(f"{file.name} was not stored: {said}")
        association.release()
        return f"{len(files)} images stored"

    def trickle(self, folder: str) -> str:
        """C-STORE one image a second, by turns in one association held all along and in one made for the image."""
        held, stored, lost = self.associate(storage=True), 0, 0
        for number, file in enumerate(sorted(Path(folder).glob("*.dcm"))):
            if Path(folder, "stop").exists():
                break
            began = time.monotonic()
            try:
                association = self.associate(storage=True) if number % 2 else held
                status = getattr(association.send_c_store(dcmread(file)), "Status", None)
                if number % 2:
                    association.release()
            except (SystemExit, RuntimeError, OSError) as error:
                status = str(error)
            stored, lost = (stored + 1, lost) if status == 0 else (stored, lost + 1)
            time.sleep(max(0.0, 1 - (time.monotonic() - began)))
        return f"{stored} stored, {lost} lost"

    def find(self, level: str, **keys: str) -> list[Dataset]:
        """C-FIND at the study or series level."""
        question = Dataset()
        question.QueryRetrieveLevel = level
        question.StudyInstanceUID = ""
        for keyword, value in keys.items():
            setattr(question, keyword, value)
        association = self.associate(FIND)
        answers = []
        for status, answer in association.send_c_find(question, FIND):
            if status and status.Status in (0xFF00, 0xFF01):
                answers.append(answer)
            elif not status or status.Status:
                sys.exit("the C-FIND was refused")
        association.release()
        return answers

    def query(self) -> str:
        """Count studies and series."""
        studies = self.find("STUDY", PatientName="")
        series = [
            self.find("SERIES", StudyInstanceUID=study.StudyInstanceUID, SeriesInstanceUID="") for study in studies
        ]
        return f"{len(studies)} studies, {sum(map(len, series))} series"

    def retrieve(self) -> str:
        """C-MOVE every study to this device's own listener and count what arrives."""
        arrived: list[str] = []
        lock = threading.Lock()

        def received(event: evt.Event) -> int:
            with lock:
                arrived.append(event.request.AffectedSOPInstanceUID)
            return 0

        entity = AE(ae_title=self.given.aet)
        for each in StoragePresentationContexts:
            entity.add_supported_context(each.abstract_syntax)
        options = {"ssl_context": context(ssl.PROTOCOL_TLS_SERVER)} if self.given.tls else {}
        listener = entity.start_server(
            (self.given.listen, self.given.listen_port),
            block=False,
            evt_handlers=[(evt.EVT_C_STORE, received)],
            **options,
        )
        try:
            for study in self.find("STUDY", PatientName=""):
                wanted = Dataset()
                wanted.QueryRetrieveLevel = "STUDY"
                wanted.StudyInstanceUID = study.StudyInstanceUID
                association = self.associate(MOVE)
                last = [status for status, _answer in association.send_c_move(wanted, self.given.aet, MOVE)][-1]
                association.release()
                if not last or last.Status:
                    sys.exit("a C-MOVE was refused")
        finally:
            listener.shutdown()
        return f"{len(arrived)} images retrieved"


def main() -> None:
    """Read the command line and obey."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=["request", "echo", "store", "trickle", "query", "retrieve"])
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--name", default="")
    parser.add_argument("--address", action="append", default=[])
    parser.add_argument("--server", default="")
    parser.add_argument("--server-name", default="")
    parser.add_argument("--port", type=int, default=4242)
    parser.add_argument("--aet", default="")
    parser.add_argument("--called", default="")
    parser.add_argument("--listen", default="")
    parser.add_argument("--listen-port", type=int, default=11112)
    parser.add_argument("--tls", action="store_true")
    given = parser.parse_args()
    if given.verb == "request":
        print(request(given.name, given.address), end="")
        return
    device = Device(given)
    print(getattr(device, given.verb)(*[given.folder][: given.verb in ("store", "trickle")]))


if __name__ == "__main__":
    main()
