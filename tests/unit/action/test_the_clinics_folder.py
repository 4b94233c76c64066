# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""No authority is made anew for a server that trusts one already: the clinic's folder was lost, or is not the one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.action.dicom_tls import ActionModule
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError


class Server(ActionModule):
    """The action on a server that says whether a file is there."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.answer = answer

    def _execute_module(self, **dummy: Any) -> dict[str, Any]:
        return self.answer


@pytest.mark.parametrize(
    ("folder", "answer", "said"),
    [
        ("none", {"stat": {"exists": False}}, ""),
        ("none", {"stat": {"exists": True}}, "has none.*shut all its devices out"),
        ("none", {"msg": "no answer on port 22"}, "cannot be looked at: no answer on port 22"),
        ("whole", {"stat": {"exists": True}}, ""),
    ],
)
def test_an_authority_is_made_only_where_no_server_trusts_another(
    folder: str, answer: dict[str, Any], said: str, tmp_path: Path
) -> None:
    if folder == "whole":
        (tmp_path / "authority").mkdir()
        (tmp_path / "authority" / "ca.crt").write_text("the clinic's own", encoding="ascii")
    if not said:
        Server(answer)._demand_folder(str(tmp_path), {})
        return
    with pytest.raises(HardeningError, match=said):
        Server(answer)._demand_folder(str(tmp_path), {})
