# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import datetime

import pytest
from ansible_collections.radiology.hardening.plugins.plugin_utils import catalogue
from ansible_collections.radiology.hardening.plugins.plugin_utils.attestations import Attestation
from ansible_collections.radiology.hardening.plugins.plugin_utils.catalogue import Clause, Control, Waiver
from ansible_collections.radiology.hardening.plugins.plugin_utils.judge import (
    Sight,
    View,
    judge,
    not_audited,
    verdict_of,
)

TODAY = datetime.date(2026, 11, 24)


def control(**changes: object) -> Control:
    fields: dict[str, object] = {
        "id": "orthanc.webdav_off",
        "title": "WebDAV is off",
        "severity": "critical",
        "profiles": ("baseline", "strict"),
        "rationale": "It takes uploads.",
        "catalogue": "or-webdav-off",
        "references": {"gdpr": ["32.1.b"]},
        "applies_when": Clause("orthanc.installed", "is", True),
        "expect": (Clause("orthanc.config.WebDavEnabled", "is", False),),
        "expect_from": {"lan": (Clause("wire.http.cleartext_ports", "empty", True),)},
        "by_hand": (),
        **changes,
    }
    return Control(**fields)  # type: ignore[arg-type]


def inside(enabled: object) -> dict[str, object]:
    return {"orthanc": {"installed": True, "config": {"WebDavEnabled": enabled}}}


def from_lan(*ports: str) -> View:
    return View("laptop", "lan", {"wire": {"http": {"cleartext_ports": list(ports)}}})


def verdict(sight: Sight, *waivers: Waiver) -> str:
    (finding,) = judge((control(),), sight, list(waivers), TODAY)
    return str(finding["verdict"])


@pytest.mark.parametrize(
    ("sight", "expected"),
    [
        (Sight("pacs", inside(False)), "pass"),
        (Sight("pacs", inside(True)), "fail"),
        (Sight("pacs", inside(False), (from_lan(),)), "pass"),
        (Sight("pacs", inside(False), (from_lan("10.0.0.1:8042"),)), "fail"),
        (Sight("pacs", inside(False), (View("laptop", "lan", None, "unreachable"),)), "not_audited"),
        (Sight("pacs", inside(True), (View("laptop", "lan", None, "unreachable"),)), "fail"),
        (Sight("pacs", inside(False), (View("laptop", "lan", {"wire": {}}),)), "error"),
        (Sight("pacs", inside(False), (View("attacker", "internet", None),)), "pass"),
        (Sight("pacs", {"orthanc": {"installed": True}}), "error"),
        (Sight("pacs", {"orthanc": {"installed": False}}), "not_applicable"),
        (Sight("pacs", {"orthanc": {"installed": False}}, (from_lan(),)), "not_applicable"),
        (Sight("pacs", {"orthanc": {"installed": False}}, (from_lan("10.0.0.1:8042"),)), "fail"),
        (Sight("pacs", {"orthanc": {"installed": False}}, (View("laptop", "lan", {"wire": {}}),)), "not_applicable"),
        (Sight("pacs", None, why="unreachable"), "not_audited"),
        (Sight("pacs", None, (from_lan(),), look_inside=False), "pass"),
        (Sight("pacs", None, (from_lan("10.0.0.1:80"),), look_inside=False), "fail"),
    ],
)
def test_verdict(sight: Sight, expected: str) -> None:
    assert verdict(sight) == expected


def test_what_does_not_concern_a_host_comes_with_what_shows_it() -> None:
    (finding,) = judge((control(),), Sight("pacs", {"orthanc": {"installed": False}}), [], TODAY)
    (shown,) = finding["evidence"]
    assert (shown["fact"], shown["observed"], shown["verdict"]) == ("orthanc.installed", False, "not_applicable")


def test_a_broken_promise_comes_with_what_the_host_says_is_to_be_done() -> None:
    advised = control(advice="orthanc.advice")
    told = {"orthanc": {**inside(True)["orthanc"], "advice": ["Do it by `this`"]}}  # type: ignore[dict-item]
    kept = {"orthanc": {**told["orthanc"], "config": {"WebDavEnabled": False}}}
    for facts, advice in ((told, ["Do it by `this`"]), (kept, []), (inside(True), []), (None, [])):
        (finding,) = judge((advised,), Sight("pacs", facts), [], TODAY)
        assert finding["advice"] == advice
    (finding,) = judge((control(),), Sight("pacs", told), [], TODAY)
    assert finding["advice"] == []


