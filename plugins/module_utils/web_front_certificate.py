# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The certificate of Orthanc's HTTPS front: what OpenSSL says of its file, and whether the front shows that one."""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import (
    certificates,
    own_key,
    web_front,
    web_front_state,
)
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.wire import certificate as shown_by
from ansible_collections.radiology.hardening.plugins.module_utils.wire.ports import Place

FACTS = {
    "present": "bool: there is one",
    "digest": "str: SHA-256 of its file",
    "served": "bool: it is what the front shows at each address where it answers; null: it answers nowhere",
    "days_left": "int: whole days until it ends; -1 when there is none",
    "public_key": "str: SHA-256 of its public key",
    "matches_key": "bool: it was made for the front's key",
    "of_our_authority": "bool: it is valid, and one of the clinic's authorities signed it",
    "names": "list of str: DNS:name and IP:address",
    "missing_names": "list of str: names and addresses of the front that it does not bear",
    "undeclared_names": "list of str: names and addresses that it bears and the front does not have",
    "answers": "bool: it says that it is for servers (serverAuth)",
    "weaknesses": "list of str: what is too weak in its key or its signature",
}


def observe(host: Host, scope: Mapping[str, Any], silent: Sequence[str] | None) -> dict[str, Any]:
    """Return the facts of the certificate and of the request for it.

    `silent`: the addresses at which the front does not answer; None while it does not run.
    """
    addresses = [str(each) for each in scope.get("addresses") or []]
    known = certificate(host, scope, [] if silent is None else [each for each in addresses if each not in silent])
    asked = web_front_state.request(host, web_front.REQUEST, web_front.KEY, fits=_fits(host, scope, known))
    return {"certificate": known, "request": asked}


def certificate(host: Host, scope: Mapping[str, Any], speaking: Sequence[str]) -> dict[str, Any]:
    """Return the facts of the certificate: never of its key more than whether the two belong together.

    `speaking`: the addresses at which the front answers.
    """
    declared = web_front.alternative_names(scope) if scope.get("addresses") else []
    text = host.text(web_front.CERTIFICATE)
    if text is None:
        none: dict[str, Any] = {"present": False, "digest": None, "served": None, "days_left": -1, "public_key": ""}
        none |= {"matches_key": False, "of_our_authority": False, "answers": False, "weaknesses": []}
        return {**none, "names": [], "missing_names": declared, "undeclared_names": []}
    said = web_front_state.shown(host, web_front.CERTIFICATE)
    names, key = web_front_state.alternative_names(said), certificates.public_key(said)
    ours = host.run(["openssl", "pkey", "-in", host.path(web_front.KEY), "-pubout"])
    return {
        "present": True,
        "digest": host.digest(web_front.CERTIFICATE),
        "served": _is_served(text, speaking) if speaking else None,
        "days_left": web_front_state.days_left(said),
        "public_key": certificates.key_digest(key),
        "matches_key": bool(key) and ours.ok and key == ours.output,
        "of_our_authority": _is_ours(host, (scope.get("signed") or {}).get("trusted") or []),
        "names": names,
        "missing_names": [name for name in declared if own_key.short(name) not in names],
        "undeclared_names": [name for name in names if declared and name not in map(own_key.short, declared)],
        "answers": "serverAuth" in certificates.usages(said),
        "weaknesses": certificates.weaknesses(said),
    }


def is_sound(known: Mapping[str, Any], least_days: int) -> bool:
    """Tell whether nothing is amiss with the certificate that another would mend."""
    return (
        int(known.get("days_left", -1)) >= least_days
        and bool(known.get("of_our_authority"))
        and bool(known.get("answers"))
        and not any(known.get(each) for each in ("missing_names", "undeclared_names", "weaknesses"))
    )


def _fits(host: Host, scope: Mapping[str, Any], known: Mapping[str, Any]) -> bool:
    """Tell whether the certificate is for the key here, and for one that the authority signed, or soon will: it waits.

    A pair that somebody planted fits itself.
    """
    name = next((f"{str(each).lower()}-web" for each in scope.get("names") or []), "")
    signed = ((scope.get("signed") or {}).get("keys") or {}).get(name)
    is_signed = not signed or known["public_key"] in signed or host.stat(web_front.NEXT_KEY) is not None
    return bool(known["matches_key"] and is_signed)


def _is_served(text: str, speaking: Sequence[str]) -> bool:
    """Tell whether the front shows this certificate (PEM) everywhere; the first one in the file is the front's own."""
    blocks = certificates.each("CERTIFICATE", text)
    try:
        file = ssl.PEM_cert_to_DER_cert(blocks[0]) if blocks else b""
    except ValueError:
        return False
    return bool(file) and all(shown_by.presented(Place(each, web_front.PORT)) == file for each in speaking)


def _is_ours(host: Host, trusted: Sequence[str]) -> bool:
    """Tell whether OpenSSL finds the file valid and signed by one of these authorities (PEM); by none where none is."""
    command = ["openssl", "verify", "-partial_chain", "-no-CApath", "-no-CAstore", "-CAfile", "/dev/stdin"]
    return bool(trusted) and host.run([*command, host.path(web_front.CERTIFICATE)], stdin="".join(trusted)).ok
