# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The one exception that crosses from a surface to a module."""

from __future__ import annotations


class HardeningError(Exception):
    """A sentence for people: what was found, where, and what would be accepted."""
