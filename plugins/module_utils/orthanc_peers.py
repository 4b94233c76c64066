# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Other web servers that Orthanc sends images to: over TLS, with their certificates checked."""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import deliberate
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step

AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
"""Debian's own list. Orthanc 1.10.1 takes its folder of configuration for one where none is named."""
LOCAL = ("localhost", "127.0.0.1", "::1")


def observe(host: Host, told: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts of what Orthanc is told, its secrets left out: names only."""
    section = told.get("DicomWeb")
    listed = {**_mapping(_mapping(section).get("Servers")), **_mapping(told.get("OrthancPeers"))}
    return {
        "cleartext": sorted(name for name, entry in listed.items() if not _guarded(entry)),
        "authorities": AUTHORITIES if host.stat(AUTHORITIES) else "",
    }


def settings(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the key that names the authorities, where there is none yet."""
    unnamed = not found["config"].get("HttpsCACertificates")
    return {"HttpsCACertificates": found["peers"]["authorities"]} if unnamed and found["peers"]["authorities"] else {}


def steps(found: Mapping[str, Any]) -> list[Step]:
    """Return what only a person can mend: the peer has to take TLS first."""
    return [
        deliberate(f"Orthanc sends images to {name} in clear: have it take HTTPS, and name it by https:// in the peers")
        for name in found["peers"]["cleartext"]
    ]


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _guarded(entry: Any) -> bool:
    """Tell whether a peer is called over TLS, or on this host; its URL comes first in a list, or stands in Url."""
    url = entry[0] if isinstance(entry, list) and entry else _mapping(entry).get("Url", "")
    try:
        parts = urllib.parse.urlsplit(str(url))
    except ValueError:  # no URL, as http://[::1
        return False
    return parts.scheme == "https" or parts.hostname in LOCAL
