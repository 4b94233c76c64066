# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the front's certificates are found to be, on files that the machine's own OpenSSL made, and what is planned."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import (
    certificates,
    dicom_front,
    dicom_front_state,
    web_front,
)
from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import Deliberate
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.surfaces import dicom_tls
from ansible_collections.radiology.hardening.plugins.plugin_utils import authority, catalogue
from test_agreement import hardened

SCOPE = {"name": "pacs", "addresses": ["10.0.0.10", "2001:db8::10"]}
NAMES = "DNS:pacs,IP:10.0.0.10,IP:2001:db8::10"


def made(
    root: Path, *options: str, key: str = "P-256", names: str = NAMES, usages: str = "serverAuth,clientAuth"
) -> Host:
    """Put a certificate where the front has its own."""
    kind = ["ec", "-pkeyopt", f"ec_paramgen_curve:{key}"] if "P-" in key or "secp" in key else [key]
    file = root / dicom_front.CERTIFICATE.lstrip("/")
    file.parent.mkdir(parents=True)
    command = ["openssl", "req", "-x509", "-nodes", "-newkey", *kind, "-keyout", str(root / "key"), "-subj", "/CN=pacs"]
    command += ["-addext", f"subjectAltName={names}", "-addext", f"extendedKeyUsage={usages}", "-out", str(file)]
    subprocess.run([*command, *options], check=True, capture_output=True)
    return Host(str(root))


@pytest.mark.parametrize(
    ("key", "options", "weak"),
    [
        ("P-256", [], []),
        ("P-384", ["-sha384"], []),
        ("rsa:2048", ["-sha256"], []),
        ("rsa:1024", ["-sha256"], ["rsaEncryption key of 1024 bits"]),
        ("rsa:2048", ["-sha1"], ["signed with sha1WithRSAEncryption"]),
        ("secp224r1", [], ["id-ecPublicKey key of 224 bits"]),
        ("P-256", ["-sha1"], ["signed with ecdsa-with-SHA1"]),
        ("ed25519", [], ["ED25519 key of unknown bits", "signed with ED25519"]),
    ],
)
def test_weak_keys_and_signatures_are_named(tmp_path: Path, key: str, options: list[str], weak: list[str]) -> None:
    host = made(tmp_path, *options, key=key)
    assert dicom_front_state.weak(host) == [f"{dicom_front.CERTIFICATE}: {reason}" for reason in weak]


def test_what_is_no_certificate_is_weak_and_what_is_not_there_is_not(tmp_path: Path) -> None:
    assert dicom_front_state.weak(Host(str(tmp_path))) == []
    host = made(tmp_path)
    (tmp_path / dicom_front.CERTIFICATE.lstrip("/")).write_text("no certificate", encoding="ascii")
    assert dicom_front_state.weak(host) == [f"{dicom_front.CERTIFICATE}: cannot be read"]


def test_names_and_usages_are_compared_with_the_clinic_file(tmp_path: Path) -> None:
    good = dicom_front_state.certificate(made(tmp_path / "good"), SCOPE)
    assert (good["missing_names"], good["undeclared_names"]) == ([], [])
    assert good["usages"] == ["serverAuth", "clientAuth"]
    wrong = made(tmp_path / "wrong", names="DNS:another,IP:10.0.0.10", usages="serverAuth,codeSigning")
    found = dicom_front_state.certificate(wrong, SCOPE)
    assert found["missing_names"] == ["DNS:pacs", "IP:2001:db8::10"]
    assert found["undeclared_names"] == ["DNS:another"]
    assert found["usages"] == ["serverAuth", "Code Signing"]


def test_an_authority_that_the_host_trusts_for_other_ends_is_none_of_the_front_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, public = made(tmp_path), tmp_path / "public"
    pem(tmp_path / dicom_front.AUTHORITY.lstrip("/"))
    public.mkdir()
    (public / "planted.pem").write_bytes((tmp_path / dicom_front.CERTIFICATE.lstrip("/")).read_bytes())
    subprocess.run(["openssl", "rehash", str(public)], check=True, capture_output=True)
    monkeypatch.setenv("SSL_CERT_DIR", str(public))
    assert not dicom_front_state.certificate(host, SCOPE)["of_our_authority"]


