# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A table of nftables that is ours: its file, and the unit that loads it when the machine starts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ansible_collections.radiology.hardening.plugins.module_utils.host import Host


class Table(NamedTuple):
    """What keeps a table of the family inet; `mode` is that of the folder in which its file lies."""

    name: str
    folder: str
    mode: int
    file: str
    unit: str
    unit_file: str
    service: str

    @property
    def unload(self) -> str:
        """For sh: take the table out, if it is there."""
        return f"nft list table inet {self.name} >/dev/null 2>&1 || exit 0; nft delete table inet {self.name}"


def check(host: Host, text: str) -> None:
    """Refuse what nftables does not understand; nothing changes."""
    host.must(["nft", "--check", "--file", "-"], stdin=text)


def load(host: Host, table: Table, text: str, strangers: Iterable[str]) -> None:
    """Write, enable and load; `strangers` are files that have the unit run otherwise."""
    host.undone_by(f"Unload the table inet {table.name}", "sh", "-c", table.unload)
    host.folder(table.folder, mode=table.mode)
    host.write(table.file, text)
    host.write(table.unit_file, table.service)
    for path in strangers:
        host.remove(path)
    host.enable(table.unit)
    host.must(["systemctl", "restart", table.unit])
