# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ask a real server over HTTPS, as a reader, a technician and an administrator, for each route of a table.

Usage: web_roles.py ADDRESS, as root on the server. Shares no code with the collection. The last line counts the
questions; a wrong answer is named and ends it with status 1, and so is an error that says more than its number, at the
front and at Orthanc itself. One study is stored first, which must outlive all that
readers and technicians try, and is removed at the end.
"""

from __future__ import annotations

import http.client
import json
import re
import ssl
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

ROLES = ("reader", "technician", "administrator")
UNKNOWN = "00000000-00000000-00000000-00000000-00000000"
STUDY_UID = "1.2.826.0.1.3680043.10.1577.1"
FIND = b'{"Level": "Study", "Query": {}}'

TOLD = re.compile(rb"OrthancError|OrthancStatus|HttpError|\"(Details|Method|Uri|Message)\"")
"""What Orthanc says of an error where nobody forbids it."""

R, T, A = 0, 1, 2
"""The least role that may ask."""
NOBODY = 3

ROUTES: tuple[tuple[int, int | tuple[int, ...], str, str], ...] = (
    # Least role, what Orthanc answers to it (releases differ), method, path.
    (R, (301, 307), "GET", "/"),
    (R, 200, "GET", "/app/explorer.html"),
    (R, 404, "HEAD", "/app/explorer.html"),
    (R, 200, "GET", "/app/explorer.js?v=1"),
    (R, 200, "GET", "/system"),
    (R, 200, "GET", "/statistics"),
    (R, 200, "GET", "/plugins"),
    (R, 200, "GET", "/plugins/explorer.js"),
    (R, 200, "GET", "/tools"),
    (R, 200, "GET", "/tools/now"),
    (R, 200, "GET", "/patients"),
    (R, 200, "GET", "/studies?expand&since=0&limit=5"),
    (R, 200, "GET", "/studies/{study}"),
    (R, 200, "GET", "/studies/{study}/series"),
    (R, 200, "GET", "/studies/{study}/archive"),
    (R, 200, "GET", "/series"),
    (R, 200, "GET", "/instances"),
    (R, 200, "GET", "/instances/{image}"),
    (R, 200, "GET", "/instances/{image}/file"),
    (R, 200, "GET", "/instances/{image}/simplified-tags"),
    (R, 200, "GET", "/instances/{image}/content/0010-0010"),
    (R, 200, "GET", "/instances/{image}/attachments/dicom/data"),
    (R, 404, "GET", "/instances/{unknown}/preview"),
    (R, 200, "GET", "/dicom-web/studies"),
    (R, 200, "GET", "/dicom-web/studies?PatientName=Nobody*&includefield=00081030"),
    (R, 200, "GET", "/dicom-web/studies/{uid}/metadata"),
    (R, 200, "GET", "/dicom-web/studies/{uid}/series"),
    (R, 200, "GET", "/dicom-web/instances"),
    (R, 200, "POST", "/tools/find"),
    (R, 200, "POST", "/tools/lookup"),
    (T, 400, "POST", "/instances"),
    (T, 415, "POST", "/dicom-web/studies"),
    (T, 415, "POST", "/dicom-web/studies/{uid}"),
    (T, 200, "GET", "/modalities"),
    (T, 400, "POST", "/modalities/nowhere/store"),
    (T, 404, "POST", "/modalities/nowhere/echo"),
    (T, 400, "POST", "/modalities/nowhere/query"),
    (T, 400, "POST", "/modalities/nowhere/move"),
    (T, 200, "GET", "/peers"),
    (T, 400, "POST", "/peers/nowhere/store"),
    (T, 200, "GET", "/jobs"),
    (T, 400, "POST", "/jobs/{unknown}/cancel"),
    (T, 200, "GET", "/queries"),
    (T, 404, "POST", "/queries/{unknown}/retrieve"),
    (T, 200, "GET", "/changes"),
    (T, 200, "GET", "/exports"),
    (T, 404, "POST", "/studies/{unknown}/modify"),
    (T, 404, "POST", "/studies/{unknown}/anonymize"),
    (T, 404, "POST", "/instances/{unknown}/modify"),
    (T, 400, "POST", "/tools/create-archive"),
    (A, 404, "DELETE", "/instances/{unknown}"),
    (A, 404, "DELETE", "/studies/{unknown}"),
    (A, 404, "DELETE", "/patients/{unknown}"),
    (NOBODY, 403, "DELETE", "/instances/{unknown}/attachments/dicom"),
    (A, (200, 404), "PUT", "/instances/{unknown}/attachments/1024"),
    (A, 404, "PUT", "/instances/{unknown}/metadata/1024"),
    (A, 400, "PUT", "/patients/{unknown}/protected"),
    (A, 404, "POST", "/instances/{unknown}/reconstruct"),
    (A, 400, "POST", "/jobs/{unknown}/resubmit"),
    (A, 404, "DELETE", "/modalities/nowhere"),
    (A, 404, "DELETE", "/peers/nowhere"),
    (A, 400, "PUT", "/tools/log-level"),
    (A, 200, "GET", "/tools/log-level"),
    (A, 200, "GET", "/tools/metrics-prometheus"),
    (A, 400, "POST", "/tools/create-dicom"),
    (A, 400, "POST", "/tools/bulk-delete"),
    (A, 200, "GET", "/dicom-web/servers"),
    (A, 400, "POST", "/dicom-web/servers/nowhere/stow"),
    (A, 404, "GET", "/webdav/"),
    (A, 404, "GET", "/nobody-has-heard-of-this"),
    (A, 404, "GET", "/Instances/{image}"),
    (A, 404, "GET", "/TOOLS/log-level"),
    (A, 200, "GET", "/tools/log-level."),
    (A, 405, "POST", "/studies/{study}"),
    # Orthanc itself refuses these, whoever asks.
    (NOBODY, 403, "POST", "/tools/execute-script"),
    # What can be read in two ways, or asks for another method than it says, the front refuses whoever asks.
    (NOBODY, 400, "GET", "/app/../tools/log-level"),
    (NOBODY, 400, "GET", "/app/%2e%2e/tools/log-level"),
    (NOBODY, 400, "GET", "/app/..%2ftools/log-level"),
    (NOBODY, 400, "GET", "/instances/..;/tools/log-level"),
    (NOBODY, 400, "GET", "/instances/../tools/reset"),
    (NOBODY, 400, "POST", "/instances/../tools/reset"),
    (NOBODY, 400, "POST", "//tools//reset"),
    (NOBODY, 400, "POST", "/tools/./reset"),
    (NOBODY, 400, "POST", "/%74ools/reset"),
    (NOBODY, 400, "DELETE", "/instances/%7b{image}"),
    (NOBODY, 400, "GET", "/instances/{image}?_method=DELETE"),
    (NOBODY, 400, "GET", "/instances/{image}?_METHOD=DELETE"),
    (NOBODY, 400, "GET", "/instances/{image}?expand&_method=delete"),
    (NOBODY, 400, "GET", "/instances/{image}?_method=&_method=DELETE"),
    (NOBODY, 400, "GET", "/instances/{image}?%5Fmethod=DELETE"),
    (NOBODY, 405, "PROPFIND", "/webdav/"),
    (NOBODY, 405, "PROPFIND", "/instances"),
    (NOBODY, 405, "MKCOL", "/webdav/uploads/x"),
    (NOBODY, 405, "MOVE", "/webdav/uploads/x"),
    (NOBODY, 405, "COPY", "/instances/{image}"),
    (NOBODY, 405, "PATCH", "/instances/{image}"),
    (NOBODY, 405, "OPTIONS", "/instances"),
    (NOBODY, 405, "TRACE", "/system"),
)

DISGUISED = (
    # What nobody but an administrator may do, as another request: the image has to outlive it.
    ("GET", "/instances/{image}", "X-HTTP-Method-Override", "DELETE"),
    ("POST", "/tools/find", "X-HTTP-Method-Override", "DELETE"),
    ("GET", "/instances/{image}", "X-Http-Method", "DELETE"),
    ("GET", "/instances/{image}", "X_HTTP_Method_Override", "DELETE"),
    ("GET", "/instances/{image}", "X-Original-URL", "/tools/reset"),
    ("GET", "/instances/{image}", "X-Rewrite-URL", "/tools/reset"),
    ("GET", "/studies/{study}", "X-Forwarded-For", "127.0.0.1"),
)


CORRECTIONS = (
    # Whether the former image stays, what is asked of the study, and the body.
    (False, "modify", b'{"Replace": {"StudyDescription": "x"}, "KeepSource": false}'),
    (False, "modify", b'{"Replace": {}, "KeepSource": true, "KeepSource": false}'),
    (False, "modify", b'{"KeepSource"/**/: false}'),
    (False, "modify", b'{"Keep\\u0053ource": false}'),
    (False, "modify", b'{"Keep": ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"], "Force": true}'),
    (False, "anonymize", b'{"KeepSource": false}'),
    (False, "anonymize", b'{"Keep": ["0008,0018"], "Force": true}'),
    (False, "split", b'{"Series": ["{series}"]}'),
    (False, "split", b'{"Series": ["{series}"], "Foo": {"KeepSource": true}}'),
    (False, "split", b'{"Series": ["{series}"] /* "KeepSource": true, */}'),
    (False, "split", b'{"Series": ["{series}"]} {"KeepSource": true}'),
    (False, "split", b'{"Foo": {"a":"}, "/*": true, "KeepSource": true, "b": "*/}, "Series": ["{series}"]}'),
    (False, "split", b'{"Foo": {"a":"}, ",": ": {", ": 1, ": {":1}, "KeepSource": true}, "Series": ["{series}"]}'),
    (False, "split", b'{"Foo": {"a":"\\"}, "KeepSource": true, "b": "\\"}, "Series": ["{series}"]}'),
    (False, "split", b'{"Series": ["{series}"], "KeepSource": true, "KeepSource": false}'),
    (False, "split", b'{"Series": ["{series}"], "KeepSource": true, "Keep\\u0053ource": false}'),
    (False, "merge", b'{"Resources": ["{study}"]}'),
    (False, "merge", b'{"Resources": ["{study}"], "Foo": {"KeepSource": true}}'),
    (False, "modify", b'{"Replace": {"StudyDescription": "' + b"x" * 70_000 + b'"}}'),
    (True, "modify", b'{"Replace": {"StudyDescription": "x"}}'),
    (True, "modify", b'{"Replace": {"StudyDescription": "y"}, "Force": true, "KeepSource": true}'),
    (True, "anonymize", b"{}"),
    (True, "split", b'{"Series": ["{series}"], "KeepSource": true}'),
    (True, "split", b'{"Replace": {"PatientName": "A^{B}"}, "Remove": [], "KeepSource": true, "Series": ["{series}"]}'),
)
"""Orthanc makes new images of others, and removes these where the body says so."""


class Server:
    """The server's HTTPS pages, over one connection for each role."""

    def __init__(self, address: str) -> None:
        """Take the server's address; its certificate is others' matter."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self._connections = [http.client.HTTPSConnection(address, timeout=60, context=context) for role in ROLES]
        self._headers = headers()

    def ask(
        self, role: int, method: str, path: str, body: bytes = b"", extra: tuple[tuple[str, str], ...] = ()
    ) -> tuple[int, bytes]:
        """Return status and body; the path goes out as it is written."""
        connection = self._connections[role]
        connection.putrequest(method, path)
        for name, value in (("Authorization", self._headers[ROLES[role]]), *extra):
            connection.putheader(name, value)
        if body or method in ("POST", "PUT"):
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body or None)
        answer = connection.getresponse()
        return answer.status, answer.read()


def headers() -> dict[str, str]:
    """Return a header of HTTP Basic authentication for each role, as a person's browser sends it."""
    text = Path("/etc/orthanc-web/people.map").read_text(encoding="ascii")
    found = re.findall(r'Basic (\S+?)\$?" (\w+);', text)
    return {role: f"Basic {pair.replace('[+]', '+')}" for pair, role in found}


