# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Published flaws of the programs that images pass through, and the version of their packages that mends each.

Debian mends in the version of its release, so floors are versions of Debian's source packages, as their own changelogs
tell them (/usr/share/doc/PACKAGE/changelog.Debian.gz, read in November 2026). Flaws that Debian has not mended in a
release are none here: nothing on the host could be done about them. Orthanc itself: orthanc_flaws.
"""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Floor:
    """From this version of a source package on, flaws are mended; of one release of Debian, or wherever it is from."""

    source: str
    version: str
    mends: tuple[str, ...]
    release: str = ""


def _of(source: str, release: str, *rows: tuple[str, str]) -> tuple[Floor, ...]:
    return tuple(
        Floor(source, version, tuple(f"CVE-{each}" for each in mends.split()), release) for version, mends in rows
    )


FLOORS = (
    *_of(
        "dcmtk",
        "bookworm",
        ("3.6.7-9~deb12u2", "2024-27628 2024-34508 2024-34509 2024-47796 2024-52333"),
        ("3.6.7-9~deb12u3", "2024-28130 2025-25472 2025-25474 2025-25475"),
        (
            "3.6.7-9~deb12u4",
            "2022-4981 2025-2357 2025-9732 2025-14607 2025-14841 2026-5663 2026-10194 2026-12805",
        ),
    ),
    *_of(
        "dcmtk",
        "trixie",
        ("3.6.9-5+deb13u1", "2025-9732 2025-14607 2025-14841 2026-5663 2026-10194"),
        ("3.6.9-5+deb13u2", "2026-12805"),
        ("3.6.9-5+deb13u3", "2026-35505 2026-44628 2026-50003 2026-50254 2026-52868"),
    ),
    *_of(
        "nginx",
        "bookworm",
        ("1.22.1-9+deb12u1", "2025-23419"),
        ("1.22.1-9+deb12u2", "2024-7347"),
        ("1.22.1-9+deb12u3", "2025-53859"),
        ("1.22.1-9+deb12u4", "2026-1642"),
        ("1.22.1-9+deb12u5", "2026-27651 2026-27654 2026-27784 2026-28753 2026-28755 2026-32647"),
        ("1.22.1-9+deb12u7", "2026-40701 2026-42934 2026-42945"),
        ("1.22.1-9+deb12u8", "2026-9256 2026-42946"),
        ("1.22.1-9+deb12u9", "2026-42055 2026-48142"),
        ("1.22.1-9+deb12u10", "2026-42533 2026-56434 2026-60005"),
        ("1.22.1-9+deb12u11", "2026-15176 2026-93479 2026-97205 2026-113425 2026-118899"),
        ("1.22.1-9+deb12u11", "2026-123007 2026-123633 2026-123634 2026-123640 2026-125283"),
    ),
    *_of(
        "nginx",
        "trixie",
        ("1.26.3-3+deb13u1", "2025-53859"),
        ("1.26.3-3+deb13u2", "2026-1642"),
        ("1.26.3-3+deb13u3", "2026-27651 2026-27654 2026-27784 2026-28753 2026-28755 2026-32647"),
        ("1.26.3-3+deb13u5", "2026-40460 2026-40701 2026-42934 2026-42945"),
        ("1.26.3-3+deb13u6", "2026-9256 2026-42946"),
        ("1.26.3-3+deb13u7", "2026-42055 2026-48142"),
        ("1.26.3-3+deb13u8", "2026-56434 2026-60005"),
        ("1.26.3-3+deb13u9", "2026-42533"),
        ("1.26.3-3+deb13u10", "2026-15176 2026-93479 2026-95101 2026-97205 2026-97629"),
        ("1.26.3-3+deb13u11", "2026-113425 2026-118899 2026-120967 2026-121810 2026-123007"),
        ("1.26.3-3+deb13u11", "2026-123633 2026-123634 2026-123640 2026-125283"),
    ),
    *_of("gdcm", "trixie", ("3.0.24-1", "2024-22373 2024-22391 2024-25569")),
    *_of("stunnel4", "", ("3:5.56+dfsg-8", "2021-20230")),
    *_of("weasis", "", ("4.6.0", "2024-55557")),
)
"""Weasis is the package of its authors: their CHANGELOG.md names the correction (issue 608) under 4.6.0."""

SOURCES = tuple(dict.fromkeys(floor.source for floor in FLOORS))
