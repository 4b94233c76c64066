# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What OpenSSL prints of a certificate (key, signature, purpose) and of a list of revoked ones. Pure text."""

from __future__ import annotations

import base64
import datetime
import hashlib
import re

SMALLEST = {"id-ecPublicKey": 256, "rsaEncryption": 2048}
"""Bits of the smallest key of each kind that is strong enough (ANSSI TLS guide, R26); ECDSA and RSA alone are taken."""
SIGNATURES = ("ecdsa-with-SHA256", "ecdsa-with-SHA384", "ecdsa-with-SHA512")
SIGNATURES_OF_RSA = ("sha256WithRSAEncryption", "sha384WithRSAEncryption", "sha512WithRSAEncryption")
USAGES = {"TLS Web Server Authentication": "serverAuth", "TLS Web Client Authentication": "clientAuth"}
BOTH_SIDES = ("serverAuth", "clientAuth")
"""The front answers devices and calls them."""


def key_digest(pem: str) -> str:
    """Return the SHA-256 of a public key (PEM, as OpenSSL's `-pubkey` tells it); nothing where there is none."""
    lines = [line for line in pem.splitlines() if line and not line.startswith("-----")]
    return hashlib.sha256(base64.b64decode("".join(lines))).hexdigest() if lines else ""


def each(kind: str, text: str) -> list[str]:
    """Return the PEM blocks of a kind in a text: `CERTIFICATE`, `X509 CRL`."""
    return re.findall(rf"-----BEGIN {kind}-----.*?-----END {kind}-----\n?", text, re.DOTALL)


def digest(pem: str) -> str:
    """Return the SHA-256 of a certificate (PEM) as `openssl x509 -fingerprint` has it, lower-case without colons.

    What is no certificate has that of its text, which is nobody's.
    """
    lines = [line.strip() for line in pem.splitlines() if line.strip() and not line.startswith("-----")]
    try:
        return hashlib.sha256(base64.b64decode("".join(lines), validate=True)).hexdigest()
    except ValueError:
        return hashlib.sha256(pem.encode()).hexdigest()


def public_key(said: str) -> str:
    """Return the public key (PEM) in what OpenSSL prints of a certificate; nothing where there is none."""
    found = re.search(r"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----\n", said, re.DOTALL)
    return found[0] if found else ""


def weaknesses(said: str) -> list[str]:
    """Return what is too weak in a certificate, of which `said` is OpenSSL's `-text`; an unreadable one is weak."""
    kind = re.search(r"Public Key Algorithm: (\S+)", said)
    bits = re.search(r"Public-Key: \((\d+) bit", said)
    signature = re.search(r"Signature Algorithm: (\S+)", said)
    if not (kind and signature):
        return ["cannot be read"]
    found = []
    if not bits or int(bits[1]) < SMALLEST.get(kind[1], int(bits[1]) + 1):
        found.append(f"{kind[1]} key of {bits[1] if bits else 'unknown'} bits")
    if signature[1] not in (*SIGNATURES, *SIGNATURES_OF_RSA):
        found.append(f"signed with {signature[1]}")
    return found


def usages(said: str) -> list[str]:
    """Return the purposes in OpenSSL's `-text`: `serverAuth`, `clientAuth`; others as they stand."""
    found = re.search(r"X509v3 Extended Key Usage:[^\n]*\n\s*([^\n]+)", said)
    return [USAGES.get(each.strip(), each.strip()) for each in found[1].split(",")] if found else []


def serials(said: str) -> list[str]:
    """Return the revoked serial numbers of OpenSSL's `crl -text`: lower-case hexadecimal without leading zeros."""
    return [f"{int(each, 16):x}" for each in re.findall(r"Serial Number: ([0-9A-Fa-f]+)", said)]


def days_of_list(said: str) -> int:
    """Return whole days until the `Next Update` of OpenSSL's `crl -text`; -1 when there is none."""
    match = re.search(r"Next Update: (\w+ +\d+ [\d:]+ \d+) GMT", said)
    if not match:
        return -1
    ends = datetime.datetime.strptime(match[1], "%b %d %H:%M:%S %Y").replace(tzinfo=datetime.UTC)
    return (ends - datetime.datetime.now(tz=datetime.UTC)).days
