# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""DICOM over TLS with a certificate for every device: the front, its certificates, and Orthanc's own TLS behind it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import (
    dicom_front,
    dicom_front_plan,
    dicom_front_seen,
    dicom_front_state,
    expectation,
    orthanc_configuration,
    own_words,
    web_front_plan,
    web_front_state,
)
from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import deliberate
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.orthanc_configuration import digest
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step
from ansible_collections.radiology.hardening.plugins.module_utils.surfaces import orthanc

NAME = "dicom_tls"
OWN = (dicom_front.UNIT_FILE,)
"""Files that this surface alone writes: where they are and nothing is kept, an earlier release hardened the host."""
USES = (orthanc,)
FACTS: dict[str, str] = {
    "front.installed": "bool: nginx and its stream module are on the host",
    "front.active": "bool: the front runs",
    "front.enabled": "bool: the front starts with the machine",
    "front.older_than_configuration": "bool: the front runs with files that changed since",
    "front.ssl_protocols": "list of str: nginx's ssl_protocols; null: the front does not run",
    "front.ssl_ciphers": "list of str: nginx's ssl_ciphers; null: the front does not run",
    "front.ssl_verify_client": "list of str: nginx's ssl_verify_client; null: the front does not run",
    "front.ssl_crl": "list of str: nginx's ssl_crl; null: the front does not run",
    "front.proxy_ssl_verify": "list of str: nginx's proxy_ssl_verify, every server; null: the front does not run",
    "front.connections_of_a_device": "int: connections that one device may hold at once; null: the front does not run",
    "front.connections_unserved": "int: connections of all devices, and one more, for which Orthanc has no thread",
    "front.silent_addresses": "list of str: own addresses on which the front does not listen",
    "front.silent_doors": "list of str: address:port of declared ports in clear on which the front does not listen",
    "front.cleartext_listens": "list of str: address:port beyond loopback where the front takes DICOM in clear, and "
    "which the clinic file declares for no device",
    "front.cleartext_unbound": "list of str: name: address:port of declared ports in clear that take another's "
    "address, or hand on to Orthanc as another",
    "front.cleartext_expired": "list of str: declarations in clear whose last day is over, whether the port is open "
    "all the same, and what is to be done",
    "front.cleartext_calls": "list of str: address:port -> address:port where the front calls on in clear, and which "
    "the clinic file does not declare",
    "front.undeclared_devices": "list of str: address=loopback of bindings that no declared device has, or by "
    "a certificate that the authority did not sign for it",
    "front.altered": "list of str: path: what makes the front run otherwise than the role wrote it",
    "front.files.*": "str: SHA-256 of each file of the front; null: no file",
    "front.request": "str: SHA-256 of the certificate request for the front's key; null: none",
    "certificate.present": "bool: the front has a certificate",
    "certificate.digest": "str: SHA-256 of the certificate file",
    "certificate.days_left": "int: whole days until it ends; -1 when there is none",
    "certificate.public_key": "str: SHA-256 of its public key",
    "certificate.matches_key": "bool: the certificate was made for the front's key",
    "certificate.of_our_authority": "bool: the authority in the front's trust store signed it",
    "certificate.names": "list of str: DNS:name and IP:address",
    "certificate.missing_names": "list of str: names and addresses of the host that it does not bear",
    "certificate.undeclared_names": "list of str: names and addresses that it bears and the host does not have",
    "certificate.usages": "list of str: what it is for: serverAuth, clientAuth",
    "trust_store.authorities": "int: certificates that the front takes for authorities",
    "trust_store.foreign": "list of str: SHA-256 of those of them that are none of the clinic's",
    "trust_store.days_of_change": "int: whole days for which the clinic has had two authorities; 0: it has one",
    "revocation.of_our_authority": "bool: there is a list of revoked certificates of each authority, and no other",
    "revocation.days_left": "int: whole days until a list expires, and with it every device's way in; -1: no list",
    "revocation.unrevoked": "list of str: serial numbers that should be revoked and that a list lacks",
    "links.usable": "bool: the front and Orthanc know each other by their own pairs",
    "links.days_left": "int: whole days until the first of these pairs ends",
    "keys.loose": "list of str: private keys that others than root and their service may read",
    "keys.shared": "list of str: name = name of those in the clinic that have one key pair",
    "keys.weak": "list of str: certificates with a key or a signature that is too weak, and why",
    "devices.ending": "list of str: devices that last came, within 90 days, with a certificate that has fewer than 30 "
    "days left, and what is to be done",
    "outgoing.cleartext": "list of str: entries of DicomModalities that Orthanc would call in clear beyond loopback",
    "distribution": "str: what nginx.service is there for: off, default site, other sites",
}

