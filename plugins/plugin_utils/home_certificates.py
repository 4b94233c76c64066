# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The certificates of devices that come in from home by IPsec, on the controller: `remote_access/` in its folder.

A device hands in `<device>.csr` and takes `<device>.crt`, which the clinic's authority signs. It opens the tunnel and
no other door: the front of DICOM lets in the very certificates of `certificates/`, this one lies elsewhere, its name is
no server's, and it is good for clients alone. Until a device bears its renewed certificate, it comes with the one
before, of the same key, in `<device>.former.crt`. A request for another key ends the former at once: that device may be
lost.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import home_ipsec, home_ipsec_host
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.plugin_utils import authority, authority_folders, clinic_folder
from ansible_collections.radiology.hardening.plugins.plugin_utils.device_certificates import PEM
from ansible_collections.radiology.hardening.plugins.plugin_utils.secrets import Secrets

FOLDER = "remote_access"
FORMER = ".former.crt"


def request_path(directory: str, name: str) -> str:
    """Return where the request of a device lies."""
    return os.path.join(directory, FOLDER, f"{name}.csr")


def certificate_path(directory: str, name: str) -> str:
    """Return where the certificate of a device lies."""
    return os.path.join(directory, FOLDER, f"{name}.crt")


def former_path(directory: str, name: str) -> str:
    """Return where the certificates lie that a device may still come with."""
    return os.path.join(directory, FOLDER, f"{name}{FORMER}")


def kept(tunnel: Mapping[str, Any]) -> set[str]:
    """Return the names of the files of certificates that the devices of a tunnel have."""
    return {f"{peer['name']}{end}" for peer in tunnel.get("named") or [] for end in (".crt", FORMER)}


def known(tunnel: Mapping[str, Any], directory: str) -> dict[str, Any]:
    """Return a tunnel of IPsec with what was signed for it so far, by which a host knows its devices.

    `named` are all devices; `peers` those that have a certificate, with `public_key` (SHA-256) and `certificates`
    (PEM); `waiting` the names of the others. `certificate` is the gateway's own, empty where there is none that is
    valid; `due`: it has to be signed anew.
    """
    authority.demand_cryptography()
    named = tunnel.get("named", tunnel["peers"])
    title = home_ipsec_host.title(tunnel)
    certified = {str(peer["name"]): admitted(directory, str(peer["name"])) for peer in named}
    return {
        **tunnel,
        "named": named,
        "peers": [
            {**peer, "public_key": authority.key_digest(texts[0], str(peer["name"])), "certificates": texts}
            for peer in named
            if (texts := certified[str(peer["name"])])
        ],
        "waiting": sorted(name for name, texts in certified.items() if not texts),
        "certificate": "".join(_valid(directory, authority.certificate_path(directory, title))[:1]),
        "due": not authority.lasts(directory, title),
    }


def admitted(directory: str, name: str) -> list[str]:
    """Return the certificates (PEM) that let a device in: the present one, then former ones, while they are valid.

    None of another device, as of one that has another name since: a gateway knows each by its name.
    """
    found = _valid(directory, certificate_path(directory, name), former_path(directory, name))
    return [text for text in dict.fromkeys(found) if authority.is_named(text, home_ipsec.common_name(name))]


def _valid(directory: str, *paths: str) -> list[str]:
    """Return the certificates (PEM) in these files that are valid, of an authority that is trusted."""
    trusted = authority.authorities(directory)
    return [
        text
        for path in paths
        for text in PEM.findall(clinic_folder.read(path))
        if _left(text, path) > datetime.timedelta(0) and any(authority.is_of(text, ours) for ours in trusted)
    ]


def sign(secrets: Secrets, directory: str, tunnel: Mapping[str, Any], *, check_mode: bool) -> list[str]:
    """Sign what devices handed in, where it is not signed yet or not for long; return whose was, or would be."""
    signed: list[str] = []
    keys: dict[bytes, str] = {}
    for name in (str(peer["name"]) for peer in tunnel.get("named", tunnel["peers"])):
        path = request_path(directory, name)
        request = clinic_folder.read(path)
        path = path if request else certificate_path(directory, name)
        held = [authority.public(authority.load_request(request, path))] if request else _keys(directory, name)
        for key in held:
            if key in keys:
                raise HardeningError(f"{path} has the key of {keys[key]}; accepted: a key pair made on each device.")
            keys[key] = path
        if not request:
            continue
        (key,) = held
        if _lasts(directory, name, key):
            continue
        signed.append(name)
        if not check_mode:
            text = authority.sign_for_tunnel(secrets, directory, request, path, home_ipsec.common_name(name))
            _keep(directory, name, text, key)
    return signed


def waiting(directory: str, tunnel: Mapping[str, Any]) -> list[str]:
    """Return the devices that handed in nothing yet, and have no certificate."""
    names = (str(peer["name"]) for peer in tunnel.get("named", tunnel["peers"]))
    return [
        name
        for name in names
        if not clinic_folder.read(request_path(directory, name)) and not admitted(directory, name)
    ]


def _keep(directory: str, name: str, text: str, key: bytes) -> None:
    """Put a certificate in its place; the ones before, of the same key, open the tunnel while they are valid."""
    before = [each for each in admitted(directory, name) if _key(each, name) == key]
    with clinic_folder.locked(os.path.join(directory, FOLDER), "the certificates of those who read from home"):
        if before:
            clinic_folder.write(former_path(directory, name), "".join(before))
        elif os.path.exists(former_path(directory, name)):
            clinic_folder.remove(former_path(directory, name))
        clinic_folder.write(certificate_path(directory, name), text)


def _lasts(directory: str, name: str, key: bytes) -> bool:
    """Tell whether a device has a certificate for this key, of the authority that signs, with days left."""
    text = clinic_folder.read(certificate_path(directory, name))
    signer = clinic_folder.read(authority_folders.certificate(authority_folders.signing(directory, device=True)))
    return bool(
        text
        and signer
        and authority.is_of(text, signer)
        and authority.is_named(text, home_ipsec.common_name(name))
        and _key(text, name) == key
        and _left(text, name) > authority.RENEWAL_DAYS * authority.DAY
    )


def _keys(directory: str, name: str) -> list[bytes]:
    """Return the keys by which a device is let in, each once."""
    return list(dict.fromkeys(_key(text, name) for text in admitted(directory, name)))


def _key(text: str, name: str) -> bytes:
    return authority.public(authority.load_certificate(text, name))


def _left(text: str, path: str) -> datetime.timedelta:
    ends = authority.load_certificate(text, path).not_valid_after_utc
    return ends - datetime.datetime.now(tz=datetime.UTC)
