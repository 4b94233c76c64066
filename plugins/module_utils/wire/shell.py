# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ask SSH servers whether they take passwords, without trying one."""

from __future__ import annotations

import logging
import socket
from collections.abc import Sequence

from ansible_collections.radiology.hardening.plugins.module_utils.wire.ports import Place

SECONDS = 10
NOBODY = "nobody-here"


class UnansweredError(Exception):
    """An SSH server that could not be asked, and why."""


def passwords(places: Sequence[Place]) -> tuple[dict[str, list[str]], list[str]]:
    """Return the facts below `wire.ssh` of these SSH servers, less what one of them does not tell, and errors."""
    facts = {"ports": [str(place) for place in places]}
    try:
        offered = [str(place) for place in places if offers_password(place)]
    except UnansweredError as error:
        return facts, [str(error)]
    return {**facts, "password_offered": offered}, []


def offers_password(place: Place) -> bool:
    """Tell whether a server offers password or keyboard-interactive to an account that is made up."""
    import paramiko  # noqa: PLC0415 # the module says first which library is missing

    logging.getLogger("paramiko").setLevel(logging.CRITICAL)
    try:
        with socket.create_connection(place, timeout=SECONDS) as connection:
            transport = paramiko.Transport(connection)
            try:
                transport.start_client(timeout=SECONDS)
                transport.auth_none(NOBODY)
            finally:
                transport.close()
    except paramiko.BadAuthenticationType as refusal:
        return bool({"password", "keyboard-interactive"} & set(refusal.allowed_types))
    except paramiko.AuthenticationException:
        return False
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise UnansweredError(f"{place} speaks SSH, but does not tell what it takes: {error}.") from error
    return True
