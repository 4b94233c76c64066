# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The timed undo of a change to sshd."""

from __future__ import annotations

from ansible_collections.radiology.hardening.plugins.module_utils.timed_undo import Undo

UNDO = Undo(name="ssh", what="sshd", role="authentication", finish=("systemctl reload ssh.service",))
