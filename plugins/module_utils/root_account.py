# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Root's password: locked, so that who administers a host comes in by name or by a key, and nobody by guessing.

A locked password shuts the console, `su` and the emergency shell; keys over SSH and sudo go on to work, save where
sshd does without PAM and takes a locked account for a closed one (OpenSSH, platform_locked_account).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step

STATES = {"L": "locked", "LK": "locked", "P": "set", "PS": "set", "NP": "none"}
"""What passwd(1) prints -> the fact."""

AGAIN = {"set": "--unlock", "none": "--delete"}
"""State before -> option of passwd(1) that brings it back: the lock keeps the password behind a mark."""


def observe(host: Host) -> dict[str, Any]:
    """Return the state of root's password; null where passwd does not tell."""
    words = host.run(["passwd", "--status", "root"]).output.split()
    return {"password": STATES.get(words[1]) if len(words) > 1 else None}


def steps(
    found: Mapping[str, Any],
    unmet: list[str],
    sshd: Mapping[str, Any],
    scope: Mapping[str, Any],
    to_be: Mapping[str, str],
) -> list[Step]:
    """Return the lock, or refuse where it would lock out the engineer too; `to_be`: the settings that sshd gets.

    Where these have PAM back, root's keys count again at the end of the run: of use to whoever is in by another name.
    """
    if not unmet:
        return []
    if scope.get("becomes_by") == "su":
        raise HardeningError(
            "You become root by su, which asks for root's password, and that is to be locked: "
            "use sudo (become_method: sudo), or waive authentication.root_locked."
        )
    mended = to_be.get("UsePAM") == "yes" and scope.get("engineer") not in (None, "", "root")
    if sshd["installed"] and sshd.get("UsePAM") == "no" and to_be["PermitRootLogin"] != "no" and not mended:
        raise HardeningError(
            "sshd works without PAM here (UsePAM no) and would refuse root's keys once root's password is locked: "
            "set UsePAM yes, or authentication_root_login: 'no'."
        )
    return [Step("Lock root's password, by which nobody has to come in", lambda host: _lock(host, found))]


def _lock(host: Host, found: Mapping[str, Any]) -> None:
    if found["password"] in AGAIN:
        host.undone_by("Give root its former password again", "passwd", AGAIN[found["password"]], "root")
    host.must(["passwd", "--lock", "root"])
