# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which passwords would be guessed, and what refuses them."""

from __future__ import annotations

import pytest
from ansible_collections.radiology.hardening.plugins.action import authentication
from ansible_collections.radiology.hardening.plugins.module_utils import web_front, web_passwords, web_roles
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.plugin_utils import secrets
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    "password",
    [
        "",
        "S3cret",
        "Sommer2026",
        "12345678901234567890",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "abababababababababababababababab",
        "abcdefghijklmnopq",
        "A.Martin-1234567",
        "martinMARTINmartin12",
    ],
)
def test_what_would_be_guessed(password):
    assert web_passwords.is_weak("a.martin", password)


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "qTz7vKm2LpXw9R",
        "abcdefghijklmnopqr",
        "Ein Dach über dem Kopf",
        "CANARY0xQ7nV2sLkP9wZ4rT",
    ],
)
def test_what_would_not(password):
    assert not web_passwords.is_weak("a.martin", password)


def test_what_the_collection_makes_is_never_weak():
    assert not any(web_passwords.is_weak("a.martin", secrets.password()) for dummy in range(500))


@given(st.text(), st.text())
def test_a_longer_password_is_of_no_smaller_space(password, more):
    assert web_passwords.bits(password) <= web_passwords.bits(password + more)


def test_the_list_of_the_front_is_read_without_a_password_leaving_it():
    people = [{"login": "anna", "role": "reader"}, {"login": "bruno", "role": "technician"}]
    text = web_front.people(people, {"anna": "Sommer2026", "bruno": secrets.password()})
    assert web_passwords.weak(web_roles.passwords(text)) == ["anna"]
    assert web_passwords.weak(web_roles.passwords('"~^Basic !$" reader;\n')) == ["?"]


def test_a_weak_password_is_refused_by_name_alone():
    authentication.refuse_weak({"anna": secrets.password()}, "vault.yml")
    with pytest.raises(
        HardeningError, match=r"^vault\.yml has passwords that would be guessed: passwords\.anna\. "
    ) as told:
        authentication.refuse_weak({"anna": "Sommer2026", "bruno": secrets.password()}, "vault.yml")
    assert "Sommer2026" not in str(told.value)
