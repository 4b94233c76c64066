# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A clinic of one virtual machine: its file, its escrow, an Orthanc full of studies, and the playbook run on it."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE, build_role, evt

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "molecule" / "resources"))

from virtual_guest import VirtualMachine

STORAGE = "/srv/images"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
STUDY_ROOT_GET = "1.2.840.10008.5.1.4.1.2.2.3"
IMAGE = 2 << 20
"""Bytes of pixels of an image."""
MARK = b"RADIOLOGY-HARDENING-TEST-PIXELS"
"""Begins the pixels of every image: found on a disk, it says that the disk holds images in clear."""
CONFIGURATION = {
    "Name": "machine",
    "StorageDirectory": STORAGE,
    "IndexDirectory": STORAGE,
    "DicomAet": "LUMIERE",
    "DicomAlwaysAllowStore": True,
    "DicomAlwaysAllowGet": True,
    "HttpServerEnabled": False,
    "StorageCompression": False,
}
PREPARE = """
if [ -n "{device}" ]; then
  grep -q {storage} /etc/fstab || echo "UUID=$(blkid -p -s UUID -o value {device}) {storage} ext4 defaults 0 2" >>/etc/fstab
  systemctl daemon-reload
fi
mkdir -p {storage}
[ -z "{device}" ] || mountpoint -q {storage} || mount {storage}
chown orthanc: {storage}
rm -f /etc/orthanc/*.json
cat >/etc/orthanc/orthanc.json
systemctl enable --quiet orthanc
systemctl restart orthanc
"""


