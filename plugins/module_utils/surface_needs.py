# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What each surface takes beside its scope: programs of Debian, and what the controller alone knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError

Scope = Mapping[str, Any]

IPSEC = ("charon-systemd", "libcharon-extra-plugins", "libstrongswan-standard-plugins", "strongswan-swanctl")


def _tunnel(scope: Scope) -> Sequence[str]:
    if not scope.get("tunnel"):
        return ()
    return ("iproute2", *(IPSEC if scope["tunnel"].get("protocol") == "ipsec" else ("wireguard-tools",)))


_PACKAGES: Mapping[str, Callable[[Scope], Sequence[str]]] = {
    "authentication": lambda scope: ("nginx", "openssl") if scope.get("web", True) else (),
    "dicom_tls": lambda _scope: ("libnginx-mod-stream", "nginx", "openssl"),
    "firewall": lambda _scope: ("iproute2", "nftables"),
    "modality_box": lambda scope: ("iproute2", "nftables", "openssl", "stunnel4") if scope.get("room") else (),
    "orthanc": lambda _scope: ("logrotate", "orthanc"),
    "reading_laptop": lambda scope: ("iproute2", "nftables", "wireguard-tools") if scope.get("home") else (),
    "remote_access": _tunnel,
    "workstation": lambda scope: ("dconf-cli", *(("openssl", "stunnel4") if scope.get("tunnel") else ())),
}

GIVEN: Mapping[str, Sequence[str]] = {
    "authentication": (
        *("passwords", "orthanc_passwords", "certificate", "certified", "engineer", "becomes_by"),
        "arming",
    ),
    "dicom_tls": ("certificate", "authority", "revoked", "fingerprints"),
    "firewall": ("arming",),
    "modality_box": ("certificate", "authority"),
    "workstation": ("certificate", "authority", "initial_passwords"),
}
"""Surface to the options of the module `surface` that its plan is handed with its scope."""


def refuse_foreign(surface: str, given: Mapping[str, Any], *, check_mode: bool) -> None:
    """HardeningError where a surface is given what it does not take, or is to be changed without its action."""
    own = GIVEN.get(surface, ())
    every = dict.fromkeys(name for names in GIVEN.values() for name in names)
    if foreign := [name for name in every if given.get(name) and name not in own]:
        raise HardeningError(f"The surface {surface} takes no {foreign[0]}; accepted: {', '.join(own) or 'none'}.")
    if "arming" in own and not given.get("arming") and not check_mode:
        raise HardeningError(
            f"The surface {surface} may lock the engineer out: only the action radiology.hardening.{surface} changes "
            "it, which comes in anew; accepted here: check mode."
        )


def packages(surface: str, scope: Scope) -> Sequence[str]:
    """Return the names of the packages of Debian that have to be there before a surface is looked at."""
    return _PACKAGES[surface](scope) if surface in _PACKAGES else ()