def test_a_probe_leaves_out_controls_that_nobody_can_see_from_outside() -> None:
    assert judge((control(expect_from={}),), Sight("pacs", None, (from_lan(),), look_inside=False), [], TODAY) == []


def test_a_waiver_covers_until_its_day_and_only_its_host() -> None:
    failing = Sight("pacs", inside(True))
    waiver = Waiver("orthanc.webdav_off", "old viewer", "Ms Roux", TODAY)
    assert verdict(failing, waiver) == "waived"
    assert verdict(Sight("pacs", inside(False)), waiver) == "pass"
    assert verdict(failing, Waiver("orthanc.webdav_off", "r", "o", TODAY - datetime.timedelta(days=1))) == "fail"
    assert verdict(failing, Waiver("orthanc.webdav_off", "r", "o", TODAY, host="other")) == "fail"


def test_a_waiver_with_a_value_covers_what_keeps_to_it() -> None:
    limited = control(expect=(Clause("orthanc.config.Limit", "at_most", 100),), expect_from={})
    waiver = Waiver("orthanc.webdav_off", "old viewer", "Ms Roux", TODAY, value=500)
    found = {}
    for limit in (100, 500, 501):
        seen = {"orthanc": {"installed": True, "config": {"Limit": limit}}}
        (found[limit],) = judge((limited,), Sight("pacs", seen), [waiver], TODAY)
    assert {limit: finding["verdict"] for limit, finding in found.items()} == {100: "pass", 500: "waived", 501: "fail"}
    assert found[500]["waiver"]["value"] == 500
    assert found[501]["why_not_waived"] == ["the waiver of Ms Roux still demands orthanc.config.Limit at most 500"]


def test_a_waiver_with_a_value_covers_nothing_that_nobody_saw() -> None:
    limited = control(expect=(Clause("orthanc.config.Limit", "at_most", 100),), expect_from={})
    waiver = Waiver("orthanc.webdav_off", "old viewer", "Ms Roux", TODAY, value=500)
    (unseen,) = judge((limited,), Sight("pacs", None, why="unreachable"), [waiver], TODAY)
    assert unseen["verdict"] == "not_audited"


VERSIONS = control(
    expect=(Clause("orthanc.versions", "is", ["1.2", "1.3"]),),
    expect_from={
        "lan": (
            Clause("wire.http.cleartext_ports", "empty", True),
            Clause("wire.versions", "subset_of", ["1.2", "1.3"]),
        )
    },
)
OLDER = Waiver("orthanc.webdav_off", "old viewer", "Ms Roux", TODAY, value=["1.1", "1.2", "1.3"])


@pytest.mark.parametrize("look_inside", [True, False])
@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        ({"http": {"cleartext_ports": []}, "versions": ["1.1", "1.2"]}, "waived"),
        ({"http": {"cleartext_ports": []}, "versions": ["1.0", "1.2"]}, "fail"),
        ({"http": {"cleartext_ports": ["10.0.0.1:80"]}, "versions": ["1.1"]}, "fail"),
        ({"versions": ["1.1"]}, "fail"),
    ],
)
def test_a_waiver_with_a_value_leaves_in_force_what_else_is_seen_from_outside(
    wire: dict[str, object], expected: str, *, look_inside: bool
) -> None:
    seen = {"orthanc": {"installed": True, "versions": OLDER.value}}
    view = View("laptop", "lan", {"wire": wire})
    (found,) = judge((VERSIONS,), Sight("pacs", seen, (view,), look_inside=look_inside), [OLDER], TODAY)
    assert found["verdict"] == expected
    assert bool(found["why_not_waived"]) is (expected != "waived")


def test_a_waiver_with_a_value_does_not_cover_that_nobody_looked_from_outside() -> None:
    view = View("laptop", "lan", None, "no route")
    (found,) = judge((VERSIONS,), Sight("pacs", None, (view,), look_inside=False), [OLDER], TODAY)
    assert found["verdict"] == "not_audited"


def test_a_suite_more_for_an_old_scanner_is_waived_from_outside_as_well() -> None:
    (suites,) = (each for each in catalogue.load("dicom_tls") if each.id == "dicom_tls.cipher_suites")
    more = [*suites.expect[0].expected, "ECDHE-RSA-AES256-SHA384"]
    waiver = Waiver(suites.id, "a scanner of 2012", "Ms Roux", TODAY, value=more)
    front = {"orthanc": {"installed": True}, "dicom_tls": {"front": {"ssl_ciphers": more}}}
    for seen, expected in ((more, "waived"), ([*more, "RC4-SHA"], "fail")):
        view = View("ct-probe", "peer", {"wire": {"dicom": {"tls_suites": seen}}})
        (found,) = judge((suites,), Sight("pacs", front, (view,)), [waiver], TODAY)
        assert found["verdict"] == expected


