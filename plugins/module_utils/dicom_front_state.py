# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The TLS front of Orthanc's DICOM port as it is on the host: files, certificates, unit, and what it is told."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import (
    certificates,
    dicom_cleartext,
    dicom_front,
    own_words,
    unit_state,
    web_front,
    web_front_state,
)
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host

READ = (
    dicom_front.CONFIGURATION,
    dicom_front.KEY,
    dicom_front.CERTIFICATE,
    dicom_front.AUTHORITY,
    dicom_front.REVOKED,
    dicom_front.LINK_KEY,
    dicom_front.LINK_CERTIFICATE,
    dicom_front.ORTHANC_CERTIFICATE,
    dicom_front.UNIT_FILE,
)
"""What the running front has read."""

TEXTS = (
    dicom_front.CONFIGURATION,
    dicom_front.UNIT_FILE,
    dicom_front.ACCOUNT_FILE,
    dicom_front.AUTHORITY,
    dicom_front.REVOKED,
)

KEYS = {
    dicom_front.KEY: dicom_front.USER,
    dicom_front.NEXT_KEY: dicom_front.USER,
    dicom_front.LINK_KEY: dicom_front.USER,
    dicom_front.ORTHANC_KEY: "orthanc",
}
"""Each private key and the group that may read it."""

CERTIFICATES = (
    dicom_front.CERTIFICATE,
    dicom_front.AUTHORITY,
    dicom_front.LINK_CERTIFICATE,
    dicom_front.ORTHANC_CERTIFICATE,
)

JUDGED = re.compile(
    r"ssl_(protocols|ciphers|crl|verify_client) [^;]*;|proxy_ssl_(ciphers|verify) [^;]*;|limit_conn machines \d+;|"
    r'"[0-9a-f]{40} [0-9a-f.:]+" 127\.[\d.]+;( # [a-z0-9-]+)?|'
    r"(allow|deny) [^;]+;|proxy_bind 127\.[\d.]+;|# .* until [\d-]+\."
)
"""Lines of the configuration that other facts tell: TLS, limits, and the devices with their addresses."""

BINDING = re.compile(r'^\s*"([0-9a-f]{40}) (\S+)" (127\.[\d.]+);', re.MULTILINE)


def observe(host: Host, scope: Mapping[str, Any], *, fits: bool = True) -> dict[str, Any]:
    """Return the facts of the front; what only a running front can tell is null while it does not run.

    `fits`: its certificate fits its key.
    """
    unit = unit_state.properties(host, dicom_front.UNIT)
    active = unit_state.is_active(unit)
    text = host.text(dicom_front.CONFIGURATION) or ""
    directives = web_front_state.tokens(text)
    told = {name: web_front_state.words(directives, name) for name in ("ssl_protocols", "ssl_verify_client", "ssl_crl")}
    suites = [each for value in web_front_state.words(directives, "ssl_ciphers") for each in value.split(":")]
    as_opened = {**scope, "devices": dicom_cleartext.as_opened(directives, scope.get("devices") or [])}
    unit_text = dicom_front.service(as_opened["devices"])
    return {
        "installed": host.stat("/usr/lib/nginx/modules/ngx_stream_module.so") is not None,
        "active": active,
        "enabled": unit_state.is_enabled(unit),
        "older_than_configuration": unit_state.is_older(host, unit, READ),
        "ssl_protocols": told["ssl_protocols"] if active else None,
        "ssl_ciphers": suites if active else None,
        "ssl_verify_client": told["ssl_verify_client"] if active else None,
        "ssl_crl": told["ssl_crl"] if active else None,
        "proxy_ssl_verify": web_front_state.words(directives, "proxy_ssl_verify") if active else None,
        "connections_of_a_device": _most(directives, as_opened) if active else None,
        **(_silent(host, scope) if active else {"silent_addresses": [], "silent_doors": []}),
        **dicom_cleartext.observe(text, directives, scope),
        "undeclared_devices": _undeclared(text, scope),
        "altered": own_words.altered(
            host, unit, (dicom_front.UNIT_FILE, unit_text), (dicom_front.CONFIGURATION, _foreign(text, as_opened))
        ),
        "files": {path: host.digest(path) for path in TEXTS},
        "request": web_front_state.request(host, dicom_front.REQUEST, dicom_front.KEY, fits=fits),
    }


