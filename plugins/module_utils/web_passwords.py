# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a password of the web front would be guessed, by how many there are of its kind."""

from __future__ import annotations

import math
import re
import string
from collections.abc import Mapping

LEAST_BITS = 80
"""CNIL, recommendation on passwords of 2022: 80 bits where nothing but the password lets somebody in."""

KINDS = (string.ascii_lowercase, string.ascii_uppercase, string.digits)
OTHERS = 32
"""Marks on a keyboard; every character that is no letter and no digit counts as one of so many."""


def bits(password: str) -> float:
    """Return the size of the space that a password comes from at most, in bits; a character counts twice at most."""
    kinds = [len(kind) for kind in KINDS if set(kind) & set(password)]
    if set(password) - set("".join(KINDS)):
        kinds.append(OTHERS)
    counted = min(len(password), 2 * len(set(password)))
    return counted * math.log2(sum(kinds)) if kinds else 0.0


def is_weak(login: str, password: str) -> bool:
    """Tell whether a password is of too small a space, where what it has of the login counts for nothing."""
    for part in (login, *re.split("[._-]", login)):
        if len(part) > 2:
            password = re.sub(re.escape(part), "", password, flags=re.IGNORECASE)
    return bits(password) < LEAST_BITS


def weak(passwords: Mapping[str, str]) -> list[str]:
    """Return the logins whose password is weak."""
    return sorted(login for login, password in passwords.items() if is_weak(login, password))
