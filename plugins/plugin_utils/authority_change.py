# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A clinic's authority is followed by another, in stages between which every device and every server is let in.

`new`: the one that follows is made and trusted by the fronts, and signs for the devices; servers show certificates of
the present one, which is all that a device trusts so far. `shown`: servers show certificates of the new one. `only`:
the former one is trusted no more, and its key is destroyed. Back goes `new` from `shown`, and `former` from `new`.

Each stage begins with the rename of one folder (see authority_folders): whenever a run is killed, the clinic has a
whole authority that devices and servers know, and the next run goes on.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import os
import secrets as random
import shutil
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.plugin_utils import (
    authority,
    authority_folders,
    clinic_folder,
    device_certificates,
)
from ansible_collections.radiology.hardening.plugins.plugin_utils.secrets import Secrets

with contextlib.suppress(ImportError):  # authority.demand_cryptography says so
    from cryptography.hazmat.primitives.asymmetric import ec

STAGES = ("new", "shown", "only", "former")
UNDER_WAY = ".part"
"""A folder of this ending is not whole yet, or no more; nobody reads it."""

OLD_DAYS = 730
"""An authority with fewer days left should be followed by another: what it signs lasts a year."""
RELOAD = 10.0
"""Seconds after the write of its certificate from which on a server is sure to show it."""

SENTENCES = {
    ("", "new"): "Make the authority that is to follow the present one, trust both, and sign for the devices by it",
    ("new", "shown"): "Let the servers show certificates of the new authority, and go on to trust the former",
    ("shown", "new"): "Let the servers show certificates of the former authority again, and go on to trust both",
    ("shown", "only"): "End the former authority: trust it no more, and destroy its key",
    ("new", "former"): "Give the new authority up: trust it no more, and destroy its key",
}
"""What leads from a stage to another; from a stage to itself leads nothing."""

HINDERS = {
    "shown": "{} did not come with a certificate of the new authority yet, so that nobody knows whether it trusts it",
    "only": "{} did not come with a certificate of the new authority since the servers show theirs",
    "former": "{} comes with a certificate of the new authority, and would be shut out",
}
"""What is said of devices for which a stage comes too early."""
BEHIND = "{} does not show its certificate of the new authority; bring it to authority=shown first"


def change(
    secrets: Secrets,
    directory: str,
    wanted: str,
    hindrance: Callable[[str], str],
    *,
    anyway: bool = False,
    check_mode: bool = False,
) -> list[str]:
    """Bring the clinic to a stage, and say what was done, or would be.

    `hindrance` says for whom the stage wanted comes too early, if for anybody; `anyway` goes on in spite of it.
    """
    if wanted not in STAGES:
        raise HardeningError(f"authority is {wanted}; accepted: {', '.join(STAGES)}.")
    if check_mode:
        return _due(directory, wanted, hindrance, anyway=anyway)
    try:
        with authority.locked(directory):
            _settle(directory)
            authority.demand_whole(secrets, directory)
            said = _due(directory, wanted, hindrance, anyway=anyway)
            if said:
                _go(secrets, directory, wanted)
            _settle(directory)
    except OSError as error:
        raise HardeningError(f"{authority_folders.home(directory)} cannot be changed: {error}.") from error
    return said


def settle(directory: str) -> None:
    """End what a run that was killed left half done, if one did."""
    home = authority_folders.home(directory)
    names = os.listdir(home) if os.path.isdir(home) else []
    bundled = os.path.exists(authority_folders.bundle(directory))
    amiss = bundled != bool(authority_folders.stage(directory)) or any(name.endswith(UNDER_WAY) for name in names)
    if amiss or authority_folders.present(directory) != home:
        with authority.locked(directory):
            _settle(directory)


def _settle(directory: str) -> None:
    home = authority_folders.home(directory)
    for name in os.listdir(home):
        if name.endswith(UNDER_WAY):
            shutil.rmtree(os.path.join(home, name))
    if authority_folders.present(directory) != home:
        _copy(authority_folders.present(directory), home)
        _drop(os.path.join(home, authority_folders.NEXT))
    bundle, texts = authority_folders.bundle(directory), authority.authorities(directory)
    if len(texts) > 1 and clinic_folder.read(bundle) != "".join(texts):
        clinic_folder.write(bundle, "".join(texts))
    elif len(texts) < 2 and os.path.exists(bundle):
        clinic_folder.remove(bundle)


def days(directory: str) -> int:
    """Return for how many whole days the clinic has had two authorities; 0 when it has one."""
    if not authority_folders.stage(directory):
        return 0
    folder = authority_folders.trusted(directory)[1]
    path = authority_folders.certificate(folder)
    made = authority.load_certificate(clinic_folder.read(path), path).not_valid_before_utc + authority.DAY
    return max(0, (datetime.datetime.now(tz=datetime.UTC) - made).days)


def remarks(directory: str) -> list[str]:
    """Return what an engineer should know of the clinic's authorities: a change under way, and one that grows old."""
    stage, said = authority_folders.stage(directory), []
    if stage:
        further = "shown, then authority=only" if stage == "new" else "only"
        said.append(
            f"A change of the authority in {directory} is at authority={stage}, {days(directory)} days after it was "
            f"begun; rotate_certificates.yml goes on with -e authority={further}."
        )
    text = newest(directory)
    if text:
        ends = authority.load_certificate(text, "ca.crt").not_valid_after_utc
        left = (ends - datetime.datetime.now(tz=datetime.UTC)).days
        if left < OLD_DAYS:
            said.append(
                f"The authority in {directory} ends in {left} days, and with it every certificate that it signed; "
                "rotate_certificates.yml -e authority=new begins to let another follow it."
            )
    return said


