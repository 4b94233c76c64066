# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the clinic's authority signs for devices that come in from home by IPsec, and which other doors it opens: none."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.plugin_utils import (
    authority,
    device_certificates,
    home_certificates,
    home_devices,
    preflight_files,
)
from ansible_collections.radiology.hardening.plugins.plugin_utils.remarks import Remarks
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from test_clinic_authority import SECRETS, hand_in, request

PEERS = [{"name": "ct", "addresses": ["10.99.1.2"]}, {"name": "tablet", "addresses": ["10.99.1.3"]}]
TUNNEL: dict[str, Any] = {"protocol": "ipsec", "gateway": "pacs", "endpoint": "203.0.113.7", "peers": PEERS}


def handed_in(directory: Path, name: str, text: str) -> None:
    (directory / "remote_access").mkdir(parents=True, exist_ok=True)
    (directory / "remote_access" / f"{name}.csr").write_text(text, encoding="ascii")


def sign(directory: Path, **how: bool) -> list[str]:
    return home_certificates.sign(SECRETS, str(directory), TUNNEL, **{"check_mode": False, **how})


def signed(directory: Path, name: str = "ct") -> x509.Certificate:
    return x509.load_pem_x509_certificate((directory / "remote_access" / f"{name}.crt").read_bytes())


def known(directory: Path) -> dict[str, Any]:
    found = home_devices.with_keys({"tunnel": TUNNEL, "clinic_directory": str(directory)})
    tunnel: dict[str, Any] = found["tunnel"]
    return tunnel


