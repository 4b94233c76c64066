# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What each role may ask of Orthanc over the web: what is allowed. All else is for administrators.

The front judges the request line as it came, byte for byte what Orthanc gets, and refuses one that can be read in two
ways. Paths are those of Orthanc 1.10.1 to 1.13.0, its DICOMweb plugin and Orthanc Explorer.
"""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Mapping

READER = "reader"
TECHNICIAN = "technician"
ADMINISTRATOR = "administrator"
ROLES = (READER, TECHNICIAN, ADMINISTRATOR)
"""Each may do what those before it may."""

CLEAR = r"^(/|(/[\w,:@+=~-][\w.,:@+=~-]*)+/?)(\?|$)"
"""The request lines that have one reading: no %-encoding, no empty or dotted segment, no parameter of a path."""

FAKED = r"(^|&)[^=&]*(%|_method)"
"""Orthanc takes DELETE and PUT for GET when an argument of this name says so; in whatever case, and never encoded."""

_LEVEL = "(patients|studies|series|instances)"
_END = r"(\?|$)"
_ID = "[0-9a-f-]+"

RULES: tuple[tuple[str, str, str], ...] = (
    (READER, "GET|HEAD", "/(app(/.*)?)?"),
    (READER, "GET|HEAD", f"/{_LEVEL}(/.*)?"),
    (READER, "GET|HEAD", "/dicom-web/(studies|series|instances|app|info)(/.*)?"),
    (READER, "GET|HEAD", "/wado"),
    (READER, "GET|HEAD", "/(system|statistics|tools|plugins(/.*)?)"),
    (READER, "GET|HEAD", "/tools/(now|now-local|generate-uid|dicom-conformance|labels)"),
    (READER, "POST", "/tools/(find|lookup|count-resources|bulk-content)"),
    (TECHNICIAN, "POST", "/instances"),
    (TECHNICIAN, "POST", "/dicom-web/studies(/[0-9.]+)?"),
    (TECHNICIAN, "POST", f"/(patients|studies|series)/{_ID}/(archive|media|anonymize|modify|split|merge)"),
    (TECHNICIAN, "POST", f"/instances/{_ID}/(anonymize|modify)"),
    (TECHNICIAN, "POST", "/tools/create-(archive|media|media-extended)"),
    (TECHNICIAN, "GET|HEAD", "/(modalities|peers)(/[^/?]+)?"),
    (TECHNICIAN, "POST", "/modalities/[^/?]+/(echo|query|find-worklist|move|store|storage-commitment)"),
    (TECHNICIAN, "POST", "/peers/[^/?]+/store"),
    (TECHNICIAN, "GET|HEAD", "/(changes|exports|queries(/.*)?|jobs(/.*)?|storage-commitment/[^/?]+)"),
    (TECHNICIAN, "POST", f"/queries/{_ID}(/answers/[0-9]+)?/retrieve"),
    (TECHNICIAN, "POST", f"/queries/{_ID}/answers/[0-9]+/query-(studies|series|instances)"),
    (TECHNICIAN, "POST", f"/jobs/{_ID}/(cancel|pause|resume)"),
)
"""The least role, the methods, and the path (a regular expression; a slash may follow it)."""


CORRECTED = f"^/(patients|studies|series)/{_ID}/(anonymize|modify|split|merge)/?$"
"""The paths by which images are made from others, which Orthanc then removes where the body says so (KeepSource), or
without a word for split and merge, or which it replaces where they keep their number (SOPInstanceUID)."""

_STRING = r'"[^"\x5c]*+"'
_FLAT = rf'(?>(?:[^\]\[{{}}"/]++|{_STRING})*)'
_VALUE = rf"(?:{_STRING}|true|false|null|-?[0-9]++|\[{_FLAT}\]|\{{{_FLAT}\}})"
KEPT = (
    rf'^\S+/(?:split|merge)/? \s*+\{{(?>(?:\s*+(?!"KeepSource"){_STRING}\s*+:\s*+{_VALUE}\s*+,)*)'
    r'\s*+"KeepSource"\s*+:\s*+true\s*+[,}]'
)
"""A body of split or merge whose outermost object has KeepSource itself, behind none but plain members.

