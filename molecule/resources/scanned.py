# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The look from the internet that a lab without a stranger on its internet cannot have: made up, of today."""

from __future__ import annotations

import datetime
import ipaddress
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

LOCAL = ipaddress.ip_network("fc00::/7")


def lay(file: Path) -> None:
    """Lay evidence of a look that saw nothing beside a clinic file."""
    given = yaml.safe_load(file.read_text(encoding="utf-8"))
    look = {
        "vantage_point": f"made-up.{given['name']}",
        "host": f"pacs.{given['name']}",
        "addresses": [*given["internet"]["addresses"], *_routed(given)],
        "no_way": [],
        "ports": "22, 443, 4242, 8042",
        "open": [],
        "undeclared": [],
    }
    now = datetime.datetime.now(tz=datetime.UTC).isoformat(timespec="seconds")
    known = {"format": 1, "clinic": given["name"], "scanned": now, "looks": [look]}
    folder = file.with_suffix("") / "internet-scan"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "evidence.json").write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")


def _routed(given: dict[str, Any]) -> Iterator[str]:
    """Yield the servers' addresses in IPv6 that are routed on the internet."""
    for server in given["orthanc_servers"].values():
        for text in (text for listed in server["addresses"].values() for text in listed):
            address = ipaddress.ip_address(text)
            if address.version == 6 and address not in LOCAL:
                yield text
