# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a clinic's authorities lie: one, and two while one follows the other.

`authority/` holds the authority that signs for the servers. Beside it, during a change (see authority_change):
`authority/next/`, which signs for the devices and is to follow (stage `new`), or `authority/former/`, which it followed
(stage `shown`). Each folder holds `ca.crt`, `ca.key`, `revoked.crl`. Where both lie there, a run was broken off between
the two stages: `next/` is the one in force then, and what lies above it a copy that was not finished.
"""

from __future__ import annotations

import os

NEXT = "next"
FORMER = "former"


def home(directory: str) -> str:
    """Return the folder of the clinic's authorities."""
    return os.path.join(directory, "authority")


def stage(directory: str) -> str:
    """Return the stage of the change that is under way: `new`, `shown`, or nothing."""
    if os.path.isdir(os.path.join(home(directory), FORMER)):
        return "shown"
    return "new" if os.path.isdir(os.path.join(home(directory), NEXT)) else ""


def present(directory: str) -> str:
    """Return the folder of the authority that signs for the servers, which is the one that devices know them by."""
    both = all(os.path.isdir(os.path.join(home(directory), name)) for name in (NEXT, FORMER))
    return os.path.join(home(directory), NEXT) if both else home(directory)


def signing(directory: str, *, device: bool) -> str:
    """Return the folder of the authority that signs, for a device or for a server."""
    follows = device and stage(directory) == "new"
    return os.path.join(home(directory), NEXT) if follows else present(directory)


def trusted(directory: str) -> list[str]:
    """Return the folders of the authorities whose certificates open the door, the older one first."""
    under_way = stage(directory)
    if under_way == "shown":
        return [os.path.join(home(directory), FORMER), present(directory)]
    return [home(directory), os.path.join(home(directory), NEXT)] if under_way else [home(directory)]


def certificate(folder: str) -> str:
    """Return where an authority's own certificate lies."""
    return os.path.join(folder, "ca.crt")


def key(folder: str) -> str:
    """Return where an authority's key lies, encrypted."""
    return os.path.join(folder, "ca.key")


def revoked(folder: str) -> str:
    """Return where an authority's list of revoked certificates lies."""
    return os.path.join(folder, "revoked.crl")


def bundle(directory: str) -> str:
    """Return where the certificates of both authorities lie during a change, for devices to trust."""
    return os.path.join(home(directory), "trusted.crt")
