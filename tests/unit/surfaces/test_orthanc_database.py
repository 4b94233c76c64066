# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where Orthanc's index is: in its own file, in a database of this host, or in one that is called over the network."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import orthanc_configuration, orthanc_database
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from test_orthanc import Answering, planned

SECRET = "canary"
LISTENING = (
    'LISTEN 0 200 127.0.0.1:5432 0.0.0.0:* users:(("postgres",pid=7,fd=6))\n'
    'LISTEN 0 200 [::1]:5432 [::]:* users:(("postgres",pid=7,fd=5))\n'
    'LISTEN 0 200 10.0.0.5:5432 0.0.0.0:* users:(("postgres",pid=7,fd=4))\n'
    'LISTEN 0 80 *:3306 *:* users:(("mariadbd",pid=8,fd=4))\n'
    'LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:(("sshd",pid=9,fd=3))\n'
    "LISTEN 0 128 0.0.0.0:2049 0.0.0.0:*\n"
)


def seen(host: Any, name: str, **section: Any) -> Any:
    return orthanc_database.observe(host, {name: {"EnableIndex": True, "Password": SECRET, **section}})["cleartext"]


@pytest.mark.parametrize(
    ("name", "section", "away"),
    [
        ("PostgreSQL", {}, []),
        ("PostgreSQL", {"Host": "/var/run/postgresql"}, []),
        ("PostgreSQL", {"Host": "127.0.0.1"}, []),
        ("PostgreSQL", {"Host": "db.example"}, ["PostgreSQL at db.example"]),
        (
            "PostgreSQL",
            {"Host": "db.example", "EnableIndex": False, "EnableStorage": True},
            ["PostgreSQL at db.example"],
        ),
        ("PostgreSQL", {"Host": "db.example", "EnableIndex": False}, []),
        ("PostgreSQL", {"Host": "db.example", "EnableSsl": True}, []),
        ("PostgreSQL", {"ConnectionUri": "postgresql://me:canary@db.example:5432/o"}, ["PostgreSQL at db.example"]),
        (
            "PostgreSQL",
            {"ConnectionUri": "postgresql://me:canary@db.example/o?sslmode=prefer"},
            ["PostgreSQL at db.example"],
        ),
        ("PostgreSQL", {"ConnectionUri": "postgres://me:canary@db.example/o?sslmode=verify-full"}, []),
        ("PostgreSQL", {"ConnectionUri": "postgresql://me:canary@db.example/o?ssl=true"}, []),
        ("PostgreSQL", {"ConnectionUri": "postgresql://me:canary@[2001:db8::5]:1/o"}, ["PostgreSQL at 2001:db8::5"]),
        ("PostgreSQL", {"ConnectionUri": "postgresql://me@[::1]/o"}, []),
        ("PostgreSQL", {"ConnectionUri": "postgresql://me@localhost,b.example:5/o"}, ["PostgreSQL at b.example"]),
        ("PostgreSQL", {"ConnectionUri": "postgresql://me@%2Fvar%2Frun%2Fpostgresql/o"}, []),
        ("PostgreSQL", {"ConnectionUri": "postgresql:///o?host=10.0.0.5"}, ["PostgreSQL at 10.0.0.5"]),
        ("PostgreSQL", {"ConnectionUri": "postgresql:///o"}, []),
        ("PostgreSQL", {"ConnectionUri": "service=orthanc"}, [f"PostgreSQL at {orthanc_database.OF_A_SERVICE}"]),
        ("PostgreSQL", {"ConnectionUri": "service=orthanc host=localhost"}, []),
        (
            "PostgreSQL",
            {"ConnectionUri": "postgresql:///o?service=orthanc"},
            [f"PostgreSQL at {orthanc_database.OF_A_SERVICE}"],
        ),
        (
            "PostgreSQL",
            {"ConnectionUri": "postgresql://me:ca/nary@db/o"},
            ["PostgreSQL at a place that cannot be told"],
        ),
        ("PostgreSQL", {"ConnectionUri": "host='db.example' password=canary"}, ["PostgreSQL at db.example"]),
        ("PostgreSQL", {"ConnectionUri": "host=db.example sslmode = require password=canary"}, []),
        ("PostgreSQL", {"ConnectionUri": "dbname=o"}, []),
        ("MySQL", {}, []),
        ("MySQL", {"Host": "db.example", "UnixSocket": "/var/run/mysqld/mysqld.sock"}, ["MySQL at db.example"]),
        ("MySQL", {"Host": "db.example", "EnableSsl": True}, ["MySQL at db.example"]),
        ("Odbc", {"IndexConnectionString": "Driver={x};Server=db.example;Pwd=canary"}, ["Odbc at db.example"]),
        ("Odbc", {"IndexConnectionString": "Driver={x};SERVER={localhost};Pwd=canary"}, []),
        ("Odbc", {"IndexConnectionString": "DSN=index"}, ["Odbc at a place that its DSN alone knows"]),
        ("SQLite", {"Host": "db.example"}, []),
    ],
)
def test_a_database_beyond_this_host_is_called_over_tls(
    tmp_path: Any, name: str, section: Any, away: list[str]
) -> None:
    found = seen(Answering(tmp_path), name, **section)
    assert found == away
    assert SECRET not in json.dumps(found)


def test_a_database_by_the_host_s_own_name_or_address_is_here(tmp_path: Any) -> None:
    host = Answering(tmp_path, getent="127.0.1.1 STREAM pacs\n", hostname="10.0.0.5 2001:db8::5\n")
    assert seen(host, "PostgreSQL", Host="pacs") == []
    host.answers["getent"] = "10.0.0.5 STREAM pacs.example\n"
    assert seen(host, "PostgreSQL", Host="pacs.example") == []
    host.answers["getent"] = "10.0.0.9 STREAM db.example\n"
    assert seen(host, "PostgreSQL", Host="db.example") == ["PostgreSQL at db.example"]


def test_a_section_out_of_form_is_none(tmp_path: Any) -> None:
    told = {"MySQL": "x", "Odbc": [], "PostgreSQL": None}
    assert orthanc_database.observe(Answering(tmp_path), told) == {"cleartext": [], "listening": [], "advice": []}


def test_a_database_of_this_host_listens_on_loopback_alone(tmp_path: Any) -> None:
    host = Answering(tmp_path, ss=LISTENING)
    used = orthanc_database.observe(host, {"PostgreSQL": {"EnableIndex": True}})
    assert used["listening"] == ["mariadbd on *:3306", "postgres on 10.0.0.5:5432"]
    assert orthanc_database.observe(host, {"PostgreSQL": {"Host": "x"}})["listening"] == []


def test_what_is_amiss_is_left_to_a_person_without_a_restart(tmp_path: Any) -> None:
    amiss = {"cleartext": ["PostgreSQL at db.example"], "listening": ["postgres on 0.0.0.0:5432"]}
    steps, left = planned(database=amiss)
    assert steps == []
    assert ["PostgreSQL at db.example" in each for each in left] == [True, False]
    assert "postgres on 0.0.0.0:5432" in left[1]
    for step in (step for steps in orthanc_database.steps(amiss).values() for step in steps):
        with pytest.raises(HardeningError):
            step.do(Answering(tmp_path))


def test_a_connection_string_with_its_password_is_no_fact() -> None:
    told = {"Odbc": {"EnableIndex": True, "IndexConnectionString": f"Pwd={SECRET}", "StorageConnectionString": SECRET}}
    assert orthanc_configuration.without_secrets(told) == {"Odbc": {"EnableIndex": True}}
