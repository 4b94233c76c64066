# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the front's observer says of two authorities, on files that our controller and the machine's OpenSSL made."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import certificates, dicom_front, dicom_front_state
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.surfaces import dicom_tls
from ansible_collections.radiology.hardening.plugins.plugin_utils import catalogue, revocation
from test_agreement import hardened
from test_authority_change import Clinic


@pytest.fixture
def clinic(tmp_path: Path) -> Clinic:
    return Clinic(tmp_path / "clinic")


def on_host(clinic: Clinic, root: Path) -> Host:
    """Put onto a host what its front is given."""
    texts = {dicom_front.AUTHORITY: "".join(clinic.trusted), dicom_front.REVOKED: revocation.lists(clinic.directory)}
    for name, text in texts.items():
        path = root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")
    return Host(str(root))


def test_the_front_s_observer_reads_two_lists_and_knows_who_is_foreign(clinic: Clinic, tmp_path: Path) -> None:
    clinic.go("new")
    clinic.sign()
    host, known = on_host(clinic, tmp_path), [certificates.digest(text) for text in clinic.trusted]
    signed = {"authorities": known, "days_of_change": 3, "revoked": []}
    assert dicom_front_state.trust_store(host, {"signed": signed}) == {
        "authorities": 2,
        "foreign": [],
        "days_of_change": 3,
    }
    found = dicom_front_state.trust_store(host, {"signed": {**signed, "authorities": known[1:]}})
    assert found["foreign"] == known[:1]
    assert dicom_front_state.trust_store(host, {})["foreign"] == known[1:]
    said = dicom_front_state.revocation(host, {"signed": signed})
    assert said["of_our_authority"]
    assert said["days_left"] > 1000
    assert said["unrevoked"] == []
    assert dicom_front_state.revocation(host, {"signed": {"revoked": ["ab"]}})["unrevoked"] == ["ab"]
    path = tmp_path / dicom_front.REVOKED.lstrip("/")
    path.write_text(certificates.each("X509 CRL", path.read_text(encoding="ascii"))[0], encoding="ascii")
    assert not dicom_front_state.revocation(host, {"signed": signed})["of_our_authority"], "one list is missing"


def test_a_certificate_s_digest_is_what_openssl_says(clinic: Clinic) -> None:
    (text,) = clinic.trusted
    command = ["openssl", "x509", "-noout", "-fingerprint", "-sha256"]
    said = subprocess.run(command, input=text, text=True, capture_output=True, check=True).stdout
    assert certificates.digest(text) == said.partition("=")[2].strip().replace(":", "").lower()
    assert certificates.digest("-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n") != ""


def test_a_change_that_nobody_ends_is_left_to_a_person_and_starts_no_front() -> None:
    known, wanted = hardened("dicom_tls", "debian13"), catalogue.wanted(catalogue.load("dicom_tls"))
    for days, told in ((90, []), (91, [dicom_tls.END.format(91)])):
        known["facts"]["dicom_tls"]["trust_store"]["days_of_change"] = days
        assert [step.does for step in dicom_tls.plan(known["facts"], wanted, known["scope"])] == told
