# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a run needs of the files that are kept for a clinic: they are there, open, and hold what they should.

Only read here: nothing is made, signed or saved, and no sentence shows what a file holds.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import (
    dicom_front,
    home_ipsec,
    home_ipsec_host,
    web_passwords,
)
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.plugin_utils import (
    authority,
    authority_change,
    device_certificates,
    escrow_folders,
    home_certificates,
    home_devices,
    revocation,
)
from ansible_collections.radiology.hardening.plugins.plugin_utils.remarks import Remarks
from ansible_collections.radiology.hardening.plugins.plugin_utils.secrets import Secrets

PASSPHRASE = ("authority_passphrase",)
FIRST = "initial_passwords"
"""Name in the clinic's vault file: login -> the password by which a person first comes in at a workstation."""


def check_secrets(remarks: Remarks, given: Mapping[str, Any], vault: Callable[[str], Secrets]) -> None:
    """Check the vault file: it opens, and what it holds of what is asked for is text; `given` are the roles' inputs."""
    if not {"authentication_people", "authentication_clinic_directory"} <= given.keys():
        return
    secrets = vault(str(given["authentication_clinic_directory"]))
    logins = [str(person["login"]) for person in given["authentication_people"] or []]
    with remarks.refusals():
        missing = secrets.lacking(PASSPHRASE, *(("passwords", login) for login in logins))
        new = [name.partition(".")[2] for name in missing if name != ".".join(PASSPHRASE)]
        if new:
            remarks.note(f"{secrets.path} has no password yet for {', '.join(new)}; the next run of harden makes it.")
        held = {login: str(secrets.get("passwords", login)) for login in logins if login not in new}
        for login in web_passwords.weak(held):
            remarks.note(
                f"{secrets.path}: passwords.{login} would be guessed; harden refuses it unless "
                "authentication.web_passwords_strong is waived."
            )


def check_first_passwords(remarks: Remarks, given: Mapping[str, Any], vault: Callable[[str], Secrets]) -> None:
    """Check what the vault file holds of people's first passwords at a workstation; those that it lacks are made."""
    if not {"workstation_people", "workstation_clinic_directory"} <= given.keys():
        return
    secrets = vault(str(given["workstation_clinic_directory"]))
    logins = [str(person["login"]) for person in given["workstation_people"] or []]
    with remarks.refusals():
        missing = secrets.lacking(*((FIRST, login) for login in logins))
        held = {login: str(secrets.get(FIRST, login)) for login in logins if f"{FIRST}.{login}" not in missing}
        for login in web_passwords.weak(held):
            remarks.problem(f"{secrets.path}: {FIRST}.{login} would be guessed; accepted: none, so that one is made")


def check_laptops(remarks: Remarks, given: Mapping[str, Any], vault: Callable[[str], Secrets]) -> None:
    """Check the keys of devices that the gateway lets in: those that laptops make, and the requests of others."""
    if not {"remote_access_tunnel", "remote_access_clinic_directory"} <= given.keys():
        return
    tunnel, directory = given["remote_access_tunnel"], str(given["remote_access_clinic_directory"])
    with remarks.refusals():
        if tunnel and home_ipsec.is_chosen(tunnel):
            home_certificates.sign(vault(directory), directory, tunnel, check_mode=True)
            for name in home_certificates.waiting(directory, tunnel):
                remarks.note(f"remote_access: {home_ipsec_host.unasked(name)}.")
            return
        waiting = (home_devices.with_keys({"tunnel": tunnel, "clinic_directory": directory})["tunnel"] or {}).get(
            "waiting", []
        )
        if waiting:
            remarks.note(f"remote_access: no key yet of {', '.join(waiting)}; a run of harden on each makes it.")


def check_certificates(remarks: Remarks, given: Mapping[str, Any], vault: Callable[[str], Secrets]) -> None:
    """Check the clinic's authority, what it signed for this host, and what the devices handed in."""
    if not {"dicom_tls_devices", "dicom_tls_clinic_directory"} <= given.keys():
        return
    directory = str(given["dicom_tls_clinic_directory"])
    secrets = vault(directory)
    with remarks.refusals():
        authority.demand_whole(secrets, directory)
        for sentence in authority_change.remarks(directory):
            remarks.note(sentence)
    devices = dicom_front.admitted(given["dicom_tls_devices"] or [])
    own = [str(given["dicom_tls_name"])] if "dicom_tls_name" in given else []
    web = [f"{name}-web".lower() for name in (given.get("authentication_names") or [])[:1]]
    with remarks.refusals():
        device_certificates.demand_own_keys(directory, [*(str(device["name"]) for device in devices), *own, *web])
    waiting: list[str] = []
    with remarks.refusals():
        for sentence in revocation.revoke(secrets, directory, given["dicom_tls_devices"] or [], check_mode=True):
            remarks.note(f"The next run of harden does this for good: {sentence}.")
    for device in devices:
        with remarks.refusals():
            waiting += device_certificates.sign(secrets, directory, [device], check_mode=True)[1]
    for name in [*own, *web]:
        with remarks.refusals():
            authority.lasts(directory, name)
    if waiting:
        remarks.note(f"{os.path.join(directory, 'requests')} holds no request of {', '.join(waiting)}: not let in yet.")


def check_escrow(remarks: Remarks, escrow: Mapping[str, Any], directory: str, now: datetime.datetime) -> None:
    """Check the certificates that recovery keys would be sealed to, and that they would be kept in two places."""
    if not escrow:
        return
    for place in escrow.get("certificates") or []:
        with remarks.refusals():
            path = os.path.join(directory, str(place))
            (text,) = escrow_folders.certificates({"certificates": [place]}, directory)
            if "PRIVATE KEY" in text:
                raise HardeningError(
                    f"escrow.certificates names {path}, which holds a private key too; accepted: the certificate alone."
                )
            certificate = authority.load_certificate(text, path)
            authority.demand_strong(certificate.public_key(), path)
            if certificate.not_valid_after_utc < now:
                remarks.note(f"escrow.certificates names {path}, which has expired; see whether its key is still held.")
    with remarks.refusals():
        escrow_folders.folders(escrow, directory, "host", "volume")
