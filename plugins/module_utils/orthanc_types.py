# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the values of Orthanc's keys may be, of those that this collection reads.

Orthanc itself does not start with a value of another type, and null is one (its GetIntegerParameter and the like,
1.10.1 to 1.12.7).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import orthanc_options
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError

LARGEST = 2**31 - 1
"""Orthanc takes whole numbers of 32 bits with a sign."""
OF_ANOTHER_TYPE_LATER = ("OverwriteInstances",)
"""Keys of which a later version takes more (1.13.0: "Never"); they are compared with what is wanted, and no more."""
NAMES = {bool: "a Boolean", str: "a string", list: "a list", dict: "an object", type(None): "null"}
"""Type of Python's -> what it is in JSON. A number alone is shown: no key that holds one is a secret."""

Kind = tuple[str, Callable[[Any], "str | None"]]
"""What is accepted, in words, and what names the entry of a value that is not: "" the value itself, None nothing."""


def wrong(content: Mapping[str, Any], but: Collection[str] = ()) -> dict[str, str]:
    """Return each key whose value is not of its type, those in `but` left out, with what a sentence says of it."""
    found = {}
    for key, (accepted, look) in KINDS.items():
        entry = look(content[key]) if key in content and key not in but else None
        if entry is not None:
            value = content[key][entry] if entry else content[key]
            form = " of another form" if entry and isinstance(value, (dict, list)) else ""
            found[key] = f"{key} has to be {accepted}, but {entry or 'it'} is {_name(value)}{form}"
    return found


def demand(content: Mapping[str, Any], path: str, but: Collection[str]) -> None:
    """Refuse a file with a value that is not of its type: HardeningError names the file, the key and the type."""
    for said in wrong(content, but).values():
        raise HardeningError(f"{path}: {said}.")


def understood(content: Mapping[str, Any], mistyped: Collection[str]) -> dict[str, Any]:
    """Return a file's keys without those mistyped; a Boolean stays, so that no default of it passes for it."""
    return {key: value for key, value in content.items() if key not in mistyped or KINDS[key] is BOOLEAN}


def _name(value: Any) -> str:
    return NAMES.get(type(value)) or repr(value)[:20]


def _value(is_right: Callable[[Any], bool]) -> Callable[[Any], str | None]:
    return lambda value: None if is_right(value) else ""


def _is_text(value: Any) -> bool:
    """Tell whether a value is a string that a path, a header and a file can hold."""
    return isinstance(value, str) and "\0" not in value and value.encode("utf-8", "replace").decode() == value


def _is_whole(value: Any, largest: int = LARGEST) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= largest


def _modalities(value: Any) -> str | None:
    if not isinstance(value, dict):
        return ""
    return next((name for name, entry in value.items() if not _is_modality(entry)), None)


def _is_modality(entry: Any) -> bool:
    if isinstance(entry, list):
        return len(entry) in (3, 4) and _is_text(entry[0]) and _is_text(entry[1])
    if not isinstance(entry, dict):
        return False
    flags = [value for key, value in entry.items() if key.startswith("Allow") or key == "UseDicomTls"]
    named = _is_text(entry.get("AET")) and _is_text(entry.get("Host"))
    return named and all(isinstance(value, bool) for value in flags)


def _users(value: Any) -> str | None:
    """Return the login whose password is none; Orthanc takes numbers and the like for their text."""
    if not isinstance(value, dict):
        return ""
    known = (str, int, float, type(None))
    return next(
        (name for name, each in value.items() if not isinstance(each, known) or not _is_text(f"{name}{each}")), None
    )


BOOLEAN: Kind = ("true or false", _value(lambda value: isinstance(value, bool)))
WHOLE: Kind = ("a whole number, 0 or more", _value(_is_whole))
PORT: Kind = ("a port, a whole number up to 65535", _value(lambda value: _is_whole(value, 65535)))
TEXT: Kind = ("a string without NUL", _value(_is_text))
TEXTS: Kind = (
    "a list of strings without NUL",
    _value(lambda value: isinstance(value, list) and all(_is_text(each) for each in value)),
)
SECTION: Kind = ("an object", _value(lambda value: isinstance(value, dict)))
MODALITIES: Kind = (
    'an object of entries like {"AET": "CT", "Host": "10.0.0.2", "Port": 104} or ["CT", "10.0.0.2", 104]',
    _modalities,
)
USERS: Kind = ('an object of entries like "login": "password"', _users)

KINDS: dict[str, Kind] = {
    **{
        key: {bool: BOOLEAN, int: WHOLE, str: TEXT, dict: SECTION}[type(default)]
        for key, default in orthanc_options.DEFAULTS.items()
        if key not in OF_ANOTHER_TYPE_LATER
    },
    **dict.fromkeys(("DicomServerEnabled", "HttpServerEnabled"), BOOLEAN),
    **dict.fromkeys(("DicomThreadsCount", "MaximumPduLength"), WHOLE),
    **dict.fromkeys(("DicomPort", "HttpPort"), PORT),
    **dict.fromkeys(("StorageDirectory", "IndexDirectory", "TemporaryDirectory", "PythonScript"), TEXT),
    **dict.fromkeys(("DicomTlsCertificate", "DicomTlsPrivateKey", "DicomTlsTrustedCertificates"), TEXT),
    **dict.fromkeys(("MaximumStorageMode", "Name"), TEXT),
    **dict.fromkeys(("LuaScripts", "Plugins"), TEXTS),
    **dict.fromkeys(("DicomWeb", "MySQL", "Odbc", "OrthancPeers", "PostgreSQL"), SECTION),
    "DicomModalities": MODALITIES,
    "RegisteredUsers": USERS,
}
"""Key to what it may be."""
