# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The database that keeps Orthanc's index, where that is not its own file: on this host, or called over TLS.

The plugins of Debian's orthanc-postgresql and orthanc-mysql read these sections, also when they are not loaded yet;
without EnableIndex and EnableStorage neither does anything. By EnableSsl the first demands TLS (sslmode=require), and a
URI of its own says what it demands (libpq). The second demands nothing: what would have it insist on TLS, and on a
certificate, is left out where it is built with a client of version 8 or later (MySQLDatabase.cpp), as Debian's is
(MariaDB's, 10.11).
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import listeners
from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import deliberate
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step

SERVERS = re.compile(r'"(mariadbd|mysqld|postgres)"')
"""What serves databases, by the name of its process."""
DEMANDING = ("require", "verify-ca", "verify-full")
"""Values of libpq's sslmode that take no connection in clear; its default does."""
WORD = re.compile(r"(\w+)\s*=\s*('(?:\\.|[^'\\])*'|\S*)")
"""A keyword of libpq's with its value."""
SERVER = re.compile(r"(?i)(?:^|;)\s*(?:server|servername|host)\s*=\s*\{?([^;}]*)")
"""What names the server in a connection string of ODBC."""

OF_A_SERVICE = "a place that its service file alone knows"
MACHINE = re.compile(r"[\w.-]*|[0-9A-Fa-f:.]+|[/@].*")
"""A name, an address or a socket. Of a URI out of form another part could be part of the password."""

CLEARTEXT = (
    "Orthanc may call its database in clear ({}): keep that on this host, or have PostgreSQL take TLS and nothing "
    "else, and set EnableSsl in its section; Debian's MySQL plugin insists on nothing"
)
LISTENING = "Orthanc's database listens beyond this host ({}): have it listen on 127.0.0.1 alone"

Called = tuple[list[str], bool]
"""The machines that are called, this one by whichever name, and whether TLS is demanded of them."""


def observe(host: Host, told: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the facts, of what Orthanc is told with its secrets: names of machines alone."""
    used = {name: told[name] for name in READ if is_used(told.get(name))}
    called = {name: READ[name](section) for name, section in sorted(used.items())}
    cleartext = [
        f"{name} at {', '.join(away)}"
        for name, (machines, over_tls) in called.items()
        if not over_tls and (away := [machine for machine in machines if not is_here(host, machine)])
    ]
    listening = _listening(host) if used else []
    advice = [CLEARTEXT.format(each) for each in cleartext] + [LISTENING.format(each) for each in listening]
    return {"cleartext": cleartext, "listening": listening, "advice": advice}


def steps(found: Mapping[str, list[str]]) -> dict[str, list[Step]]:
    """Return what only a person can mend, by its fact: a database is another program's, and often another host's."""
    return {
        "orthanc.database.cleartext": [deliberate(CLEARTEXT.format(each)) for each in found["cleartext"]],
        "orthanc.database.listening": [deliberate(LISTENING.format(each)) for each in found["listening"]],
    }


def is_used(section: Any) -> bool:
    """Tell whether a plugin uses the database of its section at all (Orthanc Book: EnableIndex, EnableStorage)."""
    return isinstance(section, Mapping) and bool(section.get("EnableIndex") or section.get("EnableStorage"))


def is_here(host: Host, server: str) -> bool:
    """Tell whether a server is this host: a socket, a name or an address of its own."""
    if server in ("", "localhost") or server.startswith(("/", "@")):
        return True
    if "${" in server:
        return False
    found = {line.split()[0] for line in host.run(["getent", "ahosts", server]).output.splitlines() if line.strip()}
    own = set(host.run(["hostname", "--all-ip-addresses"]).output.split())
    return any(listeners.is_loopback(address) or address in own for address in found or {server})


def _postgresql(section: Mapping[str, Any]) -> Called:
    uri = section.get("ConnectionUri")
    if not isinstance(uri, str) or not uri:
        return [str(section.get("Host", "localhost"))], bool(section.get("EnableSsl"))
    scheme, _mark, rest = uri.partition("://")
    if scheme not in ("postgresql", "postgres"):
        words = {name: value.strip("'") for name, value in WORD.findall(uri)}
        machines = words.get("hostaddr") or words.get("host") or _unnamed(words)
        return _named(machines), words.get("sslmode") in DEMANDING
    place, _mark, query = rest.partition("?")
    asked = dict(urllib.parse.parse_qsl(query))
    machines = asked.get("hostaddr") or asked.get("host") or urllib.parse.unquote(_machines(place)) or _unnamed(asked)
    return _named(machines), asked.get("sslmode") in DEMANDING or asked.get("ssl") == "true"


def _unnamed(words: Mapping[str, str]) -> str:
    """Return where a server is that nothing names: here, unless a service does, whose file may name any (libpq)."""
    return OF_A_SERVICE if words.get("service") else ""


def _named(machines: str) -> list[str]:
    told = (OF_A_SERVICE, "")
    return [
        each if each in told or MACHINE.fullmatch(each) else "a place that cannot be told"
        for each in machines.split(",")
    ]


def _machines(place: str) -> str:
    """Return the machines of `login:password@machine:port,machine:port/database`, without their ports."""
    listed = place.partition("/")[0].rpartition("@")[2].split(",")
    return ",".join(re.sub(r":\d*$", "", each).strip("[]") for each in listed)


def _mysql(section: Mapping[str, Any]) -> Called:
    return [str(section.get("Host", "localhost"))], False


def _odbc(section: Mapping[str, Any]) -> Called:
    texts = [str(section[key]) for key in ("IndexConnectionString", "StorageConnectionString") if section.get(key)]
    found = [SERVER.search(text) for text in texts]
    return [each[1].strip() if each else "a place that its DSN alone knows" for each in found], False


def _listening(host: Host) -> list[str]:
    """Return where a database of this host listens beyond loopback, as `postgres on 0.0.0.0:5432`."""
    lines = (line.split() for line in host.run(["ss", "-Hltnp"]).output.splitlines())
    found = {
        f"{server[1]} on {words[3]}"
        for words in lines
        if len(words) > 5
        and (server := SERVERS.search(words[5]))
        and not listeners.is_loopback(words[3].rpartition(":")[0])
    }
    return sorted(found)


READ: dict[str, Callable[[Mapping[str, Any]], Called]] = {"MySQL": _mysql, "Odbc": _odbc, "PostgreSQL": _postgresql}
"""Section of Orthanc's configuration -> what reads from it where its database is."""
