# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The HTTPS front: what its files say, what is read of them, and what is planned from facts alone."""

from __future__ import annotations

import base64
import copy
import hashlib

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import (
    own_key,
    web_front,
    web_front_ask,
    web_front_plan,
    web_front_state,
)
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from hypothesis import given
from hypothesis import strategies as st

PEOPLE = [{"login": "claire", "role": "administrator"}, {"login": "anna", "role": "reader"}]
PASSWORDS = {"claire": "canary-one", "anna": "canary-two"}
OF_ORTHANC = {"claire": "canary-three", "anna": "canary-four"}
SCOPE = {
    "addresses": ["10.77.11.10", "2001:db8:11::10"],
    "names": ["PACS", "pacs.dmz-practice"],
    "people": PEOPLE,
    "passwords": PASSWORDS,
    "orthanc_passwords": OF_ORTHANC,
    "certificate": "signed",
    "certified": "request",
}


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


FACTS = {
    "installed": True,
    "files": {
        web_front.CONFIGURATION: digest(web_front.configuration(SCOPE)),
        web_front.UNIT_FILE: digest(web_front.SERVICE),
        web_front.ACCOUNT_FILE: digest(web_front.ACCOUNT),
    },
    "people": digest(web_front.people(PEOPLE, PASSWORDS)),
    "logins": digest(web_front.logins(PEOPLE, OF_ORTHANC)),
    "request": "request",
    "certificate": {
        "present": True,
        "digest": digest("signed"),
        "matches_key": True,
        "names": ["DNS:pacs", "DNS:pacs.dmz-practice", "IP:10.77.11.10", "IP:2001:db8:11::10"],
        "days_left": 300,
        "of_our_authority": True,
        "answers": True,
        "missing_names": [],
        "undeclared_names": [],
        "weaknesses": [],
    },
    "active": True,
    "enabled": True,
    "older_than_configuration": False,
    "altered": [],
    "silent_addresses": [],
    "anonymous_status": 401,
    "cleartext_listens": [],
    "distribution": "off",
}


def sentences(facts, **scope):
    return [step.does for step in web_front_plan.plan(facts, [], {**SCOPE, **scope})]


def other(**changes):
    facts = copy.deepcopy(FACTS)
    facts.update(changes)
    return facts


def test_the_configuration_says_what_the_design_says():
    directives = web_front_state.tokens(web_front.configuration(SCOPE))
    listens = [each[1:] for each in directives if each[0] == "listen"]
    assert listens == [
        ["10.77.11.10:443", "ssl", "default_server"],
        ["[2001:db8:11::10]:443", "ssl", "default_server"],
        ["10.77.11.10:443", "ssl"],
        ["[2001:db8:11::10]:443", "ssl"],
    ]
    assert web_front_state.words(directives, "server_name") == [
        "",
        "pacs",
        "pacs.dmz-practice",
        "10.77.11.10",
        "[2001:db8:11::10]",
    ]
    assert web_front_state.words(directives, "ssl_protocols") == ["TLSv1.2", "TLSv1.3"]
    assert web_front_state.words(directives, "proxy_http_version") == ["1.1"]
    assert ["proxy_set_header", "X-HTTP-Method-Override", ""] in directives
    assert ["return", "421"] in directives


def test_errors_have_a_body_of_the_front_s_own_but_for_what_stow_rs_did_not_store():
    directives = web_front_state.tokens(web_front.configuration(SCOPE))
    pages = [set(each[1:-1]) for each in directives if each[0] == "error_page" and each[-1] == "@refused"]
    everywhere, corrections = pages
    of_orthanc = {"400", "403", "404", "405", "406", "411", "413", "415", "416", "500", "501", "503", "507"}
    assert of_orthanc | {"401", "429", "502", "504"} <= everywhere
    assert corrections == everywhere - {"401"}
    assert not everywhere & {"408", "409", "418", "444", "494", "495", "496", "497", "499"}
    assert all(400 <= int(status) <= 599 for status in everywhere)
    assert ["proxy_intercept_errors", "on"] in directives


def test_no_password_is_in_the_configuration_and_people_map_holds_headers_and_roles():
    assert not any(word in web_front.configuration(SCOPE) for word in PASSWORDS.values())
    lines = web_front.people(PEOPLE, PASSWORDS).splitlines()
    assert lines == [
        f'"~^Basic {base64.b64encode(b"anna:canary-two").decode()}$" reader;',
        f'"~^Basic {base64.b64encode(b"claire:canary-one").decode()}$" administrator;',
    ]
    assert web_front_ask.basic("anna", "canary-two")["Authorization"] in lines[0]


def test_the_front_asks_orthanc_by_passwords_that_people_do_not_know():
    assert not any(word in web_front.configuration(SCOPE) for word in OF_ORTHANC.values())
    assert web_front.logins(PEOPLE, OF_ORTHANC).splitlines() == [
        f'"~^anna$" "{web_front_ask.basic("anna", "canary-four")["Authorization"]}";',
        f'"~^claire$" "{web_front_ask.basic("claire", "canary-three")["Authorization"]}";',
    ]


