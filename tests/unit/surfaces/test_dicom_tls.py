# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The DICOM front: its next key, and the certificates that bind a device."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import (
    dicom_front,
    dicom_front_state,
    front_unit,
    web_front_state,
)
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.surfaces import dicom_tls
from ansible_collections.radiology.hardening.plugins.plugin_utils import catalogue

DEVICE = {"name": "ct", "address": "10.0.0.30", "address6": "2001:db8::30", "loopback": "127.0.0.30", "tls": True}


def test_each_certificate_is_bound_to_each_address_of_its_device() -> None:
    lines = dicom_front.entries([DEVICE, {**DEVICE, "name": "ws"}], {"ct": ["a" * 40, "b" * 40]})
    assert [line.split('"')[1] for line in lines] == [
        f"{letter * 40} {address}" for letter in "ab" for address in ("10.0.0.30", "2001:db8::30")
    ]
    assert all(line.endswith(" 127.0.0.30; # ct") for line in lines)


def pair(folder: Path, name: str) -> str:
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    made += ["-subj", f"/CN={name}", "-keyout", str(folder / f"{name}.key")]
    return subprocess.run(made, check=True, capture_output=True, text=True).stdout


def test_the_next_key_comes_with_its_own_certificate_alone(tmp_path: Path) -> None:
    host, waiting = Host(), str(tmp_path / "next.key")
    certificate = pair(tmp_path, "next")
    assert front_unit.next_key(host, certificate, "server.key", waiting) == {"server.key": Path(waiting).read_text()}
    assert front_unit.next_key(host, pair(tmp_path, "other"), "server.key", waiting) == {}
    assert front_unit.next_key(host, certificate, "server.key", str(tmp_path / "none.key")) == {}


@pytest.mark.parametrize(
    ("recorded", "renew", "asked"),
    [
        ("digest", True, [dicom_tls.RENEWED]),
        ("digest", False, []),
        (None, True, [dicom_tls.REQUESTED]),
    ],
)
def test_a_next_key_is_made_beside_one_that_serves_and_where_it_is_asked_for(
    recorded: str | None, *, renew: bool, asked: list[str]
) -> None:
    known = json.loads((Path(__file__).parent / "hardened" / "dicom_tls.debian12.json").read_text(encoding="utf-8"))
    facts, wanted = known["facts"], catalogue.wanted(catalogue.load("dicom_tls"))
    facts["dicom_tls"]["front"]["request"] = recorded
    does = [step.does for step in dicom_tls.plan(facts, wanted, {**known["scope"], "renew": renew})]
    assert [each for each in does if each in (dicom_tls.RENEWED, dicom_tls.REQUESTED)] == asked


def limits(text: str, *devices: dict[str, object]) -> int:
    return dicom_front_state._most(web_front_state.tokens(text), {"devices": devices})


def test_a_device_is_counted_once_by_whichever_of_its_addresses_it_comes() -> None:
    scope = {"addresses": ["10.0.0.10"], "devices": [DEVICE]}
    text = dicom_front.configuration(scope, {}, protocols=["TLSv1.3"], suites=["X"])
    assert limits(text, DEVICE) == dicom_front.MOST == 3
    assert limits(text.replace('    "2001:db8::30" ct;\n', ""), DEVICE) == 6, "the second address counts apart"
    assert limits(text.replace("    limit_conn machines 3;\n", ""), DEVICE) == dicom_front.WORKER_CONNECTIONS
    assert limits(text.replace("limit_conn machines 3;", "limit_conn machines 9;"), {**DEVICE, "lost": True}) == 9


@pytest.mark.parametrize(
    ("limit", "threads", "devices", "unserved"),
    [(3, 7, 2, 0), (3, 8, 2, 0), (3, None, 1, 0), (3, None, 2, 3), (6, 7, 2, 6), (None, 7, 2, None)],
)
def test_connections_that_orthanc_has_no_thread_for_are_counted(
    limit: int | None, threads: int | None, devices: int, unserved: int | None
) -> None:
    configuration = {} if threads is None else {"DicomThreadsCount": threads}
    scope = {"devices": [DEVICE] * devices}
    assert dicom_tls._unserved({"connections_of_a_device": limit}, configuration, scope) == unserved


def test_orthanc_is_not_restarted_for_a_lost_device() -> None:
    both = [DEVICE, {**DEVICE, "name": "ws"}]
    assert dicom_front.threads(both) == dicom_front.threads([{**both[0], "lost": True}, both[1]]) == 7


@pytest.mark.parametrize(
    ("signed", "undeclared"),
    [
        ({}, []),
        ({"certificates": {"ct": ["a" * 40]}}, []),
        ({"certificates": {"ct": ["b" * 40], "ws": ["a" * 40]}}, ["10.0.0.30=127.0.0.30", "2001:db8::30=127.0.0.30"]),
        ({"certificates": {}}, ["10.0.0.30=127.0.0.30", "2001:db8::30=127.0.0.30"]),
    ],
)
def test_a_device_is_bound_by_its_own_certificates_alone(signed: dict[str, object], undeclared: list[str]) -> None:
    scope = {"addresses": ["10.0.0.10"], "devices": [DEVICE]}
    text = dicom_front.configuration(scope, {"ct": ["a" * 40]}, protocols=["TLSv1.3"], suites=["X"])
    assert dicom_front_state._undeclared(text, {**scope, "signed": signed}) == undeclared
    elsewhere = text.replace("10.0.0.30", "10.0.0.66")
    assert "10.0.0.66=127.0.0.30" in dicom_front_state._undeclared(elsewhere, {**scope, "signed": signed})