def image() -> bytes:
    """Return an image of nobody, without pixels (PS3.10, explicit VR, little endian)."""
    known = [(8, 0x16, "UI", "1.2.840.10008.5.1.4.1.1.7"), (8, 0x18, "UI", f"{STUDY_UID}.1.1")]
    meta = element(2, 1, "OB", b"\0\1") + element(2, 2, "UI", known[0][3]) + element(2, 3, "UI", known[1][3])
    meta += element(2, 0x10, "UI", "1.2.840.10008.1.2.1") + element(2, 0x12, "UI", STUDY_UID)
    known += [(0x10, 0x10, "PN", "Nobody^Here"), (0x10, 0x20, "LO", "witness")]
    known += [(0x20, 0xD, "UI", STUDY_UID), (0x20, 0xE, "UI", f"{STUDY_UID}.1")]
    body = b"".join(element(*each) for each in known)
    return b"\0" * 128 + b"DICM" + element(2, 0, "UL", struct.pack("<I", len(meta))) + meta + body


def element(group: int, number: int, representation: str, value: str | bytes) -> bytes:
    """Return a data element, its value padded to an even length."""
    content = value.encode("ascii") if isinstance(value, str) else value
    content += (b"\0" if representation in ("UI", "OB") else b" ") * (len(content) % 2)
    long = representation == "OB"
    length = struct.pack("<HI", 0, len(content)) if long else struct.pack("<H", len(content))
    return struct.pack("<HH", group, number) + representation.encode("ascii") + length + content


