# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Published flaws of Orthanc, the version that ends each, and what contains it where Debian ships an older one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.orthanc_options import number
from ansible_collections.radiology.hardening.plugins.module_utils.orthanc_service import SANDBOX

Containment = Callable[[Mapping[str, Any]], bool]


def confined(found: Mapping[str, Any]) -> bool:
    """Tell whether code that an attacker got to run would be shut in: the service's sandbox is in force."""
    return all(found["sandbox"].get(name) == value for name, value in SANDBOX.items())


def bounded(found: Mapping[str, Any]) -> bool:
    """Tell whether memory is bounded, so that a bomb ends the service (which starts again) and not the machine."""
    return int(found["memory_maximum_mib"]) > 0


def writes_no_files(found: Mapping[str, Any]) -> bool:
    """Tell whether the REST interface may not write to the file system."""
    return found["config"].get("RestApiWriteToFileSystemEnabled") is False


@dataclasses.dataclass(frozen=True)
class Flaw:
    """A published flaw; `fixed_in` is upstream's version, `contained` holds where the host bears it safely."""

    id: str
    fixed_in: str
    contained: Containment


FLAWS = (
    Flaw("CVE-2023-33466", "1.12.0", writes_no_files),
    Flaw("CVE-2026-5437", "1.12.11", confined),
    Flaw("CVE-2026-5438", "1.12.11", bounded),
    Flaw("CVE-2026-5439", "1.12.11", bounded),
    Flaw("CVE-2026-5440", "1.12.11", bounded),
    Flaw("CVE-2026-5441", "1.12.11", confined),
    Flaw("CVE-2026-5442", "1.12.11", confined),
    Flaw("CVE-2026-5443", "1.12.11", confined),
    Flaw("CVE-2026-5444", "1.12.11", confined),
    Flaw("CVE-2026-5445", "1.12.11", confined),
    Flaw("CVE-2026-10528", "1.13.0", bounded),
)


def uncontained(found: Mapping[str, Any]) -> list[str]:
    """Return the flaws of the installed version that nothing on this host contains."""
    version = number(found["version"])
    return [flaw.id for flaw in FLAWS if version < number(flaw.fixed_in) and not flaw.contained(found)]
