# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A clinic's own certificate authority, on the controller: `authority/ca.crt`, `authority/ca.key` in its folder.

The key is encrypted (PKCS #8) with a passphrase that lies in the clinic's vault file alone. What it signs lies in
`certificates/`, the requests in `requests/`; both are public. A device that Ansible does not run on hands in
`requests/<device>.csr` and takes `certificates/<device>.crt`. While one authority follows another there are two
(authority_folders).
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import os
import secrets as random
from collections.abc import Iterator, Sequence
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.plugin_utils import authority_folders, clinic_folder
from ansible_collections.radiology.hardening.plugins.plugin_utils.secrets import Secrets

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
except ImportError:
    HAS_CRYPTOGRAPHY = False
else:
    HAS_CRYPTOGRAPHY = True

DAY = datetime.timedelta(days=1)
AUTHORITY_DAYS = 3650
CERTIFICATE_DAYS = 365
"""How long a certificate lasts; at most three years are good practice (ANSSI TLS guide, R25)."""
RENEWAL_DAYS = 60
"""A certificate with fewer days left is made anew by the next run."""
PASSPHRASE = "authority_passphrase"  # noqa: S105 (its name in the vault file)
SMALLEST_RSA = 2048
SMALLEST_CURVE = 256


def demand_cryptography() -> None:
    """Raise HardeningError where the controller lacks the library that signs."""
    if not HAS_CRYPTOGRAPHY:
        raise HardeningError("The controller needs the Python package cryptography; install it beside ansible-core.")


def certificate_path(directory: str, name: str) -> str:
    """Return where the certificate of this name lies."""
    return os.path.join(directory, "certificates", f"{name}.crt")


def request_path(directory: str, name: str) -> str:
    """Return where the request of this name lies."""
    return os.path.join(directory, "requests", f"{name}.csr")


def authorities(directory: str) -> list[str]:
    """Return the certificates (PEM) of the authorities whose certificates open the door, the older one first."""
    paths = [authority_folders.certificate(folder) for folder in authority_folders.trusted(directory)]
    return [text for text in map(clinic_folder.read, paths) if text]


def lasting(directory: str, name: str, *, device: bool = False) -> str:
    """Return the certificate (PEM) of this name while it lasts; empty where there is none that does."""
    path = certificate_path(directory, name)
    return clinic_folder.read(path) if lasts(directory, name, device=device) else ""


def lasts(directory: str, name: str, *, device: bool = False) -> bool:
    """Tell whether a certificate of the authority that signs, for the newest request of this name, has days left."""
    signer = authority_folders.certificate(authority_folders.signing(directory, device=device))
    request, certificate, authority = (
        clinic_folder.read(path) for path in (request_path(directory, name), certificate_path(directory, name), signer)
    )
    if not (certificate and authority):
        return False
    signed = load_certificate(certificate, certificate_path(directory, name))
    if request and public(load_request(request, request_path(directory, name))) != public(signed):
        return False
    left = signed.not_valid_after_utc - datetime.datetime.now(tz=datetime.UTC)
    return is_of(certificate, authority) and left > RENEWAL_DAYS * DAY


def is_of(certificate: str, authority: str) -> bool:
    """Tell whether a certificate was signed by an authority, both in PEM form."""
    try:
        load_certificate(certificate, "certificate").verify_directly_issued_by(load_certificate(authority, "ca.crt"))
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def is_named(certificate: str, name: str) -> bool:
    """Tell whether a certificate (PEM) is for this common name."""
    subject = load_certificate(certificate, name).subject
    return subject == x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def load_certificate(text: str, path: str) -> x509.Certificate:
    """Return a certificate (X.509, PEM); HardeningError names the file where it is none."""
    try:
        return x509.load_pem_x509_certificate(text.encode())
    except ValueError as error:
        raise HardeningError(f"{path} is not a certificate in PEM form: {error}.") from error


def load_request(text: str, path: str) -> x509.CertificateSigningRequest:
    """Return a request (PKCS #10, PEM) that is alone in its file, and signed by its own key, which is strong enough."""
    if "PRIVATE KEY-----" in text:
        raise HardeningError(f"{path} holds a private key; accepted: the request alone, and a new key for that device.")
    if text.count("-----BEGIN ") > 1:
        raise HardeningError(f"{path} holds more than one thing; accepted: one certificate request in PEM form.")
    try:
        request = x509.load_pem_x509_csr(text.encode())
        genuine = request.is_signature_valid
        key = request.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise HardeningError(f"{path} is not a certificate request in PEM form: {error}.") from error
    if not genuine:
        raise HardeningError(f"{path} is not signed by the key that it names.")
    demand_strong(key, path)
    return request


def demand_strong(key: Any, path: str) -> None:
    """Refuse a public key that is too weak, or of a kind that neither TLS here nor an envelope takes."""
    strong = (isinstance(key, ec.EllipticCurvePublicKey) and key.key_size >= SMALLEST_CURVE) or (
        isinstance(key, rsa.RSAPublicKey) and key.key_size >= SMALLEST_RSA
    )
    if not strong:
        raise HardeningError(
            f"{path}: accepted are keys on elliptic curves of {SMALLEST_CURVE} bits or more and "
            f"RSA keys of {SMALLEST_RSA} bits or more."
        )


def check_names(
    request: x509.CertificateSigningRequest, path: str, name: str, addresses: Sequence[str]
) -> x509.SubjectAlternativeName:
    """Return the names and addresses that a request asks for; refuse one whose names are not those of who it is for.

    Names of other kinds, as of mail or of pages, count for nobody here: they are left out.
    """
    try:
        names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        raise HardeningError(
            f"{path} has no subjectAltName; accepted: DNS:{name}, and the device's addresses."
        ) from None
    except (ValueError, x509.DuplicateExtension) as error:
        raise HardeningError(f"{path} has extensions that cannot be read: {error}.") from error
    asked = [each for each in names if isinstance(each, (x509.DNSName, x509.IPAddress))]
    listed = [str(each.value) for each in asked]
    foreign = [value for value in listed if value not in (name, *addresses)]
    if foreign or name not in listed:
        beside = f", and of addresses {', '.join(addresses)}" if addresses else ""
        raise HardeningError(f"{path} asks for {', '.join(listed) or 'no name'}; accepted: DNS:{name}{beside}.")
    return x509.SubjectAlternativeName(asked)


def sign(
    secrets: Secrets,
    directory: str,
    request: str,
    name: str,
    *,
    names: Sequence[str] = (),
    device: bool = False,
) -> str:
    """Sign a request, keep request and certificate under this name, and return the certificate (PEM).

    `names` are the names and addresses that the request may ask for, the first of them for certain; where none are
    given, that is the name alone. Whoever asks for another's is refused, a server too: it may be in others' hands.
    """
    path, (due, *others) = request_path(directory, name), names or (name,)
    asked = load_request(request, path)
    checked = check_names(asked, path, due, others)
    with locked(directory):
        key, authority = opened(secrets, directory, authority_folders.signing(directory, device=device))
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, due)])
        text = _signed(key, authority, asked.public_key(), subject, names=checked, usages=usages)
        clinic_folder.write(path, request)
        clinic_folder.write(certificate_path(directory, name), text)
        return text


