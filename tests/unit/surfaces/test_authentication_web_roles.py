# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What each role may ask over the web: the rules as nginx reads them, and what a host asks its own front."""

from __future__ import annotations

import contextlib
import http.server
import json
import re
import threading

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import web_front, web_front_ask, web_roles
from hypothesis import given
from hypothesis import strategies as st

IMAGE = "/instances/8bcd6141-938b2398-73e511d7-dbc9b276-b39592a5"


def least(method: str, uri: str) -> str:
    """Return what nginx's map gives: the first rule that matches, or its default."""
    for role, methods, path in web_roles.RULES:
        if re.search(web_roles.pattern(methods, path), f"{method} {uri}"):
            return role
    return web_roles.ADMINISTRATOR


@pytest.mark.parametrize(
    ("method", "uri", "role"),
    [
        ("GET", "/", "reader"),
        ("GET", "/app/explorer.html?x=1", "reader"),
        ("GET", f"{IMAGE}/file", "reader"),
        ("HEAD", "/studies", "reader"),
        ("POST", "/tools/find", "reader"),
        ("POST", "/tools/find/", "reader"),
        ("GET", "/dicom-web/studies/1.2.3/series/1.2.4/instances/1.2.5/frames/1,2", "reader"),
        ("POST", "/instances", "technician"),
        ("POST", "/modalities/ws1/store", "technician"),
        ("POST", "/dicom-web/studies", "technician"),
        ("GET", "/modalities", "technician"),
        ("GET", "/modalities/ws1/configuration", "administrator"),
        ("DELETE", IMAGE, "administrator"),
        ("PUT", "/modalities/ws1", "administrator"),
        ("POST", "/modalities/ws1/store-straight", "administrator"),
        ("POST", "/tools/reset", "administrator"),
        ("POST", "/tools/execute-script?x=/tools/find", "administrator"),
        ("GET", "/tools/log-level", "administrator"),
        ("GET", "/TOOLS/now", "administrator"),
        ("GET", "/tools/now.", "administrator"),
        ("PATCH", IMAGE, "administrator"),
        ("GET", "/a-plugin-of-tomorrow", "administrator"),
        ("XGET", "/system", "administrator"),
    ],
)
def test_the_least_role_that_may_ask(method, uri, role):
    assert least(method, uri) == role


@pytest.mark.parametrize(
    "uri",
    [
        "/app/../tools/reset",
        "/app/%2e%2e/tools/reset",
        "/app/.hidden",
        "//tools/reset",
        "/tools//reset",
        "/%74ools/reset",
        "/app;x=/tools/reset",
        "/app\\..\\tools",
        "/app#x",
        "",
        "tools",
        "*",
    ],
)
def test_what_has_two_readings_is_not_clear(uri):
    assert not re.search(web_roles.CLEAR, uri)


@pytest.mark.parametrize("uri", ["/", "/?x", "/app/", "/studies/1.2.3/", "/wado?a=%20&b=../..", f"{IMAGE}/frames/1,2"])
def test_what_has_one_reading_is_clear(uri):
    assert re.search(web_roles.CLEAR, uri)


@pytest.mark.parametrize("args", ["_method=PUT", "a=1&_METHOD=", "%5Fmethod=x", "a&_metho%64=1", "x_method"])
def test_arguments_that_fake_a_method(args):
    assert re.search(web_roles.FAKED, args, re.IGNORECASE)


@pytest.mark.parametrize("args", ["", "expand", "PatientName=A%5FB&limit=1", "_=1700000000", "x=_method"])
def test_arguments_that_fake_none(args):
    assert not re.search(web_roles.FAKED, args, re.IGNORECASE)


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40))
def test_a_clear_path_is_what_it_seems_to_be(rest):
    uri = f"/{rest}"
    if re.search(web_roles.CLEAR, uri):
        path = uri.partition("?")[0]
        assert not set(path) & set("%;\\#")
        assert not any(each.startswith(".") for each in path.split("/"))
        assert "//" not in path