def test_a_changed_password_changes_the_front_alone_and_is_not_shown():
    (step,) = sentences(FACTS, passwords={**PASSWORDS, "anna": "canary-five"})
    assert step == f"Serve Orthanc over HTTPS ({web_front.PEOPLE})"


def test_a_hardened_front_has_no_plan():
    assert sentences(FACTS) == []
    assert sentences(FACTS, passwords=None) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"active": False, "silent_addresses": None, "anonymous_status": None},
        {"enabled": False},
        {"older_than_configuration": True},
        {"silent_addresses": ["10.77.11.10"]},
        {"people": None},
        {"people": "of others"},
        {"logins": None},
        {"logins": "of others"},
        {"files": {}},
        {"certificate": {"present": False}},
        {"certificate": {**FACTS["certificate"], "digest": "an older one"}},
    ],
)
def test_what_is_off_is_served_anew(changes):
    assert sentences(other(**changes))[-1].startswith("Serve Orthanc over HTTPS")


@pytest.mark.parametrize("amiss", [{"names": ["DNS:elsewhere"]}, {"matches_key": False}, {"days_left": 3}])
def test_a_certificate_that_is_amiss_and_given_already_is_asked_for_anew_and_not_served_again(amiss):
    assert sentences(other(certificate={**FACTS["certificate"], **amiss})) == [web_front_plan.REQUESTED]
    anew = {**FACTS["certificate"], **amiss, "digest": "an older one"}
    assert sentences(other(certificate=anew)) == [f"Serve Orthanc over HTTPS ({web_front.CERTIFICATE})"]


def test_a_host_without_a_certificate_makes_a_request_first_and_serves_nothing():
    bare = other(files={}, people=None, logins=None, request=None, certificate={"present": False}, active=False)
    asked = sentences(bare, certificate="", certified="")
    assert asked[-1] == web_front_plan.REQUESTED
    predicted = sentences(bare, certificate=web_front_plan.TO_BE_SIGNED, certified="")
    assert web_front_plan.REQUESTED in predicted
    assert predicted[-1].startswith("Serve Orthanc over HTTPS")


def test_a_certificate_for_another_key_is_not_taken():
    rebuilt = other(certificate={"present": False}, request="a new request")
    assert sentences(rebuilt) == [web_front_plan.REQUESTED]


def test_the_distributions_site_is_stopped_and_others_are_refused_by_name(tmp_path):
    assert web_front_plan.plan_distribution(other(distribution="default site"))
    assert web_front_plan.plan_distribution(other(distribution="other sites")) == []
    (tmp_path / "etc/nginx/sites-enabled").mkdir(parents=True)
    (tmp_path / "etc/nginx/sites-enabled/intranet").write_text("server {}")
    (step,) = web_front_plan.plan_distribution(other(distribution="other sites", cleartext_listens=["0.0.0.0:80"]))
    with pytest.raises(HardeningError, match="intranet in clear"):
        step.do(Host(str(tmp_path)))


def test_openssl_is_read_whatever_form_its_addresses_have():
    said = (
        "X509v3 Subject Alternative Name: \n    DNS:pacs, DNS:PACS.dmz-practice, IP Address:10.77.11.10, "
        "IP Address:2001:DB8:11:0:0:0:0:10\nnotAfter=Nov  4 10:00:00 2036 GMT\n"
    )
    assert web_front_state.alternative_names(said) == FACTS["certificate"]["names"]
    broken = "X509v3 Subject Alternative Name: \n    DNS:pacs, IP Address:<invalid>\n"
    assert web_front_state.alternative_names(broken) == ["DNS:pacs", "IP:<invalid>"]
    assert own_key.short("IP:<invalid>") == "IP:<invalid>"
    assert web_front_state.days_left(said) > 300
    assert web_front_state.days_left("") == -1


def test_listens_in_clear_are_the_fronts_own_and_the_usual_sockets():
    class Sockets(Host):
        def run(self, command, **_):
            from ansible_collections.radiology.hardening.plugins.module_utils.host import Result

            lines = ["0.0.0.0:80", "[::]:8080", "127.0.0.1:8000", "0.0.0.0:8042", "10.77.11.10:443"]
            return Result(0, "".join(f"LISTEN 0 50 {each} 0.0.0.0:*\n" for each in lines), "")

    own = web_front_state.tokens("server { listen 8443; } server { listen 443 ssl; }")
    assert web_front_state.cleartext_listens(Sockets(), own) == ["0.0.0.0:80", "8443", "[::]:8080"]


@given(st.text())
def test_no_configuration_however_broken_gives_a_traceback(text):
    directives = web_front_state.tokens(text)
    assert all(isinstance(word, str) for each in directives for word in each)
    assert all(directives)


def test_a_silent_port_answers_nothing():
    assert web_front_ask.status("127.0.0.1", 1, "/") is None
    assert web_front_ask.tls_versions("127.0.0.1", 1) == []