def sign_for_tunnel(secrets: Secrets, directory: str, request: str, path: str, name: str) -> str:
    """Return a certificate (PEM) that opens the tunnel from home and no other door, for the key of a request alone.

    The name is ours, whatever the request says; `path` is where it lies. Neither is kept here.
    """
    with locked(directory):
        key, authority = opened(secrets, directory, authority_folders.signing(directory, device=True))
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        names = x509.SubjectAlternativeName([x509.DNSName(name)])
        asked = load_request(request, path).public_key()
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH]
        return _signed(key, authority, asked, subject, names=names, usages=usages)


def _signed(
    key: ec.EllipticCurvePrivateKey,
    authority: x509.Certificate,
    asked: Any,
    subject: x509.Name,
    *,
    names: x509.SubjectAlternativeName,
    usages: list[x509.ObjectIdentifier],
) -> str:
    """Return a certificate (PEM) for the public key that was asked for, signed by an authority's key."""
    now = datetime.datetime.now(tz=datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(authority.subject)
        .public_key(asked)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + CERTIFICATE_DAYS * DAY)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(asked), critical=False)
        .add_extension(names, critical=False)
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def fingerprint(certificate: str) -> str:
    """Return a certificate's SHA-1 in hexadecimal, as nginx's $ssl_client_fingerprint has it."""
    return x509.load_pem_x509_certificate(certificate.encode()).fingerprint(hashes.SHA1()).hex()  # noqa: S303


