# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The timed undo of a change to sshd."""

from __future__ import annotations

from ansible_collections.radiology.hardening.plugins.module_utils.timed_undo import Undo

PUT_INTO_EFFECT = "systemctl reload ssh.service; ! sshd -t || systemctl restart ssh.service"
"""A reload reads the files alone; what sshd is started with takes a start, which has to succeed. Sessions stay open."""

UNDO = Undo(name="ssh", what="sshd", role="authentication", finish=(PUT_INTO_EFFECT,))
