# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What every module refuses before it looks, and that two of them never change a host at once."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import host as seam
from ansible_collections.radiology.hardening.plugins.module_utils import surface
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.steps import Step


@pytest.mark.parametrize(("days", "words"), [(365, "365 days ahead of"), (-365, "365 days behind")])
def test_a_clock_a_year_off_is_refused(days: int, words: str) -> None:
    with pytest.raises(HardeningError, match=words):
        surface.demand_clock({"clock": time.time() - days * surface.DAY})


def test_a_clock_some_hours_off_is_none_of_our_business() -> None:
    surface.demand_clock({"clock": time.time() - 3 * 3600})
    surface.demand_clock({})


def test_a_second_run_waits_and_says_so_when_the_first_goes_on(tmp_path, monkeypatch) -> None:
    (tmp_path / "run").mkdir()
    monkeypatch.setattr(seam, "PATIENCE", 0.3)
    first, second = seam.Host(str(tmp_path)), seam.Host(str(tmp_path))
    with first.alone(), pytest.raises(HardeningError, match="Another run"), second.alone():
        pass
    with second.alone():
        pass


def test_a_steady_program_is_asked_once_while_one_looks_and_anew_afterwards(tmp_path) -> None:
    class Counting(seam.Host):
        ran = 0

        def _run(self, command, *, stdin, timeout):
            self.ran += 1
            return seam.Result(0, str(self.ran), "")

    host = Counting(str(tmp_path))
    with host.looking():
        assert [host.run(["openssl", "version"]).output for dummy in range(3)] == ["1", "1", "1"]
        assert host.run(["openssl", "pkey"]).output == "2"
        assert host.run(["openssl", "version"], stdin="key").output == "3"
        assert [host.run(["journalctl"]).output for dummy in range(2)] == ["4", "5"]
    assert host.run(["openssl", "version"]).output == "6"


def test_what_came_to_light_only_when_a_step_was_taken_reaches_the_engineer(tmp_path, monkeypatch) -> None:
    (tmp_path / "run").mkdir()
    host, warned, ended = seam.Host(str(tmp_path)), [], {}
    module = SimpleNamespace(
        check_mode=False, params={}, warn=warned.append, exit_json=lambda **told: ended.update(told)
    )
    monkeypatch.setattr(surface, "AnsibleModule", lambda **dummy: module)
    monkeypatch.setattr(surface, "Host", lambda: host)
    step = Step("Change a route", lambda host: host.remarks.append("Change the other one yourself"))
    surface.follow({}, lambda _host, _given: [step])
    assert warned == ["Left to you: Change the other one yourself"]
    assert (ended["changed"], ended["plan"], ended["deliberate"]) == (
        True,
        ["Change a route"],
        ["Change the other one yourself"],
    )
