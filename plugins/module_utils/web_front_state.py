# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The HTTPS front of Orthanc as it is on the host: files, certificate, unit, and what it answers."""

from __future__ import annotations

import datetime
import ipaddress
import json
import re
import secrets
import time
from collections.abc import Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import (
    own_key,
    own_words,
    unit_state,
    web_front,
    web_front_ask,
    web_passwords,
    web_roles,
)
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host

DISTRIBUTION_UNIT = "nginx.service"
DISTRIBUTION_SITES = ("/etc/nginx/sites-enabled", "/etc/nginx/conf.d")
DEFAULT_SITE = "default"
CLEARTEXT_PORTS = (80, 8000, 8080)
"""TCP ports on which web servers answer in clear by custom; 8042 is Orthanc's own and judged apart."""

JOURNAL_SECONDS = 10.0
"""How long the front may take, after its answer, to tell journald of it."""
WARNING = 4
"""Priority of syslog(3); more pressing ones have lower numbers."""

REFUSALS = ("foreign_name_status", "foreign_origin_status", "compressed_body_status", "large_body_status")
"""Facts that web_front_ask.refusals gives."""

READ = (
    web_front.CONFIGURATION,
    web_front.PEOPLE,
    web_front.LOGINS,
    web_front.PROBES,
    web_front.KEY,
    web_front.CERTIFICATE,
    web_front.UNIT_FILE,
)
"""What the running front has read."""


