# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Look at one host from here, and tell it as facts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import internet_box
from ansible_collections.radiology.hardening.plugins.module_utils.wire import (
    certificate,
    datagrams,
    dicom,
    ports,
    shell,
    tls,
    web,
)
from ansible_collections.radiology.hardening.plugins.module_utils.wire.ports import Place

DICOM_PORTS = (104, 2761, 2762, 4242, 11112)
FRONT = 2762
"""Where devices that speak TLS are let in. A place that may not come there, such as that of one without, cannot ask."""
BEHIND_THE_BOX = ("lan", "peer")
"""Kinds of vantage points that stand where the clinic's internet box takes questions."""


def probe(
    target: Mapping[str, Any],
    more_ports: list[int],
    *,
    default_credentials: bool,
    box: internet_box.Box | None = None,
) -> dict[str, Any]:
    """Return the facts below `wire` of one target: addresses, ae_title, expected_ports, cleartext_ports.

    Of the ports that are declared in clear for a device, those that are expected here are told apart.

    `box` is what the internet boxes of this network tell; None where the vantage point is not behind them.
    """
    expected = [int(port) for port in target.get("expected_ports") or []]
    in_clear = [int(port) for port in target.get("cleartext_ports") or []]
    tried = [*ports.WELL_KNOWN, *expected, *in_clear, *more_ports]
    found, reached, _answers = ports.scan(target["addresses"], tried)
    if not reached:
        tried_at = ", ".join(target["addresses"]) or "no address"
        return {"reachable": False, "errors": [f"There is no route from here to {tried_at}."]}
    banners = ports.each(ports.banner, found)
    ssh = [place for place in found if banners[place].startswith(b"SSH-")]
    others = [place for place in found if place not in ssh]
    is_tls = ports.each(tls.speaks, others)
    secure = [place for place in others if is_tls[place]]
    plain = [place for place in others if not is_tls[place]]
    homes = ports.each(lambda place: web.get(place, "/", secure=True), secure)
    https = [place for place in secure if homes[place]]
    title = str(target.get("ae_title") or "")
    clear = ports.each(lambda place: dicom.best(place, title), others)
    answering = ports.each(lambda place: dicom.best(place, title, tls=tls.context())[0], secure)
    unspoken = [place for place in plain if clear[place][0] not in dicom.SPOKEN]
    known = (*DICOM_PORTS, *expected)
    dicom_tls = [
        place for place in secure if answering[place] in dicom.SPOKEN or (place not in https and place.port in known)
    ]
    shells, errors = shell.passwords(ssh)
    last_days, unread = _last_days(dicom=dicom_tls, web=https)
    facts: dict[str, Any] = {
        "reachable": True,
        "errors": [*errors, *unread],
        "ports": {
            **ports.told(target, reached, tried, found),
            "udp": datagrams.answered(target["addresses"]),
        },
        "dicom": _dicom(clear, dicom_tls, title, {*expected} & {*in_clear}, is_due=FRONT in expected)
        | last_days["dicom"],
        "http": _http(unspoken, https, try_defaults=default_credentials),
        "web": {key: value for key, value in _tls(https).items() if key != "tls_suites"} | last_days["web"],
        "ssh": shells,
        **({} if box is None else {"box": internet_box.facts(box, target["addresses"])}),
    }
    studies, series = _by_rest(unspoken, https, facts["http"].pop("opened_with"))
    facts["dicom"]["readable_studies"] = max(studies, facts["dicom"]["readable_studies"])
    facts["dicom"]["readable_series"] = max(series, facts["dicom"]["readable_series"])
    return facts


def _dicom(
    clear: Mapping[Place, tuple[str, str]], secure: list[Place], title: str, declared: set[int], *, is_due: bool
) -> dict[str, Any]:
    answered = {place: ended for place, (ended, _called) in clear.items() if ended in dicom.SPOKEN}
    outcomes = {place: ended for place, ended in answered.items() if place.port not in declared}
    over_tls = {place: dicom.best(place, title, tls=tls.context()) for place in secure}
    accepted = [(place, called, None) for place, (ended, called) in clear.items() if ended == "accepted"]
    accepted += [(place, called, tls.context()) for place, (ended, called) in over_tls.items() if ended == "accepted"]  # type: ignore[misc]
    counts = [dicom.readable(*each) for each in accepted]
    demands = [tls.client_certificate(place, dicom.request(title or "ANY-SCP", dicom.stranger())) for place in secure]
    return {
        "cleartext_ports": [str(place) for place in outcomes],
        "cleartext_association": dicom.worst(outcomes.values()),
        "cleartext_declared": [str(place) for place in answered if place.port in declared],
        "tls_ports": [str(place) for place in secure],
        **_tls(secure),
        "client_certificate": max(demands, default="unreachable" if is_due else "not_due"),
        "unknown_ae_title": "accepted" if accepted else "refused",
        "readable_studies": max((studies for studies, _series in counts), default=0),
        "readable_series": max((series for _studies, series in counts), default=0),
    }


def _last_days(**places: list[Place]) -> tuple[dict[str, dict[str, list[str]]], list[str]]:
    """Return the facts of certificates that end soon, less those of which one could not be read, and why not."""
    facts: dict[str, dict[str, list[str]]] = {}
    errors = []
    for kind, listed in places.items():
        soon, unread = certificate.ending(listed)
        facts[kind] = {} if unread else {"certificates_ending": soon}
        errors += unread
    return facts, errors


def _tls(places: list[Place]) -> dict[str, list[str]]:
    versions: set[str] = set()
    suites: set[str] = set()
    for place in places:
        taken = tls.versions(place)
        versions.update(taken)
        suites.update(tls.suites(place, taken))
    return {
        "tls_versions": [name for name in tls.VERSIONS if name in versions],
        "tls_suites": sorted(suites),
        "weak_suites": tls.weak(sorted(suites)),
    }


def _http(plain: list[Place], https: list[Place], *, try_defaults: bool) -> dict[str, Any]:
    answers = ports.each(web.is_in_clear, plain)
    in_clear = [place for place in plain if answers[place]]
    servers = [*((place, False) for place in in_clear), *((place, True) for place in https)]
    opened = {}
    for place, secure in servers if try_defaults else []:
        pair = web.default_credentials(place, secure=secure)
        if pair:
            opened[place] = pair
    return {
        "cleartext_ports": [str(place) for place in in_clear],
        "unauthenticated_paths": [
            f"{place}{path}" for place, secure in servers for path in web.open_paths(place, secure=secure)
        ],
        "foreign_names": [str(place) for place, secure in servers if web.takes_foreign_name(place, secure=secure)],
        "foreign_origins": [str(place) for place, secure in servers if web.takes_foreign_origin(place, secure=secure)],
        "default_credentials": "accepted" if opened else "refused" if servers else "unreachable",
        "opened_with": opened,
    }


def _by_rest(plain: list[Place], https: list[Place], opened: Mapping[Place, str]) -> tuple[int, int]:
    counts = [
        web.readable(place, secure=place in https, credentials=opened.get(place, "")) for place in (*plain, *https)
    ]
    return max((studies for studies, _series in counts), default=0), max(
        (series for _studies, series in counts), default=0
    )
