# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The web front's certificate: what is found of files that OpenSSL and our authority made, and what is planned."""

from __future__ import annotations

import copy
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from socket import create_server
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import (
    own_key,
    web_front,
    web_front_certificate,
    web_front_plan,
)
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.surfaces import authentication
from ansible_collections.radiology.hardening.plugins.plugin_utils import authority, catalogue, device_certificates
from test_agreement import hardened

SECRETS: Any = SimpleNamespace(get=lambda *_name: "phrase", ensure=lambda _name, _factory: "phrase", path="vault.yml")
NAMES = ["pacs", "pacs.practice", "127.0.0.1", "2001:db8::10"]
SCOPE = {"names": NAMES[:2], "addresses": NAMES[2:]}
LISTED = "DNS:pacs,DNS:pacs.practice,IP:127.0.0.1,IP:2001:db8::10"
P256 = ("ec", "-pkeyopt", "ec_paramgen_curve:P-256")


def openssl(*words: str) -> str:
    return subprocess.run(["openssl", *words], check=True, capture_output=True, text=True).stdout


class Server:
    """A host with a web front, and the folder of its clinic."""

    def __init__(self, root: Path) -> None:
        self.clinic, self.host = str(root / "clinic"), Host(str(root / "host"))
        self.key, self.file, self.csr = (
            root / "host" / path.lstrip("/") for path in (web_front.KEY, web_front.CERTIFICATE, web_front.REQUEST)
        )
        self.key.parent.mkdir(parents=True)
        self.request()
        signed = authority.sign(SECRETS, self.clinic, self.csr.read_text(encoding="ascii"), "pacs-web", names=NAMES)
        self.file.write_text(signed, encoding="ascii")

    def request(self) -> None:
        made = ("req", "-new", "-nodes", "-newkey", *P256, "-keyout", str(self.key), "-subj", "/CN=pacs")
        openssl(*made, "-addext", f"subjectAltName={LISTED}", "-out", str(self.csr))

    def plant(self, *options: str, names: str = LISTED, usage: str = "serverAuth", days: int = 300) -> None:
        """Put a certificate of nobody's into the place of the front's own, for its key unless one is made anew."""
        made = ("req", "-x509", "-new", "-nodes", "-subj", "/CN=pacs", "-days", str(days), "-out", str(self.file))
        key = options or ("-key", str(self.key))
        openssl(*made, *key, "-addext", f"subjectAltName={names}", "-addext", f"extendedKeyUsage={usage}")

    @property
    def scope(self) -> dict[str, Any]:
        keys = device_certificates.keys(self.clinic)
        return {**SCOPE, "signed": {"trusted": authority.authorities(self.clinic), "keys": keys}}

    def seen(self, **scope: Any) -> dict[str, Any]:
        found: dict[str, Any] = web_front_certificate.observe(self.host, {**self.scope, **scope}, None)
        return found

    def amiss(self, **scope: Any) -> set[str]:
        """Return what is not as the controls have it, but for whether the front shows it."""
        found = self.seen(**scope)["certificate"]
        right = {"matches_key": True, "of_our_authority": True, "answers": True}
        right |= {"missing_names": [], "undeclared_names": [], "weaknesses": []}
        short = {"days_left"} if found["days_left"] < 30 else set()
        return {name for name, value in right.items() if found[name] != value} | short


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path)


def test_what_our_authority_signed_for_the_front_is_right(server: Server) -> None:
    assert server.amiss() == set()
    found = server.seen()
    assert found["certificate"]["days_left"] >= 364
    assert found["certificate"]["served"] is None
    assert found["request"] == server.host.digest(web_front.REQUEST)
    assert set(found["certificate"]) == set(web_front_certificate.FACTS)
    assert web_front_certificate.is_sound(found["certificate"], 30)


@pytest.mark.parametrize(
    ("how", "amiss"),
    [
        ({}, {"of_our_authority"}),
        ({"days": 10}, {"of_our_authority", "days_left"}),
        ({"names": "DNS:another"}, {"of_our_authority", "missing_names", "undeclared_names"}),
        ({"usage": "clientAuth"}, {"of_our_authority", "answers"}),
    ],
    ids=["of nobody", "ten days", "another's names", "no server's"],
)
def test_what_is_wrong_with_a_certificate_is_seen(server: Server, how: dict[str, Any], amiss: set[str]) -> None:
    server.plant(**how)
    assert server.amiss() == amiss
    assert not web_front_certificate.is_sound(server.seen()["certificate"], 30)


def test_one_that_our_authority_signed_and_that_expired_is_seen(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authority, "CERTIFICATE_DAYS", -0.5)
    text = authority.sign(SECRETS, server.clinic, server.csr.read_text(encoding="ascii"), "pacs-web", names=NAMES)
    server.file.write_text(text, encoding="ascii")
    assert server.amiss() == {"days_left", "of_our_authority"}


@pytest.mark.parametrize(
    ("options", "weak"),
    [
        (("rsa:1024", "-sha1"), ["rsaEncryption key of 1024 bits", "signed with sha1WithRSAEncryption"]),
        ((*P256, "-sha1"), ["signed with ecdsa-with-SHA1"]),
    ],
    ids=["key", "signature"],
)
def test_a_weak_key_or_signature_is_named(server: Server, options: tuple[str, ...], weak: list[str]) -> None:
    server.plant("-newkey", *options, "-keyout", str(server.key))
    assert server.seen()["certificate"]["weaknesses"] == weak


