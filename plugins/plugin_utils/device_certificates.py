# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The certificates of a clinic's devices, which the clinic's authority signs and a technician carries to them.

`requests/<device>.csr` is handed in, `certificates/<device>.crt` is taken away. Until a device bears its new
certificate it comes with a former one: those lie in `certificates/former/<device>.crt` and open the door until they
expire, until their authority is trusted no more, or until somebody removes that file. What was revoked lies in
`certificates/revoked/<device>.crt`, and opens none (see revocation).
"""

from __future__ import annotations

import contextlib
import datetime
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.plugin_utils import authority, clinic_folder
from ansible_collections.radiology.hardening.plugins.plugin_utils.secrets import Secrets

UNSIGNED = "Not let in, since {directory}/requests holds no request, or one for a revoked key: {names}."
PEM = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", re.DOTALL)


def former_path(directory: str, name: str) -> str:
    """Return where the former certificates of this device lie, one after the other."""
    return os.path.join(directory, "certificates", "former", f"{name}.crt")


def revoked_path(directory: str, name: str) -> str:
    """Return where the revoked certificates of this device lie, one after the other."""
    return os.path.join(directory, "certificates", "revoked", f"{name}.crt")


def revoked(directory: str) -> list[str]:
    """Return every certificate (PEM) that was revoked, also of devices that the clinic file no longer names."""
    folder = os.path.dirname(revoked_path(directory, ""))
    names = sorted(name for name in os.listdir(folder) if name.endswith(".crt")) if os.path.isdir(folder) else []
    return [text for name in names for text in PEM.findall(clinic_folder.read(os.path.join(folder, name)))]


def sign(
    secrets: Secrets,
    directory: str,
    devices: Sequence[Mapping[str, Any]],
    *,
    check_mode: bool,
    anew: bool = False,
) -> tuple[list[str], list[str]]:
    """Sign what the declared devices handed in; return what was signed (or would be), and who waits for a request.

    A request for a key that was revoked is none. `anew`: also where the present certificate lasts.
    """
    signed, waiting = [], []
    taken_back = {authority.public(authority.load_certificate(text, "revoked")) for text in revoked(directory)}
    for device in devices:
        name, path = str(device["name"]), authority.request_path(directory, str(device["name"]))
        request = clinic_folder.read(path)
        if not anew and authority.lasts(directory, name, device=True):
            continue
        if not request:
            waiting.append(name)
            continue
        addresses = [str(device[key]) for key in ("address", "address6") if device.get(key)]
        asked = authority.load_request(request, path)
        if authority.public(asked) in taken_back:
            waiting.append(name)
            continue
        authority.check_names(asked, path, name, addresses)
        signed.append(name)
        if not check_mode:
            _keep(directory, name)
            authority.sign(secrets, directory, request, name, names=[name, *addresses], device=True)
    return signed, waiting


def admitted(directory: str, device: Mapping[str, Any]) -> list[str]:
    """Return the SHA-1 of each certificate that lets a device in: the present one, then former ones that are valid.

    One of an authority that the fronts trust no more opens no door.
    """
    name, trusted = str(device["name"]), authority.authorities(directory)
    present = clinic_folder.read(authority.certificate_path(directory, name))
    texts = ([present] if present else []) + _former(directory, name)
    return [authority.fingerprint(text) for text in texts if any(authority.is_of(text, ours) for ours in trusted)]


def of_authority(directory: str, name: str, ours: str) -> list[str]:
    """Return the SHA-1 of each certificate of a device that this authority (PEM) signed."""
    return [authority.fingerprint(text) for text in all_of(directory, name) if authority.is_of(text, ours)]


def keys(directory: str) -> dict[str, list[str]]:
    """Return, by name, the SHA-256 of each public key that the authority signed for and has not taken back."""
    return {
        name: list(dict.fromkeys(authority.key_digest(text, name) for text in all_of(directory, name)))
        for name in _certified(directory)
    }


def fingerprints(directory: str) -> dict[str, list[str]]:
    """Return, by name, the SHA-1 of each certificate that the authority signed and has not taken back."""
    return {name: [authority.fingerprint(text) for text in all_of(directory, name)] for name in _certified(directory)}


def _certified(directory: str) -> list[str]:
    """Return the names of those who have a certificate."""
    folder = os.path.dirname(authority.certificate_path(directory, ""))
    listed = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    return [name.removesuffix(".crt") for name in listed if name.endswith(".crt")]


def demand_own_keys(directory: str, names: Sequence[str]) -> None:
    """Raise HardeningError where two of these names have one key pair: in the newest request, else the certificate.

    What cannot be read is refused where it is used.
    """
    seen: dict[bytes, str] = {}
    for name in names:
        path, key = _newest_key(directory, name)
        if key in seen:
            raise HardeningError(
                f"{path} has the key of {seen[key]}; accepted: a request with a key of its own, made on the device, "
                "since one that is stolen would stand for both."
            )
        if key:
            seen[key] = path


def _newest_key(directory: str, name: str) -> tuple[str, bytes]:
    """Return where the newest public key of this name is told, and the key; empty where none can be read."""
    request, certificate = authority.request_path(directory, name), authority.certificate_path(directory, name)
    with contextlib.suppress(HardeningError):
        if text := clinic_folder.read(request):
            return request, authority.public(authority.load_request(text, request))
        if text := clinic_folder.read(certificate):
            return certificate, authority.public(authority.load_certificate(text, certificate))
    return "", b""


def all_of(directory: str, name: str) -> list[str]:
    """Return the present and the former certificates (PEM) of a device, expired ones too."""
    places = (authority.certificate_path(directory, name), former_path(directory, name))
    return list(dict.fromkeys(text for path in places for text in PEM.findall(clinic_folder.read(path))))


def forget(directory: str, name: str, certificates: Sequence[str]) -> None:
    """Take certificates (PEM) of a device from the places where they open doors."""
    for path in (authority.certificate_path(directory, name), former_path(directory, name)):
        there = PEM.findall(clinic_folder.read(path))
        left = [text for text in there if text not in certificates]
        if left and left != there:
            clinic_folder.write(path, "".join(left))
        elif there and not left:
            clinic_folder.remove(path)


def demand_of_server(directory: str, name: str) -> None:
    """Raise HardeningError where a server has no certificate that another could follow."""
    if not clinic_folder.read(authority.certificate_path(directory, name)):
        path = authority.certificate_path(directory, name)
        raise HardeningError(f"{path} is missing, so that there is nothing to rotate: harden {name} first.")


def _keep(directory: str, name: str) -> None:
    """Put the present certificate to the former ones, which are left without those that expired."""
    present = clinic_folder.read(authority.certificate_path(directory, name))
    kept = [text for text in [present, *_former(directory, name)] if text and _is_valid(directory, name, text)]
    if kept:
        clinic_folder.write(former_path(directory, name), "".join(dict.fromkeys(kept)))


def _former(directory: str, name: str) -> list[str]:
    found = PEM.findall(clinic_folder.read(former_path(directory, name)))
    return [text for text in found if _is_valid(directory, name, text)]


def _is_valid(directory: str, name: str, text: str) -> bool:
    certificate = authority.load_certificate(text, former_path(directory, name))
    return certificate.not_valid_after_utc > datetime.datetime.now(tz=datetime.UTC)