def certificate(host: Host, scope: Mapping[str, Any]) -> dict[str, Any]:
    """Return what OpenSSL says of the front's certificate: never its key, only whether the two belong together."""
    if host.stat(dicom_front.CERTIFICATE) is None:
        named = {"names": [], "missing_names": _declared(scope), "undeclared_names": [], "usages": []}
        none = {"present": False, "days_left": -1, "public_key": "", "matches_key": False, "of_our_authority": False}
        return {**none, **named}
    file = host.path(dicom_front.CERTIFICATE)
    said = web_front_state.shown(host, dicom_front.CERTIFICATE)
    names, declared = web_front_state.alternative_names(said), _declared(scope)
    verify = ["openssl", "verify", "-partial_chain", "-no-CApath", "-no-CAstore"]
    authority = host.path(dicom_front.AUTHORITY)
    return {
        "present": True,
        "digest": host.digest(dicom_front.CERTIFICATE),
        "days_left": web_front_state.days_left(said),
        "public_key": public_key(host, dicom_front.CERTIFICATE),
        "matches_key": matches(host, dicom_front.CERTIFICATE, dicom_front.KEY),
        "of_our_authority": host.run([*verify, "-CAfile", authority, file]).ok,
        "names": names,
        "missing_names": [name for name in declared if name not in names],
        "undeclared_names": [name for name in names if declared and name not in declared],
        "usages": certificates.usages(said),
    }


def revocation(host: Host, scope: Mapping[str, Any]) -> dict[str, Any]:
    """Return what OpenSSL says of the front's lists of revoked certificates, and which they lack of those due.

    There is one of each of the clinic's authorities in the trust store; one that expired refuses every device.
    """
    command = ["openssl", "crl", "-noout", "-text", "-CAfile", host.path(dicom_front.AUTHORITY)]
    texts = certificates.each("X509 CRL", host.text(dicom_front.REVOKED) or "")
    answers = [host.run(command, stdin=text) for text in texts]
    listed = [set(certificates.serials(said.output)) for said in answers]
    due = (scope.get("signed") or {}).get("revoked") or []
    verified = [said.ok and "verify OK" in said.errors for said in answers]
    store = trust_store(host, scope)
    return {
        "of_our_authority": all(verified) and len(verified) == max(1, store["authorities"] - len(store["foreign"])),
        "days_left": min((certificates.days_of_list(said.output) for said in answers), default=-1),
        "unrevoked": [each for each in due if not listed or not all(each in serials for serials in listed)],
    }


def trust_store(host: Host, scope: Mapping[str, Any]) -> dict[str, Any]:
    """Return whom the front takes for an authority, and who of them is not the clinic's, by what the controller says.

    Where it says nothing, the first one is taken for the clinic's.
    """
    signed = scope.get("signed") or {}
    trusted = host.text(dicom_front.AUTHORITY) or ""
    found = [certificates.digest(text) for text in certificates.each("CERTIFICATE", trusted)]
    known = signed.get("authorities") or found[:1]
    return {
        "authorities": len(found),
        "foreign": [each for each in found if each not in known],
        "days_of_change": int(signed.get("days_of_change") or 0),
    }


def shared_keys(host: Host, scope: Mapping[str, Any]) -> list[str]:
    """Return `name = name` of all that have one key pair: certificates here, of devices and of the clinic's servers."""
    own = str(scope.get("name") or "server")
    here = {
        own: dicom_front.CERTIFICATE,
        f"{own}-web": web_front.CERTIFICATE,
        dicom_front.LINK_CERTIFICATE: dicom_front.LINK_CERTIFICATE,
        dicom_front.ORTHANC_CERTIFICATE: dicom_front.ORTHANC_CERTIFICATE,
    }
    holders: dict[str, set[str]] = {}
    for name, keys in ((scope.get("signed") or {}).get("keys") or {}).items():
        for key in keys if name not in here else ():
            holders.setdefault(key, set()).add(name)
    for name, path in here.items():
        key = public_key(host, path)
        if key:
            holders.setdefault(key, set()).add(name)
    return sorted(" = ".join(sorted(names)) for names in holders.values() if len(names) > 1)


def public_key(host: Host, path: str) -> str:
    """Return the SHA-256 of a certificate's public key; nothing where there is none."""
    if host.stat(path) is None:
        return ""
    return certificates.key_digest(certificates.public_key(web_front_state.shown(host, path)))


