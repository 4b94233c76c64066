# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the front should not take: how it is asked over a real socket, and how large a body may be."""

from __future__ import annotations

import base64
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import web_front, web_front_ask, web_front_state
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError

LARGEST = 1 << 30


class Front(BaseHTTPRequestHandler):
    """Refuses what the server's `refuses` names; asks everybody else for a password, and never reads a body."""

    def answer(self):
        shows = {
            421: self.headers["Host"] == "elsewhere.example",
            403: self.headers["Origin"] == "https://elsewhere.example",
            415: self.headers["Content-Encoding"] == "gzip" and self.command == "POST",
            413: int(self.headers["Content-Length"] or 0) > LARGEST,
        }
        status = next((each for each, shown in shows.items() if shown and each in self.server.refuses), 401)
        self.server.told.append((status, self.headers["Authorization"] or ""))
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()

    do_GET = do_POST = answer  # noqa: N815  # http.server names them

    def log_message(self, *dummy):
        """Say nothing on the terminal."""


@pytest.fixture
def front():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Front)
    server.told = []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def asked(server, refuses):
    server.refuses = refuses
    return web_front_ask.refusals("127.0.0.1", server.server_port, LARGEST, tls=False)


@pytest.mark.parametrize(
    ("refuses", "seen"),
    [
        ({421, 403, 415, 413}, [421, 403, 415, 413]),
        ({403, 415, 413}, [401, 403, 415, 413]),
        ({421, 415, 413}, [421, 401, 415, 413]),
        ({421, 403, 413}, [421, 403, 401, 413]),
        ({421, 403, 415}, [421, 403, 415, 401]),
    ],
)
def test_each_refusal_that_is_gone_is_seen_by_its_own_fact(front, refuses, seen):
    assert asked(front, refuses) == dict(zip(web_front_state.REFUSALS, seen, strict=True))


def test_a_limit_of_another_size_than_the_sites_is_seen(front):
    front.refuses = {413}
    assert web_front_ask.refusals("127.0.0.1", front.server_port, LARGEST - 1, tls=False)["large_body_status"] == 401


def test_nobody_whom_a_front_could_know_asks(front):
    asked(front, set())
    given = {base64.b64decode(said.removeprefix("Basic ")).decode() for dummy, said in front.told if said}
    assert given == {"nobody-here:nothing"}


def test_a_silent_port_refuses_nothing():
    assert set(web_front_ask.refusals("127.0.0.1", 1, LARGEST).values()) == {None}


@pytest.mark.parametrize(
    ("told", "size"),
    [("1g", 1 << 30), ("512M", 512 << 20), ("8k", 8 << 10), ("1500", 1500), (None, 1 << 30)],
)
def test_sizes_are_read_as_nginx_reads_them(told, size):
    assert web_front.largest_upload({"largest_upload": told})[1] == size


@pytest.mark.parametrize("told", ["0", "0g", "-1", "1t", "1 g", "unlimited", "1g;\n  access_log off"])
def test_no_limit_and_no_size_are_refused_in_one_sentence(told):
    with pytest.raises(HardeningError, match="authentication_largest_upload is "):
        web_front.configuration({"addresses": ["10.77.11.10"], "largest_upload": told})
