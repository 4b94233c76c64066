# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A device that cannot speak TLS: its port at the front, who is let in by it, and what the front's file tells of it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import (
    dicom_cleartext,
    dicom_front,
    dicom_front_state,
    firewall_output,
    web_front_state,
)
from ansible_collections.radiology.hardening.plugins.module_utils import firewall_rules as rules
from ansible_collections.radiology.hardening.plugins.module_utils.surfaces import firewall

CT = {"name": "ct", "address": "10.0.0.30", "address6": "", "loopback": "127.0.0.30", "tls": True, "port": 104}
LINK = {"port": 11104, "owner": "A. Martin", "reason": "Of 2009", "expires": "2027-06-30", "in_force": True}
US: dict[str, Any] = {
    "name": "us",
    "address": "10.0.0.40",
    "address6": "2001:db8::40",
    "loopback": "127.0.0.40",
    "tls": False,
    "port": 11112,
    "cleartext": LINK,
}
OVER = {**US, "cleartext": {**LINK, "expires": "2026-11-25", "in_force": False}}
OWN = ["10.0.0.10", "2001:db8::10"]
DOORS = ["10.0.0.10:11104", "[2001:db8::10]:11104"]


def text(*devices: dict[str, Any]) -> str:
    return dicom_front.configuration({"addresses": OWN, "devices": devices}, {}, protocols=["TLSv1.3"], suites=["X"])


def seen(told: str, *devices: dict[str, Any]) -> dict[str, list[str]]:
    found = dicom_cleartext.observe(told, web_front_state.tokens(told), {"addresses": OWN, "devices": devices})
    return {name.removeprefix("cleartext_"): listed for name, listed in found.items() if listed}


def test_a_port_takes_its_device_alone_and_orthanc_meets_it_at_its_loopback_address() -> None:
    (door, called) = dicom_cleartext.blocks(text(CT, US))[-2:]
    words = [" ".join(each) for each in door]
    assert words[:7] == [
        *(f"listen {each}" for each in DOORS),
        "allow 10.0.0.40",
        "allow 2001:db8::40",
        "deny all",
        "access_log syslog:server=unix:/run/systemd/journal/dev-log,tag=dicom_front,nohostname cleartext",
        "limit_conn machines 3",
    ]
    assert "proxy_bind 127.0.0.40" in words
    assert "proxy_ssl_verify on" in words
    assert [" ".join(each) for each in called if each[0] != "access_log"] == [
        "listen 127.0.0.40:11112",
        "proxy_timeout 600s",
        "proxy_pass 10.0.0.40:11112",
    ]
    assert '"10.0.0.40" us;' in text(CT, US)
    assert seen(text(CT, US), CT, US) == {}


@pytest.mark.parametrize("device", [OVER, {**US, "lost": True}, {**US, "cleartext": {}}, {**US, "tls": True}])
def test_nobody_else_is_let_in_or_called_in_clear(device: dict[str, Any]) -> None:
    told = text(CT, device)
    assert "11104" not in told
    assert "in clear" not in told


def test_a_device_without_ipv6_and_without_a_port_has_neither() -> None:
    told = text({**US, "address6": "", "port": 0})
    (door,) = dicom_cleartext.blocks(told)[1:]
    assert [words[1] for words in door if words[0] in ("listen", "allow")] == ["10.0.0.10:11104", "10.0.0.40"]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("    deny all;\n", ""),
        ("    deny all;\n", "    allow all;\n"),
        ("    allow 10.0.0.40;\n", "    allow 10.0.0.0/24;\n"),
        ("    allow 10.0.0.40;\n", "    allow all;\n    allow 10.0.0.40;\n"),
        ("    proxy_bind 127.0.0.40;\n", "    proxy_bind 127.0.0.30;\n"),
        ("    proxy_bind 127.0.0.40;\n", ""),
    ],
)
def test_a_port_that_takes_another_or_hands_on_as_another_is_told(ours: str, theirs: str) -> None:
    told = text(CT, US)
    assert ours in told
    assert seen(told.replace(ours, theirs, 1), CT, US) == {"unbound": [f"us: {door}" for door in DOORS]}


def test_a_port_that_takes_another_declared_device_is_told() -> None:
    other = {**US, "name": "mg", "address": "10.0.0.41", "loopback": "127.0.0.41", "cleartext": {**LINK, "port": 11105}}
    told = text(US, other)
    assert seen(told, US, other) == {}
    crossed = told.replace("listen 10.0.0.10:11105", "listen 10.0.0.10:X").replace(":11104", ":11105", 1)
    assert seen(crossed.replace(":X", ":11104"), US, other) == {
        "unbound": ["mg: 10.0.0.10:11105", "us: 10.0.0.10:11104"]
    }