def test_the_maps_end_with_what_is_refused():
    text = web_roles.maps()
    assert f"default {web_roles.ADMINISTRATOR};" in text
    assert "$unclear { default 1;" in text
    assert "$forbidden { default 1;" in text
    assert all(f'"~{web_roles.pattern(methods, path)}" {role};' in text for role, methods, path in web_roles.RULES)


def test_people_and_probes_are_told_apart_by_login_alone():
    people = [{"login": "anna", "role": "reader"}, {"login": "bruno", "role": "technician"}]
    text = web_front.people(people, {"anna": "one", "bruno": "~~>>>>"})
    assert web_roles.logins(text) == {"anna": "reader", "bruno": "technician"}
    assert "+" in "".join(web_roles.headers(text))
    assert web_roles.misplaced(text, {"anna": "reader", "bruno": "technician"}) == []
    assert web_roles.misplaced(text, {"anna": "administrator", "dora": "reader"}) == ["anna", "bruno", "dora"]
    assert web_roles.misplaced('"~^Basic !$" reader;\n', {}) == ["?"]
    probes = web_roles.probes()
    assert sorted(web_roles.headers(probes).values()) == sorted(web_roles.ROLES)
    assert web_roles.probes() != probes


class Front(http.server.BaseHTTPRequestHandler):
    """A front that judges by its table, before an Orthanc that knows none of the probes."""

    protocol_version = "HTTP/1.1"
    open_to: tuple[str, ...] = ()

    def __getattr__(self, name: str) -> object:
        """Answer whatever method is asked for."""
        if name.startswith("do_"):
            return self.answer
        raise AttributeError(name)

    def answer(self) -> None:
        role = HEADERS_BACK.get(self.headers["Authorization"])
        allowed = role == "administrator" or f"{role} {self.command} {self.path}" in self.open_to
        self.send_response(401 if allowed else 403)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Say nothing."""


HEADERS = {role: f"Basic {role}" for role in web_roles.ROLES}
HEADERS_BACK = {header: role for role, header in HEADERS.items()}


@pytest.fixture(name="port")
def front(monkeypatch):
    monkeypatch.setattr(Front, "open_to", ())
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Front) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def breaches(port, headers=HEADERS):
    return web_front_ask.role_breaches("127.0.0.1", port, headers, tls=False)


def test_a_front_is_asked_as_each_role(port, monkeypatch):
    assert breaches(port) == []
    monkeypatch.setattr(Front, "open_to", ("reader POST /instances", "technician PUT /modalities/0"))
    assert breaches(port) == ["reader POST /instances", "technician PUT /modalities/0"]


def test_a_front_that_cannot_be_asked_as_each_role_is_not_judged(port):
    assert breaches(port, {"reader": "Basic x"}) is None
    assert breaches(port, dict.fromkeys(web_roles.ROLES, "Basic unknown")) is None
    assert breaches(1) is None


def test_every_attempt_is_beyond_the_role_that_makes_it():
    for method, path in web_front_ask.BEYOND_A_READER:
        assert not re.search(web_roles.CLEAR, path) or least(method, path) != web_roles.READER
    for method, path in web_front_ask.BEYOND_A_TECHNICIAN:
        clear = re.search(web_roles.CLEAR, path) and "_method" not in path
        assert not clear or least(method, path) == web_roles.ADMINISTRATOR


def removes(verb: str, body: str) -> bool:
    """Read nginx's map $removes as nginx does: the first expression that matches, else its default."""
    lines = re.findall(r"""^    (["'])~(\*?)(.*)\1 ([01]);$""", web_roles.REMOVES, re.MULTILINE)
    assert len(lines) == 6
    for _quote, small, expression, value in lines:
        if re.search(expression.replace(r"\\\\", r"\\"), f"/studies/0/{verb} {body}", re.IGNORECASE if small else 0):
            return value == "1"
    return True


