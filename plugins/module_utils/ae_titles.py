# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""AE titles that everybody knows."""

from __future__ import annotations

FACTORY_AE_TITLES = frozenset(
    {
        "ANY-SCP",
        "ANYSCP",
        "ANY_SCP",
        "AETITLE",
        "AE_TITLE",
        "CLEARCANVAS",
        "CONQUESTSRV1",
        "DCM4CHEE",
        "DCMQRSCP",
        "DICOM",
        "ECHOSCU",
        "FINDSCU",
        "GETSCU",
        "HOROS",
        "MOVESCU",
        "ORTHANC",
        "OSIRIX",
        "PYNETDICOM",
        "RADIANT",
        "STORESCP",
        "STORESCU",
        "WEASIS",
    }
)
"""AE titles with which software leaves the factory; a stranger tries them first."""
