# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a clinic's authority takes back: `authority/revoked.crl`, which the fronts refuse certificates by.

While one authority follows another each has its list, and each list holds all serial numbers.

The clinic file says that a device is `lost`, or one of its certificates by serial number. Such a certificate goes from
`certificates/` to `certificates/revoked/<device>.crt`, and its serial number stays on the list: nothing that was
revoked is ever let in again, whatever the clinic file says later, and no new certificate is signed for its key.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.plugin_utils import (
    authority,
    authority_folders,
    clinic_folder,
    device_certificates,
)
from ansible_collections.radiology.hardening.plugins.plugin_utils.secrets import Secrets

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
except ImportError:  # authority.demand_cryptography says so
    pass

LIST_DAYS = 1095
"""How long a list lasts. An expired one shuts every device out, so it outlives each certificate by two years."""
RENEWAL_DAYS = 730
"""A list with fewer days left is made anew by the next run."""


def lists(directory: str) -> str:
    """Return the lists (PEM) of the authorities that the fronts trust, one after the other."""
    folders = authority_folders.trusted(directory)
    return "".join(clinic_folder.read(authority_folders.revoked(folder)) for folder in folders)


def serials(directory: str, devices: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the serial numbers (hexadecimal) that are revoked, or are to be by what the clinic file says."""
    folders = authority_folders.trusted(directory)
    found = {f"{each.serial_number:x}" for folder in folders for each in _listed(folder)}
    found |= {_serial(text) for text in device_certificates.revoked(directory)}
    for device in devices:
        found |= {_serial(text) for text in _due(directory, device)}
    return sorted(found)


def revoke(
    secrets: Secrets, directory: str, devices: Sequence[Mapping[str, Any]], *, check_mode: bool = False
) -> list[str]:
    """Take back what the clinic file calls lost, keep the list fresh, and say what was done or would be.

    Raise HardeningError where a serial number is no certificate's of its device. What is broken off goes on next time:
    a certificate leaves its place after the list holds it.
    """
    for device in devices:
        _demand_known(directory, device)
    said = [
        f"Revoke {len(found)} certificate{'s'[: len(found) > 1]} of {device['name']}"
        for device in devices
        if (found := _due(directory, device))
    ]
    folders = authority_folders.trusted(directory)
    if check_mode or not (said or any(_is_stale(folder, directory) for folder in folders)):
        return said
    with authority.locked(directory):
        signers = {folder: authority.opened(secrets, directory, folder) for folder in folders}
        for device in devices:
            found = _due(directory, device)
            if found:
                path = device_certificates.revoked_path(directory, str(device["name"]))
                before = device_certificates.PEM.findall(clinic_folder.read(path))
                clinic_folder.write(path, "".join(dict.fromkeys([*before, *found])))
        numbers = {int(each, 16) for each in serials(directory, devices)}
        for folder, (key, ours) in signers.items():
            if said or _is_stale(folder, directory):  # another server's run may have made it meanwhile
                clinic_folder.write(authority_folders.revoked(folder), _signed(key, ours, numbers, _listed(folder)))
        for device in devices:
            device_certificates.forget(directory, str(device["name"]), _due(directory, device))
    return said


def _due(directory: str, device: Mapping[str, Any]) -> list[str]:
    """Return the certificates of a device (PEM) that the clinic file takes back and that still lie in their places."""
    there = device_certificates.all_of(directory, str(device["name"]))
    return [text for text in there if device.get("lost") or _serial(text) in (device.get("revoked") or [])]


def _demand_known(directory: str, device: Mapping[str, Any]) -> None:
    name = str(device["name"])
    gone = device_certificates.PEM.findall(clinic_folder.read(device_certificates.revoked_path(directory, name)))
    known = [_serial(text) for text in [*device_certificates.all_of(directory, name), *gone]]
    for serial in device.get("revoked") or []:
        if serial not in known:
            raise HardeningError(
                f"revoked_certificates of {name} names {serial}, which is no certificate of {name} in {directory}; "
                f"accepted: {', '.join(known) or 'none, since it has no certificate'}."
            )


def _listed(folder: str) -> Iterable[Any]:
    """Return the entries of an authority's list that lies there."""
    path = authority_folders.revoked(folder)
    text = clinic_folder.read(path)
    return _load(text, path) if text else ()


def _load(text: str, path: str) -> x509.CertificateRevocationList:
    try:
        return x509.load_pem_x509_crl(text.encode())
    except ValueError as error:
        raise HardeningError(f"{path} is no list of revoked certificates in PEM form: {error}; restore it.") from error


def _serial(text: str) -> str:
    return f"{x509.load_pem_x509_certificate(text.encode()).serial_number:x}"


def _is_stale(folder: str, directory: str) -> bool:
    """Tell whether a list has to be made anew: not there, not of its authority, short of days or of an entry."""
    path, signers = authority_folders.revoked(folder), authority_folders.certificate(folder)
    text, ours = clinic_folder.read(path), clinic_folder.read(signers)
    if not (text and ours):
        return True
    listed = _load(text, path)
    signer = authority.load_certificate(ours, signers)
    left = (listed.next_update_utc or listed.last_update_utc) - datetime.datetime.now(tz=datetime.UTC)
    known = {f"{each.serial_number:x}" for each in listed}
    return (
        not listed.is_signature_valid(signer.public_key())  # type: ignore[arg-type]
        or left < RENEWAL_DAYS * authority.DAY
        or not {_serial(kept) for kept in device_certificates.revoked(directory)} <= known
    )


def _signed(key: Any, ours: x509.Certificate, numbers: set[int], before: Iterable[Any]) -> str:
    """Return a list of the authority (CRL, PEM), whose entries `before` keep their dates; it counts from a day ago."""
    now = datetime.datetime.now(tz=datetime.UTC)
    since = now - authority.DAY
    known = {each.serial_number: each for each in before}
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(ours.subject)
        .last_update(since)
        .next_update(now + LIST_DAYS * authority.DAY)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .add_extension(x509.CRLNumber(int(now.timestamp())), critical=False)
    )
    for number in sorted(numbers):
        entry = x509.RevokedCertificateBuilder().serial_number(number).revocation_date(now).build()
        builder = builder.add_revoked_certificate(known.get(number, entry))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
