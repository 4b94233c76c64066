# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The steps that bring the HTTPS front of Orthanc to what its files should say."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import (
    front_unit,
    own_key,
    own_words,
    unit_state,
    web_front,
    web_front_ask,
    web_front_certificate,
    web_roles,
)
from ansible_collections.radiology.hardening.plugins.module_utils import web_front_state as state
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step

REQUESTED = "Make the web front's key, which stays here, and the request for its certificate"
"""The step after which the controller signs."""

RENEWED = "Make the web front's next key, which stays here, and the request for its certificate"
"""The same, while the former key goes on to serve."""

TO_BE_SIGNED = "to be signed"
"""Stands for the certificate in check mode, where nothing is signed."""

DAYS = 30
"""A certificate with less left is renewed (catalogue: dt-cert-not-expiring)."""

SECONDS = 20
"""How long the front may take to answer after a start."""

CERTIFICATE = "authentication.web.certificate."
SERVED = f"{CERTIFICATE}served"
"""Of the facts of the certificate the one that a reload mends; the others need another certificate."""


def digest(text: str) -> str:
    """Return the SHA-256 of a text in hexadecimal, as Host.digest gives it of a file."""
    return hashlib.sha256(text.encode()).hexdigest()


def plan(facts: Mapping[str, Any], unmet: list[str], scope: Mapping[str, Any]) -> list[Step]:
    """Return the steps; `facts` are those of the front alone."""
    texts = {
        web_front.CONFIGURATION: web_front.configuration(scope),
        web_front.UNIT_FILE: web_front.SERVICE,
        web_front.ACCOUNT_FILE: web_front.ACCOUNT,
    }
    stale = [path for path, text in texts.items() if facts["files"].get(path) != digest(text)]
    secret = _secret(scope)
    found = {web_front.PEOPLE: facts["people"], web_front.LOGINS: facts["logins"]}
    unknown = [path for path in found if (found[path] is None if not secret else found[path] != digest(secret[path]))]
    usable, wanted = _certificate(facts, scope)
    steps: list[Step] = []
    if web_front.ACCOUNT_FILE in stale:
        steps.append(Step(f"Give the web front an account of its own ({web_front.USER})", _account))
    if (wanted or facts["request"] is None) and not _answered(facts, scope):
        steps.append(Step(REQUESTED, lambda host: _request(host, scope)))
    elif scope.get("renew"):
        steps.append(Step(RENEWED, lambda host: _renew(host, scope)))
    given = scope.get("certificate") == TO_BE_SIGNED or _answered(facts, scope)
    if not (usable or given):
        return steps
    wanted = wanted and given  # what serves goes on until the controller has signed another
    unmet = [name for name in unmet if not name.startswith(CERTIFICATE) or name == SERVED]
    changed = [path for path in (web_front.CONFIGURATION, web_front.UNIT_FILE) if path in stale]
    if changed or unknown or wanted or _sick(facts) or unmet:
        strangers = own_words.strangers(facts["altered"], web_front.UNIT_FILE, web_front.CONFIGURATION)
        without = [f"without {path}" for path in strangers]
        what = ", ".join([*changed, *unknown, *([web_front.CERTIFICATE] if wanted else []), *without])
        new = str(scope["certificate"]) if wanted else None
        steps.append(
            Step(
                f"Serve Orthanc over HTTPS ({what or 'start the front anew'})",
                lambda host: _serve(host, texts, secret, new, strangers=strangers, scope=scope),
            )
        )
    return steps


def waits(steps: Sequence[Step], scope: Mapping[str, Any]) -> bool:
    """Tell whether nothing is served by these steps before the controller has signed what they ask for."""
    given = scope.get("certificate")
    return bool(steps) and (not given or (given != TO_BE_SIGNED and any(step.does == REQUESTED for step in steps)))


def plan_distribution(facts: Mapping[str, Any]) -> list[Step]:
    """Return the step that ends the distribution's own nginx, or that refuses to when it serves other sites."""
    if facts["distribution"] == "default site":
        return [Step(f"Stop and disable {state.DISTRIBUTION_UNIT}, which serves its default site only", _stop)]
    if facts["distribution"] == "other sites" and facts["cleartext_listens"]:
        return [Step("Find the web sites that this host serves in clear", _refuse_other_sites)]
    return []


def _secret(scope: Mapping[str, Any]) -> dict[str, str]:
    """Return the files with people's passwords; none where the controller gave no passwords."""
    people = scope.get("people") or []
    if scope.get("passwords") is None or scope.get("orthanc_passwords") is None:
        return {}
    return {
        web_front.PEOPLE: web_front.people(people, scope["passwords"]),
        web_front.LOGINS: web_front.logins(people, scope["orthanc_passwords"]),
    }


def _certificate(facts: Mapping[str, Any], scope: Mapping[str, Any]) -> tuple[bool, bool]:
    """Tell whether the front can serve with its present certificate and key, and whether another is wanted."""
    present = facts["certificate"]
    named = own_key.same_names(web_front.alternative_names(scope), present.get("names") or [])
    fits = bool(present.get("present")) and bool(present.get("matches_key")) and named
    usable = fits and not present.get("weaknesses")  # a key that is too weak goes with the request
    sound = web_front_certificate.is_sound(present, DAYS)
    given = str(scope.get("certificate") or "")
    newer = _given(facts, scope) and given != TO_BE_SIGNED and digest(given) != present.get("digest")
    return usable, not (usable and sound) or newer


def _given(facts: Mapping[str, Any], scope: Mapping[str, Any]) -> bool:
    """Tell whether the controller gave a certificate for the key that lies here."""
    return scope.get("certificate") == TO_BE_SIGNED or _signed(facts, scope)


