# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The tunnels of a viewer: what their file says, what in it verifies nobody, and what a plan does about it."""

from __future__ import annotations

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import (
    dicom_tunnel,
    dicom_tunnel_state,
    web_front_plan,
)
from ansible_collections.radiology.hardening.plugins.plugin_utils import catalogue
from hypothesis import given
from hypothesis import strategies as st
from test_agreement import hardened, surface

DEVICE = {"name": "ws", "address": "10.77.11.20", "address6": "2001:db8:11::20", "port": 11112}
PACS, ARCHIVE = {"name": "pacs", "address": "10.77.11.10"}, {"name": "archive", "address": "2001:db8:11::11"}
SCOPE = {"tunnel": True, "device": DEVICE, "servers": [PACS, ARCHIVE]}
TEXT = dicom_tunnel.configuration(SCOPE)
NAMES = ["pacs", "archive"]
LOCAL = dicom_tunnel.clear(SCOPE)
WANTED = catalogue.wanted(catalogue.load("workstation"))
FINE = hardened("workstation", "debian12")["facts"]["workstation"]["tunnel"]
SERVES = "Carry the viewer's DICOM to pacs, archive and back in TLS, both ends checked by chain and name"


def planned(**changes):
    given_ = {name: changes.pop(name) for name in ("certificate_given", "authority_given") if name in changes}
    scope = {**SCOPE, **{name.removesuffix("_given"): text for name, text in given_.items()}}
    tunnel = {**FINE, **changes}
    unmet = [
        f"tunnel.{name}"
        for name, value in tunnel.items()
        if f"workstation.tunnel.{name}" in WANTED and value != FINE[name]
    ]
    return [step.does for step in dicom_tunnel_state.steps(tunnel, unmet, scope)]


def test_each_server_has_a_service_on_loopback_and_one_takes_what_they_send():
    told = dicom_tunnel.services(TEXT)
    assert list(told) == ["to-pacs", "to-archive", "from-servers"]
    assert [told[name]["accept"] for name in told] == [["127.0.0.1:4242"], ["127.0.0.1:4243"], ["10.77.11.20:11112"]]
    assert [told[name]["connect"] for name in told] == [
        ["10.77.11.10:2762"],
        ["2001:db8:11::11:2762"],
        ["127.0.0.1:11112"],
    ]
    assert [told[name]["checkHost"] for name in told] == [["pacs"], ["archive"], ["pacs", "archive"]]
    assert all(service["verifyChain"] == ["yes"] for service in told.values())
    assert (dicom_tunnel.unverified(TEXT, NAMES), dicom_tunnel.exposed(TEXT, LOCAL)) == ([], [])


def test_a_viewer_that_never_listens_has_no_service_for_what_servers_send():
    text = dicom_tunnel.configuration({**SCOPE, "device": {**DEVICE, "port": 0}})
    assert list(dicom_tunnel.services(text)) == ["to-pacs", "to-archive"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("verifyChain = yes", "verifyChain = no", ["to-pacs", "to-archive", "from-servers"]),
        ("verifyChain = yes", "; verifyChain = yes", ["to-pacs", "to-archive", "from-servers"]),
        ("client = yes", "client = yes\nverifyChain = no", ["to-pacs"]),
        (
            f"CAfile = {dicom_tunnel.AUTHORITY}",
            "CAfile = /etc/ssl/certs/ca-certificates.crt",
            ["to-pacs", "to-archive"],
        ),
        ("checkHost = pacs\n", "", ["to-pacs"]),
        ("checkHost = pacs\n", "checkHost = pacs\ncheckHost = elsewhere\n", ["to-pacs"]),
        ("sslVersionMin = TLSv1.2", "sslVersionMin = TLSv1", ["to-pacs", "to-archive"]),
    ],
)
def test_a_service_that_checks_less_is_named(old, new, said):
    found = [each.partition(":")[0] for each in dicom_tunnel.unverified(TEXT.replace(old, new, 1), NAMES)]
    assert found[: len(said)] == said
    assert dicom_tunnel.unverified(TEXT, ["pacs"]) == ["to-archive: checkHost", "from-servers: checkHost"]


@pytest.mark.parametrize("address", ["4242", "0.0.0.0:4242", "10.77.11.20:4242", ":::4242"])
def test_a_side_in_clear_beyond_loopback_is_named(address):
    assert dicom_tunnel.exposed(TEXT.replace("127.0.0.1:4242", address), LOCAL) == [f"to-pacs: {address}"]
    found = dicom_tunnel.exposed(TEXT.replace("connect = 127.0.0.1:11112", f"connect = {address}"), LOCAL)
    assert found == [f"from-servers: {address}"]


@given(st.text(max_size=400))
def test_any_text_can_be_read(text):
    dicom_tunnel.unverified(text, NAMES)
    dicom_tunnel.exposed(text, LOCAL)


def test_the_certificate_is_asked_for_by_name_and_addresses():
    assert dicom_tunnel.names(DEVICE) == ["DNS:ws", "IP:10.77.11.20", "IP:2001:db8:11::20"]
    assert dicom_tunnel.names({**DEVICE, "address6": ""}) == ["DNS:ws", "IP:10.77.11.20"]


def test_what_is_as_wanted_has_no_plan_and_what_the_controller_brings_anew_is_served():
    assert planned() == []
    assert planned(certificate_given="another") == planned(authority_given="another") == [SERVES]


def test_without_a_certificate_the_request_alone_is_made():
    nothing = {"request": None, "certificate": None, "certificate_fits": False, "active": False, "days_left": -1}
    assert planned(**nothing) == [dicom_tunnel_state.REQUESTED]
    assert planned(**{**nothing, "request": "there"}) == [dicom_tunnel_state.REQUESTED]
    assert planned(**{**nothing, "request": "there"}, certificate_given="signed") == [SERVES]


def test_where_a_key_may_be_new_no_certificate_is_served_before_it_was_signed_for():
    gone = {"request": None, "certificate": None, "certificate_fits": False, "active": False, "days_left": -1}
    assert planned(**gone, certificate_given="of the former key") == [dicom_tunnel_state.REQUESTED]
    assert planned(**gone, certificate_given=web_front_plan.TO_BE_SIGNED) == [dicom_tunnel_state.REQUESTED, SERVES]
    removed = {"certificate_fits": False}
    assert planned(**removed) == planned(**removed, authority_given="another") == [dicom_tunnel_state.REQUESTED]
    assert planned(weak=["RSA of 1024 bits"]) == [dicom_tunnel_state.REQUESTED]
    assert planned(weak=["RSA of 1024 bits"], certificate_given="signed") == [SERVES]


def test_a_key_that_others_read_is_tightened_and_nothing_is_restarted():
    assert planned(loose_keys=[dicom_tunnel.KEY]) == ["Keep the tunnels' key from all but root and the tunnels"]


def test_tunnels_that_the_clinic_file_names_no_more_are_stopped():
    off = {"wanted": False, "active": True}
    (step,) = dicom_tunnel_state.steps(off, [], {"tunnel": False})
    assert step.does.startswith("Stop the DICOM tunnels")
    assert dicom_tunnel_state.steps({**off, "active": False}, ["tunnel.enabled"], {"tunnel": False}) == []


def test_the_unit_runs_stunnel_and_is_confined_as_a_front():
    assert "ExecStart=/usr/bin/stunnel4 /etc/dicom-tunnel/stunnel.conf\n" in dicom_tunnel.service(SCOPE)
    assert "nginx" not in dicom_tunnel.service(SCOPE)
    assert surface("workstation").OWN[-1] == dicom_tunnel.UNIT_FILE
