# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The keys of the tunnel that nobody uses: when they were last heard of, and what the program takes out."""

from __future__ import annotations

import json
import time

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import home_idle
from ansible_collections.radiology.hardening.plugins.module_utils import home_idle_program as program
from ansible_collections.radiology.hardening.plugins.module_utils.host import Result

NOW = 1_800_000_000.0
OLD = NOW - program.DAYS * program.DAY


@pytest.mark.parametrize(
    ("noted", "handshakes", "last"),
    [
        ({}, {"new": 0}, {"new": NOW}),
        ({"used": OLD}, {"used": int(NOW) - 60}, {"used": NOW - 60}),
        ({"silent": OLD}, {"silent": 0}, {"silent": OLD}),
        ({"taken out": OLD}, {}, {"taken out": OLD}),
        ({"clock was ahead": NOW + 10**8}, {"clock was ahead": 0}, {"clock was ahead": NOW}),
        ({}, {"clock was ahead": int(NOW) + 10**8}, {"clock was ahead": NOW}),
    ],
)
def test_a_key_is_heard_of_at_its_last_handshake(noted, handshakes, last):
    assert program.heard(noted, handshakes, NOW) == last


def test_a_key_ends_after_90_days_and_not_a_second_before():
    assert program.idle({"a": OLD, "b": OLD + 1, "c": NOW}, NOW) == ["a"]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": "x"}', '{"a": null}', "null"])
def test_a_note_that_is_none_has_each_time_begin_anew(text):
    assert program.parsed(text) == {}


def test_who_was_not_heard_of_is_taken_out_once(tmp_path, monkeypatch, capsys):
    file = tmp_path / "state" / "heard.json"
    file.parent.mkdir()
    file.write_text(json.dumps({"silent": OLD, "gone": OLD}))
    asked = []
    handshakes = {"silent": 0, "used": int(NOW) - 5}

    def wg(*words):
        asked.append(words)
        return "".join(f"{key}\t{seconds}\n" for key, seconds in handshakes.items()) if words[0] == "show" else ""

    monkeypatch.setattr(program, "FILE", str(file))
    monkeypatch.setattr(program, "wg", wg)
    monkeypatch.setattr(program.time, "time", lambda: NOW)
    assert program.main() == 0
    assert asked[1:] == [("set", program.INTERFACE, "peer", "silent", "remove")]
    assert json.loads(file.read_text()) == {"silent": OLD, "gone": OLD, "used": NOW}
    assert "silent" in capsys.readouterr().out
    del handshakes["silent"]
    assert program.main() == 0
    assert len(asked) == 3


class Gateway:
    """A host that has a note, and whose WireGuard heard of one key just now."""

    def text(self, path):
        return json.dumps({"silent": 1, "back": 1}) if path == program.FILE else None

    def run(self, command):
        assert command == ["wg", "show", program.INTERFACE, "latest-handshakes"]
        return Result(0, f"back\t{int(time.time())}\nsilent\t0\n", "")


def test_a_key_that_wireguard_just_heard_of_is_in_use_whatever_is_noted():
    assert home_idle.keys(Gateway()) == {"silent"}