class Clinic:
    """One machine, its clinic file and the engineer's commands."""

    def __init__(self, machine: VirtualMachine, storage: dict[str, Any]) -> None:
        """Write clinic file, escrow and inventory beside the machine; `storage` goes into the clinic file."""
        self.machine = machine
        self.folder = machine.folder / "clinic"
        (self.folder / "escrow").mkdir(parents=True)
        for name in ("provider", "clinic"):
            self.make_certificate(name)
        server = {"ae_title": "LUMIERE", "addresses": {"lan": ["10.0.2.15"]}, "ssh": {"user": "engineer"}}
        described = {
            "plugin": "radiology.hardening.clinic",
            "name": "machine",
            "networks": {
                "lan": {"kind": "lan", "cidrs": ["10.0.2.0/24"]},
                "admin": {"kind": "admin", "cidrs": ["10.0.9.0/24"]},
            },
            "orthanc_servers": {"pacs": {**server, "storage": {"folder": STORAGE, **storage}}},
            "escrow": {
                "certificates": ["escrow/provider.pem", "escrow/clinic.pem"],
                "folders": ["escrow/one", "escrow/two"],
            },
        }
        (self.folder / "machine.yml").write_text(yaml.safe_dump(described), encoding="utf-8")
        machine.write_inventory(self.folder / "connection", "pacs.machine")

    def make_certificate(self, name: str) -> None:
        """Make a key pair that recovery keys are sealed to."""
        stem = str(self.folder / "escrow" / name)
        words = ("openssl", "req", "-x509", "-newkey", "rsa:3072", "-nodes", "-days", "30", "-subj", f"/CN={name}")
        subprocess.run((*words, "-keyout", f"{stem}.key", "-out", f"{stem}.pem"), check=True, capture_output=True)

    def prepare(self, device: str) -> None:
        """Give the machine an Orthanc whose storage lies on a device, or, with an empty name, on the system disk."""
        script = PREPARE.format(device=device, storage=STORAGE)
        self.machine.run(script, stdin=json.dumps(CONFIGURATION))

    def play(self, playbook: str, *extra: str) -> subprocess.Popen[str]:
        """Begin to run a playbook as the engineer does, its output in a log beside the clinic file."""
        program = Path(sys.executable).parent / "ansible-playbook"
        command = [str(program), "-i", str(self.folder / "machine.yml"), "-i", str(self.folder / "connection")]
        for each in extra:
            command += ["-e", each]
        settings = {
            "ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(REPOSITORY / ".ansible" / "collections"),
        }
        log = (self.folder / f"{playbook}.log").open("a", encoding="utf-8")
        return subprocess.Popen(
            [*command, str(REPOSITORY / "playbooks" / f"{playbook}.yml")],
            cwd=REPOSITORY,
            env={**os.environ, **settings},
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def said(self, playbook: str) -> str:
        """Return what a playbook printed so far."""
        return (self.folder / f"{playbook}.log").read_text(encoding="utf-8")

    def must(self, playbook: str, *extra: str) -> None:
        """Run a playbook that has to succeed."""
        if self.play(playbook, *extra).wait():
            raise AssertionError(f"{playbook} failed:\n{self.said(playbook)[-3000:]}")

    def refused(self, playbook: str, *extra: str) -> str:
        """Run a playbook that has to fail, and return what it printed."""
        before = len(self.said(playbook)) if (self.folder / f"{playbook}.log").exists() else 0
        if not self.play(playbook, *extra).wait():
            raise AssertionError(f"{playbook} succeeded")
        return self.said(playbook)[before:]

    @property
    def dicom(self) -> int:
        """The port of the lab that leads to the machine's DICOM listener, which has yet to be waited for."""
        return int(self.machine.known["dicom"])

    def wait_for_echo(self, seconds: float = 240) -> None:
        """Wait until Orthanc answers a C-ECHO."""
        entity, until = AE("TESTER"), time.monotonic() + seconds
        entity.add_requested_context("1.2.840.10008.1.1")
        while True:
            association = entity.associate("127.0.0.1", self.dicom, ae_title="LUMIERE")
            if association.is_established:
                association.send_c_echo()
                association.release()
                return
            if time.monotonic() > until:
                raise AssertionError("Orthanc answers no C-ECHO")
            time.sleep(2)

    def store(self, mib: int, seed: int) -> dict[str, str]:
        """Store studies of so many MiB, and return what was acknowledged: UID -> SHA-256 of the pixels."""
        return self.take(list(images(mib, seed)))

    def take(self, given: Sequence[Dataset]) -> dict[str, str]:
        """Store images, and return what was acknowledged: UID -> SHA-256 of the pixels."""
        entity = patient_entity()
        entity.add_requested_context(SECONDARY_CAPTURE, ExplicitVRLittleEndian)
        stored: dict[str, str] = {}
        self.wait_for_echo()
        association = entity.associate("127.0.0.1", self.dicom, ae_title="LUMIERE")
        for each in given:
            status = association.send_c_store(each)
            if status.Status == 0:
                stored[each.SOPInstanceUID] = digest(each)
        association.release()
        if len(stored) != len(given):
            raise AssertionError(f"only {len(stored)} images were taken")
        return stored

    def fetch(self, studies: set[str]) -> dict[str, str]:
        """Fetch studies by C-GET, and return UID -> SHA-256 of the pixels."""
        entity = patient_entity()
        entity.add_requested_context(STUDY_ROOT_GET)
        entity.add_requested_context(SECONDARY_CAPTURE, ExplicitVRLittleEndian)
        found: dict[str, str] = {}

        def take(event: evt.Event) -> int:
            found[event.dataset.SOPInstanceUID] = digest(event.dataset)
            return 0

        self.wait_for_echo()
        association = entity.associate(
            "127.0.0.1",
            self.dicom,
            ae_title="LUMIERE",
            ext_neg=[build_role(SECONDARY_CAPTURE, scp_role=True)],  # type: ignore[arg-type]
            evt_handlers=[(evt.EVT_C_STORE, take)],
        )
        for study in sorted(studies):
            query = Dataset()
            query.QueryRetrieveLevel, query.StudyInstanceUID = "STUDY", study
            list(association.send_c_get(query, STUDY_ROOT_GET))
        association.release()
        return found


def patient_entity() -> AE:
    """Return an application entity that waits for a machine without KVM, others at work beside it."""
    entity = AE("TESTER")
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 300
    return entity


def images(mib: int, seed: int) -> Iterator[Dataset]:
    """Yield so many MiB of images."""
    for number in range(mib * (1 << 20) // IMAGE):
        yield image(seed, number, IMAGE)


def image(seed: int, number: int, size: int) -> Dataset:
    """Return one image of so many bytes of random pixels, eight a study, of a person who does not exist."""
    made = Dataset()
    made.SOPClassUID = SECONDARY_CAPTURE
    made.SOPInstanceUID = generate_uid(entropy_srcs=[str(seed), str(number)])
    made.StudyInstanceUID = study_uid(seed, number // 8)
    made.SeriesInstanceUID = generate_uid(entropy_srcs=[str(seed), "series", str(number // 8)])
    made.PatientName, made.PatientID = f"NOBODY^Number {seed} {number // 8}", f"N{seed}-{number // 8}"
    made.Modality, made.InstanceNumber = "OT", number % 8 + 1
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.Rows, made.Columns = size // 512, 256
    made.BitsAllocated = made.BitsStored = 16
    made.HighBit, made.PixelRepresentation = 15, 0
    made.PixelData = MARK + b"!" + random.Random(f"{seed} {number}").randbytes(size - len(MARK) - 1)
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return made


def study_uid(seed: int, number: int) -> str:
    """Return the UID of a study."""
    return str(generate_uid(entropy_srcs=[str(seed), "study", str(number)]))


def studies(count: int, seed: int) -> set[str]:
    """Return the UIDs of the studies of the first so many images."""
    return {study_uid(seed, number) for number in range(-(-count // 8))}


def digest(of: Dataset) -> str:
    """Return the SHA-256 of an image's pixels and of whose they are."""
    return hashlib.sha256(bytes(of.PixelData) + str(of.PatientName).encode()).hexdigest()