def test_a_host_without_a_certificate_misses_every_name(tmp_path: Path) -> None:
    found = dicom_front_state.certificate(Host(str(tmp_path)), SCOPE)
    assert found["missing_names"] == ["DNS:pacs", "IP:10.0.0.10", "IP:2001:db8::10"]
    assert found["usages"] == []
    assert certificates.usages("") == []


@pytest.mark.parametrize(
    ("path", "step"),
    [
        (dicom_front.CERTIFICATE, dicom_tls.REQUESTED),
        (dicom_front.LINK_CERTIFICATE, "Make the key pairs between the front and Orthanc"),
        (dicom_front.ORTHANC_CERTIFICATE, "Make the key pairs between the front and Orthanc"),
    ],
)
def test_a_weak_pair_is_made_anew(path: str, step: str) -> None:
    known: dict[str, Any] = hardened("dicom_tls", "debian13")
    known["facts"]["dicom_tls"]["keys"]["weak"] = [f"{path}: rsaEncryption key of 1024 bits"]
    wanted = catalogue.wanted(catalogue.load("dicom_tls"))
    assert step in [each.does for each in dicom_tls.plan(known["facts"], wanted, known["scope"])]


def test_an_authority_that_is_too_weak_is_left_to_a_person() -> None:
    known: dict[str, Any] = hardened("dicom_tls", "debian13")
    known["facts"]["dicom_tls"]["keys"]["weak"] = [f"{dicom_front.AUTHORITY}: signed with sha1WithRSAEncryption"]
    wanted = catalogue.wanted(catalogue.load("dicom_tls"))
    (told,) = [each.does for each in dicom_tls.plan(known["facts"], wanted, known["scope"])]
    assert told.endswith("signed with sha1WithRSAEncryption): rotate_certificates.yml -e authority=new")


@pytest.mark.parametrize(
    ("authorities", "foreign", "ours", "signed", "refused"),
    [
        (1, 1, True, "", True),
        (2, 2, True, dicom_tls.TO_BE_SIGNED, True),
        (1, 1, True, "signed by ours", False),
        (1, 1, False, "", False),
        (2, 1, True, "", False),
        (0, 0, False, "", False),
    ],
)
def test_a_server_that_was_hardened_from_another_folder_is_not_taken_over(
    authorities: int, foreign: int, signed: str, *, ours: bool, refused: bool
) -> None:
    known: dict[str, Any] = hardened("dicom_tls", "debian13")
    mine, wanted = known["facts"]["dicom_tls"], catalogue.wanted(catalogue.load("dicom_tls"))
    mine["trust_store"].update(authorities=authorities, foreign=[f"{number}" for number in range(foreign)])
    mine["certificate"]["of_our_authority"], known["scope"]["certificate"] = ours, signed
    if not refused:
        dicom_tls.plan(known["facts"], wanted, known["scope"])
        return
    with pytest.raises(HardeningError, match="holds an authority that the clinic's folder does not know"):
        dicom_tls.plan(known["facts"], wanted, known["scope"])


@pytest.mark.parametrize("fault", ["names", "weak"])
def test_a_certificate_that_was_signed_anew_is_served_in_place_of_a_wrong_one(fault: str) -> None:
    known: dict[str, Any] = hardened("dicom_tls", "debian13")
    mine, wanted = known["facts"]["dicom_tls"], catalogue.wanted(catalogue.load("dicom_tls"))
    if fault == "names":
        mine["certificate"].update(names=["DNS:another"], missing_names=["DNS:pacs"])
    else:
        mine["keys"]["weak"] = [f"{dicom_front.CERTIFICATE}: signed with ecdsa-with-SHA1"]
    assert [each.does for each in dicom_tls.plan(known["facts"], wanted, known["scope"])] == [dicom_tls.REQUESTED]
    anew = {**known["scope"], "certificate": "signed anew"}
    planned = [each.does for each in dicom_tls.plan(known["facts"], wanted, anew)]
    assert planned == [f"Serve DICOM over TLS ({dicom_front.CERTIFICATE})"]