def observe(host: Host, scope: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts of the front, without its certificate; what only a running one can tell is null otherwise."""
    unit = unit_state.properties(host, web_front.UNIT)
    active = unit_state.is_active(unit)
    directives = tokens(host.text(web_front.CONFIGURATION) or "")
    addresses = [str(address) for address in scope.get("addresses") or []]
    largest = web_front.largest_upload(scope)[1]
    probes = web_roles.headers(host.text(web_front.PROBES) or "")
    guesser, began = secrets.token_hex(4), time.time()
    asked = asked_of(addresses, largest, probes, guesser) if active and addresses else {}
    people = host.text(web_front.PEOPLE)
    roles = {str(person["login"]): str(person["role"]) for person in scope.get("people") or []}
    return {
        "installed": host.stat("/usr/sbin/nginx") is not None,
        "files": {path: host.digest(path) for path in (web_front.CONFIGURATION, *_FIXED)},
        "people": host.digest(web_front.PEOPLE),
        "logins": host.digest(web_front.LOGINS),
        "misplaced_people": None if people is None else web_roles.misplaced(people, roles),
        "weak_passwords": None if people is None else web_passwords.weak(web_roles.passwords(people)),
        "role_breaches": asked.get("role_breaches"),
        "guesses_a_second": asked.get("guesses_a_second"),
        **(_NOT_LOGGED if asked.get("guesses_a_second") is None else logged(host, guesser, began)),
        "active": active,
        "enabled": unit_state.is_enabled(unit),
        "older_than_configuration": unit_state.is_older(host, unit, READ),
        "ssl_protocols": words(directives, "ssl_protocols") if active else None,
        "ssl_ciphers": [each for value in words(directives, "ssl_ciphers") for each in value.split(":")]
        if active
        else None,
        "ssl_ecdh_curve": [each for value in words(directives, "ssl_ecdh_curve") for each in value.split(":")]
        if active
        else None,
        "cleartext_listens": cleartext_listens(host, directives),
        "altered": own_words.altered(
            host, unit, (web_front.UNIT_FILE, web_front.SERVICE), (web_front.CONFIGURATION, _foreign(host, scope))
        ),
        "distribution": distribution(host),
        "anonymous_status": asked.get("anonymous_status"),
        **{fact: asked.get(fact) for fact in REFUSALS},
        "silent_addresses": asked.get("silent_addresses"),
        "tls_versions": asked.get("tls_versions"),
    }


JUDGED = re.compile(r"ssl_(protocols|ciphers|ecdh_curve) [^;]*;|client_max_body_size [^;]*;")
"""Lines of the configuration that other facts tell."""

_FIXED = (web_front.UNIT_FILE, web_front.ACCOUNT_FILE)


def asked_of(addresses: list[str], largest: int, probes: Mapping[str, str], guesser: str) -> dict[str, Any]:
    """Ask the front on each of its addresses, and the rest on the first that answers."""
    answers = {
        address: web_front_ask.status(address, web_front.PORT, "/system", tls=True)
        for address in dict.fromkeys(addresses)
    }
    silent = [address for address, status in answers.items() if status is None]
    speaking = [address for address, status in answers.items() if status is not None]
    if not speaking:
        return {"silent_addresses": silent}
    return {
        "silent_addresses": silent,
        "anonymous_status": min(answers[address] or 0 for address in speaking),
        **web_front_ask.refusals(speaking[0], web_front.PORT, largest),
        "role_breaches": web_front_ask.role_breaches(
            speaking[0], web_front.PORT, {role: header for header, role in probes.items()}
        ),
        "guesses_a_second": web_front_ask.guesses_a_second(speaking[0], web_front.PORT, guesser),
        "tls_versions": web_front_ask.tls_versions(speaking[0], web_front.PORT),
    }


def _foreign(host: Host, scope: Mapping[str, Any]) -> list[str]:
    """Return where the configuration is not ours; none where the clinic file says nothing of the host."""
    if not scope.get("addresses"):
        return []
    return own_words.foreign(host.text(web_front.CONFIGURATION), web_front.configuration(scope), JUDGED)


_NOT_LOGGED = {"failures_logged": None, "queries_logged": None}


def logged(host: Host, name: str, since: float) -> dict[str, bool]:
    """Tell whether the journal has the failures of `probe <name>` with their source, and what was searched for.

    The guesses were made after `since` (seconds of the epoch). On a busy host journald takes lines in late: it is asked
    to have done so first, however long that takes; the front writes its own a moment after it has answered.
    """
    deadline = time.monotonic() + JOURNAL_SECONDS
    while True:
        host.run(["journalctl", "--sync"])
        lines = _journal(host, since)
        warned = [text for level, text in lines if level <= WARNING and f'"probe {name}"' in text]
        if warned or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    return {
        "failures_logged": any(_is_address(text.partition(" ")[0]) for text in warned),
        "queries_logged": any(f"PatientName={name}" in text for level, text in lines),
    }


def _journal(host: Host, since: float) -> list[tuple[int, str]]:
    """Return the priority and the text of what the front wrote since."""
    asked = ["journalctl", f"--unit={web_front.UNIT}", f"--since=@{int(since)}", "--output=json", "--no-pager"]
    found = [json.loads(line) for line in host.run(asked).output.splitlines() if line.startswith("{")]
    return [(int(entry.get("PRIORITY") or 6), str(entry.get("MESSAGE") or "")) for entry in found]


def _is_address(word: str) -> bool:
    try:
        ipaddress.ip_address(word)
    except ValueError:
        return False
    return True


def shown(host: Host, path: str) -> str:
    """Return what OpenSSL shows of a certificate, all at once: its text, its end and its public key."""
    return host.run(["openssl", "x509", "-in", host.path(path), "-noout", "-text", "-enddate", "-pubkey"]).output


def request(host: Host, path: str, key: str, *, fits: bool) -> str | None:
    """Return the SHA-256 of a request; null where it was made for another key, so that a new one is due.

    `fits`: the certificate fits the key, so that nothing need be asked of the request.
    """
    if not fits and host.stat(path) is not None:
        theirs = host.run(["openssl", "req", "-in", host.path(path), "-noout", "-pubkey"])
        ours = host.run(["openssl", "pkey", "-in", host.path(key), "-pubout"])
        if not (theirs.ok and ours.ok and theirs.output == ours.output):
            return None
    return host.digest(path)


def alternative_names(said: str) -> list[str]:
    """Read OpenSSL's subjectAltName line into `DNS:name` and `IP:address` entries, addresses in their short form."""
    line = re.search(r"Subject Alternative Name:[^\n]*\n([^\n]*)", said)
    found = re.findall(r"(DNS|IP Address):([^\s,]+)", line[1]) if line else []
    return [f"DNS:{value.lower()}" if kind == "DNS" else own_key.short(f"IP:{value}") for kind, value in found]


def days_left(said: str) -> int:
    """Return whole days until OpenSSL's `notAfter`; -1 when there is none."""
    match = re.search(r"notAfter=(\w+ +\d+ [\d:]+ \d+) GMT", said)
    if not match:
        return -1
    ends = datetime.datetime.strptime(match[1], "%b %d %H:%M:%S %Y").replace(tzinfo=datetime.UTC)
    return (ends - datetime.datetime.now(tz=datetime.UTC)).days


def tokens(text: str) -> list[list[str]]:
    """Return nginx's simple directives, each as its words; blocks are flattened, comments dropped."""
    found: list[list[str]] = []
    words_: list[str] = []
    for match in re.finditer(r"#[^\n]*|\"((?:\\.|[^\"\\])*)\"|'((?:\\.|[^'\\])*)'|([;{}])|([^\s;{}\"']+)", text):
        if match[0].startswith("#"):
            continue
        if match[3]:
            if match[3] == ";" and words_:
                found.append(words_)
            words_ = []
        else:
            words_.append(next(each for each in (match[1], match[2], match[4]) if each is not None))
    return found


def words(directives: list[list[str]], name: str) -> list[str]:
    """Return the arguments of every directive of this name, in order, without doubles."""
    return list(dict.fromkeys(word for each in directives if each[0] == name for word in each[1:]))


def cleartext_listens(host: Host, directives: list[list[str]]) -> list[str]:
    """Return where this host takes web requests in clear: the front's own listens, and sockets on the usual ports."""
    own = {each[1] for each in directives if each[0] == "listen" and "ssl" not in each[2:]}
    sockets = set()
    for line in host.run(["ss", "-Hltn"]).output.splitlines():
        local = line.split()[3] if len(line.split()) > 3 else ""
        address, _colon, port = local.rpartition(":")
        if port.isdigit() and int(port) in CLEARTEXT_PORTS and not address.startswith(("127.", "[::1]")):
            sockets.add(local)
    return sorted(own | sockets)


def distribution(host: Host) -> str:
    """Tell what the distribution's nginx.service is for: "off", "default site" or "other sites"."""
    unit = unit_state.properties(host, DISTRIBUTION_UNIT)
    if not unit_state.is_active(unit) and not unit_state.is_enabled(unit):
        return "off"
    sites = [name for folder in DISTRIBUTION_SITES for name in host.list(folder)]
    return "default site" if set(sites) <= {DEFAULT_SITE} else "other sites"
