# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The request for a certificate: one that lies there stands while it is for this key, these names and purposes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import own_key
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host

NAMES = ("DNS:pacs", "IP:10.7.0.10", "IP:2001:db8::10")
BOTH = ("serverAuth", "clientAuth")


@pytest.fixture
def key(tmp_path: Path) -> str:
    file = tmp_path / "private.key"
    file.write_text(own_key.made(Host()), encoding="utf-8")
    return str(file)


def asked(tmp_path: Path, key: str, *, names: Sequence[str] = NAMES, usages: Sequence[str] = BOTH) -> str:
    """Return the request, which lies there for the next call."""
    file = tmp_path / "request.csr"
    text = own_key.request(Host(), key, str(file), common_name="pacs", names=names, usages=usages)
    file.write_text(text, encoding="utf-8")
    return text


def test_a_request_stands_however_often_it_is_asked_for(tmp_path: Path, key: str) -> None:
    first = asked(tmp_path, key)
    assert "BEGIN CERTIFICATE REQUEST" in first
    assert asked(tmp_path, key) == first, "another run may be having that one signed: ECDSA never gives the same twice"
    assert asked(tmp_path, key, names=[NAMES[2], *NAMES[:2]]) == first


@pytest.mark.parametrize(
    "otherwise", [{"names": [*NAMES, "DNS:archive"]}, {"names": NAMES[:2]}, {"usages": ["serverAuth"]}]
)
def test_other_names_and_purposes_ask_anew(tmp_path: Path, key: str, otherwise: dict[str, Sequence[str]]) -> None:
    assert asked(tmp_path, key) != asked(tmp_path, key, **otherwise)


def test_another_key_and_a_broken_request_ask_anew(tmp_path: Path, key: str) -> None:
    first = asked(tmp_path, key)
    Path(key).write_text(own_key.made(Host()), encoding="utf-8")
    second = asked(tmp_path, key)
    assert second != first
    (tmp_path / "request.csr").write_text(second[:200], encoding="utf-8")
    assert "END CERTIFICATE REQUEST" in asked(tmp_path, key)


def test_a_key_is_strong_where_it_is_there_and_long_enough(tmp_path: Path, key: str) -> None:
    assert own_key.is_strong(Host(), key)
    assert not own_key.is_strong(Host(), str(tmp_path / "none.key"))
    short = Host().must(["openssl", "genrsa", "1024"])
    Path(key).write_text(short, encoding="utf-8")
    assert not own_key.is_strong(Host(), key)