def pem(path: Path) -> str:
    """Make a key pair and a certificate of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    command = ["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-subj", "/CN=x", "-keyout", str(path.parent / "key"), "-out", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    return path.read_text(encoding="ascii")


def test_keys_that_two_machines_have_are_named(tmp_path: Path) -> None:
    places = (web_front.CERTIFICATE, dicom_front.LINK_CERTIFICATE, dicom_front.ORTHANC_CERTIFICATE)
    texts = {path: pem(tmp_path / path.lstrip("/")) for path in places}
    host, server = Host(str(tmp_path)), tmp_path / dicom_front.CERTIFICATE.lstrip("/")
    assert dicom_front_state.shared_keys(host, SCOPE) == []
    server.write_text(texts[web_front.CERTIFICATE], encoding="ascii")
    assert dicom_front_state.shared_keys(host, SCOPE) == ["pacs = pacs-web"]
    key = dicom_front_state.public_key(host, dicom_front.LINK_CERTIFICATE)
    assert key == authority.key_digest(texts[dicom_front.LINK_CERTIFICATE], "link.crt"), "controller and host agree"
    signed = {"ct": ["a"], "ws": ["b", "a"], "mr": [key], "pacs": ["a"], "pacs-web": ["b"]}
    assert dicom_front_state.shared_keys(host, {**SCOPE, "signed": {"keys": signed}}) == [
        f"{dicom_front.LINK_CERTIFICATE} = mr",
        "ct = ws",
        "pacs = pacs-web",
    ]


def planned(shared: str, **more: Any) -> list[str]:
    known: dict[str, Any] = hardened("dicom_tls", "debian13")
    known["facts"]["dicom_tls"]["keys"]["shared"] = [shared]
    known["facts"]["dicom_tls"]["front"].update(more)
    wanted = catalogue.wanted(catalogue.load("dicom_tls"))
    return [each.does for each in dicom_tls.plan(known["facts"], wanted, known["scope"])]


def test_a_server_makes_a_key_of_its_own_and_a_person_mends_the_devices() -> None:
    assert planned("pacs = pacs-web") == [dicom_tls.RENEWED]
    assert planned("pacs = pacs-web", request=None) == [dicom_tls.REQUESTED]
    assert planned(f"{dicom_front.LINK_CERTIFICATE} = mr") == ["Make the key pairs between the front and Orthanc"]
    (told,) = planned("ct = ws")
    assert told.startswith("Give all but one of ct = ws a key of its own")


def test_a_planted_pair_that_fits_itself_is_none_of_ours(tmp_path: Path) -> None:
    certificate = {"matches_key": True, "public_key": "planted"}
    for keys, fits in (({}, True), ({"pacs": ["planted"]}, True), ({"pacs": ["signed"]}, False)):
        scope = {"name": "pacs", "signed": {"keys": keys}}
        assert dicom_tls._serves_signed(Host(str(tmp_path)), certificate, scope) is fits
    assert not dicom_tls._serves_signed(Host(str(tmp_path)), {**certificate, "matches_key": False}, {"name": "pacs"})
    waiting = tmp_path / dicom_front.NEXT_KEY.lstrip("/")
    waiting.parent.mkdir(parents=True)
    waiting.touch()
    scope = {"name": "pacs", "signed": {"keys": {"pacs": ["signed"]}}}
    assert dicom_tls._serves_signed(Host(str(tmp_path)), certificate, scope), "a rotation that was broken off goes on"


def test_a_device_s_certificate_that_ends_soon_is_left_to_a_person_and_starts_no_front() -> None:
    known: dict[str, Any] = hardened("dicom_tls", "debian13")
    known["facts"]["dicom_tls"]["devices"]["ending"] = ["ct comes with a certificate that ends about 2026-12-04"]
    wanted = catalogue.wanted(catalogue.load("dicom_tls"))
    (step,) = dicom_tls.plan(known["facts"], wanted, known["scope"])
    assert isinstance(step, Deliberate)
    assert step.does == "ct comes with a certificate that ends about 2026-12-04"
    wanted.pop("dicom_tls.devices.ending")
    assert dicom_tls.plan(known["facts"], wanted, known["scope"]) == []
