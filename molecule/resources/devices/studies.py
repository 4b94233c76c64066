# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Make synthetic CT and MR studies of people who do not exist.

Usage: studies.py FOLDER SEED STUDIES; writes DICOM files (PS3.10) into FOLDER, the same ones for the same SEED:
each study has two series of three images, 128 x 128 pixels of 16 bits. Prints how many studies, series and images.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import numpy
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

SURNAMES = ("MARTIN", "BERNARD", "DUBOIS", "THOMAS", "ROBERT", "RICHARD", "PETIT", "DURAND", "LEROY", "MOREAU")
FIRST_NAMES = ("Camille", "Louis", "Jeanne", "Paul", "Claire", "Henri", "Lucie", "Simon", "Alice", "Marc")
KINDS = {
    "CT": ("1.2.840.10008.5.1.4.1.1.2", ("Thorax", "Abdomen"), "CHEST"),
    "MR": ("1.2.840.10008.5.1.4.1.1.4", ("T1 sagittal", "T2 axial"), "KNEE"),
}
SERIES, IMAGES, EDGE = 2, 3, 128


def study(chance: random.Random, number: int) -> list[FileDataset]:
    """Return the images of one study."""
    modality = ("CT", "MR")[number % 2]
    sop_class, descriptions, part = KINDS[modality]
    born = f"{chance.randint(1930, 2005)}{chance.randint(1, 12):02}{chance.randint(1, 28):02}"
    entropy = [str(chance.getrandbits(64))]
    patient = {
        "PatientName": f"{chance.choice(SURNAMES)}^{chance.choice(FIRST_NAMES)}",
        "PatientID": f"{chance.randint(10**7, 10**8 - 1)}",
        "PatientBirthDate": born,
        "PatientSex": chance.choice("FM"),
        "StudyInstanceUID": generate_uid(entropy_srcs=[*entropy, "study"]),
        "StudyID": str(number + 1),
        "AccessionNumber": f"A{number + 1:06}",
        "StudyDate": f"2026{chance.randint(1, 10):02}{chance.randint(1, 28):02}",
        "StudyTime": f"{chance.randint(8, 17):02}{chance.randint(0, 59):02}00",
        "ReferringPhysicianName": "REFERRER^Synthetic",
        "Modality": modality,
        "BodyPartExamined": part,
    }
    images = []
    for series in range(SERIES):
        series_uid = generate_uid(entropy_srcs=[*entropy, f"series {series}"])
        for image in range(IMAGES):
            uid = generate_uid(entropy_srcs=[*entropy, f"image {series} {image}"])
            dataset = _file(uid, sop_class)
            for keyword, value in patient.items():
                setattr(dataset, keyword, value)
            dataset.SeriesInstanceUID = series_uid
            dataset.SeriesNumber = series + 1
            dataset.SeriesDescription = descriptions[series]
            dataset.InstanceNumber = image + 1
            _paint(dataset, chance)
            images.append(dataset)
    return images


def _file(uid: str, sop_class: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = uid
    return dataset


def _paint(dataset: FileDataset, chance: random.Random) -> None:
    """Give the image pixels: a bright body on a dark ground, and noise."""
    rows, columns = numpy.mgrid[:EDGE, :EDGE]
    middle = EDGE / 2
    body = ((rows - middle) ** 2 / 0.8 + (columns - middle) ** 2) < (EDGE * 0.38) ** 2
    noise = numpy.random.default_rng(chance.getrandbits(32)).integers(0, 80, (EDGE, EDGE))
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows = dataset.Columns = EDGE
    dataset.BitsAllocated = 16
    dataset.BitsStored = 12
    dataset.HighBit = 11
    dataset.PixelRepresentation = 0
    dataset.PixelData = (body * 1000 + noise).astype("<u2").tobytes()


def main(folder: str, seed: str, count: str) -> None:
    """Write the files and say how many there are."""
    chance = random.Random(seed)
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    written = 0
    for number in range(int(count)):
        for dataset in study(chance, number):
            written += 1
            dataset.save_as(target / f"{written:05}.dcm", write_like_original=False)
    print(f"{count} studies, {int(count) * SERIES} series, {written} images")


if __name__ == "__main__":
    main(*sys.argv[1:])