def wrong(server: Server, names: dict[str, str]) -> Iterator[str]:
    """Ask all, and yield what is answered otherwise than the table says."""
    for least, due, method, path in ROUTES:
        for role, title in enumerate(ROLES):
            asked = path.format(**names)
            body = FIND if path == "/tools/find" else b"{}" if path.endswith(("/modify", "/anonymize")) else b""
            status, answer = server.ask(role, method, asked, body)
            if status >= 400 and TOLD.search(answer):
                yield f"{title} {method} {asked}: {status} says {answer[:200]!r}"
            allowed = role >= least
            expected = due if allowed or least == NOBODY else 403
            if status not in (expected if isinstance(expected, tuple) else (expected,)):
                yield f"{title} {method} {asked}: {status}, due {expected}"
    for method, path, name, value in DISGUISED:
        for role in (R, T):
            server.ask(role, method, path.format(**names), FIND if method == "POST" else b"", ((name, value),))
            if server.ask(role, "GET", f"/instances/{names['image']}")[0] != 200:
                yield f"{ROLES[role]} {method} {path} with {name}: the image is gone"


def untold() -> Iterator[str]:
    """Ask Orthanc itself, as the front does, for what is not there, and yield what it says of that."""
    header = re.search(r'" "(Basic \S+)";', Path("/etc/orthanc-web/orthanc.map").read_text(encoding="ascii"))
    connection = http.client.HTTPConnection("127.0.0.1", 8042, timeout=60)
    connection.request("GET", f"/studies/{UNKNOWN}", headers={"Authorization": header[1] if header else ""})
    answer = connection.getresponse()
    said = answer.read()
    if answer.status != 404 or said:
        yield f"Orthanc itself, of a study that is not there: {answer.status} {said[:200]!r}, due 404 and nothing"