REQUESTED = "Make the DICOM front's key, which stays here, and the request for its certificate"
"""The step after which the controller signs."""

RENEWED = "Make the DICOM front's next key, which stays here, and the request for its certificate"
"""The same, while the former key goes on to serve."""

TO_BE_SIGNED = "to be signed"
"""Stands for a certificate in check mode, where nothing is signed."""

DAYS_OF_CHANGE = f"{NAME}.trust_store.days_of_change"
END = "End the change of the clinic's authority, under way for {} days: rotate_certificates.yml -e authority=only"
EXPIRED = f"{NAME}.front.cleartext_expired"
ENDING = f"{NAME}.devices.ending"
ELSEWHERE = (f"{NAME}.keys.", DAYS_OF_CHANGE, EXPIRED, ENDING)
"""Facts that no start of the front mends."""

RENEWAL_DAYS = 60
SUITES_OF_ORTHANC = [
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_AES_256_GCM_SHA384",
    "TLS_AES_128_GCM_SHA256",
]
BEHIND_THE_FRONT = {
    "DicomPort": 4242,
    "DicomTlsCertificate": dicom_front.ORTHANC_CERTIFICATE,
    "DicomTlsPrivateKey": dicom_front.ORTHANC_KEY,
    "DicomTlsTrustedCertificates": dicom_front.ORTHANC_TRUST,
    "DicomTlsMinimumProtocolVersion": 4,
    "DicomTlsCiphersAccepted": SUITES_OF_ORTHANC,
}
"""Orthanc's own TLS (1.9.0; the last two 1.12.4, left out before): it trusts the front alone."""


