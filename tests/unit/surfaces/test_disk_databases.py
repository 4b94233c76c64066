# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where Orthanc's databases lie: on this host, on another, or nobody knows where; and that each is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import orthanc_options
from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import parted
from ansible_collections.radiology.hardening.plugins.module_utils.disk_databases import (
    CLOUDS,
    PLUGINS,
    Database,
    observe,
)
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host, Result
from ansible_collections.radiology.hardening.plugins.module_utils.surfaces import disk_encryption
from disk_host import RecordedHost
from test_disk_encryption import CLEAR, planned

USED = {"EnableIndex": True, "EnableStorage": False}
POSTGRESQL, MYSQL = "/var/lib/postgresql", "/var/lib/mysql"
HERE = Database("PostgreSQL", (POSTGRESQL,))
ADDRESSES = {"pacs-1": "127.0.1.1 STREAM pacs-1\n", "pacs-1.clinic": "fd00::5 STREAM\n", "db.clinic": "192.0.2.9 RAW\n"}


class Machine(Host):
    """A host below a folder, whose resolver knows three names and which has two addresses."""

    links = frozenset()

    def run(self, command, **_):
        if command[0] == "readlink":
            return Result(int(command[1] not in self.links), "", "")
        told = ADDRESSES.get(command[-1], "") if command[0] == "getent" else "192.0.2.5 fd00::5 \n"
        return Result(0 if told else 2, told, "")

    def lay(self, path, text=""):
        file = Path(self.path(path))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


@pytest.fixture(name="machine")
def with_servers(tmp_path):
    machine = Machine(str(tmp_path))
    machine.lay(f"{POSTGRESQL}/15/main/PG_VERSION")
    machine.lay(f"{MYSQL}/ibdata1")
    return machine


@pytest.mark.parametrize(
    ("section", "found"),
    [
        ({}, []),
        ({"EnableIndex": False, "EnableStorage": False, "Host": "db.clinic"}, []),
        (USED, [HERE]),
        ({"EnableIndex": False, "EnableStorage": True}, [HERE]),
        ({**USED, "Host": "localhost"}, [HERE]),
        ({**USED, "Host": "127.0.0.1"}, [HERE]),
        ({**USED, "Host": "::1"}, [HERE]),
        ({**USED, "Host": "/run/postgresql"}, [HERE]),
        ({**USED, "Host": "pacs-1"}, [HERE]),
        ({**USED, "Host": "pacs-1.clinic"}, [HERE]),
        ({**USED, "Host": "192.0.2.5"}, [HERE]),
        ({**USED, "Host": "192.0.2.9"}, [Database("PostgreSQL", server="192.0.2.9")]),
        ({**USED, "Host": "db.clinic"}, [Database("PostgreSQL", server="db.clinic")]),
        ({**USED, "Host": "${DATABASE}"}, [Database("PostgreSQL")]),
        ({**USED, "Host": "db.clinic", "ConnectionUri": "postgresql://o:canary@localhost:5432/o"}, [HERE]),
        ({**USED, "ConnectionUri": "postgresql://o:canary@[::1]:5432/o"}, [HERE]),
        ({**USED, "ConnectionUri": "postgresql:///o?host=/run/postgresql"}, [HERE]),
        (
            {**USED, "ConnectionUri": "postgresql://o:c@nary@db.clinic:5432,pacs-1:5432/o"},
            [Database("PostgreSQL", server="db.clinic")],
        ),
        (
            {**USED, "ConnectionUri": "user=o password=canary host=db.clinic"},
            [Database("PostgreSQL", server="db.clinic")],
        ),
        ({**USED, "ConnectionUri": "user=o password=canary dbname=o"}, [HERE]),
    ],
)
def test_whose_server_has_the_index(machine, section, found):
    assert observe(machine, {"PostgreSQL": section}) == found


