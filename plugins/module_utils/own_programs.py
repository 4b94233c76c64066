# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Programs of this collection that hosts run by themselves: modules of module_utils that need no other."""

from __future__ import annotations

import inspect
from types import ModuleType


def text(program: ModuleType) -> str:
    """Return the file that a host has of a program; its source has no first line of its own, for ansible-test."""
    return f"#!/usr/bin/python3\n{inspect.getsource(program)}"