def test_what_is_declared_for_nobody_is_told_apart_from_what_is_over() -> None:
    told = text(CT, US)
    assert seen(told, CT) == {"listens": DOORS, "calls": ["127.0.0.40:11112 -> 10.0.0.40:11112"]}
    opened = seen(told, CT, OVER)
    (sentence,) = opened["expired"]
    assert sentence == (
        "us was declared in clear until 2026-11-25 by A. Martin, and its port 11104 is open: "
        "renew that in the clinic file, or take it out"
    )
    assert "listens" not in opened
    assert seen(text(CT, OVER), CT, OVER) == {"expired": [sentence.replace("is open", "is shut")]}
    called = told[told.index("  # Orthanc calls us") :]
    only_called = text(CT).removesuffix("}\n") + called
    assert seen(only_called, CT, OVER) == {"expired": [sentence]}, "what still calls it is open as well"
    stray = told.replace("stream {", "stream { server { listen 0.0.0.0:11112; proxy_pass 127.0.0.1:4242; }", 1)
    assert seen(stray, CT, US) == {"listens": ["0.0.0.0:11112"]}
    hidden = told.replace("stream {", 'stream { server { listen 0.0.0.0:11104; proxy_ssl_name "{"; }', 1)
    assert seen(hidden, CT, US) == {"unbound": ["us: 0.0.0.0:11104"]}, "whatever its braces are"


def test_a_call_that_lost_its_tls_is_told() -> None:
    told = text(CT, US)
    without = told.replace("    proxy_pass 10.0.0.30:104;\n    proxy_ssl on;\n", "    proxy_pass 10.0.0.30:104;\n")
    assert without != told
    assert seen(without, CT, US) == {"calls": ["127.0.0.30:104 -> 10.0.0.30:104"]}
    elsewhere = told.replace("proxy_pass 10.0.0.40:11112", "proxy_pass 10.0.0.66:11112")
    assert seen(elsewhere, CT, US) == {"calls": ["127.0.0.40:11112 -> 10.0.0.66:11112"]}


@pytest.mark.parametrize("devices", [(CT, US), (CT, OVER)])
def test_that_a_day_is_over_does_not_make_the_front_another_s(devices: tuple[dict[str, Any], ...]) -> None:
    for opened in (text(CT, US), text(CT, OVER)):
        as_opened = dicom_cleartext.as_opened(web_front_state.tokens(opened), devices)
        assert dicom_front_state._foreign(opened, {"addresses": OWN, "devices": as_opened}) == []


def test_a_low_port_has_the_front_listen_below_1024() -> None:
    low = {**US, "cleartext": {**LINK, "port": 104}}
    assert "CapabilityBoundingSet=\n" in dicom_front.service([CT, US])
    assert "AmbientCapabilities=CAP_NET_BIND_SERVICE" in dicom_front.service([CT, low])
    assert dicom_front.service([{**low, "lost": True}]) == dicom_front.service([CT])


def test_the_firewall_shuts_what_is_over_by_itself() -> None:
    service = {"name": "dicom-clear-us", "port": 11104, "sources": ["10.0.0.40", "2001:db8::40"], "until": "2027-06-30"}
    ruleset = rules.render([service], None, firewall_output.overdue([CT, US]))
    for line in (
        'ip saddr { 10.0.0.40 } tcp dport 11104 accept comment "dicom-clear-us ip"',
        'ip6 saddr { 2001:db8::40 } tcp dport 11104 accept comment "dicom-clear-us ip6"',
        'tcp dport 11104 meta time >= "2027-07-01 00:00:00" drop comment "dicom-clear-us is over"',
        'ip daddr 10.0.0.40 tcp dport 11112 meta time >= "2027-07-01 00:00:00" reject with tcp reset',
    ):
        assert line in ruleset
    assert (
        ruleset.index("dicom-clear-us is over") < ruleset.index('comment "state"') < ruleset.index("dicom-clear-us ip")
    )
    assert firewall_output.overdue([CT, OVER, {**US, "port": 0}]) == []


def test_a_rule_that_opens_a_declared_port_to_others_opens_a_dicom_port() -> None:
    assert firewall._in_clear({"devices": [CT, {**CT, "cleartext": {}}, US]}) == [11104]
    assert firewall._in_clear({"devices": [OVER]}) == [11104], "one whose day is over too"
    assert firewall._in_clear({}) == []
