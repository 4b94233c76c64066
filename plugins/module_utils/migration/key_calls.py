# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The calls of the module disk_keys, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.migration import (
    keys,
    rebinding,
    restoring,
    rotation,
)
from ansible_collections.radiology.hardening.plugins.module_utils.migration.machine import Machine

READING = ("describe", "collect")
"""Calls that change nothing."""


def make(machine: Machine, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Make one call on the volume `name`, with what was handed over for it; HardeningError says what forbids it."""
    brought, header = keys.take(name)
    storage, certificates, recipients = given["storage"], given["certificates"], given["recipients"]
    calls: dict[str, Callable[[], dict[str, Any]]] = {
        "describe": lambda: keys.describe(machine, name),
        "unlock": lambda: keys.open_with(machine, name, brought),
        "rebind": lambda: rebinding.rebind(machine, name, storage.get("unlock") or {}, brought),
        "renew": lambda: rotation.renew(machine, name, certificates, recipients, brought),
        "revoke": lambda: rotation.revoke(machine, name, given["answer"], brought),
        "collect": lambda: rotation.collect(machine, name),
        "record": lambda: rotation.record(machine, name, given["evidence"]),
        "restore": lambda: restoring.restore(machine, name, header, given["confirm"], brought),
    }
    return calls[given["call"]]()