def newest(directory: str) -> str:
    """Return the certificate (PEM) of the authority that follows, or has followed; nothing where none was made."""
    return clinic_folder.read(authority_folders.certificate(authority_folders.trusted(directory)[-1]))


def hindrance(
    directory: str, wanted: str, devices: Sequence[Mapping[str, Any]], servers: Mapping[str, Mapping[str, Any]]
) -> str:
    """Say for which devices a stage comes too early, of those that are let in; nothing where it does for none.

    `servers`: what the module seen_devices returns of each. One that does not show a certificate of the new authority
    yet is named when the former is to end.
    """
    behind = [name for name, seen in servers.items() if wanted == "only" and not _shows(directory, name, seen)]
    if behind:
        return BEHIND.format(", ".join(behind))
    ours, found = newest(directory), []
    for device in devices:
        name = str(device["name"])
        new = device_certificates.of_authority(directory, name, ours)
        sessions = [
            (float(seen["devices"][name]["began"]), seen) for seen in servers.values() if name in seen["devices"]
        ]
        began, last = max(sessions, key=lambda session: session[0], default=(0.0, None))
        comes = last is not None and last["devices"][name]["fingerprint"] in new
        late = last is not None and began >= float(last["shown_since"]) + RELOAD
        changed = comes and (late or wanted != "only")
        if device_certificates.admitted(directory, device) and changed == (wanted == "former"):
            found.append(name)
    return HINDERS[wanted].format(", ".join(found)) if found and wanted in HINDERS else ""


def _shows(directory: str, name: str, seen: Mapping[str, Any]) -> bool:
    """Tell whether a server shows the certificate that lies in the clinic's folder, of the authority that signs."""
    text = clinic_folder.read(authority.certificate_path(directory, name))
    return authority.lasts(directory, name) and hashlib.sha256(text.encode()).hexdigest() == seen["shown"]


def _due(directory: str, wanted: str, hindrance: Callable[[str], str], *, anyway: bool) -> list[str]:
    """Return the sentence of what leads to a stage; HardeningError where nothing does, or it comes too early."""
    stage = authority_folders.stage(directory)
    if wanted == stage or (not stage and wanted in ("only", "former")):
        return []
    if (stage, wanted) not in SENTENCES:
        ways = ", ".join(sorted(to for since, to in SENTENCES if since == stage))
        at = f"is at authority={stage}" if stage else "is not begun"
        raise HardeningError(
            f"The change of authority in {directory} {at}, from which no step leads to authority={wanted}; "
            f"accepted: {ways}."
        )
    said = "" if anyway else hindrance(wanted)
    if said:
        raise HardeningError(f"authority={wanted} comes too early: {said}; -e anyway=true goes on all the same.")
    return [SENTENCES[stage, wanted]]


def _go(secrets: Secrets, directory: str, wanted: str) -> None:
    home = authority_folders.home(directory)
    following, former = (os.path.join(home, name) for name in (authority_folders.NEXT, authority_folders.FORMER))
    stage = authority_folders.stage(directory)
    if wanted == "only":
        _drop(former)
    elif wanted == "former":
        _drop(following)
    elif wanted == "shown":
        _place(former, lambda part: _copy(home, part))
    elif stage == "shown":
        _place(following, lambda part: _copy(home, part))
        _copy(former, home)
        _drop(former)
    else:
        _place(following, lambda part: _make(secrets, directory, part))


def _make(secrets: Secrets, directory: str, folder: str) -> None:
    """Make another authority for the clinic, with a key, a passphrase and a name of its own."""
    key = ec.generate_private_key(ec.SECP256R1())
    passphrase = secrets.ensure(authority.passphrase_name(key.public_key()), lambda: random.token_urlsafe(32))
    now = datetime.datetime.now(tz=datetime.UTC)
    called = f"{authority.name_of(directory)[:46]}, {now:%Y%m%dT%H%M%SZ}"
    authority.make(folder, key, called, passphrase)


def _place(folder: str, fill: Callable[[str], None]) -> None:
    """Put a folder into its place once it is whole."""
    part = _part(folder)
    os.makedirs(part, mode=0o755)
    fill(part)
    os.rename(part, folder)
    _sync(os.path.dirname(folder))


def _drop(folder: str) -> None:
    """Take a folder out of its place, then remove it with all it holds."""
    os.rename(folder, _part(folder))
    _sync(os.path.dirname(folder))
    shutil.rmtree(_part(folder))


def _part(folder: str) -> str:
    """Return the hidden name of a folder that is not whole: Ansible reads the others below an inventory."""
    above, name = os.path.split(folder)
    return os.path.join(above, f".{name}{UNDER_WAY}")


def _copy(source: str, target: str) -> None:
    """Copy an authority: certificate, list of revoked certificates, and key."""
    for place, mode in ((authority_folders.certificate, 0o644), (authority_folders.revoked, 0o644)):
        text = clinic_folder.read(place(source))
        if text:
            clinic_folder.write(place(target), text, mode)
    clinic_folder.write(authority_folders.key(target), clinic_folder.read(authority_folders.key(source)), 0o600)


def _sync(folder: str) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
