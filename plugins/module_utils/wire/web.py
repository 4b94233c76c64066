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
ELSEWHERE = "elsewhere.example"
FIND = b'{"Level": "Study", "Query": {}, "Limit": 1}'
SECONDS = 5
LARGEST = 1_000_000


class Answer(NamedTuple):
    """Status, Location header and body (at most a megabyte) of an answer."""

    status: int
    location: str
    body: bytes


def get(place: Place, path: str, *, secure: bool, credentials: str = "") -> Answer | None:
    """Return the answer to a GET; None when nothing answers in HTTP."""
    return ask(place, path, secure=secure, headers=basic(credentials) if credentials else {})


def basic(credentials: str) -> dict[str, str]:
    """Return the header of HTTP Basic authentication (RFC 7617) for `login:password`."""
    return {"Authorization": "Basic " + base64.b64encode(credentials.encode()).decode("ascii")}


def ask(place: Place, path: str, *, secure: bool, headers: dict[str, str], body: bytes | None = None) -> Answer | None:
    """Return the answer to a GET, or to a POST where there is a body; None when nothing answers in HTTP."""
    connection = (
        http.client.HTTPSConnection(*place, timeout=SECONDS, context=tls.context())
        if secure
        else http.client.HTTPConnection(*place, timeout=SECONDS)
    )
    method = "GET" if body is None else "POST"
    try:
        connection.request(method, path, body, {"User-Agent": "radiology.hardening probe", **headers})
        answer = connection.getresponse()
        return Answer(answer.status, answer.getheader("Location") or "", answer.read(LARGEST))
    except (OSError, ValueError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def is_in_clear(place: Place) -> bool:
    """Tell whether any page is answered in clear: a redirect of the first page alone closes nothing.

    What is silent to the question for its first page does not speak HTTP, and is not asked for the others.
    """
    first = get(place, "/", secure=False)
    return first is not None and (in_clear(first) or any(in_clear(get(place, path, secure=False)) for path in PATHS))


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


def takes_foreign_name(place: Place, *, secure: bool) -> bool:
    """Tell whether a server answers under a name that is not its own, as a page in a browser can have it named.

    401 is such an answer: the browser knows the password that is asked for.
    """
    return _is_taken(ask(place, "/", secure=secure, headers={"Host": ELSEWHERE}))


def takes_foreign_origin(place: Place, *, secure: bool) -> bool:
    """Tell whether a server takes an order from a page of another site; the order is to list one study, unread."""
    headers = {"Origin": f"https://{ELSEWHERE}", "Content-Type": "application/json", **basic("nobody-here:nothing")}
    return _is_taken(ask(place, "/tools/find", secure=secure, headers=headers, body=FIND))


def _is_taken(answer: Answer | None) -> bool:
    return answer is not None and (answer.status < 400 or answer.status == 401)


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
