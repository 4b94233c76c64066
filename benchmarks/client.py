# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the workstation of the benchmark does; prints the seconds that it took.

client.py make COUNT EDGE FOLDER                              images of EDGE x EDGE, 16 bits, all different
client.py storescu|pynetdicom ADDRESS PORT CALLING CALLED tls|clear FOLDER
client.py dicomweb URL LOGIN:PASSWORD COUNT TIMES             each instance by a request of its own, one connection
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import ssl
import subprocess
import sys
import time
import urllib.parse
from pathlib import Path

import numpy
from pydicom import dcmread
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE

HOME = "/etc/dicom-device"
PRIORITY = -20
"""The nice value of the client, and of both servers."""
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def make(count: str, edge: str, folder: str) -> None:
    """Write the images of one study."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    noise = numpy.random.default_rng(int(edge))
    study, series = generate_uid(), generate_uid()
    for number in range(int(count)):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = SECONDARY_CAPTURE
        meta.MediaStorageSOPInstanceUID = generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        image.SOPClassUID, image.SOPInstanceUID = SECONDARY_CAPTURE, meta.MediaStorageSOPInstanceUID
        image.PatientName, image.PatientID, image.Modality = "Bench^Synthetic", f"BENCH{edge}", "OT"
        image.StudyInstanceUID, image.SeriesInstanceUID, image.InstanceNumber = study, series, number + 1
        image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
        image.Rows = image.Columns = int(edge)
        image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 12, 11, 0
        image.PixelData = noise.integers(0, 4096, (int(edge), int(edge)), dtype="<u2").tobytes()
        image.save_as(f"{folder}/{number:05}.dcm", write_like_original=False)


def storescu(server: str, calling: str, called: str, way: str, folder: str) -> None:
    """Store with DCMTK's program, as its package is."""
    command = ["storescu", "-aet", calling, "-aec", called, "--scan-directories"]
    if way == "tls":
        command += ["--enable-tls", f"{HOME}/device.key", f"{HOME}/device.crt", "--add-cert-file", f"{HOME}/ca.crt"]
    subprocess.run([*command, *server.split(":"), folder], check=True, capture_output=True)


def pynetdicom(server: str, calling: str, called: str, way: str, folder: str) -> None:
    """Store with pynetdicom; the files were read before."""
    address, _colon, port = server.partition(":")
    entity = AE(ae_title=calling)
    entity.add_requested_context(SECONDARY_CAPTURE, "1.2.840.10008.1.2.1")
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 300
    options = {}
    if way == "tls":
        trusted = ssl.create_default_context(cafile=f"{HOME}/ca.crt")
        trusted.load_cert_chain(f"{HOME}/device.crt", f"{HOME}/device.key")
        options["tls_args"] = (trusted, "pacs")
    association = entity.associate(address, int(port), ae_title=called, **options)
    if not association.is_established:
        sys.exit(f"no association with {server}")
    for file in sorted(Path(folder).glob("*.dcm")):
        if association.send_c_store(dcmread(file)).Status:
            sys.exit(f"{file} was not stored")
    association.release()


def dicomweb(url: str, login: str, count: str, times: str) -> None:
    """Retrieve each instance of the one study by WADO-RS, all of them several times."""
    where = urllib.parse.urlsplit(url)
    header = {"Authorization": "Basic " + base64.b64encode(login.encode()).decode()}
    trusted = ssl.create_default_context(cafile=f"{HOME}/ca.crt")
    connection = (
        http.client.HTTPSConnection(where.netloc, context=trusted)
        if where.scheme == "https"
        else http.client.HTTPConnection(where.netloc)
    )

    def get(path: str, accept: str) -> bytes:
        connection.request("GET", path, headers={**header, "Accept": accept})
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            sys.exit(f"{path}: {answer.status}")
        return content

    found = json.loads(get("/dicom-web/instances", "application/dicom+json"))
    paths = [urllib.parse.urlsplit(each["00081190"]["Value"][0]).path for each in found]
    if len(paths) != int(count):
        sys.exit(f"{len(paths)} instances in place of {count}")
    began = time.monotonic()
    for path in paths * int(times):
        get(path, 'multipart/related; type="application/dicom"')
    print(time.monotonic() - began)


def hurry() -> None:
    """Come before whatever else the machine does (sched(7)), as the servers do."""
    os.nice(PRIORITY)
    group = Path("/proc/self/autogroup")
    if group.exists():
        group.write_text(str(PRIORITY), encoding="ascii")


def main(what: str, *words: str) -> None:
    """Obey, and print the seconds."""
    hurry()
    acts = {"make": make, "storescu": storescu, "pynetdicom": pynetdicom, "dicomweb": dicomweb}
    began = time.monotonic()
    acts[what](*words)
    if what != "dicomweb":
        print(time.monotonic() - began)


if __name__ == "__main__":
    main(*sys.argv[1:])
