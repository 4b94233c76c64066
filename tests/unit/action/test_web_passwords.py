# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The passwords by which the front asks Orthanc."""

from __future__ import annotations

from ansible_collections.radiology.hardening.plugins.action import authentication


def test_each_login_has_a_password_of_its_own_that_stays_while_the_secret_does():
    made = authentication.orthanc_passwords("a secret", ["anna", "bruno"])
    assert made == authentication.orthanc_passwords("a secret", ["anna", "bruno"])
    assert len(set(made.values())) == 2
    assert all(len(password) == 64 for password in made.values())
    assert made["anna"] != authentication.orthanc_passwords("another", ["anna"])["anna"]