def demand_whole(secrets: Secrets, directory: str) -> None:
    """Raise HardeningError where an authority is not there as a whole; one that was never made lacks nothing.

    A new one in the place of one that signed would shut every device out.
    """
    for folder in authority_folders.trusted(directory):
        key_path = authority_folders.key(folder)
        if os.path.exists(key_path):
            _open(secrets, folder)
            continue
        there = os.path.join(directory, "certificates")
        signed = sorted(name for name in os.listdir(there) if name.endswith(".crt")) if os.path.isdir(there) else []
        if signed:
            raise HardeningError(
                f"{key_path} is missing, and a new authority would shut out whoever holds "
                f"{os.path.join(there, signed[0])}; restore it from its backup, or remove {there} to begin anew."
            )


def opened(secrets: Secrets, directory: str, folder: str) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    """Return the key and the certificate of an authority, made the first time; only to be called while it is locked."""
    if not os.path.exists(authority_folders.key(folder)):
        demand_whole(secrets, directory)
        passphrase = secrets.ensure(PASSPHRASE, lambda: random.token_urlsafe(32))
        make(folder, ec.generate_private_key(ec.SECP256R1()), name_of(directory), passphrase)
    return _open(secrets, folder)


def _open(secrets: Secrets, folder: str) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    """Return an authority's key and certificate as they lie there; HardeningError where they do not fit."""
    key_path, path = authority_folders.key(folder), authority_folders.certificate(folder)
    authority = load_certificate(clinic_folder.read(path), path)
    passphrase = secrets.get(*passphrase_name(authority.public_key())) or secrets.get(PASSPHRASE)
    if passphrase is None:
        raise HardeningError(
            f"{secrets.path} lacks {PASSPHRASE}, which opens {key_path}; restore both from one backup."
        )
    try:
        with open(key_path, "rb") as file:
            key = serialization.load_pem_private_key(file.read(), str(passphrase).encode())
    except (OSError, ValueError) as error:
        raise HardeningError(f"{key_path} does not open with the passphrase in {secrets.path}: {error}.") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or public(authority) != _bytes(key.public_key()):
        raise HardeningError(f"{key_path} is not the key of {path}; restore both from one backup.")
    return key, authority


def passphrase_name(key: Any) -> tuple[str, str]:
    """Return the name, in the clinic's vault file, of the passphrase of an authority that followed another."""
    return f"{PASSPHRASE}s", hashlib.sha256(_bytes(key)).hexdigest()[:16]


def name_of(directory: str) -> str:
    """Return the common name of the clinic's first authority."""
    return f"DICOM authority of {os.path.basename(directory)}"[:64]


def make(folder: str, key: ec.EllipticCurvePrivateKey, called: str, passphrase: str) -> None:
    """Make an authority of this key and common name in a folder; its key is written last."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, called)])
    now = datetime.datetime.now(tz=datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + AUTHORITY_DAYS * DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    encrypted = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(passphrase.encode()),
    )
    clinic_folder.write(
        authority_folders.certificate(folder), certificate.public_bytes(serialization.Encoding.PEM).decode()
    )
    clinic_folder.write(authority_folders.key(folder), encrypted.decode(), mode=0o600)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def public(holder: x509.Certificate | x509.CertificateSigningRequest) -> bytes:
    """Return the public key (SubjectPublicKeyInfo, DER) of a certificate or a request."""
    return _bytes(holder.public_key())


def key_digest(certificate: str, path: str) -> str:
    """Return the SHA-256 of the public key of a certificate (PEM), as hosts tell it (see certificates)."""
    return hashlib.sha256(public(load_certificate(certificate, path))).hexdigest()


def _bytes(key: Any) -> bytes:
    encoded: bytes = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return encoded


@contextlib.contextmanager
def locked(directory: str) -> Iterator[None]:
    """Hold the authority against the other hosts of the clinic, which are hardened at the same time."""
    with clinic_folder.locked(authority_folders.home(directory), "the clinic's authority"):
        yield