Strings are told from what stands between them, so that no brace within one ends an object, and there is no comment,
since jsoncpp takes both. Nothing is tried twice, so that a long body meets no limit of PCRE's; one that did is refused.
"""

REMOVES = rf"""  map "$uri $request_body" $removes {{
    default 1;
    "~*(\\\\u00|SOPInstanceUID|0008[-,]?0018)" 1;
    "~*(?s)KeepSource.*KeepSource" 1;
    '~{KEPT}' 0;
    '~(?s)^\S+/(anonymize|modify)/? \s*\{{.*"KeepSource"\s*:\s*true\s*[,}}]' 0;
    "~*KeepSource" 1;
    "~^\S+/(anonymize|modify)/? \s*\{{" 0;
  }}
  map "$role $removes" $corrects_as {{ default ""; "~^administrator " $asks_as; "technician 0" $asks_as; }}
"""
"""Whether former images may go: so, unless the body says that they stay; JSON's escapes (\\u004b) could hide a word."""


def pattern(methods: str, path: str) -> str:
    """Return the regular expression that a method, a space and a request line match."""
    return f"^({methods}) {path}/?{_END}"


def maps() -> str:
    """Return nginx's maps: $unclear, $faked, the $least role that may ask this, and whether it is $forbidden."""
    rules = "\n".join(f'    "~{pattern(methods, path)}" {role};' for role, methods, path in RULES)
    return f"""\
  map $request_uri $unclear {{ default 1; "~{CLEAR}" 0; }}
  map $args $faked {{ default 0; "~*{FAKED}" 1; }}
  map "$request_method $request_uri" $least {{
    default {ADMINISTRATOR};
{rules}
  }}
  map "$role $least" $forbidden {{ default 1; "~^{ADMINISTRATOR} " 0; "~^{TECHNICIAN} [rt]" 0; "{READER} {READER}" 0; }}
{REMOVES}"""


def line(header: str, role: str) -> str:
    """Return the line of a map that gives a role to who sends this Authorization header, letter by letter."""
    return f'"~^{header.replace("+", "[+]")}$" {role};\n'


def header(name: str, password: str) -> str:
    """Return the Authorization header of HTTP Basic authentication (RFC 7617)."""
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode("ascii")


def probes() -> str:
    """Return new lines for one login a role that Orthanc does not know: by them the host asks what the front lets in.

    Such a request has no effect, since Orthanc answers it 401. No login of a person has a blank in it.
    """
    return "".join(line(header(f"probe {role}", secrets.token_urlsafe(32)), role) for role in ROLES)


def headers(text: str) -> dict[str, str]:
    """Return the Authorization headers in the lines of a map, and the role of each. Secret as the passwords are."""
    found = re.findall(r'(?m)^"~\^(Basic [^"]+)\$" (\w+);$', text)
    return {sent.replace("[+]", "+"): role for sent, role in found}


def logins(text: str) -> dict[str, str]:
    """Return the logins in the lines of a map, and the role of each; passwords are dropped here."""
    return {login(sent): role for sent, role in headers(text).items()}


def misplaced(text: str, declared: Mapping[str, str]) -> list[str]:
    """Return the logins whose role in the map's lines is not the declared one, and those that only one side knows."""
    found = logins(text)
    return sorted(name for name in found.keys() | declared.keys() if found.get(name) != declared.get(name))


def login(sent: str) -> str:
    """Return the login in an Authorization header; ? where there is none."""
    return pair(sent)[0]


def passwords(text: str) -> dict[str, str]:
    """Return login and password of each line of a map."""
    return dict(pair(sent) for sent in headers(text))


def pair(sent: str) -> tuple[str, str]:
    """Return the login and the password in an Authorization header; ? and nothing where there are none."""
    try:
        name, _colon, password = base64.b64decode(sent.removeprefix("Basic "), validate=True).decode().partition(":")
    except ValueError:
        return "?", ""
    return name, password
