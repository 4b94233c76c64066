# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The clinic's authority: what it signs, what it refuses, and that its key is never in clear."""

from __future__ import annotations

import datetime
import ipaddress
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.plugin_utils import authority, device_certificates
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st


def kept(passphrase: str | None) -> Any:
    """Stand for a vault file that holds this passphrase."""
    return SimpleNamespace(get=lambda *_name: passphrase, ensure=lambda _name, _factory: passphrase, path="vault.yml")


SECRETS = kept("a passphrase")
DEVICE = {"name": "ct", "address": "10.0.0.30", "address6": "2001:db8::30"}


def request(name: str = "ct", *addresses: str, key: Any = None) -> str:
    names: list[x509.GeneralName] = [x509.DNSName(name)]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    )
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    signed = builder.sign(key or ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM).decode()


UNKNOWN_CURVE = """\
-----BEGIN CERTIFICATE REQUEST-----
MIHGMG4CAQAwDDEKMAgGA1UEAwwBeDBZMBMGByqGSM49AgEGCCqBHM9VAYItA0IA
BE80jY7QDOLLCrTSruMhwc292SI1IG3zzP2kZFJeYGr73xQ7PEO0KahfaBICyAzX
I5ErhM7APqZ84M6y+Nl5DaKgADAKBggqhkjOPQQDAgNIADBFAiBNka1Klbe59nRo
cOdulz2uN5+IwxQ4zrtH7pWYaMm6ngIhAKhgT8V99fAt77p8c/82zb7/E9ZJo97t
KaG94u48hxob
-----END CERTIFICATE REQUEST-----
"""
"""A request of a key on the curve SM2, which the library that signs does not know."""
PRIVATE = (
    ec.generate_private_key(ec.SECP256R1())
    .private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    .decode()
)


def hand_in(directory: Path, text: str) -> None:
    (directory / "requests").mkdir(parents=True, exist_ok=True)
    (directory / "requests" / "ct.csr").write_text(text, encoding="ascii")


def test_a_signed_certificate_serves_both_sides_for_a_year(tmp_path: Path) -> None:
    text = authority.sign(SECRETS, str(tmp_path), request("ct", "10.0.0.30"), "ct", names=["ct", "10.0.0.30"])
    certificate = x509.load_pem_x509_certificate(text.encode())
    certificate.verify_directly_issued_by(
        x509.load_pem_x509_certificate((tmp_path / "authority" / "ca.crt").read_bytes())
    )
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert len(list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)) == 2
    left = certificate.not_valid_after_utc - datetime.datetime.now(tz=datetime.UTC)
    assert 364 <= left.days <= 365
    assert authority.lasts(str(tmp_path), "ct")
    assert len(authority.fingerprint(text)) == 40


def test_the_authority_s_key_is_encrypted_and_root_s_alone(tmp_path: Path) -> None:
    authority.sign(SECRETS, str(tmp_path), request(), "ct")
    key = tmp_path / "authority" / "ca.key"
    assert b"ENCRYPTED PRIVATE KEY" in key.read_bytes()
    assert os.stat(key).st_mode & 0o777 == 0o600
    with pytest.raises(HardeningError, match=r"ca\.key does not open with the passphrase in vault\.yml"):
        authority.sign(kept("another"), str(tmp_path), request(), "ct")
    with pytest.raises(HardeningError, match=r"vault\.yml lacks authority_passphrase, which opens .*ca\.key"):
        authority.sign(kept(None), str(tmp_path), request(), "ct")


def test_no_second_authority_takes_the_place_of_one_that_signed(tmp_path: Path) -> None:
    authority.demand_whole(SECRETS, str(tmp_path))
    authority.sign(SECRETS, str(tmp_path), request(), "ct")
    authority.demand_whole(SECRETS, str(tmp_path))
    first = (tmp_path / "authority" / "ca.crt").read_bytes()
    (tmp_path / "authority" / "ca.key").unlink()
    for act in (authority.demand_whole, lambda *given: authority.sign(*given, request(), "ct")):
        with pytest.raises(HardeningError, match=r"ca\.key is missing, .* whoever holds .*/certificates/ct\.crt"):
            act(SECRETS, str(tmp_path))
    assert (tmp_path / "authority" / "ca.crt").read_bytes() == first


def test_what_is_no_certificate_is_named(tmp_path: Path) -> None:
    authority.sign(SECRETS, str(tmp_path), request(), "ct")
    (tmp_path / "certificates" / "ct.crt").write_text("nothing of the kind", encoding="ascii")
    with pytest.raises(HardeningError, match=r"ct\.crt is not a certificate in PEM form"):
        authority.lasts(str(tmp_path), "ct")


def test_devices_are_signed_once_and_the_absent_are_named(tmp_path: Path) -> None:
    hand_in(tmp_path, request("ct", "10.0.0.30", "2001:db8::30"))
    devices = [DEVICE, {"name": "ws", "address": "10.0.0.20"}]
    assert device_certificates.sign(SECRETS, str(tmp_path), devices, check_mode=True) == (["ct"], ["ws"])
    assert not (tmp_path / "certificates").exists()
    assert device_certificates.sign(SECRETS, str(tmp_path), devices, check_mode=False) == (["ct"], ["ws"])
    assert device_certificates.sign(SECRETS, str(tmp_path), devices, check_mode=False) == ([], ["ws"])


def test_a_new_request_is_signed_anew(tmp_path: Path) -> None:
    hand_in(tmp_path, request())
    device_certificates.sign(SECRETS, str(tmp_path), [DEVICE], check_mode=False)
    hand_in(tmp_path, request())
    assert not authority.lasts(str(tmp_path), "ct")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (request("ws"), "asks for ws; accepted: DNS:ct"),
        (request("ct", "10.0.0.99"), r"asks for ct, 10\.0\.0\.99"),
        (request(key=rsa.generate_private_key(65537, 1024)), "RSA keys of 2048 bits or more"),
        (request(key=ec.generate_private_key(ec.SECP224R1())), "elliptic curves of 256 bits or more"),
        ("no request", "is not a certificate request"),
        (
            "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
            "is not a certificate request",
        ),
        (UNKNOWN_CURVE, "is not a certificate request in PEM form: Curve .* is not supported"),
        (request() + request(), "holds more than one thing; accepted: one certificate request"),
        (PRIVATE + request(), "holds a private key; accepted: the request alone, and a new key"),
    ],
)
def test_what_is_not_the_device_s_is_refused_in_a_sentence(tmp_path: Path, text: str, said: str) -> None:
    hand_in(tmp_path, text)
    with pytest.raises(HardeningError, match=said):
        device_certificates.sign(SECRETS, str(tmp_path), [DEVICE], check_mode=False)
    assert not (tmp_path / "certificates").exists()


@given(st.text())
def test_whatever_is_handed_in_gives_a_sentence(text: str) -> None:
    with pytest.raises(HardeningError):
        authority.load_request(text, "requests/ct.csr")
