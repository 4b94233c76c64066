# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the running Orthanc says of itself, asked on loopback with a login out of its own file."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils import web_front_ask

LOG_CATEGORIES = ("generic", "plugins", "http", "sqlite", "dicom", "jobs", "lua")
QUIET = ("default", "verbose")
"""Levels at which no name of a patient was seen in a log (1.10.1, 1.12.7); "trace" writes whole data sets."""


class Server:
    """A running Orthanc; every answer is None where it gives none."""

    def __init__(self, config: Mapping[str, Any], users: Mapping[str, str]) -> None:
        """Take its port and its users, whose passwords leave neither the host nor this object."""
        self._port = int(config.get("HttpPort") or 8042)
        self._headers = [{}, *(web_front_ask.basic(login, password) for login, password in users.items())]

    def plugins(self) -> list[str] | None:
        """Return the names of the plugins that it has loaded, without those of its own pages (explorer.js)."""
        found = self._get("/plugins")
        return sorted(name for name in found if not name.endswith(".js")) if isinstance(found, list) else None

    def traces(self) -> list[str] | None:
        """Return the categories that it logs with names of patients."""
        found = {name: self._get(f"/tools/log-level-{name}") for name in LOG_CATEGORIES}
        return None if None in found.values() else sorted(name for name, level in found.items() if level not in QUIET)

    def stored_mib(self) -> int | None:
        """Return how much its images take, in MiB."""
        found = self._get("/statistics")
        return int(found["TotalDiskSizeMB"]) if isinstance(found, dict) else None

    def _get(self, path: str) -> Any:
        """Return what a GET answers; the first login that was let in is asked by from then on."""
        for headers in list(self._headers):
            status, text = _answer(self._port, path, headers)
            if status == 200:
                self._headers = [headers]
                return json.loads(text) if text.startswith(("[", "{")) else text
            if status is None:
                return None
        return None


def _answer(port: int, path: str, headers: dict[str, str]) -> tuple[int | None, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=web_front_ask.SECONDS)
    try:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode("utf-8", "replace").strip()
    except (OSError, http.client.HTTPException):
        return None, ""
    finally:
        connection.close()
