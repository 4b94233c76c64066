# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The program that enrols: its codes are those of the standards, and it touches nobody else's secrets."""

from __future__ import annotations

import os

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import second_factor_program as program

SECRET = b"12345678901234567890"
CODES = ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"]
"""RFC 4226, appendix D."""


def test_codes_are_those_of_rfc_4226():
    assert [program.code(SECRET, counter) for counter in range(10)] == CODES


@pytest.mark.parametrize(
    ("now", "eight"), [(59, "94287082"), (1111111109, "07081804"), (1234567890, "89005924"), (20000000000, "65353130")]
)
def test_codes_of_the_telephone_are_those_of_rfc_6238(now, eight):
    assert program.matches(SECRET, eight[2:], now)
    assert program.matches(SECRET, eight[2:], now + program.PERIOD)
    assert not program.matches(SECRET, eight[2:], now + 2 * program.PERIOD)


def test_a_telephone_reads_the_secret_in_base32():
    told = program.address(SECRET, "c.moreau", "pacs")
    assert told.startswith("otpauth://totp/pacs%3Ac.moreau?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=pacs")


def test_one_login_is_replaced_and_the_others_stay():
    text = "# a comment\nHOTP/T30/6 a.martin - 00\t0\t12\t2026-01-01T00:00:00L\nHOTP/T30/6\tc.moreau\t-\t11\n"
    assert program.enrolled(text) == ["a.martin", "c.moreau"]
    rest = program.without(text, "c.moreau")
    assert rest == text.splitlines()[:2]
    anew = "\n".join([*rest, *program.lines("c.moreau", SECRET, SECRET)])
    assert program.enrolled(anew) == ["a.martin", "c.moreau"]
    assert anew.count(SECRET.hex()) == 2


def test_it_is_kept_for_root_alone_and_replaced_whole(tmp_path, monkeypatch):
    file = tmp_path / "users.oath"
    monkeypatch.setattr(program, "FILE", str(file))
    monkeypatch.setattr(program, "LOCK", f"{file}.lock")
    assert program.read() == ""
    (tmp_path / "users.oath.lock").touch()
    os.utime(tmp_path / "users.oath.lock", (0, 0))
    program.write(program.lines("c.moreau", SECRET, SECRET))
    assert file.stat().st_mode & 0o777 == 0o600
    assert program.remove("a.martin") == 1
    assert program.enrolled(program.read()) == ["c.moreau"]
    assert program.remove("c.moreau") == 0
    assert program.read() == ""
    assert not (tmp_path / "users.oath.lock").exists()


def test_the_secret_is_shown_to_no_file(monkeypatch, capsys):
    monkeypatch.setattr(program, "show", lambda *_: pytest.fail("it was shown"))
    monkeypatch.setattr(program.sys.stdin, "isatty", lambda: False, raising=False)
    assert program.enroll("root") == 1
    assert program.enroll("nobody-here") == 1
    said = capsys.readouterr().err
    assert "run this at a terminal" in said
    assert "nobody-here has no account" in said