def test_a_pair_that_was_planted_has_a_new_request_due(server: Server) -> None:
    server.plant("-newkey", *P256, "-keyout", str(server.key))
    assert server.amiss() == {"of_our_authority"}
    assert server.seen()["request"] is None
    waiting = server.key.with_name("next.key")
    waiting.touch()
    assert server.seen()["request"] is not None, "a rotation that was broken off goes on"


def test_an_authority_that_the_host_trusts_for_other_ends_is_none_of_ours(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.plant()
    (tmp_path / "public").mkdir()
    (tmp_path / "public" / "planted.pem").write_bytes(server.file.read_bytes())
    openssl("rehash", str(tmp_path / "public"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "public"))
    openssl("verify", str(server.file))
    assert server.amiss() == {"of_our_authority"}
    assert server.amiss(signed={}) == {"of_our_authority"}, "nor where the clinic has none yet"


def test_a_host_without_a_certificate_lacks_everything_and_one_with_noise_too(server: Server) -> None:
    server.file.write_text("nothing of the kind", encoding="ascii")
    assert {"matches_key", "of_our_authority", "answers", "weaknesses", "days_left"} <= server.amiss()
    assert web_front_certificate.certificate(server.host, server.scope, ["127.0.0.1"])["served"] is False
    server.file.unlink()
    found = server.seen()["certificate"]
    assert set(found) == set(web_front_certificate.FACTS)
    assert found["missing_names"] == LISTED.split(",")
    assert not found["present"]


@contextmanager
def showing(certificate: Path, key: Path) -> Iterator[int]:
    """Show a certificate to whoever asks, and return the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def serve() -> None:
        while True:
            try:
                plain, _address = listener.accept()
            except OSError:
                return
            with suppress(OSError), plain, context.wrap_socket(plain, server_side=True) as connection:
                connection.recv(16)

    with closing(create_server(("127.0.0.1", 0))) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]


def test_the_front_is_asked_which_one_it_shows(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with showing(server.file, server.key) as port:
        monkeypatch.setattr(web_front, "PORT", port)
        for silent, served in (([], False), (["2001:db8::10"], True), (["127.0.0.1", "2001:db8::10"], None)):
            found = web_front_certificate.observe(server.host, server.scope, silent)["certificate"]
            assert found["served"] is served
        server.plant()
        assert web_front_certificate.certificate(server.host, server.scope, ["127.0.0.1"])["served"] is False


def planned(unmet: dict[str, Any], *, certificate: str = "", certified: str = "") -> list[str]:
    """Return what is planned for a hardened host whose certificate differs in these facts."""
    known = copy.deepcopy(hardened("authentication", "debian13"))
    web = known["facts"]["authentication"]["web"]
    web["certificate"].update(unmet)
    given = {"certificate": certificate, "certified": certified and web["request"]}
    wanted = catalogue.wanted(catalogue.load("authentication"))
    return [step.does for step in authentication.plan(known["facts"], wanted, {**known["scope"], **given})]


SERVE = f"Serve Orthanc over HTTPS ({web_front.CERTIFICATE})"
BREACHES = [
    {"days_left": 29},
    {"of_our_authority": False},
    {"answers": False},
    {"missing_names": ["DNS:pacs"], "names": ["DNS:another"]},
    {"undeclared_names": ["DNS:another"]},
    {"weaknesses": ["rsaEncryption key of 1024 bits"]},
    {"matches_key": False},
]


@pytest.mark.parametrize("breach", BREACHES, ids=lambda breach: next(iter(breach)))
def test_each_breach_has_the_authority_sign_and_the_front_serve_what_it_signed(breach: dict[str, Any]) -> None:
    assert planned(breach) == [web_front_plan.REQUESTED], "nothing is served before it is signed"
    assert planned(breach, certificate="signed anew", certified="yes") == [SERVE]


def test_a_certificate_of_former_names_that_was_signed_for_the_same_key_is_asked_for_anew() -> None:
    text = "signed before the server had another address"
    for breach in BREACHES:
        assert planned({**breach, "digest": web_front_plan.digest(text)}, certificate=text, certified="yes") == [
            web_front_plan.REQUESTED
        ]


def test_a_front_that_shows_another_one_reads_its_files_anew() -> None:
    assert planned({"served": False}) == ["Serve Orthanc over HTTPS (start the front anew)"]
    assert planned({}) == []


def test_a_weak_key_is_made_anew_with_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    class Plain(Host):
        def folder(self, *dummy: Any, **_how: Any) -> None:
            pass

        def write(self, path: str, *dummy: Any, **_how: Any) -> None:
            made.append(path)

    monkeypatch.setattr(own_key, "made", lambda _host: "key")
    monkeypatch.setattr(own_key, "request", lambda *dummy, **_how: "request")
    for strong, written in ((True, [web_front.REQUEST]), (False, [web_front.KEY, web_front.REQUEST])):
        made.clear()
        monkeypatch.setattr(own_key, "is_strong", lambda *dummy, strong=strong: strong)
        web_front_plan._request(Plain(), SCOPE)
        assert made == written
