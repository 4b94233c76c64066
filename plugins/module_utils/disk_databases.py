# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where the databases and clouds lie in which Orthanc's plugins keep its index, or the images themselves.

Of a server on this host, its folders: Debian's own, and those that its files name. Of another machine's, its name; of
what is reached by a driver or a socket that leads into a container, nothing but that it is used.
"""

from __future__ import annotations

import dataclasses
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import orthanc_database
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host

CLOUDS = ("AwsS3Storage", "AzureBlobStorage", "GoogleCloudStorage")
"""Sections of plugins that store the images elsewhere, each as soon as there is one (Orthanc Book, object storage)."""
POSTGRESQL, POSTGRESQL_FILES = "/var/lib/postgresql", "/etc/postgresql"
MYSQL, MYSQL_FILE = "/var/lib/mysql", "/etc/mysql/my.cnf"
DATA_DIRECTORY = re.compile(r"(?mi)^\s*data_directory\s*=?\s*(?:'([^'\n]*)'|([^\s#]+))")
DATA = re.compile(r"(?mi)^\s*(?:loose[-_])?(?:datadir|innodb[-_]data[-_]home[-_]dir)\s*=\s*[\"']?(/[^\s\"'#]+)")
INCLUDED = re.compile(r"(?m)^\s*!(include|includedir)\s+(\S+)")
DEPTH = 8
"""Files of MariaDB's that name each other, at most."""


@dataclasses.dataclass(frozen=True)
class Database:
    """One plugin's database: its folders on this host; else the server that has it, empty where that is unknown."""

    plugin: str
    folders: tuple[str, ...] = ()
    server: str = ""


def observe(host: Host, told: Mapping[str, Any]) -> list[Database]:
    """Return the databases that Orthanc uses by its configuration, of which nothing but names of hosts is returned."""
    databases = [_of(host, plugin, told[plugin]) for plugin in PLUGINS if orthanc_database.is_used(told.get(plugin))]
    return [*databases, *(Database(plugin) for plugin in CLOUDS if isinstance(told.get(plugin), dict))]


def _of(host: Host, plugin: str, section: Mapping[str, Any]) -> Database:
    folders = PLUGINS[plugin]
    if folders is None:
        return Database(plugin)
    servers, _over_tls = orthanc_database.READ[plugin](section)
    away = [server for server in servers if not orthanc_database.is_here(host, server)]
    if away:
        known = not any("${" in server for server in away)
        return Database(plugin, server=", ".join(away) if known else "")
    return Database(plugin, tuple(dict.fromkeys(folders(host))))


def _postgresql(host: Host) -> Iterator[str]:
    """Yield Debian's folder of all clusters, and what their files name beside it, with the tablespaces there."""
    if host.stat(POSTGRESQL) is not None:
        yield POSTGRESQL
    for version in host.list(POSTGRESQL_FILES):
        for cluster in host.list(f"{POSTGRESQL_FILES}/{version}"):
            text = host.text(f"{POSTGRESQL_FILES}/{version}/{cluster}/postgresql.conf") or ""
            for quoted, bare in DATA_DIRECTORY.findall(text)[-1:]:
                folder = quoted or bare
                if not _is_below(folder, POSTGRESQL):
                    yield folder
                yield from (f"{folder}/pg_tblspc/{name}" for name in host.list(f"{folder}/pg_tblspc"))


def _mysql(host: Host) -> Iterator[str]:
    """Yield Debian's folder, and what the files of MariaDB or MySQL name beside it."""
    if host.stat(MYSQL) is not None:
        yield MYSQL
    for text in _texts(host, MYSQL_FILE, DEPTH):
        yield from (folder for folder in DATA.findall(text) if not _is_below(folder, MYSQL))


def _texts(host: Host, path: str, depth: int) -> Iterator[str]:
    """Yield a file of MariaDB's and those that it includes; of a folder those that end in .cnf."""
    text = host.text(path) or ""
    yield text
    for kind, named in INCLUDED.findall(text) if depth else []:
        names = sorted(name for name in host.list(named) if name.endswith(".cnf")) if kind == "includedir" else [""]
        for name in names:
            yield from _texts(host, posixpath.join(named, name) if name else named, depth - 1)


def _is_below(folder: str, parent: str) -> bool:
    return f"{folder.rstrip('/')}/".startswith(f"{parent}/")


PLUGINS: Mapping[str, Callable[[Host], Iterator[str]] | None] = {
    "PostgreSQL": _postgresql,
    "MySQL": _mysql,
    "Odbc": None,
    "MongoDB": None,
}
"""Section of Orthanc's configuration -> what yields the folders of such a server; none of what cannot be told."""
