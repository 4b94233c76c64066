# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the clinic's authority signs for a server: its own name and addresses, whatever it asks for."""

from __future__ import annotations

import base64
import ipaddress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible.plugins.action import ActionBase
from ansible_collections.radiology.hardening.plugins.action import dicom_tls
from ansible_collections.radiology.hardening.plugins.module_utils.surfaces.dicom_tls import REQUESTED
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

OWN = ("pacs", "10.0.0.10", "2001:db8::10")


def request(*names: str, common_name: str = "pacs", others: tuple[x509.GeneralName, ...] = ()) -> bytes:
    builder = x509.CertificateSigningRequestBuilder()
    builder = builder.subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]))
    listed: list[x509.GeneralName] = [
        x509.IPAddress(ipaddress.ip_address(name)) if name[0].isdigit() else x509.DNSName(name) for name in names
    ]
    if listed or others:
        builder = builder.add_extension(x509.SubjectAlternativeName([*listed, *others]), critical=False)
    signed = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM)


class Server(dicom_tls.ActionModule):
    """The action on a server that hands in what a test says."""

    def __init__(self, directory: Path, handed_in: bytes) -> None:
        scope = {"clinic_directory": str(directory), "name": OWN[0], "addresses": list(OWN[1:]), "devices": []}
        self.handed_in, self.plans = handed_in, [[REQUESTED], []]
        self._task = SimpleNamespace(args={"scope": scope}, check_mode=False)
        self._loader = SimpleNamespace(_vault=VaultLib([("default", VaultSecret(b"a vault's password"))]))

    def _execute_module(self, module_name: str, **dummy: Any) -> dict[str, Any]:
        if module_name == "ansible.builtin.slurp":
            return {"content": base64.b64encode(self.handed_in).decode("ascii")}
        if module_name == "ansible.builtin.stat":
            return {"stat": {"exists": False}}
        return {"plan": self.plans.pop(0), "changed": False}


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ActionBase, "run", lambda *dummy: {})


def signed(directory: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate((directory / "certificates" / "pacs.crt").read_bytes())


def test_a_server_s_own_name_and_addresses_are_signed(tmp_path: Path) -> None:
    Server(tmp_path, request(*OWN)).run(task_vars={})
    names = signed(tmp_path).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(each.value) for each in names] == list(OWN)


@pytest.mark.parametrize(
    ("handed_in", "said"),
    [
        (
            request(*OWN, "store"),
            r"requests/pacs.csr asks for pacs, 10.0.0.10, 2001:db8::10, store; accepted: DNS:pacs",
        ),
        (request("store"), "asks for store; accepted: DNS:pacs, and of addresses 10.0.0.10, 2001:db8::10"),
        (request("pacs", "10.0.0.11"), "asks for pacs, 10.0.0.11; accepted: DNS:pacs, and of addresses 10.0.0.10"),
        (request("*.practice", "pacs"), r"asks for \*.practice, pacs; accepted"),
        (request(), r"requests/pacs.csr has no subjectAltName; accepted: DNS:pacs"),
        (b"nothing of the kind", r"requests/pacs.csr is not a certificate request in PEM form"),
        (b"\xff\xfe", r"/etc/dicom-front/server.csr is not plain text"),
    ],
    ids=["another name too", "another name", "another address", "a wildcard", "no names", "no request", "no text"],
)
def test_another_s_name_or_address_is_refused_in_one_sentence_and_nothing_is_signed(
    tmp_path: Path, handed_in: bytes, said: str
) -> None:
    with pytest.raises(AnsibleActionFail, match=said):
        Server(tmp_path, handed_in).run(task_vars={})
    assert not (tmp_path / "certificates" / "pacs.crt").exists()
    assert not (tmp_path / "requests" / "pacs.csr").exists()


def test_what_else_a_request_says_of_itself_is_not_signed(tmp_path: Path) -> None:
    others = (x509.UniformResourceIdentifier("https://store"), x509.RFC822Name("store@practice"))
    Server(tmp_path, request(*OWN, common_name="store", others=others)).run(task_vars={})
    found = signed(tmp_path)
    assert [each.value for each in found.subject] == ["pacs"]
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(each.value) for each in names] == list(OWN)