def test_folders_are_those_that_the_servers_files_name(machine):
    machine.lay("/etc/postgresql/15/main/postgresql.conf", f"data_directory = '{POSTGRESQL}/15/main'  # by default\n")
    machine.lay("/etc/postgresql/15/images/postgresql.conf", "#data_directory = '/no'\nData_Directory = '/srv/pg' #\n")
    machine.lay("/srv/pg/pg_tblspc/16400/PG_15")
    machine.lay("/etc/mysql/my.cnf", "[client-server]\n!includedir /etc/mysql/conf.d/\n!include /etc/mysql/last.cnf\n")
    machine.lay(
        "/etc/mysql/conf.d/50-server.cnf", "[mysqld]\n#datadir = /no\ndatadir                 = /srv/mysql # here\n"
    )
    machine.lay("/etc/mysql/conf.d/50-server.cnf.bak", "[mysqld]\ndatadir = /no\n")
    machine.lay(
        "/etc/mysql/last.cnf",
        f"[mysqld]\ninnodb-data-home-dir='/srv/innodb'\ndatadir={MYSQL}/\n!include /etc/mysql/my.cnf\n",
    )
    assert observe(machine, {"PostgreSQL": USED, "MySQL": USED}) == [
        Database("PostgreSQL", ("/srv/pg", "/srv/pg/pg_tblspc/16400", f"{POSTGRESQL}/15/main")),
        Database("MySQL", ("/srv/mysql", MYSQL, "/srv/innodb")),
    ]


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"": "include_dir = 'conf.d'", "conf.d/ours.conf": "data_directory = '/srv/pg/'"}, "/srv/pg"),
        ({"": "include_dir 'conf.d'", "conf.d/.ours.conf": "data_directory = '/srv/pg'"}, POSTGRESQL),
        ({"": "data_directory='/old'\ninclude more", "more": "Data_Directory '/srv/pg' # here"}, "/srv/pg"),
        ({"": "include_if_exists = 'none'\ndata_directory = /srv/pg"}, "/srv/pg"),
        ({"": "include = 'postgresql.conf'\ndata_directory = '/srv/pg'"}, "/srv/pg"),
        ({"": "include = '/etc/more'\n#data_directory = '/no'"}, POSTGRESQL),
    ],
    ids=["a folder's file", "a hidden one", "the last word", "a missing one", "a ring", "no word"],
)
def test_files_that_postgresql_includes_are_read_where_they_are_named(machine, files, found):
    for name, text in files.items():
        machine.lay(f"/etc/postgresql/15/main/{name or 'postgresql.conf'}", text + "\n")
    assert observe(machine, {"PostgreSQL": USED}) == [Database("PostgreSQL", (found,))]


def test_the_log_of_writes_is_looked_at_where_it_lies_elsewhere(machine):
    machine.lay("/etc/postgresql/15/main/postgresql.conf", f"data_directory = '{POSTGRESQL}/15/main'\n")
    machine.links = {f"{POSTGRESQL}/15/main/pg_wal"}
    assert observe(machine, {"PostgreSQL": USED}) == [
        Database("PostgreSQL", (f"{POSTGRESQL}/15/main", f"{POSTGRESQL}/15/main/pg_wal"))
    ]


def test_a_plugin_that_stores_images_keeps_the_section_without_which_it_finds_none():
    assert {*PLUGINS, *CLOUDS} <= orthanc_options.known("1.10.1")


def test_a_server_here_that_has_no_folder_is_not_said_to_be_nowhere(tmp_path):
    assert observe(Machine(str(tmp_path)), {"MySQL": USED}) == [Database("MySQL")]


def observed(tmp_path, **sections):
    host = RecordedHost(str(tmp_path), CLEAR["asked"])
    host.files["/etc/orthanc/orthanc.json"] = json.dumps(
        {**json.loads(str(host.files["/etc/orthanc/orthanc.json"])), **sections}
    )
    host.stats[MYSQL] = host.stats["/etc/orthanc"]
    return disk_encryption.observe(host, CLEAR["scope"])


def test_a_database_in_clear_is_told_as_images_are(tmp_path):
    assert observed(tmp_path)["data"]["in_clear"] == []
    facts = observed(tmp_path, MySQL={"EnableStorage": True, "Password": "canary"})
    (said,) = facts["data"]["in_clear"]
    assert said == f"{MYSQL} (database) lies on /dev/vda2, in clear"
    assert f"{said}: encrypt its" in facts["data"]["advice"][0]
    assert "canary" not in str(facts)


def test_a_database_that_cannot_be_looked_at_is_no_pass(tmp_path):
    facts = observed(
        tmp_path,
        PostgreSQL={**USED, "ConnectionUri": "postgresql://o:canary@db.clinic/o"},
        Odbc={**USED, "IndexConnectionString": "DSN=index;PWD=canary"},
        AwsS3Storage={"BucketName": "images", "AccessKey": "canary"},
    )
    assert facts["data"]["in_clear"] == [
        "what PostgreSQL keeps (database) lies on db.clinic, another machine's disk",
        *(
            f"what {plugin} keeps (database) lies on nothing that can be told, whose protection cannot be told"
            for plugin in ("Odbc", "AwsS3Storage")
        ),
    ]
    assert [advice.rpartition(": ")[2] for advice in facts["data"]["advice"]] == [
        "see to it that what holds it is encrypted, and waive this with that as the reason"
    ] * 3
    assert [step.does for step in parted(planned(facts))[1] if "waive this" in step.does] == facts["data"]["advice"]
    assert "canary" not in str(facts)
