# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Certificates that a hardened server has to refuse: of a foreign authority, and expired ones of the clinic's own."""

from __future__ import annotations

import datetime
import ipaddress
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)


def forged(directory: Path, device: str, address: str) -> Iterator[tuple[str, str, str]]:
    """Yield what is forged, the certificate and its key (PEM), for a device of the clinic whose folder this is."""
    now = datetime.datetime.now(tz=datetime.UTC)
    foreign_key = ec.generate_private_key(ec.SECP256R1())
    foreign_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "A foreign authority")])
    own = x509.load_pem_x509_certificate((directory / "authority" / "ca.crt").read_bytes())
    encrypted = (directory / "authority" / "ca.key").read_bytes()
    own_key = serialization.load_pem_private_key(encrypted, _passphrase(directory).encode())
    for what, issuer, issuer_key, until in (
        ("a foreign authority's certificate", foreign_name, foreign_key, now + 30 * DAY),
        ("a foreign authority's certificate under our authority's name", own.subject, foreign_key, now + 30 * DAY),
        ("an expired certificate of our own authority", own.subject, own_key, now - DAY),
    ):
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.DNSName(device), x509.IPAddress(ipaddress.ip_address(address))]
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, device)]))
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 60 * DAY)
            .not_valid_after(until)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        )
        signed = builder.sign(issuer_key, hashes.SHA256())  # type: ignore[arg-type]
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        yield what, signed.public_bytes(serialization.Encoding.PEM).decode(), secret.decode()


def _passphrase(directory: Path) -> str:
    command = [str(Path(sys.executable).with_name("ansible-vault")), "view", str(directory / "vault.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return str(yaml.safe_load(done.stdout)["authority_passphrase"])
