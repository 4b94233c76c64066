# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The steps that bring the TLS front of Orthanc's DICOM port to what its files should say."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import (
    certificates,
    dicom_front,
    dicom_front_state,
    front_unit,
    own_key,
    unit_state,
)
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host

LINK_DAYS = 1095
SECONDS = 20
"""How long the front may take to listen after a start."""


def account(host: Host) -> None:
    """Give the front a user of its own."""
    host.folder("/etc/sysusers.d")
    host.write(dicom_front.ACCOUNT_FILE, dicom_front.ACCOUNT)
    host.must(["systemd-sysusers", dicom_front.ACCOUNT_FILE])


def request(host: Host, scope: Mapping[str, Any], *, anew: bool = False) -> None:
    """Make the front's key, which stays here, unless there is a strong one, and the request for its certificate.

    `anew`: the present key is another's as well.
    """
    host.folder(dicom_front.FOLDER, mode=0o750, group=dicom_front.USER)
    if anew or not own_key.is_strong(host, dicom_front.KEY):
        _write(host, dicom_front.KEY, own_key.made(host))
    _ask(host, dicom_front.KEY, scope)


def renew(host: Host, scope: Mapping[str, Any]) -> None:
    """Make the next key, which stays here, beside the one that serves, and the request for its certificate."""
    _write(host, dicom_front.NEXT_KEY, own_key.made(host))
    _ask(host, dicom_front.NEXT_KEY, scope)


def _ask(host: Host, key: str, scope: Mapping[str, Any]) -> None:
    names, name = dicom_front.names(scope), str(scope["name"])
    usages = certificates.BOTH_SIDES
    asked = own_key.request(host, key, dicom_front.REQUEST, common_name=name, names=names, usages=usages)
    _write(host, dicom_front.REQUEST, asked)


def links(host: Host) -> None:
    """Make the two pairs with which the front and Orthanc know each other; neither leaves the host."""
    host.folder(dicom_front.FOLDER, mode=0o750, group=dicom_front.USER)
    host.folder(dicom_front.ORTHANC_FOLDER, mode=0o755)
    for key, certificate, name in (
        (dicom_front.LINK_KEY, dicom_front.LINK_CERTIFICATE, "front"),
        (dicom_front.ORTHANC_KEY, dicom_front.ORTHANC_CERTIFICATE, "orthanc"),
    ):
        _write(host, key, own_key.made(host))
        made = ["openssl", "req", "-x509", "-new", "-key", key, "-subj", f"/CN={name}", "-days", str(LINK_DAYS)]
        made += ["-addext", f"subjectAltName=DNS:{name}", "-addext", "extendedKeyUsage=serverAuth,clientAuth"]
        _write(host, certificate, host.must(made))
    _write(host, dicom_front.ORTHANC_TRUST, host.text(dicom_front.LINK_CERTIFICATE) or "")


def tighten(host: Host) -> None:
    """Keep the private keys from all but root and their service."""
    for path in dicom_front_state.loose_keys(host):
        host.own(path, mode=0o640, group=dicom_front_state.KEYS[path])


def serve(host: Host, texts: Mapping[str, str], strangers: Sequence[str], scope: Mapping[str, Any]) -> None:
    """Write what changed, have nginx check it, start or reload, and prove it; else put the former back.

    A certificate that was made for the next key brings that key with it. `strangers` are files that have the unit run
    otherwise, and go.
    """
    certificate = texts.get(dicom_front.CERTIFICATE)
    if certificate is not None:
        texts = {**front_unit.next_key(host, certificate, dicom_front.KEY, dicom_front.NEXT_KEY), **texts}
    former = {path: host.read(path) for path in (*texts, *strangers)}
    started = False
    host.folder(dicom_front.FOLDER, mode=0o750, group=dicom_front.USER)
    try:
        for path, text in texts.items():
            _write(host, path, text)
        for path in strangers:
            host.remove(path)
        host.must([*dicom_front.CHECK, dicom_front.CONFIGURATION])
        unit = dicom_front.UNIT_FILE
        started = True
        front_unit.start(host, dicom_front.UNIT, restart=bool(strangers) or former[unit] != texts[unit].encode())
        _prove(host, scope)
        if dicom_front.KEY in texts:
            host.remove(dicom_front.NEXT_KEY)
    except HardeningError:
        if former[dicom_front.CONFIGURATION] is not None:
            for path, content in former.items():
                if content is not None:
                    _write(host, path, content)
            if started:  # else it runs with what it read before, whatever its files say
                front_unit.start(host, dicom_front.UNIT, restart=True)
        raise


def _prove(host: Host, scope: Mapping[str, Any]) -> None:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        found = dicom_front_state.observe(host, scope)
        if found["active"] and not found["silent_addresses"] and not found["silent_doors"]:
            return
        time.sleep(0.1)
    words = host.run(["journalctl", "-u", dicom_front.UNIT, "-n", "5", "--no-pager", "-o", "cat"]).output.strip()
    state = unit_state.properties(host, dicom_front.UNIT).get("ActiveState", "unknown")
    raise HardeningError(f"The DICOM front is {state} and does not listen on all of its addresses; it says: {words}")


def _write(host: Host, path: str, content: bytes | str) -> None:
    if path in dicom_front_state.KEYS:
        host.write(path, content, mode=0o640, group=dicom_front_state.KEYS[path])
    elif path.startswith(dicom_front.FOLDER):
        host.write(path, content, mode=0o640, group=dicom_front.USER)
    else:
        host.write(path, content, mode=0o644)
