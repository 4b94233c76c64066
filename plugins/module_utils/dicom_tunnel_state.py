# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is seen of the tunnels of a device, and the steps that bring them to what their files should say."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import (
    certificates,
    dicom_tunnel,
    own_key,
    own_words,
    unit_state,
    web_front_plan,
    web_front_state,
)
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step

FACTS: dict[str, str] = {
    "tunnel.wanted": "bool: the clinic file has this host carry the DICOM of a viewer or modality that speaks no TLS",
    "tunnel.active": "bool: the tunnels run",
    "tunnel.enabled": "bool: they start with the machine",
    "tunnel.older_than_configuration": "bool: they run with files that changed since",
    "tunnel.unverified": "list of str: services that take a peer whose chain or name is not checked: what they lack",
    "tunnel.exposed": "list of str: services whose side in clear is not on loopback, or not in the modality's room",
    "tunnel.altered": "list of str: path: what makes the tunnels run otherwise than the role wrote it",
    "tunnel.request": "str: SHA-256 of the certificate request; null: none",
    "tunnel.certificate": "str: SHA-256 of the certificate; null: none",
    "tunnel.authority": "str: SHA-256 of the authorities that are trusted; null: none",
    "tunnel.certificate_fits": "bool: the certificate is of the key that is here, and of the clinic's authority",
    "tunnel.days_left": "int: whole days until the certificate ends; -1 when there is none",
    "tunnel.loose_keys": "list of str: private keys that others than root and the tunnels may read",
    "tunnel.weak": "list of str: what is too weak in the certificate",
}
REQUESTED = "Make the tunnels' key, which stays here, and the request for its certificate"
"""The step after which the controller signs."""
READ = (dicom_tunnel.UNIT_FILE, dicom_tunnel.CONFIGURATION, dicom_tunnel.CERTIFICATE, dicom_tunnel.AUTHORITY)
SECONDS = 15
"""How long the tunnels may take to listen after a start."""


