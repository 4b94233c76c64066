# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep the operating system updated, its journal kept, and the host on record."""

from __future__ import annotations

from ansible_collections.radiology.hardening.plugins.plugin_utils.surface_action import PlainSurfaceAction


class ActionModule(PlainSurfaceAction):
    """Have the host hold the surface."""

    SURFACE = "system"
