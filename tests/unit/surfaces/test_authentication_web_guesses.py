# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How many guesses a front looks at, and what the journal has of them."""

from __future__ import annotations

import http.server
import json
import threading
from typing import ClassVar

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import web_front, web_front_ask, web_front_state
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host, Result


class Front(http.server.BaseHTTPRequestHandler):
    """A front that looks at the first `looks` guesses."""

    protocol_version = "HTTP/1.1"
    looks = 4
    asked: ClassVar[list[str]] = []

    def answer(self) -> None:
        self.asked.append(self.path)
        self.send_response(401 if len(self.asked) <= self.looks else 429)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def __getattr__(self, name: str) -> object:
        """Answer whatever method is asked for."""
        if name.startswith("do_"):
            return self.answer
        raise AttributeError(name)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(name="port")
def front(monkeypatch):
    monkeypatch.setattr(Front, "asked", [])
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Front) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.mark.parametrize(("looks", "found"), [(4, 4), (0, 0), (100, len(web_front_ask.GUESSED_AT))])
def test_what_is_not_answered_429_was_looked_at(port, monkeypatch, looks, found):
    monkeypatch.setattr(Front, "looks", looks)
    monkeypatch.setattr(web_front_ask.time, "monotonic", lambda: 1000.0)
    assert web_front_ask.guesses_a_second("127.0.0.1", port, "abcd", tls=False) == found
    assert "/dicom-web/studies?PatientName=abcd" in Front.asked


def test_a_slow_answer_is_reckoned_by_the_second(port, monkeypatch):
    clock = iter([1000.0, 1002.0])
    monkeypatch.setattr(Front, "looks", 7)
    monkeypatch.setattr(web_front_ask.time, "monotonic", lambda: next(clock))
    assert web_front_ask.guesses_a_second("127.0.0.1", port, "abcd", tls=False) == 4


def test_who_does_not_answer_looks_at_no_known_number():
    assert web_front_ask.guesses_a_second("127.0.0.1", 1, "abcd", tls=False) is None


class Journal(Host):
    """A host whose journal has these lines, once it was asked to have taken all in."""

    def __init__(self, *lines: tuple[str, str]) -> None:
        super().__init__()
        self.synchronised = False
        self.lines = "".join(json.dumps({"PRIORITY": level, "MESSAGE": text}) + "\n" for level, text in lines)

    def run(self, command, **_):
        assert command[0] == "journalctl"
        if command[1:] == ["--sync"]:
            self.synchronised = True
            return Result(0, "", "")
        assert "--since=@1700000000" in command
        return Result(0, f"-- No entries --\n{self.lines if self.synchronised else ''}", "")


GUESS = '127.0.0.77 "probe abcd" DELETE "/instances/0" 401 208 0.000 TLSv1.3'
QUERY = 'limiting requests, client: 127.0.0.77, request: "GET /dicom-web/studies?PatientName=abcd HTTP/1.1"'


@pytest.mark.parametrize(
    ("lines", "failures", "queries"),
    [
        ([("4", GUESS)], True, False),
        ([("4", GUESS), ("6", QUERY)], True, True),
        ([("6", GUESS)], False, False),
        ([("4", GUESS.replace("abcd", "dcba"))], False, False),
        ([("4", GUESS.replace("127.0.0.77", "-"))], False, False),
        ([], False, False),
    ],
)
def test_the_journal_is_read_for_the_guesses_just_made(monkeypatch, lines, failures, queries):
    monkeypatch.setattr(web_front_state, "JOURNAL_SECONDS", 0.0)
    found = web_front_state.logged(Journal(*lines), "abcd", 1700000000.9)
    assert found == {"failures_logged": failures, "queries_logged": queries}


def test_the_front_counts_strangers_alone_and_a_whole_network_of_ipv6_as_one():
    directives = web_front_state.tokens(
        web_front.configuration({"addresses": ["10.0.0.1"], "names": ["pacs"], "people": []})
    )
    limits = [each for each in directives if each[0] == "limit_req"]
    assert limits == [["limit_req", "zone=wrong", "burst=3", "nodelay"]]
    assert ["limit_req_zone", "$source", "zone=wrong:1m", "rate=1r/s"] in directives
    assert ["error_log", "stderr", "crit"] in directives