def test_a_request_gives_its_key_and_nothing_else(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    handed_in(tmp_path, "ct", request("pacs", "10.0.0.10", key=key))
    assert sign(tmp_path, check_mode=True) == ["ct"]
    assert not (tmp_path / "remote_access" / "ct.crt").exists()
    assert sign(tmp_path) == ["ct"]
    found = signed(tmp_path)
    assert found.public_key() == key.public_key()
    assert [each.value for each in found.subject] == ["ct.remote-access"]
    assert found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [each.value for each in names] == ["ct.remote-access"]
    usages = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert [*usages] == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert sign(tmp_path) == []


def test_it_opens_no_door_of_dicom_also_where_a_device_has_the_same_name(tmp_path: Path) -> None:
    handed_in(tmp_path, "ct", request())
    sign(tmp_path)
    device = {"name": "ct", "address": "10.0.0.30"}
    assert device_certificates.admitted(str(tmp_path), device) == []
    hand_in(tmp_path, request())
    device_certificates.sign(SECRETS, str(tmp_path), [device], check_mode=False)
    text = (tmp_path / "remote_access" / "ct.crt").read_text()
    assert authority.fingerprint(text) not in device_certificates.admitted(str(tmp_path), device)
    assert home_certificates.admitted(str(tmp_path), "ct") == [text]


def test_devices_are_known_by_their_certificates_and_the_others_wait(tmp_path: Path) -> None:
    handed_in(tmp_path, "ct", request())
    assert known(tmp_path) == {
        **TUNNEL,
        "named": PEERS,
        "peers": [],
        "waiting": ["ct", "tablet"],
        "certificate": "",
        "due": True,
    }
    assert home_certificates.waiting(str(tmp_path), TUNNEL) == ["tablet"]
    sign(tmp_path)
    own = authority.sign(
        SECRETS,
        str(tmp_path),
        request("pacs-tunnel", "203.0.113.7"),
        "pacs-tunnel",
        names=["pacs-tunnel", "203.0.113.7"],
    )
    found = known(tmp_path)
    (peer,) = found["peers"]
    text = (tmp_path / "remote_access" / "ct.crt").read_text()
    assert peer["certificates"] == [text]
    assert peer["public_key"] == authority.key_digest(text, "ct")
    assert (found["waiting"], found["certificate"], found["due"]) == (["tablet"], own, False)
    again = home_devices.with_keys({"tunnel": found, "clinic_directory": str(tmp_path)})["tunnel"]
    assert again == found


def test_a_renewal_lets_in_by_both_and_another_key_by_itself_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed_in(tmp_path, "ct", request())
    monkeypatch.setattr(authority, "CERTIFICATE_DAYS", authority.RENEWAL_DAYS - 1)
    sign(tmp_path)
    first = signed(tmp_path)
    monkeypatch.undo()
    assert sign(tmp_path) == ["ct"]
    texts = home_certificates.admitted(str(tmp_path), "ct")
    assert [x509.load_pem_x509_certificate(text.encode()) for text in texts] == [signed(tmp_path), first]
    assert sign(tmp_path) == []
    handed_in(tmp_path, "ct", request())
    assert sign(tmp_path) == ["ct"]
    (text,) = home_certificates.admitted(str(tmp_path), "ct")
    assert x509.load_pem_x509_certificate(text.encode()) == signed(tmp_path)
    assert not (tmp_path / "remote_access" / "ct.former.crt").exists()


def test_what_has_ended_or_is_of_another_authority_lets_nobody_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed_in(tmp_path, "ct", request())
    monkeypatch.setattr(authority, "CERTIFICATE_DAYS", -0.5)
    sign(tmp_path)
    assert signed(tmp_path).not_valid_after_utc < datetime.datetime.now(tz=datetime.UTC)
    assert home_certificates.admitted(str(tmp_path), "ct") == []
    monkeypatch.undo()
    sign(tmp_path)
    assert len(home_certificates.admitted(str(tmp_path), "ct")) == 1
    other = tmp_path / "other"
    handed_in(other, "ct", request())
    home_certificates.sign(SECRETS, str(other), TUNNEL, check_mode=False)
    (tmp_path / "remote_access" / "ct.crt").write_bytes((other / "remote_access" / "ct.crt").read_bytes())
    assert home_certificates.admitted(str(tmp_path), "ct") == []


def test_a_key_of_two_devices_and_a_weak_one_are_refused(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    for name in ("ct", "tablet"):
        handed_in(tmp_path, name, request(key=key))
    with pytest.raises(
        HardeningError, match=r"tablet\.csr has the key of .*ct\.csr; accepted: a key pair made on each"
    ):
        sign(tmp_path)
    weak = rsa.generate_private_key(65537, 1024)
    handed_in(tmp_path, "tablet", request(key=weak))
    with pytest.raises(HardeningError, match="RSA keys of 2048 bits or more"):
        sign(tmp_path, check_mode=True)
    handed_in(tmp_path, "tablet", "no request")
    with pytest.raises(HardeningError, match=r"tablet\.csr is not a certificate request"):
        sign(tmp_path, check_mode=True)


def test_a_key_is_refused_for_a_second_device_also_where_the_request_of_the_first_is_gone(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    handed_in(tmp_path, "ct", request(key=key))
    sign(tmp_path)
    (tmp_path / "remote_access" / "ct.csr").unlink()
    assert sign(tmp_path, check_mode=True) == []
    handed_in(tmp_path, "tablet", request(key=key))
    with pytest.raises(HardeningError, match=r"tablet\.csr has the key of .*ct\.crt; accepted"):
        sign(tmp_path)


def test_a_device_that_has_another_name_since_is_signed_for_anew(tmp_path: Path) -> None:
    handed_in(tmp_path, "ct", request())
    sign(tmp_path)
    for ending in ("csr", "crt"):
        (tmp_path / "remote_access" / f"ct.{ending}").rename(tmp_path / "remote_access" / f"tablet.{ending}")
    assert home_certificates.admitted(str(tmp_path), "tablet") == []
    assert sign(tmp_path) == ["tablet"]
    assert [each.value for each in signed(tmp_path, "tablet").subject] == ["tablet.remote-access"]
    assert len(home_certificates.admitted(str(tmp_path), "tablet")) == 1


def test_a_certificate_that_lies_there_twice_after_a_kill_counts_once(tmp_path: Path) -> None:
    handed_in(tmp_path, "ct", request())
    sign(tmp_path)
    text = (tmp_path / "remote_access" / "ct.crt").read_text()
    (tmp_path / "remote_access" / "ct.former.crt").write_text(text)
    assert home_certificates.admitted(str(tmp_path), "ct") == [text]


def test_validate_tells_who_handed_in_nothing_and_what_is_no_request(tmp_path: Path) -> None:
    given = {"remote_access_tunnel": TUNNEL, "remote_access_clinic_directory": str(tmp_path)}
    remarks = Remarks()
    handed_in(tmp_path, "ct", request())
    preflight_files.check_laptops(remarks, given, lambda _directory: SECRETS)
    assert remarks.problems == []
    (told,) = remarks.notes
    assert told.startswith("remote_access: tablet cannot come in yet: make its key there")
    handed_in(tmp_path, "tablet", "no request")
    preflight_files.check_laptops(remarks, given, lambda _directory: SECRETS)
    (problem,) = remarks.problems
    assert "tablet.csr is not a certificate request" in problem
    assert not (tmp_path / "remote_access" / "ct.crt").exists()
