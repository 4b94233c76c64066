# Copyright (c) 2026 the radiology.hardening authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What desktops say of their lock and of drives, who is logged in unasked, and what the role does about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.radiology.hardening.plugins.module_utils import kept, workstation_session
from ansible_collections.radiology.hardening.plugins.module_utils.deliberate import parted
from ansible_collections.radiology.hardening.plugins.module_utils.errors import HardeningError
from ansible_collections.radiology.hardening.plugins.module_utils.host import Host, Result
from ansible_collections.radiology.hardening.plugins.module_utils.surfaces import workstation
from ansible_collections.radiology.hardening.plugins.plugin_utils import catalogue
from test_agreement import hardened

WANTED = catalogue.wanted(catalogue.load("workstation"))
PASSWD = (
    "root:x:0:0::/root:/bin/bash\n"
    "a.martin:x:1001:1001::/home/a:/bin/bash\n"
    "nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\n"
)
HELD = {key: written.format(600 // unit) for key, (written, unit) in workstation_session.IDLE.items()}
HELD |= workstation_session.STEADY | workstation_session.DRIVES


class Machine(Host):
    """A host below a folder, whose dconf tells these values and has these keys locked."""

    def __init__(self, root: Path, values: dict[str, str] | None = None, locked: list[str] | None = None) -> None:
        super().__init__(str(root))
        self.values = HELD if values is None else values
        self.locked = list(HELD) if locked is None else locked
        self.lay("/etc/passwd", PASSWD)
        self.lay(workstation_session.PROFILE, "user-db:user\nsystem-db:radiology\n")
        self.lay(f"{workstation_session.MANDATORY}/1001", "user-db:user\nsystem-db:radiology\n")

    def run(self, command, **dummy):
        if command[0] == "runuser":
            return Result(0, "".join(f"{key} {self.values.get(key, '')}\n" for key in command[12:]), "")
        if command[:2] == ["dconf", "list-locks"]:
            return Result(0, "".join(f"/{key}\n" for key in self.locked), "")
        return Result(0, "", "")

    def lay(self, path: str, text: str) -> None:
        file = Path(self.path(path))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def seen(machine: Machine) -> dict[str, Any]:
    session, by_desktops = workstation_session.observe(machine)
    return {**session, "by_desktops": by_desktops}


def test_a_desktop_that_is_held_is_no_finding(tmp_path):
    assert seen(Machine(tmp_path)) == {
        "idle_seconds": 600,
        "loose": [],
        "unheld_users": [],
        "other_desktops": [],
        "advice": [],
        "by_desktops": [],
    }


@pytest.mark.parametrize("desktop", ["gnome", "cinnamon", "mate"])
def test_the_slowest_of_the_desktops_counts_and_never_is_the_slowest(tmp_path, desktop):
    (key,) = (key for key in workstation_session.IDLE if f"/{desktop}/" in key)
    written, unit = workstation_session.IDLE[key]
    for told, seconds in ((written.format(1200 // unit), 1200), (written.format(0), None), ("", None), ("'x'", None)):
        assert seen(Machine(tmp_path, {**HELD, key: told}))["idle_seconds"] == seconds


def test_each_setting_that_is_otherwise_or_free_is_named(tmp_path):
    lock = "org/gnome/desktop/screensaver/lock-enabled"
    drives = "org/cinnamon/desktop/media-handling/automount"
    free = Machine(tmp_path, {**HELD, lock: "false", drives: ""}, [key for key in HELD if key not in (lock, drives)])
    facts = seen(free)
    assert facts["loose"] == [f"{lock} is false", f"{lock} may be changed by a user"]
    assert facts["by_desktops"] == [f"{drives} is not set", f"{drives} may be changed by a user"]


def test_without_dconf_nothing_is_held(tmp_path):
    machine = Machine(tmp_path, {}, [])
    facts = seen(machine)
    assert facts["idle_seconds"] is None
    assert len(facts["loose"]) == 2 * len(workstation_session.STEADY) + len(workstation_session.IDLE)


def test_who_may_read_another_profile_is_named(tmp_path):
    machine = Machine(tmp_path)
    machine.lay("/etc/passwd", PASSWD + "b.leroy:x:1002:1002::/home/b:/bin/bash\n")
    assert seen(machine)["unheld_users"] == ["b.leroy"]
    machine.lay(f"{workstation_session.MANDATORY}/1002", "user-db:user\n")
    assert seen(machine)["unheld_users"] == ["b.leroy"]


def test_another_desktop_is_left_to_a_person(tmp_path):
    machine = Machine(tmp_path)
    for name, told in (("classic", "GNOME-Classic:GNOME;"), ("c", "X-Cinnamon"), ("mate", "MATE"), ("xfce", "XFCE")):
        machine.lay(f"/usr/share/xsessions/{name}.desktop", f"[Desktop Entry]\nExec=x\nDesktopNames={told}\n")
    machine.lay("/usr/share/xsessions/lightdm-xsession.desktop", "[Desktop Entry]\nExec=default\n")
    machine.lay("/usr/share/xsessions/old.desktop", "[Desktop Entry]\nExec=old\n")
    machine.lay("/usr/share/wayland-sessions/plasma.desktop", "DesktopNames=KDE\n")
    facts = seen(machine)
    assert facts["other_desktops"] == ["old", "plasma", "xfce"]
    ordinary, left = parted(workstation_session.steps(facts, ["session.other_desktops"], 600))
    assert (ordinary, [step.does for step in left]) == ([], facts["advice"])


def test_lines_of_others_stay_in_the_profile_and_ours_comes_last(tmp_path):
    machine = Machine(tmp_path)
    machine.lay(workstation_session.PROFILE, "user-db:user\nsystem-db:radiology\nsystem-db:local\n")
    assert workstation_session._profile(machine) == "user-db:user\nsystem-db:local\nsystem-db:radiology\n"


def test_a_time_that_mate_would_take_for_never_is_refused():
    facts = {"other_desktops": []}
    with pytest.raises(HardeningError, match="workstation_lock_seconds is 59; accepted: 60 to 600"):
        workstation_session.steps(facts, ["session.loose"], 59)
    assert workstation_session.steps(facts, [], 59) == []


def test_another_time_that_the_site_chose_is_set_and_a_waived_one_is_not():
    known = hardened("workstation", "debian12")
    scope = {**known["scope"], "lock_seconds": 300}
    (step,) = workstation.plan(known["facts"], WANTED, scope)
    assert step.does.startswith("Have desktops lock the screen after 300 s")
    waived = {name: asked for name, asked in WANTED.items() if ".session." not in name}
    assert workstation.plan(known["facts"], waived, scope) == []


def test_a_database_that_was_there_is_as_dconf_compiled_it_until_the_undo(tmp_path, monkeypatch):
    machine = Machine(tmp_path)
    machine.lay(workstation_session.COMPILED, "theirs")
    run = machine.run
    monkeypatch.setattr(
        machine,
        "run",
        lambda command, **how: (
            machine.lay(workstation_session.COMPILED, "compiled") if command == ["dconf", "update"] else None,
            run(command, **how),
        )[1],
    )
    machine.ledger = kept.Ledger(machine, "workstation", ())
    (step,) = workstation_session.steps(seen(machine), ["session.loose"], 600)
    step.do(machine)
    (entry,) = [each for each in machine.ledger.entries if each.name == workstation_session.COMPILED]
    assert machine.text(entry.former["copy"]) == "theirs"
    assert machine.text(f"{entry.former['copy']}.ours") == "compiled"