def _answered(facts: Mapping[str, Any], scope: Mapping[str, Any]) -> bool:
    """Tell whether the controller signed what lies here, and not the certificate that is served already."""
    given = str(scope.get("certificate") or "")
    return _signed(facts, scope) and digest(given) != facts["certificate"].get("digest")


def _signed(facts: Mapping[str, Any], scope: Mapping[str, Any]) -> bool:
    return bool(scope.get("certificate")) and scope.get("certified") == facts["request"]


def _sick(facts: Mapping[str, Any]) -> bool:
    return (
        not facts["active"]
        or not facts["enabled"]
        or facts["older_than_configuration"]
        or bool(facts["silent_addresses"])
        or facts["anonymous_status"] is None
    )


def _account(host: Host) -> None:
    host.folder("/etc/sysusers.d")
    host.write(web_front.ACCOUNT_FILE, web_front.ACCOUNT)
    host.must(["systemd-sysusers", web_front.ACCOUNT_FILE])


def _request(host: Host, scope: Mapping[str, Any]) -> None:
    host.folder(web_front.FOLDER, mode=0o750, group=web_front.USER)
    if not own_key.is_strong(host, web_front.KEY):
        host.write(web_front.KEY, own_key.made(host), mode=0o640, group=web_front.USER)
    _ask(host, web_front.KEY, scope)


def _renew(host: Host, scope: Mapping[str, Any]) -> None:
    """Make the next key beside the one that serves, and the request for its certificate."""
    host.write(web_front.NEXT_KEY, own_key.made(host), mode=0o640, group=web_front.USER)
    _ask(host, web_front.NEXT_KEY, scope)


def _ask(host: Host, key: str, scope: Mapping[str, Any]) -> None:
    names = web_front.alternative_names(scope)
    name = names[0].partition(":")[2]
    asked = own_key.request(host, key, web_front.REQUEST, common_name=name, names=names, usages=["serverAuth"])
    host.write(web_front.REQUEST, asked, group=web_front.USER)


def _serve(
    host: Host,
    texts: Mapping[str, str],
    secret: Mapping[str, str],
    certificate: str | None,
    *,
    strangers: Sequence[str],
    scope: Mapping[str, Any],
) -> None:
    """Write what changed, have nginx check it, start or reload, and prove it by asking; else put the former back.

    `strangers` are files that have the unit run otherwise, and go.
    """
    new = {path: texts[path] for path in (web_front.CONFIGURATION, web_front.UNIT_FILE)} | dict(secret)
    if set(web_roles.headers(host.text(web_front.PROBES) or "").values()) != set(web_roles.ROLES):
        new[web_front.PROBES] = web_roles.probes()
    if certificate is not None:
        new |= front_unit.next_key(host, certificate, web_front.KEY, web_front.NEXT_KEY)
        new[web_front.CERTIFICATE] = certificate
    former = {path: host.read(path) for path in (*new, *strangers)}
    started = False
    host.folder(web_front.FOLDER, mode=0o750, group=web_front.USER)
    try:
        for path, text in new.items():
            _write(host, path, text)
        for path in strangers:
            host.remove(path)
        if host.stat("/run/orthanc-web") is None:
            host.folder("/run/orthanc-web", mode=0o700, owner=web_front.USER, group=web_front.USER)
        host.must([*web_front.CHECK, web_front.CONFIGURATION])
        started = True
        changed = bool(strangers) or former[web_front.UNIT_FILE] != texts[web_front.UNIT_FILE].encode()
        front_unit.start(host, web_front.UNIT, restart=changed)
        _prove(host, scope)
        if web_front.KEY in new:
            host.remove(web_front.NEXT_KEY)
    except HardeningError:
        if former[web_front.CONFIGURATION] is not None:
            for path, content in former.items():
                if content is not None:
                    _write(host, path, content)
            if started:  # else it runs with what it read before, whatever its files say
                front_unit.start(host, web_front.UNIT, restart=True)
                _silent(scope)
        raise


def _write(host: Host, path: str, content: bytes | str) -> None:
    inside = path.startswith(f"{web_front.FOLDER}/")
    host.write(path, content, mode=0o640 if inside else 0o644, group=web_front.USER if inside else "root")


def _prove(host: Host, scope: Mapping[str, Any]) -> None:
    """Have the front ask for credentials on each of its addresses; its own words otherwise."""
    silent = _silent(scope)
    if silent or not unit_state.is_active(unit_state.properties(host, web_front.UNIT)):
        said = host.run(["journalctl", "-u", web_front.UNIT, "-n", "5", "--no-pager", "-o", "cat"]).output.strip()
        raise HardeningError(f"The web front does not answer on {', '.join(silent) or 'any address'}; it says: {said}")


def _silent(scope: Mapping[str, Any]) -> list[str]:
    """Wait until the front asks for credentials everywhere; return the addresses where it never did."""
    silent = [str(address) for address in scope["addresses"]]
    deadline = time.monotonic() + SECONDS
    while silent and time.monotonic() < deadline:
        silent = [each for each in silent if web_front_ask.status(each, web_front.PORT, "/", tls=True) != 401]
        if silent:
            time.sleep(0.2)
    return silent


def _stop(host: Host) -> None:
    host.must(["systemctl", "--quiet", "disable", "--now", state.DISTRIBUTION_UNIT])


def _refuse_other_sites(host: Host) -> None:
    names = [name for folder in state.DISTRIBUTION_SITES for name in host.list(folder)]
    raise HardeningError(
        f"nginx.service serves {', '.join(names)} in clear: move them to HTTPS or to another host, "
        "or waive authentication.web_https_only."
    )
