# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The keys of the tunnel that nobody uses: on how many days each was silent, and what the program takes out."""

from __future__ import annotations

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import home_idle
from ansible_collections.radiology.hardening.plugins.module_utils import home_idle_program as program
from ansible_collections.radiology.hardening.plugins.module_utils.home_idle_program import Heard, Note
from ansible_collections.radiology.hardening.plugins.module_utils.host import Result

BEFORE = Note(
    "2026-01-01", {"used": Heard(40, 500), "silent": Heard(40, 500), "out": Heard(90, 0), "gone": Heard(7, 0)}
)


def test_a_day_counts_once_for_who_was_silent_and_begins_anew_for_who_was_heard_of():
    told = {"used": 900, "silent": 500, "new": 0}
    first = BEFORE.on("2026-01-02", told)
    assert first.keys == {
        "used": Heard(0, 900),
        "silent": Heard(41, 500),
        "new": Heard(0, 0),
        "out": Heard(90, 0),
    }
    assert first.on("2026-01-02", told) == first
    assert first.on("2026-01-03", told).keys["used"] == Heard(1, 900)


def test_a_tunnel_that_came_up_anew_makes_nobody_silent_for_more_than_a_day():
    assert BEFORE.on("2026-01-01", {"used": 0}).keys["used"] == Heard(40, 500)
    assert BEFORE.on("2026-01-02", {"used": 0}).keys["used"] == Heard(41, 500)


@pytest.mark.parametrize("days", [["1970-01-01", "2026-01-02"], ["2099-01-01", "2026-01-02"]])
def test_a_clock_that_is_wrong_for_a_while_costs_a_day_at_most_each_time(days):
    note = BEFORE
    for day in days:
        note = note.on(day, {"used": 500})
    assert note.keys["used"].silent == 42


def test_a_key_ends_after_90_silent_days_and_not_one_before():
    assert not Heard(89, 5).idle
    assert Heard(90, 5).idle


@pytest.mark.parametrize("text", ["", "[]", "{", '{"day": "x"}', '{"day": "x", "keys": {"a": 1}}', "null"])
def test_a_note_that_is_none_has_each_time_begin_anew(text):
    assert program.parsed(text) == Note("", {})


def test_a_note_is_read_as_it_was_written():
    assert program.parsed(BEFORE.text()) == BEFORE


def test_who_was_silent_is_taken_out_once(tmp_path, monkeypatch, capsys):
    file = tmp_path / "state" / "heard.json"
    file.parent.mkdir()
    file.write_text(Note("2026-01-01", {"silent": Heard(89, 0)}).text())
    asked = []
    running = {"silent": 0, "used": 5}

    def wg(*words):
        asked.append(words)
        return "".join(f"{key}\t{seconds}\n" for key, seconds in running.items()) if words[0] == "show" else ""

    monkeypatch.setattr(program, "FILE", str(file))
    monkeypatch.setattr(program, "wg", wg)
    assert program.main() == 0
    assert asked[1:] == [("set", program.INTERFACE, "peer", "silent", "remove")]
    assert program.parsed(file.read_text()).keys == {"silent": Heard(90, 0), "used": Heard(0, 5)}
    assert "silent" in capsys.readouterr().out
    del running["silent"]
    assert program.main() == 0
    assert len(asked) == 3


class Gateway:
    """A host that has a note, and whose WireGuard heard of one key just now."""

    def __init__(self):
        self.note = Note("2026-01-01", {"silent": Heard(90, 0), "back": Heard(90, 0)}).text()

    def text(self, path):
        return self.note if path == program.FILE else None

    def write(self, path, text, **_how):
        assert path == program.FILE
        self.note = text

    def run(self, command):
        assert command == ["wg", "show", program.INTERFACE, "latest-handshakes"]
        return Result(0, "back\t900\n", "")


def test_a_key_that_wireguard_just_heard_of_is_in_use_whatever_is_noted():
    assert home_idle.keys(Gateway()) == {"silent"}


def test_a_key_that_the_clinic_file_gives_no_more_begins_anew_when_it_comes_back():
    host = Gateway()
    home_idle.forget(host, {"peers": [{"public_key": "back"}]})
    assert set(program.parsed(host.note).keys) == {"back"}