def test_an_expired_waiver_is_named_where_it_would_have_helped() -> None:
    ended = Waiver("orthanc.webdav_off", "old viewer", "Ms Roux", TODAY - datetime.timedelta(days=1))
    (finding,) = judge((control(),), Sight("pacs", inside(True)), [ended], TODAY)
    assert (finding["verdict"], finding["why_not_waived"]) == ("fail", ["the waiver of Ms Roux ended on 2026-11-23"])
    (finding,) = judge((control(),), Sight("pacs", inside(False)), [ended], TODAY)
    assert (finding["verdict"], finding["why_not_waived"]) == ("pass", [])


def test_nothing_judged_is_never_a_pass() -> None:
    assert verdict_of([]) == "fail"
    assert verdict_of(judge((control(),), Sight("pacs", {"orthanc": {"installed": False}}), [], TODAY)) == "fail"
    assert verdict_of(judge((control(),), Sight("pacs", inside(False)), [], TODAY)) == "pass"
    (finding,) = not_audited((control(),), "pacs", "no answer on port 22", TODAY)
    assert finding["verdict"] == "not_audited"
    assert finding["evidence"][0]["why"] == "no answer on port 22"


LISTENER = control(
    id="device.listener",
    applies_when=None,
    expect=(),
    concerns=("modality",),
    attest="the listener is off",
    expect_from={"lan": (Clause("wire.device.dicom", "empty", True),)},
)
WORD = Attestation("device.listener", "ct", "Ms Roux", TODAY, TODAY, "No listener in the preferences")


def of_device(
    *views: View, attested: tuple[Attestation, ...] | None = (), waivers: tuple[Waiver, ...] = (), inside: bool = True
) -> list[dict[str, object]]:
    return judge((LISTENER,), Sight("ct", None, views, look_inside=inside, attestations=attested), waivers, TODAY)


def at_ct(*answers: str) -> View:
    return View("laptop", "lan", {"wire": {"device": {"dicom": list(answers)}}})


def test_what_a_person_attests_is_told_apart_and_outranked_by_what_is_measured() -> None:
    (told,) = of_device(at_ct(), attested=(WORD,))
    assert (told["verdict"], told["attestation"]) == ("attested", WORD.told())
    assert [(item["seen_from"], item["verdict"]) for item in told["evidence"]] == [  # type: ignore[attr-defined]
        ("attested", "attested"),
        ("laptop", "pass"),
    ]
    (said_otherwise,) = of_device(at_ct("10.0.0.3:11112 answers"), attested=(WORD,))
    assert (said_otherwise["verdict"], said_otherwise["attestation"]) == ("fail", WORD.told())
    (unseen,) = of_device(View("laptop", "lan", None, "switched off"), attested=(WORD,))
    assert unseen["verdict"] == "not_audited"
    (silent,) = of_device(at_ct())
    assert (silent["verdict"], silent["evidence"][0]["why"]) == ("not_audited", "nobody attests it")  # type: ignore[index]


def test_a_word_that_has_ended_is_named_and_a_waiver_stands_for_none() -> None:
    ended = Attestation("device.listener", "ct", "Ms Roux", TODAY, TODAY - datetime.timedelta(days=1), "It is off")
    (finding,) = of_device(at_ct(), attested=(ended,))
    assert finding["evidence"][0]["why"] == "the attestation of Ms Roux ended on 2026-11-23"  # type: ignore[index]
    waiver = Waiver("device.listener", "the maker forbids it", "Ms Roux", TODAY)
    assert of_device(at_ct(), waivers=(waiver,))[0]["verdict"] == "waived"
    assert of_device(at_ct(), attested=(WORD,), waivers=(waiver,))[0]["verdict"] == "attested"


def test_persons_are_asked_neither_where_the_collection_looks_nor_by_a_probe() -> None:
    assert [finding["verdict"] for finding in of_device(at_ct(), attested=None)] == ["pass"]
    assert of_device(attested=None) == []
    assert [finding["verdict"] for finding in of_device(at_ct(), inside=False)] == ["pass"]
    assert of_device(inside=False) == []


def test_a_device_of_attested_controls_alone_passes_and_of_none_fails() -> None:
    assert verdict_of(of_device(attested=(WORD,))) == "pass"
    assert verdict_of(of_device()) == "fail"
    (finding,) = not_audited((LISTENER,), "ct", "it was not looked at", TODAY, told_by_persons=True)
    assert finding["evidence"][0]["why"] == "it was not looked at"
