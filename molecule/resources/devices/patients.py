# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Print the name of the patient of each study in a folder of DICOM files, a line each. Usage: patients.py FOLDER."""

from __future__ import annotations

import sys
from pathlib import Path

from pydicom import dcmread

if __name__ == "__main__":
    files = [dcmread(file, stop_before_pixels=True) for file in Path(sys.argv[1]).glob("*.dcm")]
    print(*{str(each.StudyInstanceUID): str(each.PatientName) for each in files}.values(), sep="\n")
