# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is refused before a surface is looked at, what is installed, and that two runs never change a host at once."""

from __future__ import annotations

import time
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import host as seam
from ansible_collections.radiology.hardening.plugins.module_utils import surface, surface_needs
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
        check_mode=False,
        params={"surface": "system", "scope": {}, "wanted": {}},
        warn=warned.append,
        exit_json=lambda **told: ended.update(told),
    )
    monkeypatch.setattr(surface, "AnsibleModule", lambda **dummy: module)
    monkeypatch.setattr(surface, "Host", lambda: host)
    step = Step("Change a route", lambda host: host.remarks.append("Change the other one yourself"))
    monkeypatch.setattr(surface, "plan", lambda *_given: [step])
    surface.main({})
    assert warned == ["Left to you: Change the other one yourself"]
    assert (ended["changed"], ended["plan"], ended["deliberate"]) == (
        True,
        ["Change a route"],
        ["Change the other one yourself"],
    )


def test_ansible_sends_each_surface_that_can_be_named() -> None:
    seen = {name: value for name, value in vars(surface).items() if isinstance(value, ModuleType)}
    assert not set(surface.NAMES) & set(seen), "a host would read every surface for each of them"
    text = Path(str(surface.__file__)).read_text(encoding="utf-8")
    sent = text.partition("module_utils.surfaces import (")[2].partition(")")[0]
    assert sorted(surface.NAMES) == [name.strip(", ") for name in sent.split()]
    assert {surface.named(name).NAME for name in surface.NAMES} == set(surface.NAMES)


@pytest.mark.parametrize(
    ("name", "scope", "programs"),
    [
        ("authentication", {"web": False}, ()),
        ("authentication", {}, ("nginx", "openssl")),
        ("remote_access", {"tunnel": {}}, ()),
        ("remote_access", {"tunnel": {"endpoint": "vpn.example"}}, ("iproute2", "wireguard-tools")),
        ("system", {}, ()),
        ("workstation", {"tunnel": {"x": 1}}, ("dconf-cli", "openssl", "stunnel4")),
    ],
)
def test_what_has_to_be_installed_follows_from_the_scope(name: str, scope: dict, programs: tuple) -> None:
    assert surface_needs.packages(name, scope) == programs


@pytest.mark.parametrize("check_mode", [True, False])
def test_what_is_missing_is_installed_before_anything_is_looked_at(tmp_path, monkeypatch, *, check_mode: bool) -> None:
    (tmp_path / "run").mkdir()
    order: list[str] = []
    monkeypatch.setattr(
        surface.packages, "plan", lambda _host, names: [Step("Install", lambda _host: order.append(" ".join(names)))]
    )
    monkeypatch.setattr(surface, "plan", lambda *_given: order.append("looked") or [])
    given = {"surface": "firewall", "scope": {}, "wanted": {}, "arming": "mine"}
    ordinary, left = surface.hold(seam.Host(str(tmp_path)), given, check_mode=check_mode)
    assert order == ["iproute2 nftables"] * (not check_mode) + ["looked"]
    assert ([step.does for step in ordinary], left) == (["Install"], [])


def test_a_wrong_clock_is_told_before_anything_is_installed(tmp_path, monkeypatch) -> None:
    (tmp_path / "run").mkdir()
    monkeypatch.setattr(surface.packages, "plan", lambda *_given: pytest.fail("asked"))
    given = {"surface": "dicom_tls", "scope": {"clock": 0}, "wanted": {}}
    with pytest.raises(HardeningError, match="clock of this host"):
        surface.hold(seam.Host(str(tmp_path)), given, check_mode=False)


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("firewall", {}, "only the action radiology.hardening.firewall changes it"),
        ("authentication", {"passwords": {"c.moreau": "x"}}, "only the action"),
        ("orthanc", {"certificate": "PEM"}, "takes no certificate; accepted: none"),
        ("dicom_tls", {"passwords": {"c.moreau": "x"}}, "takes no passwords; accepted: certificate, authority"),
    ],
)
def test_a_surface_is_held_by_its_own_action(tmp_path, name: str, given: dict, words: str) -> None:
    with pytest.raises(HardeningError, match=words):
        surface.hold(seam.Host(str(tmp_path)), {"surface": name, "scope": {}, "wanted": {}, **given}, check_mode=False)
    surface_needs.refuse_foreign("firewall", {}, check_mode=True)
