# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where the databases and clouds lie in which Orthanc's plugins keep its index, or the images themselves.

Of a server on this host, its folders: those that its files name, else Debian's own. Of another machine's, its name; of
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
SETTING = re.compile(
    r"(?i)\s*(?P<name>data_directory|include|include_if_exists|include_dir)(?:\s*=\s*|\s+|(?='))"
    r"(?:'(?P<quoted>[^']*)'|(?P<bare>[^\s#']+))"
)
"""A line of PostgreSQL's that says where the data lie, or names further files."""
DATA = re.compile(r"(?mi)^\s*(?:loose[-_])?datadir\s*=\s*[\"']?(/[^\s\"'#]+)")
BESIDE = re.compile(
    r"(?mi)^\s*(?:loose[-_])?innodb[-_](?:data[-_]home[-_]dir|log[-_]group[-_]home[-_]dir|undo[-_]directory)"
    r"\s*=\s*[\"']?(/[^\s\"'#]+)"
)
INCLUDED = re.compile(r"(?m)^\s*!(include|includedir)\s+(\S+)")
DEPTH = 8
"""Files that name each other, at most."""


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
    """Yield the folder of each cluster, its tablespaces, and its log of writes where that lies elsewhere.

    Debian's folder of all clusters where no file names one.
    """
    named = False
    for version in host.list(POSTGRESQL_FILES):
        for cluster in host.list(f"{POSTGRESQL_FILES}/{version}"):
            folder = _data_directory(host, f"{POSTGRESQL_FILES}/{version}/{cluster}/postgresql.conf", DEPTH)
            if folder:
                named = True
                yield folder
                yield from (f"{folder}/pg_tblspc/{name}" for name in host.list(f"{folder}/pg_tblspc"))
                if host.run(["readlink", f"{folder}/pg_wal"]).ok:
                    yield f"{folder}/pg_wal"
    if not named and host.stat(POSTGRESQL) is not None:
        yield POSTGRESQL


def _data_directory(host: Host, path: str, depth: int) -> str:
    """Return where a file of PostgreSQL's, or one that it includes, says that the data lie: the last word counts."""
    found = ""
    for setting in filter(None, map(SETTING.match, (host.text(path) or "").splitlines())):
        value = setting["quoted"] or setting["bare"] or ""
        name = setting["name"].lower()
        if name == "data_directory":
            found = value.rstrip("/")
        elif depth:
            place = posixpath.join(posixpath.dirname(path), value)
            names = [each for each in host.list(place) if each.endswith(".conf") and not each.startswith(".")]
            for each in [posixpath.join(place, each) for each in names] if name == "include_dir" else [place]:
                found = _data_directory(host, each, depth - 1) or found
    return found


def _mysql(host: Host) -> Iterator[str]:
    """Yield what the files of MariaDB or MySQL name; Debian's folder where they name none of the data."""
    texts = list(_texts(host, MYSQL_FILE, DEPTH))
    named = [folder.rstrip("/") for text in texts for folder in DATA.findall(text)]
    yield from named
    if not named and host.stat(MYSQL) is not None:
        yield MYSQL
    yield from (folder.rstrip("/") for text in texts for folder in BESIDE.findall(text))


def _texts(host: Host, path: str, depth: int) -> Iterator[str]:
    """Yield a file of MariaDB's and those that it includes; of a folder those that end in .cnf."""
    text = host.text(path) or ""
    yield text
    for kind, named in INCLUDED.findall(text) if depth else []:
        names = sorted(name for name in host.list(named) if name.endswith(".cnf")) if kind == "includedir" else [""]
        for name in names:
            yield from _texts(host, posixpath.join(named, name) if name else named, depth - 1)


PLUGINS: Mapping[str, Callable[[Host], Iterator[str]] | None] = {
    "PostgreSQL": _postgresql,
    "MySQL": _mysql,
    "Odbc": None,
    "MongoDB": None,
}
"""Section of Orthanc's configuration -> what yields the folders of such a server; none of what cannot be told."""
