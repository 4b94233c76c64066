# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the controller signs for a host's HTTPS front, and what it refuses to."""

from __future__ import annotations

import ipaddress

import pytest
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.web_front_plan import REQUESTED, TO_BE_SIGNED
from ansible_collections.radiology.hardening.plugins.plugin_utils.secrets import Secrets
from ansible_collections.radiology.hardening.plugins.plugin_utils.web_certificate import WebCertificate
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


@pytest.fixture
def scope(tmp_path):
    return {"clinic_directory": str(tmp_path), "names": ["pacs", "pacs.practice"], "addresses": ["10.77.11.10"]}


def taken(scope, *, check_mode=False):
    vault = VaultLib([("default", VaultSecret(b"a vault's password"))])
    return WebCertificate(Secrets(scope["clinic_directory"], vault), scope, check_mode=check_mode)


def request(*names):
    alternative = [x509.DNSName(name) for name in names] + [x509.IPAddress(ipaddress.ip_address("10.77.11.10"))]
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    asked = builder.add_extension(x509.SubjectAlternativeName(alternative), critical=False)
    signed = asked.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM).decode()


def test_nothing_signed_is_wanted_and_signed_once(scope):
    first = taken(scope)
    assert (first.text, first.certified) == ("", "")
    assert first.is_wanted({"plan": [REQUESTED]})
    first.sign(request("pacs", "pacs.practice"))
    again = taken(scope)
    assert (again.text, again.certified) == (first.text, first.certified)
    assert not again.is_wanted({"plan": []})
    assert again.is_wanted({"plan": [REQUESTED]})


def test_check_mode_signs_nothing_and_a_failed_host_is_not_asked(scope, tmp_path):
    assert taken(scope, check_mode=True).text == TO_BE_SIGNED
    assert not taken(scope).is_wanted({"failed": True})
    assert not (tmp_path / "authority").exists()


def test_a_host_cannot_have_another_devices_name_signed(scope):
    with pytest.raises(HardeningError, match="ct"):
        taken(scope).sign(request("pacs", "ct"))