DECEIVING = (
    '{"Series": ["a"], "Foo": {"KeepSource": true}}',
    '{"Series": ["a"], "Foo": [{"KeepSource": true, "a": 1}]}',
    '{"Series": ["a"] /* "KeepSource": true, */}',
    '{"Series": ["a"], // "KeepSource": true,\n "Force": true}',
    '{/**/"KeepSource": true}',
    '{"Foo": {"a":"}, "/*": true, "KeepSource": true, "b": "*/}, "Series": ["a"]}',
    '{"Foo": {"a":"}, ",": ": {", ": 1, ": {":1}, "KeepSource": true, "b": 1}, "Series": ["a"]}',
    '{"Foo": {"a":"\\"}, "KeepSource": true, "b": "\\"}, "Series": ["a"]}',
    '{"Series": ["a"]} {"KeepSource": true}',
    '{"Foo": "\\", \\"KeepSource\\": true, ", "Series": ["a"]}',
    '[{"KeepSource": true}]',
    '{"KeepSource": true, "KeepSource": false}',
    '{"KeepSource": true, "Keep\\u0053ource": false}',
    '{"KeepSource": truefalse}',
    '{"KeepSource": "true"}',
    '{"keepsource": true}',
)
"""Bodies whose outermost object has no KeepSource that is true, or for whom that cannot be told, however they look."""


def test_what_deceives_has_no_keepsource_of_its_own_that_is_true():
    parsed = []
    for body in DECEIVING:
        with contextlib.suppress(ValueError):
            parsed.append(json.loads(body))
    assert len(parsed) >= 6
    assert not [each for each in parsed if isinstance(each, dict) and each.get("KeepSource") is True]


@pytest.mark.parametrize(
    ("verb", "body", "gone"),
    [
        ("modify", '{"Replace": {"PatientName": "A"}}', False),
        ("modify", '\n {"Replace": {"PatientID": "1"}, "Force": true,\n "KeepSource" : true\n}', False),
        ("anonymize", "{}", False),
        ("anonymize/", "{}", False),
        ("split", '{"Series": [], "KeepSource": true}', False),
        ("merge", '{"KeepSource": true, "Resources": []}', False),
        ("modify", '{"KeepSource": false}', True),
        ("modify", '{"KeepSource": 0}', True),
        ("modify", '{"KeepSource": true,\n"KeepSource": false}', True),
        ("modify", '{"KeepSource": truefalse}', True),
        ("modify", '{"\\u004beepSource": false}', True),
        ("modify", '{"Keep": ["SOPInstanceUID"], "KeepSource": true}', True),
        ("modify", '{"Keep": ["0008,0018"]}', True),
        ("modify", "", True),
        ("modify", "[]", True),
        ("split", '{"Series": ["a-b"],\n "Replace": {"PatientName": "A^{B}/*"}, "KeepSource" : true }', False),
        ("split", '{"Priority": -1, "Remove": [], "Force": false, "KeepSource": true, "More": {"a": ["\\\\"]}}', False),
        ("merge/", ' {"Resources": ["a", "b"], "Permissive": true, "KeepSource": true}', False),
        *[(verb, body, True) for verb in ("split", "merge") for body in DECEIVING],
        ("modify", '{"Foo": {"KeepSource": true}}', False),
        ("split", '{"Series": []}', True),
        ("merge", "{}", True),
    ],
)
def test_a_correction_removes_unless_it_says_that_the_former_images_stay(verb, body, gone):
    assert removes(verb, body) is gone


def test_every_path_that_makes_images_of_others_reads_the_body_first():
    text = web_front.configuration({"addresses": ["10.0.0.10"], "names": []})
    (before, after) = text.split(f'location ~ "{web_roles.CORRECTED}" {{', 1)
    assert "Authorization $corrects_as;" in after.partition("location")[0]
    assert "proxy_request_buffering off" not in after.partition("location")[0]
    assert text.count("if ($forbidden) { return 403; }") == before.count("if ($forbidden)") + 1 == 2
    makers = [path for role, methods, path in web_roles.RULES if "merge" in path]
    assert [
        re.fullmatch(web_roles.CORRECTED, f"/{level}/0-a/{verb}") is not None
        for level in ("patients", "studies", "series")
        for verb in ("anonymize", "modify", "split", "merge")
    ] == [True] * 12
    assert len(makers) == 1
