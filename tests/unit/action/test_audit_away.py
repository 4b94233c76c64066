# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The audit takes a device for away where it was looked for and nothing came, and keeps what it saw of it else."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible_collections.radiology.hardening.plugins.action import audit
from ansible_collections.radiology.hardening.plugins.plugin_utils.judge import Sight, View

HOST, LAPTOP = "ws.practice", "laptop.practice"
FACTS: dict[str, Any] = {"system": {"journal_kept": True}}
THERE = View(LAPTOP, "lan", {"wire": {"reachable": True, "present": True}}, answers=True)
OFF = View(LAPTOP, "lan", None, "192.168.10.20 does not answer on its own network.", answers=False)
BROKEN = View(LAPTOP, "lan", None, "the laptop is switched off")
TIMED_OUT = "Failed to connect to the host via ssh: ssh: connect to host {} port 22: Connection timed out"


class Look(audit.ActionModule):
    """An audit that sees what a test says."""

    def __init__(self, variables: dict[str, Any], *, check: bool = False) -> None:
        self.variables, self._task = variables, SimpleNamespace(check_mode=check)
        self.sight, self.said = Sight(HOST, None), ""

    def _outside(self, variables: dict[str, Any], look_inside: bool) -> Sight:
        return self.sight

    def _sight(self, variables: dict[str, Any], wanted: list[str], look_inside: bool) -> Sight:
        if self.said:
            raise AnsibleConnectionFailure(self.said)
        return self.sight

    def at(
        self, inside: dict[str, Any] | None, *views: View, said: str = "", look_inside: bool = True
    ) -> tuple[Sight, dict[str, Any]]:
        """Return the sight, and what is told beside it."""
        self.sight, self.said = Sight(HOST, inside, views, look_inside=look_inside), said
        result: dict[str, Any] = {}
        return self._sight_or_last(self.variables, ["system"], look_inside, result), result


@pytest.fixture(name="variables")
def of_a_workstation(tmp_path: Path) -> dict[str, Any]:
    host = {"name": "ws", "kind": "workstation", "away_days": 14, "addresses": ["192.168.10.20"]}
    clinic = {"name": "practice", "directory": str(tmp_path / "practice")}
    return {"clinic": clinic, "clinic_host": host, "clinic_managed": True, "ansible_host": "192.168.11.20"}


def test_a_workstation_from_which_nothing_comes_is_judged_by_what_was_seen_last(variables: dict[str, Any]) -> None:
    look = Look(variables)
    assert set(look.at(FACTS, THERE)[1]) == {"kept"}
    sight, told = look.at(None, OFF, said=TIMED_OUT.format("192.168.11.20"))
    assert (sight.inside, sight.outside[0].facts, set(told)) == (FACTS, THERE.facts, {"last_seen"})
    sight, _told = look.at(None, BROKEN, said=TIMED_OUT.format("192.168.11.20"))
    assert (sight.inside, sight.outside) == (FACTS, (BROKEN,))


@pytest.mark.parametrize(
    ("view", "said"),
    [
        (THERE, TIMED_OUT.format("192.168.11.20")),
        (OFF, TIMED_OUT.format("192.168.11.1")),
        (OFF, "engineer@192.168.11.20: Permission denied (publickey)."),
    ],
    ids=["heard", "the jump host", "refused"],
)
def test_a_workstation_that_answers_or_that_nobody_asked_is_not_away(
    variables: dict[str, Any], view: View, said: str
) -> None:
    look = Look(variables)
    look.at(FACTS, THERE)
    with pytest.raises(AnsibleConnectionFailure, match=r"192\.168\.11"):
        look.at(None, view, said=said)


@pytest.mark.parametrize("managed", [True, False], ids=["probe", "modality"])
def test_of_a_device_that_nobody_logs_in_to_a_vantage_point_has_to_have_looked(
    variables: dict[str, Any], *, managed: bool
) -> None:
    look = Look(variables)
    look.at(FACTS, THERE)
    variables["clinic_managed"] = managed
    for view, facts, known in ((OFF, THERE.facts, {"last_seen"}), (BROKEN, None, set())):
        sight, told = look.at(None, view, look_inside=not managed)
        assert (sight.outside[0].facts, set(told) & {"last_seen"}) == (facts, known)


def test_nothing_is_kept_where_nothing_was_seen_nor_by_a_probe_or_in_check_mode(variables: dict[str, Any]) -> None:
    folder = Path(variables["clinic"]["directory"])
    Look(variables, check=True).at(FACTS, THERE)
    Look(variables).at(None, THERE, look_inside=False)
    Look(variables).at(None, THERE)  # the observers failed
    unmanaged = variables | {"clinic_managed": False}
    for views in ((), (BROKEN,), (OFF,)):
        Look(unmanaged).at(None, *views)
    assert not folder.exists()
    assert set(Look(unmanaged).at(None, THERE)[1]) == {"kept"}


def test_a_folder_that_cannot_be_written_is_told(variables: dict[str, Any]) -> None:
    Path(variables["clinic"]["directory"]).write_text("in the way", encoding="ascii")
    sight, told = Look(variables).at(FACTS, THERE)
    assert sight.inside == FACTS
    (said,) = told["warnings"]
    assert said.endswith("While this host is away, nothing will stand for it.")