def observe(host: Host, scope: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts below `tunnel`; that they are not wanted is all, unless they run."""
    unit = unit_state.properties(host, dicom_tunnel.UNIT)
    if not scope.get("tunnel"):
        return {"wanted": False, "active": unit_state.is_active(unit)}
    text = host.text(dicom_tunnel.CONFIGURATION) or ""
    said = web_front_state.shown(host, dicom_tunnel.CERTIFICATE)
    servers = [str(each["name"]) for each in scope.get("servers") or []]
    return {
        "wanted": True,
        "active": unit_state.is_active(unit),
        "enabled": unit_state.is_enabled(unit),
        "older_than_configuration": unit_state.is_older(host, unit, READ),
        "unverified": dicom_tunnel.unverified(text, servers),
        "exposed": dicom_tunnel.exposed(text, dicom_tunnel.clear(scope)),
        "altered": own_words.altered(
            host,
            unit,
            (dicom_tunnel.UNIT_FILE, dicom_tunnel.service(scope)),
            (dicom_tunnel.CONFIGURATION, own_words.foreign(text or None, dicom_tunnel.configuration(scope))),
        ),
        "request": host.digest(dicom_tunnel.REQUEST),
        "certificate": host.digest(dicom_tunnel.CERTIFICATE),
        "authority": host.digest(dicom_tunnel.AUTHORITY),
        "certificate_fits": _fits(host, said),
        "days_left": web_front_state.days_left(said) if said else -1,
        "loose_keys": _loose(host),
        "weak": certificates.weaknesses(said) if said else [],
    }


def _fits(host: Host, said: str) -> bool:
    theirs = certificates.public_key(said)
    ours = host.run(["openssl", "pkey", "-in", host.path(dicom_tunnel.KEY), "-pubout"])
    trusted = ["openssl", "verify", "-CAfile", host.path(dicom_tunnel.AUTHORITY)]
    return bool(theirs) and ours.output == theirs and host.run([*trusted, host.path(dicom_tunnel.CERTIFICATE)]).ok


def _loose(host: Host) -> list[str]:
    entry = host.stat(dicom_tunnel.KEY)
    loose = entry and (int(entry.mode, 8) & ~0o640 or (entry.owner, entry.group) != ("root", dicom_tunnel.USER))
    return [dicom_tunnel.KEY] if loose else []


def steps(tunnel: Mapping[str, Any], unmet: list[str], scope: Mapping[str, Any]) -> list[Step]:
    """Return what has the tunnels as the clinic file wants them.

    Where a request is made, perhaps of a new key, that alone: no certificate that is here or given need fit it before
    the controller has signed, and called again. A check tells what comes then as well.
    """
    if not tunnel["wanted"]:
        return [Step("Stop the DICOM tunnels, which the clinic file names no more", _stop)] if tunnel["active"] else []
    given = {
        dicom_tunnel.CERTIFICATE: str(scope.get("certificate") or ""),
        dicom_tunnel.AUTHORITY: str(scope.get("authority") or ""),
    }
    known = {dicom_tunnel.CERTIFICATE: tunnel["certificate"], dicom_tunnel.AUTHORITY: tunnel["authority"]}
    changed = {
        path: text for path, text in given.items() if text and known[path] != hashlib.sha256(text.encode()).hexdigest()
    }
    found: list[Step] = []
    unfit = (not tunnel["certificate_fits"] or tunnel["weak"]) and dicom_tunnel.CERTIFICATE not in changed
    requested = tunnel["request"] is None or unfit
    if requested:
        found.append(Step(REQUESTED, lambda host: _request(host, scope)))
    if tunnel["loose_keys"]:
        found.append(Step("Keep the tunnels' key from all but root and the tunnels", _tighten))
    if changed or tunnel["altered"] or [name for name in unmet if name != "tunnel.loose_keys"]:
        servers = ", ".join(str(each["name"]) for each in scope["servers"])
        device = dicom_tunnel.clear(scope).device
        does = f"Carry the {device}'s DICOM to {servers} and back in TLS, both ends checked by chain and name"
        told = given[dicom_tunnel.CERTIFICATE] == web_front_plan.TO_BE_SIGNED
        if told or (not requested and (given[dicom_tunnel.CERTIFICATE] or tunnel["certificate"])):
            found.append(Step(does, lambda host: _serve(host, changed, tunnel["altered"], scope)))
    return found


def _stop(host: Host) -> None:
    host.must(["systemctl", "--quiet", "disable", "--now", dicom_tunnel.UNIT])


def _request(host: Host, scope: Mapping[str, Any]) -> None:
    """Make the key, unless a strong one is here, and the request."""
    host.folder("/etc/sysusers.d")
    host.write(dicom_tunnel.ACCOUNT_FILE, dicom_tunnel.account(scope))
    host.must(["systemd-sysusers", dicom_tunnel.ACCOUNT_FILE])
    host.folder(dicom_tunnel.FOLDER, mode=0o750, group=dicom_tunnel.USER)
    if not own_key.is_strong(host, dicom_tunnel.KEY):
        _write(host, dicom_tunnel.KEY, own_key.made(host))
    names, name = dicom_tunnel.names(scope["device"]), str(scope["device"]["name"])
    usages = certificates.BOTH_SIDES
    key, file = dicom_tunnel.KEY, dicom_tunnel.REQUEST
    _write(host, file, own_key.request(host, key, file, common_name=name, names=names, usages=usages))


def _tighten(host: Host) -> None:
    host.own(dicom_tunnel.KEY, mode=0o640, group=dicom_tunnel.USER)


def _serve(host: Host, changed: Mapping[str, str], altered: list[str], scope: Mapping[str, Any]) -> None:
    """Write what changed, start, and prove that it listens; else put the former back."""
    strangers = own_words.strangers(altered, dicom_tunnel.UNIT_FILE, dicom_tunnel.CONFIGURATION)
    texts = {**changed, dicom_tunnel.CONFIGURATION: dicom_tunnel.configuration(scope)}
    former = {path: host.text(path) for path in texts}
    for path in strangers:
        host.remove(path)
    try:
        for path, text in texts.items():
            _write(host, path, text)
        host.write(dicom_tunnel.UNIT_FILE, dicom_tunnel.service(scope))
        _start(host, scope)
    except HardeningError:
        if former[dicom_tunnel.CONFIGURATION] is not None:
            for path, before in former.items():
                if before is not None:
                    _write(host, path, before)
            _start(host, scope)
        raise


def _start(host: Host, scope: Mapping[str, Any]) -> None:
    host.enable(dicom_tunnel.UNIT)
    host.must(["systemctl", "restart", dicom_tunnel.UNIT])
    deadline = time.monotonic() + SECONDS
    while missing := _missing(host, scope):
        if time.monotonic() > deadline:
            words = host.run(["journalctl", "-u", dicom_tunnel.UNIT, "-n", "5", "--no-pager", "-o", "cat"]).output
            raise HardeningError(f"The tunnels do not listen on {', '.join(missing)}; they say: {words.strip()}")
        time.sleep(0.1)


def _missing(host: Host, scope: Mapping[str, Any]) -> list[str]:
    """Return where the tunnels should listen and nobody does."""
    told = dicom_tunnel.services(dicom_tunnel.configuration(scope)).values()
    listening = {words[3] for line in host.run(["ss", "-Hltn"]).output.splitlines() if len(words := line.split()) > 3}
    return [place for service in told for place in service["accept"] if place not in listening]


def _write(host: Host, path: str, text: str) -> None:
    host.write(path, text, mode=0o640, group=dicom_tunnel.USER)
