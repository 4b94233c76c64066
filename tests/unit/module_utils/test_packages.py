# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is installed, in which order, and what is said when it cannot be."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import packages
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host, Result
from ansible_collections.radiology.hardening.plugins.module_utils.steps import apply


class Machine(Host):
    """A host that answers by the word that a command holds, and notes what it was asked."""

    def __init__(self, root: str, **answers: list[Result]) -> None:
        super().__init__(root)
        self.answers = answers
        self.asked: list[str] = []

    def run(self, command: Sequence[str], *, stdin: str | None = None, timeout: float = 120) -> Result:
        line = " ".join(command)
        self.asked.append(line)
        for word, results in self.answers.items():
            if word.replace("_", "-") in line:
                return results.pop(0) if len(results) > 1 else results[0]
        return Result(0, "", "")


def test_a_host_that_lacks_nothing_is_asked_once_and_left_alone(tmp_path) -> None:
    host = Machine(str(tmp_path), dpkg_query=[Result(0, "nginx installed\nopenssl installed\n", "")])
    assert packages.plan(host, ["nginx", "openssl"]) == []
    assert len(host.asked) == 1


def test_what_is_half_installed_is_missing_and_finished_first(tmp_path) -> None:
    host = Machine(str(tmp_path), dpkg_query=[Result(0, "nginx half-configured\nopenssl installed\n", "")])
    plan = packages.plan(host, ["nginx", "openssl"])
    assert [step.does for step in plan] == ["Install nginx"]
    apply(host, plan)
    order = [line for line in host.asked if "--configure" in line or "update" in line or "install " in line]
    assert len(order) == 3
    assert "--configure -a" in order[0]
    assert order[1].endswith("update")
    assert order[2].endswith("install nginx")


def test_an_index_out_of_reach_is_named_only_when_the_installation_fails(tmp_path) -> None:
    lost = Result(100, "", "W: no\nE: Could not resolve 'deb.example'\n")
    absent, missing = Result(1, "", ""), Result(100, "", "E: Unable to fetch some archives.\n")
    apply(host := Machine(str(tmp_path), dpkg_query=[absent], update=[lost]), packages.plan(host, ["nginx"]))
    host = Machine(str(tmp_path), dpkg_query=[absent], update=[lost], install=[missing])
    with pytest.raises(HardeningError) as told:
        apply(host, packages.plan(host, ["nginx"]))
    assert str(told.value) == (
        "Install nginx: nginx cannot be installed: Unable to fetch some archives. "
        "The package index cannot be renewed either: Could not resolve 'deb.example'."
    )


def test_another_installation_is_waited_for(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(packages.time, "sleep", lambda seconds: None)
    busy = Result(2, "", "dpkg: error: dpkg frontend lock is locked by another process with pid 7\n")
    host = Machine(str(tmp_path), dpkg_query=[Result(1, "", "")], configure=[busy, busy, Result(0, "", "")])
    apply(host, packages.plan(host, ["nginx"]))
    assert sum("--configure" in line for line in host.asked) == 3