def weak(host: Host) -> list[str]:
    """Return `path: what is weak` of each certificate that the front or Orthanc shows or trusts; none: not there."""
    present = [path for path in CERTIFICATES if host.stat(path)]
    texts = {path: web_front_state.shown(host, path) for path in present}
    return [f"{path}: {reason}" for path, text in texts.items() for reason in certificates.weaknesses(text)]


def links(host: Host) -> dict[str, Any]:
    """Return whether the pairs between the front and Orthanc belong together and are trusted by the other side."""
    pairs = (
        (dicom_front.LINK_CERTIFICATE, dicom_front.LINK_KEY),
        (dicom_front.ORTHANC_CERTIFICATE, dicom_front.ORTHANC_KEY),
    )
    days = [web_front_state.days_left(web_front_state.shown(host, path)) for path, _key in pairs]
    trusted = host.digest(dicom_front.ORTHANC_TRUST)
    return {
        "usable": all(matches(host, *pair) for pair in pairs)
        and trusted is not None
        and trusted == host.digest(dicom_front.LINK_CERTIFICATE),
        "days_left": min(days),
    }


def loose_keys(host: Host) -> list[str]:
    """Return the private keys that others than root and their service may read."""
    found = []
    for path, group in KEYS.items():
        entry = host.stat(path)
        if entry and (int(entry.mode, 8) & ~0o640 or entry.owner != "root" or entry.group != group):
            found.append(path)
    return found


def matches(host: Host, certificate_file: str, key: str) -> bool:
    """Tell whether a certificate was made for a key."""
    theirs = certificates.public_key(web_front_state.shown(host, certificate_file))
    ours = host.run(["openssl", "pkey", "-in", host.path(key), "-pubout"])
    return bool(theirs) and ours.ok and theirs == ours.output


def _most(directives: list[list[str]], scope: Mapping[str, Any]) -> int:
    """Return how many connections one device may hold; by two addresses twice as many, where these count apart."""
    limits = [int(each[2]) for each in directives if each[0] == "limit_conn" and len(each) > 2 and each[2].isdigit()]
    listed = scope.get("devices") or []
    devices = [*dicom_front.admitted(listed), *dicom_cleartext.admitted(listed)]
    named = {(each[0], each[1]) for each in directives if len(each) == 2}
    apart = [
        device
        for device in devices
        if device.get("address6")
        and not {(device["address"], device["name"]), (device["address6"], device["name"])} <= named
    ]
    return max(limits, default=dicom_front.WORKER_CONNECTIONS) * (2 if apart else 1)


def _declared(scope: Mapping[str, Any]) -> list[str]:
    """Return the names that the certificate has to bear; empty where the clinic file says nothing of the host."""
    return dicom_front.names(scope) if scope.get("name") and scope.get("addresses") else []


def _undeclared(text: str, scope: Mapping[str, Any]) -> list[str]:
    """Return `address=loopback` of each binding that no declared device has, or by a certificate that is not its own.

    What the authority signed is known where the controller tells it.
    """
    devices = dicom_front.admitted(scope.get("devices") or [])
    declared = {(device.get(key), device["loopback"]): device for device in devices for key in ("address", "address6")}
    signed = (scope.get("signed") or {}).get("certificates")
    found = set()
    for fingerprint, address, loopback in BINDING.findall(text):
        device = declared.get((address, loopback))
        if device is None or (signed is not None and fingerprint not in signed.get(device["name"], [])):
            found.add(f"{address}={loopback}")
    return sorted(found)


def _foreign(text: str, scope: Mapping[str, Any]) -> list[str]:
    """Return where the configuration is not ours; none where there is none, or where the clinic file says nothing."""
    if not text or not scope.get("addresses"):
        return []
    ours = dicom_front.configuration({"devices": [], **scope}, {}, protocols=[], suites=[])
    return own_words.foreign(text, ours, JUDGED)


def _silent(host: Host, scope: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return where the running front does not listen: own addresses, and declared ports in clear."""
    taken = {word for line in host.run(["ss", "-Hltn"]).output.splitlines() for word in line.split()}
    own = [str(address) for address in scope.get("addresses") or []]
    doors = [
        door
        for device in dicom_cleartext.admitted(scope.get("devices") or [])
        for door in dicom_cleartext.doors(device, own)
    ]
    return {
        "silent_addresses": [address for address in own if dicom_front.endpoint(address) not in taken],
        "silent_doors": [door for door in doors if door not in taken],
    }
