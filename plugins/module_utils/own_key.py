# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A key of this host, which stays here, and the request for its certificate (PKCS #10, RFC 2986)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence

from ansible_collections.radiology.hardening.plugins.module_utils import certificates
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host


def made(host: Host) -> str:
    """Return a new private key (PEM, P-256)."""
    return host.must(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"])


def is_strong(host: Host, key: str) -> bool:
    """Tell whether a private key lies in this file, and is as strong as a certificate's has to be."""
    signed = host.run(["openssl", "req", "-x509", "-new", "-sha256", "-key", key, "-subj", "/CN=key", "-text"])
    return not certificates.weaknesses(signed.output)


def request(host: Host, key: str, file: str, *, common_name: str, names: Sequence[str], usages: Sequence[str]) -> str:
    """Return the request (PEM) for a key, for these names (`DNS:pacs`, `IP:10.0.0.1`) and purposes (`serverAuth`).

    Where `file` holds such a request it is that one: of two runs at once the other may be having it signed.
    """
    lies = host.run(["openssl", "req", "-in", file, "-verify", "-pubkey", "-text"])
    if lies.ok and _is_for(lies.output, _public(host, key), names, usages):
        return host.text(file) or ""
    asked = ["openssl", "req", "-new", "-key", key, "-subj", f"/CN={common_name}"]
    asked += ["-addext", f"subjectAltName={','.join(names)}", "-addext", f"extendedKeyUsage={','.join(usages)}"]
    return host.must(asked)


def same_names(some: Iterable[str], others: Iterable[str]) -> bool:
    """Tell whether these are the same names, in whatever order, and however an IPv6 address is written."""
    return {short(each) for each in some} == {short(each) for each in others}


def short(name: str) -> str:
    """Return `DNS:name` or `IP:address` with the address in its short form (RFC 5952)."""
    kind, _colon, value = name.partition(":")
    try:
        return f"IP:{ipaddress.ip_address(value)}" if kind == "IP" else name
    except ValueError:  # OpenSSL shows one of another length as <invalid>
        return name


def _public(host: Host, key: str) -> str:
    told = host.run(["openssl", "pkey", "-in", key, "-pubout"])
    return told.output if told.ok else ""


def _is_for(said: str, public: str, names: Sequence[str], usages: Sequence[str]) -> bool:
    found = re.search(r"Subject Alternative Name: *\n *(.+)", said)
    listed = found[1].replace("IP Address:", "IP:").split(", ") if found else []
    asked = certificates.usages(said)
    return bool(public) and certificates.public_key(said) == public and same_names(listed, names) and asked == [*usages]
