# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ask web servers what they give without credentials, and with those that everybody knows."""

from __future__ import annotations

import base64
import http.client
import json
from typing import NamedTuple

from ansible_collections.radiology.hardening.plugins.module_utils.wire import tls
from ansible_collections.radiology.hardening.plugins.module_utils.wire.ports import Place

PATHS = (
    "/system",
    "/patients",
    "/studies",
    "/instances",
    "/statistics",
    "/dicom-web/studies",
    "/wado",
    "/webdav/",
    "/app/explorer.html",
    "/ui/app/",
    "/stone-webviewer/index.html",
    "/ohif/",
    "/modalities",
    "/tools/log-level",
)
DEFAULTS = ("orthanc:orthanc", "admin:admin", "admin:password", "orthanc:admin")
SECONDS = 5
LARGEST = 1_000_000


class Answer(NamedTuple):
    """Status, Location header and body (at most a megabyte) of an answer."""

    status: int
    location: str
    body: bytes


def get(place: Place, path: str, *, secure: bool, credentials: str = "") -> Answer | None:
    """Return the answer to a GET; None when nothing answers in HTTP."""
    connection = (
        http.client.HTTPSConnection(*place, timeout=SECONDS, context=tls.context())
        if secure
        else http.client.HTTPConnection(*place, timeout=SECONDS)
    )
    headers = {"User-Agent": "radiology.hardening probe"}
    if credentials:
        headers["Authorization"] = "Basic " + base64.b64encode(credentials.encode()).decode("ascii")
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return Answer(answer.status, answer.getheader("Location") or "", answer.read(LARGEST))
    except (OSError, ValueError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def is_in_clear(place: Place) -> bool:
    """Tell whether any page is answered in clear: a redirect of the first page alone closes nothing."""
    return any(in_clear(get(place, path, secure=False)) for path in ("/", *PATHS))


def in_clear(answer: Answer | None) -> bool:
    """Tell whether an answer in clear is more than a redirect to HTTPS or the word that HTTPS is wanted."""
    if answer is None:
        return False
    if 300 <= answer.status < 400 and answer.location.startswith("https://"):
        return False
    return not (answer.status == 400 and b"plain HTTP request" in answer.body)


def open_paths(place: Place, *, secure: bool) -> list[str]:
    """Return the paths that give 2xx without credentials."""
    found = []
    for path in PATHS:
        answer = get(place, path, secure=secure)
        if answer and 200 <= answer.status < 300:
            found.append(path)
    return found


def default_credentials(place: Place, *, secure: bool) -> str:
    """Return the first pair that everybody knows which opens what is closed without; nothing when none does."""
    without = get(place, "/system", secure=secure)
    if without is None or without.status not in (401, 403):
        return ""
    for pair in DEFAULTS:
        answer = get(place, "/system", secure=secure, credentials=pair)
        if answer and answer.status == 200:
            return pair
    return ""


def readable(place: Place, *, secure: bool, credentials: str) -> tuple[int, int]:
    """Return how many studies and series Orthanc's statistics give away."""
    answer = get(place, "/statistics", secure=secure, credentials=credentials)
    if answer is None or answer.status != 200:
        return 0, 0
    try:
        counts = json.loads(answer.body)
        return int(counts["CountStudies"]), int(counts["CountSeries"])
    except (ValueError, KeyError, TypeError):
        return 0, 0
