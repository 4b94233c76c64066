#!/usr/bin/env python3
# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Print the vault password of the lab that RADIOLOGY_LAB names: random, of that lab alone, gone with it."""

from __future__ import annotations

import os

import inventory
import machine

print(inventory.password(machine.cache() / "labs" / os.environ.get("RADIOLOGY_LAB", "demo")))
