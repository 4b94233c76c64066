# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keep what passes over the disks from lying there in clear."""

from __future__ import annotations

from ansible_collections.radiology.hardening.plugins.plugin_utils.surface_action import PlainSurfaceAction


class ActionModule(PlainSurfaceAction):
    """Have the host hold the surface."""

    SURFACE = "disk_encryption"