def observe(host: Host, scope: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts."""
    configuration = orthanc_configuration.observe(host)["config"]
    certificate = dicom_front_state.certificate(host, scope)
    front = dicom_front_state.observe(host, scope, fits=_serves_signed(host, certificate, scope))
    devices = dicom_front.admitted(scope.get("devices") or [])
    return {
        "front": {**front, "connections_unserved": _unserved(front, configuration, scope)},
        "certificate": certificate,
        "trust_store": dicom_front_state.trust_store(host, scope),
        "revocation": dicom_front_state.revocation(host, scope),
        "links": dicom_front_state.links(host),
        "keys": {
            "loose": dicom_front_state.loose_keys(host),
            "shared": dicom_front_state.shared_keys(host, scope),
            "weak": dicom_front_state.weak(host),
        },
        "devices": {"ending": dicom_front_seen.ending(host, devices, time.time()) if front["active"] else []},
        "outgoing": {"cleartext": outgoing_in_clear(configuration.get("DicomModalities") or {})},
        "distribution": web_front_state.distribution(host),
    }


def plan(facts: Mapping[str, Any], wanted: Mapping[str, Mapping[str, Any]], scope: Mapping[str, Any]) -> list[Step]:
    """Return the steps: keys and certificates, the front, then Orthanc's own TLS behind it.

    Orthanc takes DICOM in clear until the front stands, so that a run which is broken off leaves one of the two ways.
    """
    mine = facts[NAME]
    _refuse_anothers(mine, scope)
    unmet = expectation.unmet(facts, wanted)
    steps: list[Step] = []
    if mine["front"]["files"].get(dicom_front.ACCOUNT_FILE) != digest(dicom_front.ACCOUNT):
        steps.append(Step(f"Give the DICOM front an account of its own ({dicom_front.USER})", dicom_front_plan.account))
    links = (dicom_front.LINK_CERTIFICATE, dicom_front.ORTHANC_CERTIFICATE)
    amiss = not mine["links"]["usable"] or mine["links"]["days_left"] < RENEWAL_DAYS
    if amiss or _weak(mine, *links) or _sharing(mine, *links):
        steps.append(Step("Make the key pairs between the front and Orthanc", dicom_front_plan.links))
    requested, shared = _requested(mine, scope), _sharing(mine, str(scope["name"]))
    if not requested:
        steps.append(Step(REQUESTED, lambda host: dicom_front_plan.request(host, scope, anew=shared)))
    elif scope.get("renew") or (shared and not _is_answered(mine, scope)):
        steps.append(Step(RENEWED, lambda host: dicom_front_plan.renew(host, scope)))
    if mine["keys"]["loose"]:
        steps.append(
            Step(f"Keep {', '.join(mine['keys']['loose'])} from all but their service", dicom_front_plan.tighten)
        )
    if scope.get("certificate") and (requested or scope["certificate"] == TO_BE_SIGNED):
        steps += _front(mine, wanted, unmet, scope)
        steps += _orthanc(facts, wanted, unmet, scope)
    steps += _left(mine, str(scope["name"]), *links)
    steps += [deliberate(each) for each in mine["front"]["cleartext_expired"] if EXPIRED in unmet]
    steps += [deliberate(each) for each in mine["devices"]["ending"] if ENDING in unmet]
    if DAYS_OF_CHANGE in unmet:
        steps.append(deliberate(END.format(mine["trust_store"]["days_of_change"])))
    return steps + web_front_plan.plan_distribution({"distribution": mine["distribution"], "cleartext_listens": []})


def outgoing_in_clear(modalities: Mapping[str, Any]) -> list[str]:
    """Return the entries that Orthanc would call in clear; an entry in array form has no TLS."""
    found = []
    for name, entry in modalities.items():
        host, tls = (entry[1], False) if isinstance(entry, list) else (entry.get("Host"), entry.get("UseDicomTls"))
        if not tls and not str(host).startswith("127."):
            found.append(name)
    return sorted(found)


def _refuse_anothers(mine: Mapping[str, Any], scope: Mapping[str, Any]) -> None:
    """Raise HardeningError where all is whole by an authority that is not the clinic's: its folder is not the one.

    That has signed nothing for this server then. An authority beside ours, or one that did not sign what the front
    shows, was put there by somebody, and goes.
    """
    store = mine["trust_store"]
    foreign = store["authorities"] and store["authorities"] == len(store["foreign"])
    unknown = scope.get("certificate") in (None, "", TO_BE_SIGNED)
    if foreign and unknown and mine["certificate"]["of_our_authority"]:
        raise HardeningError(dicom_front.ANOTHERS.format(known="it has another one"))


def _weak(mine: Mapping[str, Any], *paths: str) -> bool:
    """Tell whether one of these certificates has to be made anew with a key that is strong enough."""
    return any(weak.startswith(f"{path}: ") for weak in mine["keys"]["weak"] for path in paths)


def _serves_signed(host: Host, certificate: Mapping[str, Any], scope: Mapping[str, Any]) -> bool:
    """Tell whether the front shows a certificate for the key that the authority signed, or soon will: a key waits."""
    signed = ((scope.get("signed") or {}).get("keys") or {}).get(scope.get("name"))
    known = not signed or certificate["public_key"] in signed or host.stat(dicom_front.NEXT_KEY) is not None
    return bool(certificate["matches_key"] and known)


def _sharing(mine: Mapping[str, Any], *names: str) -> bool:
    """Tell whether one of these names has a key pair that another has as well."""
    return any(name in shared.split(" = ") for shared in mine["keys"]["shared"] for name in names)


def _left(mine: Mapping[str, Any], *mended: str) -> Sequence[Step]:
    """Return what only a person can mend: key pairs that two devices have, and an authority that is too weak."""
    others = [shared for shared in mine["keys"]["shared"] if not set(shared.split(" = ")) & set(mended)]
    weak = [weak for weak in mine["keys"]["weak"] if weak.partition(": ")[0] not in (dicom_front.CERTIFICATE, *mended)]
    said = [
        f"Give all but one of {shared} a key of its own: hand in a new request of it, and revoke the former"
        for shared in others
    ]
    said += [
        f"Let another authority follow the clinic's ({each}): rotate_certificates.yml -e authority=new" for each in weak
    ]
    return [deliberate(sentence) for sentence in said]


def _unserved(front: Mapping[str, Any], configuration: Mapping[str, Any], scope: Mapping[str, Any]) -> int | None:
    """Return how many associations would wait for a thread of Orthanc's, which has four where nothing is said."""
    if front["connections_of_a_device"] is None:
        return None
    together: int = front["connections_of_a_device"] * len(scope.get("devices") or []) + 1
    return max(0, together - int(configuration.get("DicomThreadsCount") or 4))


def _differs(mine: Mapping[str, Any], scope: Mapping[str, Any]) -> bool:
    return bool(mine["certificate"].get("digest") != digest(str(scope["certificate"])))


def _is_answered(mine: Mapping[str, Any], scope: Mapping[str, Any]) -> bool:
    """Tell whether a certificate is given that the front does not serve yet."""
    return bool(scope.get("certificate")) and scope["certificate"] != TO_BE_SIGNED and _differs(mine, scope)


def _requested(mine: Mapping[str, Any], scope: Mapping[str, Any]) -> bool:
    """Tell whether the host has the request that is due.

    One that is given and not yet served answers it; else the certificate that is served has to be strong and to carry
    the declared names.
    """
    if mine["front"]["request"] is None:
        return False
    if _is_answered(mine, scope):
        return True
    if not mine["certificate"]["present"]:
        return bool(scope.get("certificate"))  # the run that asked was broken off: its names may be former ones
    if _weak(mine, dicom_front.CERTIFICATE):
        return False
    return set(mine["certificate"]["names"]) == set(dicom_front.names(scope))


def _orthanc(
    facts: Mapping[str, Any], wanted: Mapping[str, Mapping[str, Any]], unmet: list[str], scope: Mapping[str, Any]
) -> list[Step]:
    if not facts["orthanc"]["installed"]:
        return []
    threads = max(4, dicom_front.threads(scope["devices"]))
    settings = {**expectation.dictated(wanted, "orthanc.config"), **BEHIND_THE_FRONT, "DicomThreadsCount": threads}
    in_clear = facts[NAME]["outgoing"]["cleartext"]
    if in_clear:
        entries = facts["orthanc"]["config"]["DicomModalities"]
        settings["DicomModalities"] = {name: entry for name, entry in entries.items() if name not in in_clear}
    unheld = [name for name in unmet if name.startswith("orthanc.")]
    return orthanc_configuration.configure(facts, settings, "take DICOM from the front alone", anyway=bool(unheld))


def _front(
    mine: Mapping[str, Any], wanted: Mapping[str, Mapping[str, Any]], unmet: list[str], scope: Mapping[str, Any]
) -> list[Step]:
    dictated = expectation.dictated(wanted, "dicom_tls.front")
    texts = {
        dicom_front.CONFIGURATION: dicom_front.configuration(
            scope,
            scope.get("fingerprints") or {},
            protocols=dictated.get("ssl_protocols", ["TLSv1.2", "TLSv1.3"]),
            suites=dictated.get("ssl_ciphers", SUITES_OF_ORTHANC[:2]),
        ),
        dicom_front.UNIT_FILE: dicom_front.service(scope["devices"]),
        dicom_front.AUTHORITY: str(scope.get("authority") or ""),
        dicom_front.REVOKED: str(scope.get("revoked") or ""),
    }
    stale = [path for path, text in texts.items() if mine["front"]["files"].get(path) != digest(text)]
    given = str(scope["certificate"])
    if given != TO_BE_SIGNED and _differs(mine, scope):
        stale.append(dicom_front.CERTIFICATE)
        texts[dicom_front.CERTIFICATE] = given
    front = mine["front"]
    silent = front["silent_addresses"] or front["silent_doors"]
    sick = not front["active"] or not front["enabled"] or front["older_than_configuration"] or silent
    unheld = [name for name in unmet if name.startswith("dicom_tls.") and not name.startswith(ELSEWHERE)]
    if not (stale or sick or unheld):
        return []
    strangers = own_words.strangers(front["altered"], dicom_front.UNIT_FILE, dicom_front.CONFIGURATION)
    what = ", ".join([*stale, *(f"without {path}" for path in strangers)]) or "start it anew"
    return [Step(f"Serve DICOM over TLS ({what})", lambda host: _serve(host, texts, strangers, scope))]


def _serve(host: Host, texts: Mapping[str, str], strangers: list[str], scope: Mapping[str, Any]) -> None:
    if host.stat("/usr/sbin/nginx") is None:
        raise HardeningError("nginx is not installed on this host.")
    dicom_front_plan.serve(host, texts, strangers, scope)