def corrected(server: Server, names: dict[str, str]) -> Iterator[str]:
    """Correct the study as a technician in ways that would remove it and in others, and yield what went wrong."""
    for allowed, verb, text in CORRECTIONS:
        body = text.replace(b"{series}", names["series"].encode()).replace(b"{study}", names["study"].encode())
        status, answer = server.ask(T, "POST", f"/studies/{names['study']}/{verb}", body)
        if (status == 200) is not allowed or (not allowed and status not in (403, 413)):
            yield f"technician {verb} with {text[:60]!r}: {status}"
        if server.ask(T, "GET", f"/instances/{names['image']}")[0] != 200:
            yield f"technician {verb} with {text[:60]!r}: the image is gone"
        if status == 200:
            made = json.loads(answer)
            server.ask(A, "DELETE", f"/studies/{made.get('TargetStudy') or made['ID']}")


def main(address: str) -> int:
    """Store, ask, remove; return 0 when all was answered as the table says."""
    server = Server(address)
    status, stored = server.ask(T, "POST", "/instances", image())
    if status != 200:
        print(f"A technician stores an image: {status}, due 200")
        return 1
    found = json.loads(stored)
    names = {"image": found["ID"], "study": found["ParentStudy"], "uid": STUDY_UID, "unknown": UNKNOWN}
    names["series"] = found["ParentSeries"]
    failures = [*wrong(server, names), *corrected(server, names), *untold()]
    for role, due in ((R, 403), (T, 403), (A, 200)):
        status, _body = server.ask(role, "DELETE", f"/studies/{names['study']}")
        if status != due:
            failures.append(f"{ROLES[role]} removes the study: {status}, due {due}")
    print("\n".join(failures))
    routes = len({(method, path) for _least, _due, method, path in ROUTES})
    asked = len(ROUTES) * len(ROLES) + 2 * len(DISGUISED) + len(CORRECTIONS) + 5
    print(f"{routes} routes, {asked} questions by {len(ROLES)} roles: {len(failures)} answered wrongly")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
